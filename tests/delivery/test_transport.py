import asyncio
import mailbox
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from digest.delivery.transport import Maildir, Security, Smtp, Timeouts, Transport
from digest.errors import BadSettings
from digest.mail import Addressing, MailingList, Rendered, WireMessage, compose
from digest.mail.wire import whole
from digest.text import one_line
from tests.delivery.servers import HOST, scripted, self_signed, smtp_server

AHEAD = {"EHLO": "250-x\r\n250 PIPELINING\r\n"}
PATIENT = Timeouts(30, 30, 30, 30, 60, 30)
FROM = "digest@example.org"
TEXT = "Hello.\n.\n..\n.leading dot\nFrom here, é\n" + "long " * 300


def letter(n: int = 1, recipient: str = "reader@example.org") -> WireMessage:
    headers = Addressing(
        envelope_sender="bounces@example.org",
        sender_name="Digest",
        sender_address="digest@example.org",
        recipient=recipient,
        message_id=f"{n}@example.org",
        date=datetime(2026, 11, 21, 6, tzinfo=UTC),
        mailing_list=MailingList("digest.example.org", "https://example.org/" + "u" * 200),
    )
    return compose(Rendered(f"Étude № {n}", whole(TEXT), whole(f"<p>{TEXT}</p>")), headers)


def smtp(port: int, security: Security = "none", **options: Any) -> Smtp:
    """One connection, unless told otherwise, and patience that outlasts a busy machine."""
    options = {"connections": 1, "timeouts": PATIENT, "local_hostname": "localhost", **options}
    return Smtp(HOST, port, security=security, **options)


def stored_in(folder: Path) -> list[bytes]:
    box = mailbox.Maildir(folder, create=False)
    return sorted(box.get_bytes(key).replace(b"\n", b"\r\n") for key in box.keys())  # noqa: SIM118


@dataclass(frozen=True)
class Outlet:
    transport: Transport
    received: Callable[[], list[bytes]]


@pytest.fixture(params=["maildir", "smtp"])
async def outlet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Outlet]:
    if request.param == "maildir":
        folder = tmp_path / "some" / "mail"
        yield Outlet(Maildir(folder), lambda: stored_in(folder))
    else:
        async with smtp_server(enable_SMTPUTF8=True) as inbox:
            yield Outlet(smtp(inbox.port), lambda: sorted(inbox.received))


@pytest.fixture(params=["maildir", "smtp"])
def blocked(request: pytest.FixtureRequest, tmp_path: Path) -> Transport:
    """An outlet that cannot work today: a file where the folder should be, a closed port."""
    if request.param == "maildir":
        (tmp_path / "file").write_text("")
        return Maildir(tmp_path / "file")
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        port: int = unused.getsockname()[1]
    return smtp(port)


