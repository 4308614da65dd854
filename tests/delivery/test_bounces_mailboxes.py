import io
import ssl
from pathlib import Path

import pytest

from digest.delivery.bounces.mailboxes import Mail, read_path, read_settings, read_stream
from digest.delivery.bounces.parts import LONGEST
from digest.errors import BadInput, BadSettings, ServiceUnreachable
from digest.settings import BounceSettings
from tests.delivery.imap_server import HOST, PASSWORD, USER, Imap, imap_server
from tests.delivery.returned import dsn, mail
from tests.delivery.servers import self_signed

FIRST, SECOND = dsn(), mail("From: a@example.net", "Subject: hello", body="x\n")


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return tmp_path / "Maildir"


def raws(mails: list[Mail]) -> list[bytes]:
    return [one.raw for one in mails]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# Maildir


def test_new_mails_of_a_maildir_move_to_cur_as_seen_when_they_are_put_away(maildir: Path) -> None:
    (maildir / "new" / "1.a").write_bytes(FIRST)
    (maildir / "new" / "2.b").write_bytes(SECOND)
    (maildir / "cur" / "0.c:2,S").write_bytes(b"From: read@example.net\n\nbefore\n")
    mails = list(read_path(maildir))
    assert raws(mails) == [FIRST, SECOND]
    assert len(names(maildir / "new")) == 2
    for one in mails:
        one.put_away()
    assert names(maildir / "new") == []
    assert names(maildir / "cur") == ["0.c:2,S", "1.a:2,S", "2.b:2,S"]
    assert list(read_path(maildir)) == []


def test_two_readers_of_one_maildir_do_not_mind_each_other(maildir: Path) -> None:
    for name in ("1.a", "2.b"):
        (maildir / "new" / name).write_bytes(FIRST)
    slow, quick = read_path(maildir), list(read_path(maildir))
    first = next(slow)
    for one in quick:
        one.put_away()
    first.put_away()
    assert list(slow) == []


def test_a_mail_that_cannot_be_put_away_is_told_in_a_line(maildir: Path) -> None:
    (maildir / "new" / "1.a").write_bytes(FIRST)
    (one,) = read_path(maildir)
    (maildir / "cur" / "1.a:2,S").mkdir()
    with pytest.raises(ServiceUnreachable, match=r"1\.a to .*cur: Is a directory"):
        one.put_away()


def test_a_folder_that_is_no_maildir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no Maildir"):
        list(read_path(tmp_path))


# Files


def test_an_mbox_is_read_mail_by_mail_and_left_as_it_is(tmp_path: Path) -> None:
    line = b"From MAILER-DAEMON Sun Mar  1 12:00:00 2026\n"
    whole = line + FIRST + b"\n" + line + SECOND + b"\n"
    (tmp_path / "mbox").write_bytes(whole)
    mails = list(read_path(tmp_path / "mbox"))
    assert [one.raw.strip() for one in mails] == [FIRST.strip(), SECOND.strip()]
    for one in mails:
        one.put_away()
    assert (tmp_path / "mbox").read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["mbox"]


def test_any_other_file_is_one_mail_of_which_the_beginning_is_read(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(FIRST)
    assert raws(list(read_path(tmp_path / "mail.eml"))) == [FIRST]
    (tmp_path / "long.eml").write_bytes(b"a" * (LONGEST + 5))
    assert raws(list(read_path(tmp_path / "long.eml"))) == [b"a" * LONGEST]


def test_a_file_that_is_not_there_is_a_clear_refusal(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        list(read_path(tmp_path / "nothing"))


def test_a_pipe_is_read_to_its_end_even_where_the_end_is_not_needed() -> None:
    stream = io.BytesIO(b"a" * (3 * LONGEST))
    assert read_stream(stream).raw == b"a" * LONGEST
    assert stream.read() == b""


# IMAP


@pytest.fixture
def server_tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What the server shows, and a client that trusts it."""
    certificate, key = self_signed(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


def named(imap: Imap, **values: object) -> BounceSettings:
    return BounceSettings.model_validate(
        {
            "imap_host": HOST,
            "imap_port": imap.port,
            "imap_username": USER,
            "imap_password": PASSWORD,
            **values,
        }
    )


def test_unseen_mails_are_read_by_imap_and_marked_when_they_are_put_away(
    server_tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = server_tls
    with imap_server(server, FIRST, b"x" * (LONGEST + 9), SECOND) as imap:
        imap.seen = {2}
        mails = read_settings(named(imap), tls=client)
        first = next(mails)
        assert (first.raw, imap.seen) == (FIRST, {2})
        first.put_away()
        assert imap.seen == {1, 2}
        assert next(mails).raw == SECOND
        assert list(mails) == []
        assert [one.raw for one in read_settings(named(imap), tls=client)] == [SECOND]
        imap.seen = {1, 3}
        assert [len(one.raw) for one in read_settings(named(imap), tls=client)] == [LONGEST]


def test_a_certificate_that_nobody_vouches_for_ends_the_connection_before_the_password(
    server_tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    with imap_server(server_tls[0], FIRST) as imap:
        with pytest.raises(ServiceUnreachable, match="certificate verify failed"):
            list(read_settings(named(imap)))
        assert imap.commands == []


def test_a_wrong_password_or_folder_is_a_fault_of_the_settings(
    server_tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = server_tls
    with imap_server(server, FIRST) as imap:
        with pytest.raises(BadSettings, match="refuses imap_username or imap_password") as refused:
            list(read_settings(named(imap, imap_password="wrong"), tls=client))
        assert "wrong" not in str(refused.value)
        with pytest.raises(BadSettings, match="has no folder 'Bounces'"):
            list(read_settings(named(imap, imap_folder="Bounces"), tls=client))


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "SEARCH", "FETCH"])
def test_a_server_that_hangs_up_is_one_to_try_again(
    server_tls: tuple[ssl.SSLContext, ssl.SSLContext], command: str
) -> None:
    server, client = server_tls
    with imap_server(server, FIRST, hang_up_at=command) as imap:
        with pytest.raises(ServiceUnreachable, match="cannot read"):
            list(read_settings(named(imap), tls=client))
        assert imap.seen == set()


def test_the_settings_may_name_a_maildir_and_a_mailbox_or_none(
    maildir: Path, server_tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = server_tls
    (maildir / "new" / "1.a").write_bytes(FIRST)
    assert list(read_settings(BounceSettings())) == []
    with imap_server(server, SECOND) as imap:
        both = read_settings(named(imap, maildir=maildir), tls=client)
        assert raws(list(both)) == [FIRST, SECOND]
