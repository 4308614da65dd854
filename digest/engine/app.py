"""App: everything that is wired once at the start and handed to jobs, pages and commands."""

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import make_url

from digest.delivery.letters import Postage
from digest.delivery.sending import Pace
from digest.delivery.transport import Maildir, Smtp, Transport
from digest.engine.engines import Engine, InlineEngine, open_engine
from digest.errors import BadSettings
from digest.links import Links
from digest.mail.dkim import Signer
from digest.papers.encoder import Encoder, SentenceEncoder
from digest.settings import Settings
from digest.store import Sessions, insert, migrate, open_database
from digest.store.tables import KeyMark, Subscriber, Suppression

KEY_FILE = "digest.key"

_IF_IT_IS_LOST = (
    "If it is lost, digest init --new-key goes on with a new one: then no link in a mail that was "
    "sent works, and no address that was suppressed is known"
)


@dataclass(frozen=True, slots=True)
class App:
    """The settings, and what was made from them; `secret` keys suppressions and the links."""

    settings: Settings
    sessions: Sessions
    links: Links
    secret: bytes = field(repr=False)
    signer: Signer
    encoder: Encoder
    engine: Engine = field(default_factory=InlineEngine)

    @property
    def postage(self) -> Postage:
        """What every letter has in common."""
        return Postage(self.links, self.settings.mail, self.secret, self.signer)

    def transport(self) -> Transport:
        """A new outlet: the SMTP server that the settings name, else a Maildir."""
        smtp = self.settings.smtp
        if smtp.host is None:
            return Maildir(self.settings.mail.maildir)
        return Smtp(
            smtp.host,
            smtp.port,
            username=smtp.username,
            password=smtp.password.get_secret_value() if smtp.password else None,
            security=smtp.security,
            connections=smtp.connections,
            mails_per_connection=smtp.mails_per_connection,
        )

    def pace(self) -> Pace:
        """How fast one process may send."""
        return Pace(self.settings.smtp.per_second, self.settings.smtp.per_second_to_domain)


def open_app(settings: Settings, *, encoder: Encoder | None = None) -> App:
    """Open the database, bring it up to date, and wire the rest.

    Raises BadSettings, ServiceUnreachable or WrongDatabase.
    """
    engine = open_engine(settings.engine)
    signer = Signer(settings.dkim, settings.mail.from_address.rpartition("@")[2])
    sessions = open_database(settings.database, settings.postgresql)
    try:
        migrate(sessions)
        miss_no_key(settings, sessions)
        secret = read_secret(settings)
        know_key(sessions, secret)
        links = Links(settings.base_url, [secret])
    except BaseException:
        sessions.engine.dispose()
        raise
    return App(
        settings=settings,
        sessions=sessions,
        links=links,
        secret=secret,
        signer=signer,
        encoder=encoder or SentenceEncoder(settings.encoder),
        engine=engine,
    )


def read_secret(settings: Settings) -> bytes:
    """The secret key of the settings; else the one kept beside a SQLite database, made if need be.

    Raises BadSettings where the database is a server's: its other machines would not know the key.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    file = key_file(settings)
    if file is None:
        raise BadSettings(
            "secret_key: must be set with this database, the same on every machine: "
            'try python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    try:
        if not file.exists():
            make_key(file, secrets.token_urlsafe(32))
        key = file.read_bytes().strip()
    except OSError as error:
        raise BadSettings(f"cannot make or read {file}: {error.strerror}; set secret_key") from None
    if not key:
        raise BadSettings(
            f"{file} is empty: put the key back, every backup holds it; or set secret_key"
        )
    return key


def miss_no_key(settings: Settings, sessions: Sessions) -> None:
    """Raise BadSettings where a database is in use and the key that was beside it is gone.

    A new one, made in silence, would void the suppression list and all links.
    """
    file = key_file(settings)
    if file and not file.exists() and _is_used(sessions):
        raise BadSettings(
            f"{file} is gone, the key of this database: put it back, every backup holds it. "
            f"{_IF_IT_IS_LOST}"
        )


def know_key(sessions: Sessions, secret: bytes) -> None:
    """Remember the key that a database is used with. Raises BadSettings where it was another."""
    with sessions.reading() as session:
        known = session.scalar(select(KeyMark.mark))
    if known == mark_of(secret):
        return
    if known and _is_used(sessions):
        raise BadSettings(
            "the secret key is not the one that this database has been used with: set that one, "
            f"on every machine. {_IF_IT_IS_LOST}"
        )
    _note_key(sessions, secret)


def begin_with_key(settings: Settings) -> None:
    """Take the key of the settings for the database's from now on, made if need be.

    Raises what `open_app` does.
    """
    sessions = open_database(settings.database, settings.postgresql)
    try:
        migrate(sessions)
        _note_key(sessions, read_secret(settings))
    finally:
        sessions.engine.dispose()


def _note_key(sessions: Sessions, secret: bytes) -> None:
    mark = mark_of(secret)
    with sessions() as session:
        row = insert(session, KeyMark).values(id=1, mark=mark)
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"mark": mark}))


def mark_of(secret: bytes) -> str:
    """What tells a key from others, and nothing of the key; every backup has it."""
    return hmac.new(secret, b"the key of a backup", "sha256").hexdigest()[:32]


def _is_used(sessions: Sessions) -> bool:
    with sessions.reading() as session:
        used = (select(column).limit(1) for column in (Subscriber.id, Suppression.at))
        return any(session.scalar(one) is not None for one in used)


def key_file(settings: Settings) -> Path | None:
    """Where the key stands that the settings do not give; None beside a server's database."""
    url = make_url(settings.database)
    kept_in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    if settings.secret_key is not None or not kept_in_file:
        return None
    return Path(str(url.database)).with_name(KEY_FILE)


def make_key(file: Path, key: str) -> None:
    """Write a key; of two processes that start at once one writes it, whole or not at all."""
    handle, unfinished = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w") as opened:
            opened.write(key)
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(unfinished, file)
    finally:
        Path(unfinished).unlink()