class TestEveryOutlet:
    async def test_a_mail_arrives_byte_for_byte(self, outlet: Outlet) -> None:
        async with outlet.transport as transport:
            outcome = await transport.send(letter())
        assert (outcome.state, outcome.stage) == ("sent", "content")
        assert outlet.received() == [letter().raw]

    async def test_lines_of_dots_and_of_998_bytes_arrive_as_they_are(self, outlet: Outlet) -> None:
        raw = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\r\n." + b"y" * 997 + b"\r\n.\r\n"
        async with outlet.transport as transport:
            outcome = await transport.send(replace(letter(), raw=raw))
        assert outcome.state == "sent"
        assert outlet.received() == [raw]

    async def test_an_address_beyond_ascii_is_no_obstacle(self, outlet: Outlet) -> None:
        message = letter(recipient="løser@bücher.example")
        async with outlet.transport as transport:
            assert (await transport.send(message)).state == "sent"
        assert outlet.received() == [message.raw]

    async def test_many_at_once_all_arrive(self, outlet: Outlet) -> None:
        letters = [letter(n) for n in range(8)]
        async with outlet.transport as transport:
            outcomes = await asyncio.gather(*map(transport.send, letters))
        assert {outcome.state for outcome in outcomes} == {"sent"}
        assert outlet.received() == sorted(message.raw for message in letters)

    async def test_it_can_be_opened_again(self, outlet: Outlet) -> None:
        for n in range(2):
            async with outlet.transport as transport:
                assert (await transport.send(letter(n))).state == "sent"
        assert len(outlet.received()) == 2

    async def test_the_world_s_fault_is_an_outcome_of_one_line(self, blocked: Transport) -> None:
        async with blocked as transport:
            outcome = await transport.send(letter())
        assert (outcome.state, outcome.code) == ("deferred", None)
        assert outcome.reply == one_line(outcome.reply) != ""

    async def test_a_check_finds_nothing_wrong_and_leaves_no_mail(self, outlet: Outlet) -> None:
        async with outlet.transport as transport:
            assert [await transport.check(FROM) for _ in range(2)] == ["", ""]
            assert outlet.received() == []

    async def test_a_check_between_mails_does_no_harm(self, outlet: Outlet) -> None:
        async with outlet.transport as transport:
            for n in range(2):
                assert (await transport.send(letter(n))).state == "sent"
                assert await transport.check(FROM) == ""
        assert len(outlet.received()) == 2

    async def test_a_check_tells_the_world_s_fault_in_one_line(self, blocked: Transport) -> None:
        async with blocked as transport:
            said = await transport.check(FROM)
        assert said == one_line(said) != ""


class TestMaildir:
    async def test_mail_programs_can_open_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "mail"
        await Maildir(folder).send(letter())
        (message,) = mailbox.Maildir(folder, create=False)
        assert message["Message-ID"] == "<1@example.org>"
        assert (folder.stat().st_mode & 0o777, list((folder / "tmp").iterdir())) == (0o700, [])

    async def test_a_mail_is_stored_once_even_where_it_was_read_meanwhile(
        self, tmp_path: Path
    ) -> None:
        outlet = Maildir(tmp_path / "mail")
        await outlet.send(letter())
        (file,) = (tmp_path / "mail" / "new").iterdir()
        assert (await outlet.send(letter())).state == "sent"
        file.rename(tmp_path / "mail" / "cur" / f"{file.name}:2,S")
        assert (await outlet.send(letter())).state == "sent"
        assert len(stored_in(tmp_path / "mail")) == 1


