"""Where mail that comes back is found: files, Maildirs, mailboxes by IMAP, standard input.

A mail is put away when what it says is stored, and not before, so that a crash forgets none.
"""

import logging
import mailbox
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from imaplib import IMAP4
from pathlib import Path
from typing import BinaryIO

from digest.delivery.bounces.parts import LONGEST
from digest.errors import BadInput, BadSettings, ServiceUnreachable
from digest.settings import BounceSettings
from digest.text import one_line

log = logging.getLogger(__name__)

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail: where it is, its bytes (the first `LONGEST`), and how it is marked as read."""

    name: str
    raw: bytes
    put_away: Callable[[], object] = lambda: None


def read_path(path: Path) -> Iterator[Mail]:
    """The new mails of a Maildir, all of an mbox, or the one of a file. Raises BadInput."""
    try:
        if path.is_dir():
            yield from _maildir(path)
            return
        with path.open("rb") as file:
            is_mbox = file.read(5) == b"From "
            file.seek(0)
            raw = file.read(LONGEST)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    if is_mbox:
        yield from _mbox(path)
    else:
        yield Mail(str(path), raw)


def read_stream(stream: BinaryIO) -> Mail:
    """The one mail that a mail server pipes to us, read to its end: it would take less amiss."""
    raw = stream.read(LONGEST)
    while stream.read(LONGEST):
        pass
    return Mail("the mail on standard input", raw)


def read_settings(settings: BounceSettings, *, tls: ssl.SSLContext | None = None) -> Iterator[Mail]:
    """The new mails of every mailbox that the settings name, none if they name none.

    The certificate is verified by `tls`, else against the machine's authorities. Raises BadInput,
    BadSettings, or ServiceUnreachable.
    """
    if settings.maildir is not None:
        yield from read_path(settings.maildir)
    if settings.imap_host is not None:
        yield from _imap(settings, tls or ssl.create_default_context())


def _maildir(folder: Path) -> Iterator[Mail]:
    new, seen = folder / "new", folder / "cur"
    if not new.is_dir() or not seen.is_dir():
        raise BadInput(f"{folder} is no Maildir: it has no new/ and cur/")
    for file in sorted(new.iterdir()):
        try:
            with file.open("rb") as opened:
                raw = opened.read(LONGEST)
        except FileNotFoundError:
            # Another reader was quicker.
            continue
        yield Mail(str(file), raw, partial(_see, file, seen / f"{file.name.partition(':')[0]}:2,S"))


def _see(file: Path, seen: Path) -> None:
    try:
        file.rename(seen)
    except FileNotFoundError:
        log.info("%s was read by another, too", file)
    except OSError as error:
        raise ServiceUnreachable(f"cannot move {file} to {seen.parent}: {error.strerror}") from None


def _mbox(file: Path) -> Iterator[Mail]:
    box = mailbox.mbox(file, create=False)
    try:
        for key in box.iterkeys():
            yield Mail(f"{file}, mail {int(key) + 1}", box.get_bytes(key)[:LONGEST])
    finally:
        box.close()


def _imap(settings: BounceSettings, tls: ssl.SSLContext) -> Iterator[Mail]:
    # It takes 0.1 s to import, and few have such a mailbox.
    from imap_tools import MailBox, MailMessageFlags
    from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError

    host, password = settings.imap_host, settings.imap_password
    if host is None or settings.imap_username is None or password is None:
        return
    where = f"{settings.imap_username} at {host}:{settings.imap_port}"
    try:
        box = MailBox(host, settings.imap_port, timeout=_SECONDS, ssl_context=tls)
        try:
            box.login(settings.imap_username, password.get_secret_value(), settings.imap_folder)
            for uid in box.uids("UNSEEN"):
                # PEEK leaves it unseen.
                _, found = box.client.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LONGEST}>)")
                raw = next((part[1] for part in found if isinstance(part, tuple)), None)
                if raw is not None:
                    put_away = partial(box.flag, uid, MailMessageFlags.SEEN, value=True)
                    yield Mail(f"{where}, mail {uid}", raw, put_away)
        finally:
            with suppress(OSError, IMAP4.error, ImapToolsError):
                box.logout()
            with suppress(OSError):
                # Who has been hung up on cannot log out, and its socket would stay.
                box.client.shutdown()
    except MailboxLoginError:
        raise BadSettings(f"bounces: {where} refuses imap_username or imap_password") from None
    except MailboxFolderSelectError:
        raise BadSettings(f"bounces: {where} has no folder {settings.imap_folder!r}") from None
    except (OSError, IMAP4.error, ImapToolsError) as error:
        raise ServiceUnreachable(f"cannot read {where}: {one_line(str(error))}") from None