class TestSmtp:
    async def test_the_envelope_is_the_one_given(self) -> None:
        async with smtp_server() as inbox, smtp(inbox.port) as transport:
            outcome = await transport.send(letter())
        assert inbox.envelopes == [("bounces@example.org", ["reader@example.org"])]
        assert (outcome.code, outcome.enhanced, outcome.reply) == (250, "2.0.0", "2.0.0 queued")

    async def test_one_connection_serves_many_mails(self) -> None:
        async with smtp_server() as inbox, smtp(inbox.port) as transport:
            for n in range(3):
                await transport.send(letter(n))
        assert (len(inbox.received), len(inbox.connections)) == (3, 1)

    @pytest.mark.parametrize(
        ("command", "reply", "state", "stage"),
        [
            ("MAIL", "451 4.3.0 later", "deferred", "sender"),
            ("MAIL", "550 5.7.1 not from you", "deferred", "sender"),
            ("RCPT", "450 4.2.1 greylisted", "deferred", "recipient"),
            ("RCPT", "550 5.1.1 no such user", "failed", "recipient"),
            ("DATA", "452 4.3.1 disk full", "deferred", "content"),
            ("DATA", "554 5.6.0 no such thing", "failed", "content"),
        ],
    )
    async def test_a_refusal_is_told_and_the_next_mail_still_goes(
        self, command: str, reply: str, state: str, stage: str
    ) -> None:
        async with smtp_server() as inbox, smtp(inbox.port) as transport:
            inbox.refusals[command] = reply
            outcome = await transport.send(letter(1))
            assert (await transport.send(letter(2))).state == "sent"
        assert (outcome.state, outcome.stage) == (state, stage)
        assert reply.split()[:2] == [str(outcome.code), outcome.enhanced]
        assert inbox.received == [letter(2).raw]

    @pytest.mark.parametrize("greeting", [{}, AHEAD], ids=["one by one", "ahead"])
    @pytest.mark.parametrize(
        ("answers", "state", "stage", "code"),
        [
            ({"EHLO": None}, "deferred", "connect", None),
            ({"MAIL": None}, "deferred", "sender", None),
            ({"RCPT": "421 4.3.2 closing\r\n"}, "deferred", "recipient", 421),
            ({"DATA": None}, "deferred", "data", None),
            ({"DATA": "554 no\r\n"}, "failed", "data", 554),
            ({"DATA": "250 what?\r\n"}, "deferred", "data", 250),
            ({"DATA": "354 go on\r\n250 what?\r\n"}, "deferred", "data", None),
            ({".": None}, "uncertain", "content", None),
            ({".": "gibberish\r\n"}, "uncertain", "content", None),
            ({".": "399 what?\r\n"}, "uncertain", "content", 399),
            ({".": "421 4.3.2 closing\r\n", "RSET": None}, "deferred", "content", 421),
        ],
    )
    async def test_it_knows_whether_the_mail_may_have_been_taken(
        self,
        greeting: dict[str, str | None],
        answers: dict[str, str | None],
        state: str,
        stage: str,
        code: int | None,
    ) -> None:
        async with scripted(greeting | answers) as server, smtp(server.port) as transport:
            outcome = await transport.send(letter())
        assert (outcome.state, outcome.stage, outcome.code) == (state, stage, code)

    async def test_commands_wait_for_no_answer_where_the_server_lets_them(self) -> None:
        together = "250 ok\r\n250 ok\r\n354 go on\r\n"
        answers = AHEAD | {"MAIL": "", "RCPT": "", "DATA": together}
        async with scripted(answers) as server, smtp(server.port) as transport:
            for n in range(2):
                assert (await transport.send(letter(n))).state == "sent"
        assert server.n_connections == 1

    async def test_elsewhere_a_command_comes_after_the_answer_to_the_last(self) -> None:
        async with scripted({"MAIL": None}) as server, smtp(server.port) as transport:
            await transport.send(letter())
        assert {line[:4] for line in server.lines} == {b"EHLO", b"MAIL"}

    @pytest.mark.parametrize("data", ["503 5.5.1 no recipients\r\n", "354 go on\r\n"])
    async def test_nothing_of_a_refused_mail_is_sent_to_a_server_that_was_asked_ahead(
        self, data: str
    ) -> None:
        answers: dict[str, str | None] = AHEAD | {"RCPT": "550 5.1.1 who?\r\n", "DATA": data}
        async with scripted(answers) as server, smtp(server.port) as transport:
            outcome = await transport.send(letter(1))
            assert (outcome.state, outcome.stage, outcome.code) == ("failed", "recipient", 550)
            del answers["RCPT"], answers["DATA"]
            assert (await transport.send(letter(2))).state == "sent"
        assert b"Message-ID: <1@example.org>\r\n" not in server.lines
        assert b"Message-ID: <2@example.org>\r\n" in server.lines

    async def test_a_server_that_speaks_unasked_is_left_before_it_can_be_misheard(self) -> None:
        answers = {".": "250 taken\r\n250 and what else?\r\n"}
        async with scripted(answers) as server, smtp(server.port) as transport:
            assert (await transport.send(letter(1))).state == "sent"
            answers |= {".": "554 5.6.0 no\r\n"}
            assert (await transport.send(letter(2))).state == "failed"
        assert server.n_connections == 2

    async def test_silence_after_the_mail_is_uncertain(self) -> None:
        brief = replace(PATIENT, reply=0.2)
        async with scripted({".": ""}) as server, smtp(server.port, timeouts=brief) as transport:
            assert (await transport.send(letter())).state == "uncertain"

    async def test_a_mail_has_a_deadline_from_end_to_end(self) -> None:
        brief = replace(PATIENT, mail=0.2)
        async with scripted({"RCPT": ""}) as server, smtp(server.port, timeouts=brief) as transport:
            outcome = await transport.send(letter())
        assert (outcome.state, outcome.stage) == ("deferred", "recipient")

    async def test_what_crosses_the_wire_is_what_was_composed_with_its_dots_doubled(self) -> None:
        async with scripted({}) as server, smtp(server.port) as transport:
            await transport.send(letter())
        start = server.lines.index(b"DATA\r\n") + 1
        end = server.lines.index(b".\r\n")
        stuffed = [b"." + x if x[:1] == b"." else x for x in letter().raw.splitlines(keepends=True)]
        assert server.lines[start:end] == stuffed

    async def test_a_cancelled_mail_takes_its_connection_along(self) -> None:
        answers = {".": ""}
        async with scripted(answers) as server, smtp(server.port) as transport:
            sending = asyncio.create_task(transport.send(letter(1)))
            await server.mail_came.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            del answers["."]
            assert (await transport.send(letter(2))).state == "sent"
            assert server.n_connections == 2

    @pytest.mark.parametrize(
        ("silent", "stage"), [("EHLO", "connect"), ("RCPT", "recipient"), ("DATA", "data")]
    )
    async def test_a_mail_is_given_up_before_the_server_has_it(
        self, silent: str, stage: str
    ) -> None:
        answers: dict[str, str | None] = {silent: ""}
        async with scripted(answers) as server, smtp(server.port) as transport:
            sending = asyncio.create_task(transport.send(letter(1)))
            while silent.encode() not in {line[:4].strip() for line in server.lines}:
                assert not sending.done()
                await asyncio.sleep(0)
            transport.give_up()
            transport.give_up()
            outcome = await sending
            del answers[silent]
            assert (await transport.send(letter(2))).state == "sent"
        assert (outcome.state, outcome.stage) == ("deferred", stage)
        assert b"Message-ID: <1@example.org>\r\n" not in server.lines

    async def test_the_answer_to_a_mail_that_the_server_has_is_waited_for(self) -> None:
        async with scripted({}) as server, smtp(server.port) as transport:
            server.held = asyncio.Event()
            sending = asyncio.create_task(transport.send(letter()))
            await server.mail_came.wait()
            transport.give_up()
            server.held.set()
            assert (await sending).state == "sent"

    async def test_a_connection_that_the_server_closed_is_opened_anew(self) -> None:
        async with smtp_server() as inbox, smtp(inbox.port) as transport:
            await transport.send(letter(1))
            inbox.hang_up()
            assert (await transport.send(letter(2))).state == "sent"
        assert len(inbox.connections) == 2

    async def test_a_server_that_says_goodbye_between_mails_is_no_fault(self) -> None:
        answers: dict[str, str | None] = {}
        async with scripted(answers) as server, smtp(server.port) as transport:
            await transport.send(letter(1))
            answers["MAIL"] = "421 4.4.2 you were idle\r\n"
            server.once = {"MAIL"}
            assert (await transport.send(letter(2))).state == "sent"
            assert server.n_connections == 2

    async def test_as_many_connections_as_mails_at_once_and_no_more_than_allowed(self) -> None:
        async with smtp_server() as inbox, smtp(inbox.port, connections=3) as transport:
            await asyncio.gather(*(transport.send(letter(n)) for n in range(9)))
        assert (len(inbox.received), len(inbox.connections)) == (9, 3)

    async def test_a_connection_is_left_after_so_many_mails(self) -> None:
        async with (
            smtp_server() as inbox,
            smtp(inbox.port, mails_per_connection=2) as transport,
        ):
            for n in range(5):
                await transport.send(letter(n))
        assert (len(inbox.received), len(inbox.connections)) == (5, 3)

    async def test_an_idle_connection_is_asked_whether_it_lives(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.delivery.transport._IDLE", -1.0)
        async with scripted({"NOOP": None}) as server, smtp(server.port) as transport:
            await transport.send(letter(1))
            assert (await transport.send(letter(2))).state == "sent"
            assert server.n_connections == 2

    async def test_a_server_without_smtputf8_cannot_take_such_an_address(self) -> None:
        message = letter(recipient="løser@example.org")
        async with smtp_server() as inbox, smtp(inbox.port) as transport:
            outcome = await transport.send(message)
            assert (await transport.send(letter())).state == "sent"
        assert (outcome.state, outcome.blame, outcome.code) == ("failed", "nobody", None)

    @pytest.mark.parametrize("field", ["recipient", "envelope_sender"])
    async def test_an_address_never_brings_a_command_along(self, field: str) -> None:
        message = replace(letter(), **{field: "a@example.org>\r\nRSET\r\nMAIL FROM:<b@example.org"})
        async with scripted(AHEAD) as server, smtp(server.port) as transport:
            assert (await transport.send(message)).state == "failed"
        assert {line[:4] for line in server.lines} == {b"EHLO", b"QUIT"}

    async def test_a_wrong_password_defers_until_somebody_mends_it(self) -> None:
        answers = {"EHLO": "250-x\r\n250 AUTH PLAIN\r\n", "AUTH": "535 5.7.8 wrong\r\n"}
        async with (
            scripted(answers) as server,
            smtp(server.port, username="me", password="guess") as transport,
        ):
            for _ in range(2):  # the second logs in anew
                outcome = await transport.send(letter())
                assert (outcome.state, outcome.stage, outcome.code) == ("deferred", "connect", 535)
        assert server.n_connections == 2

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            ({"EHLO": "250-x\r\n250 AUTH PLAIN\r\n", "AUTH": "535 5.7.8 wrong\r\n"}, "535 5.7.8"),
            ({"EHLO": None}, "Unexpected EOF"),
            ({"MAIL": "550 5.7.1 not from you\r\n"}, "550 5.7.1"),
            ({"QUIT": None}, ""),
        ],
    )
    async def test_a_check_logs_in_and_tells_what_the_server_said(
        self, answers: dict[str, str | None], said: str
    ) -> None:
        answers = {"EHLO": "250-x\r\n250 AUTH PLAIN\r\n", "AUTH": "235 in\r\n", **answers}
        async with (
            scripted(answers) as server,
            smtp(server.port, username="me", password="guess") as transport,
        ):
            found = await transport.check(FROM)
        assert (said in found, bool(said)) == (True, bool(found))
        assert {line[:4] for line in server.lines} <= {
            *(b"EHLO", b"HELO", b"AUTH", b"MAIL", b"QUIT")
        }


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


class TestSmtpOverTls:
    async def test_starttls_with_a_certificate_that_verifies(
        self, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        async with (
            smtp_server(tls_context=server_tls, require_starttls=True) as inbox,
            smtp(inbox.port, "starttls", tls_context=trusting) as transport,
        ):
            assert (await transport.send(letter())).state == "sent"
        assert (inbox.received, inbox.encrypted) == ([letter().raw], [True])

    async def test_tls_from_the_first_byte(
        self, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        async with (
            smtp_server(server_tls) as inbox,
            smtp(inbox.port, "tls", tls_context=trusting) as transport,
        ):
            assert (await transport.send(letter())).state == "sent"
        assert inbox.received == [letter().raw]

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(
        self, server_tls: ssl.SSLContext, security: Security
    ) -> None:
        tls = {"tls": server_tls} if security == "tls" else {"tls_context": server_tls}
        async with smtp_server(**tls) as inbox, smtp(inbox.port, security) as transport:
            outcome = await transport.send(letter())
            assert "certificate" in (await transport.check(FROM)).lower()
        assert (outcome.state, outcome.stage) == ("deferred", "connect")
        assert "certificate" in outcome.reply.lower()
        assert inbox.received == []

    async def test_without_starttls_nothing_is_said_in_the_clear(self) -> None:
        async with scripted({}) as server, smtp(server.port, "starttls") as transport:
            outcome = await transport.send(letter())
        assert (outcome.state, outcome.stage) == ("deferred", "connect")
        assert {line[:4] for line in server.lines} <= {b"EHLO", b"HELO", b"QUIT"}

    def test_a_password_is_never_sent_in_the_clear_over_a_network(self) -> None:
        with pytest.raises(BadSettings, match="starttls or tls"):
            Smtp("mail.example.org", username="me", password="secret", security="none")
