"""SMTP servers on loopback: a real one, and one that answers as a script tells it."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, MutableMapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
_T = TypeVar("_T")


@dataclass
class Inbox:
    """What an aiosmtpd server was given; each refusal is answered once, at its command."""

    refusals: dict[str, str] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str | None, list[str]]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    connections: list[SMTP] = field(default_factory=list)
    port: int = 0

    def hang_up(self) -> None:
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.close()

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, _s: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.refusals.pop("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _s: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.refusals.pop("RCPT", "250 OK")

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if refusal := self.refusals.pop("DATA", None):
            return refusal
        assert isinstance(envelope.content, bytes)
        self.received.append(envelope.content)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        return "250 2.0.0 queued"


@asynccontextmanager
async def smtp_server(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Inbox]:
    inbox = Inbox()

    def connected() -> SMTP:
        inbox.connections.append(SMTP(inbox, hostname="localhost", **options))
        return inbox.connections[-1]

    server = await asyncio.get_running_loop().create_server(connected, HOST, 0, ssl=tls)
    inbox.port = server.sockets[0].getsockname()[1]
    yield inbox
    server.close()
    await server.wait_closed()


@dataclass
class Script:
    """A server that answers commands, and "." for a whole mail, as told; None hangs up.

    What is in `once` is answered so one time, and after an answer of 421 it hangs up, too.
    A whole mail is answered when `held` is set.
    """

    answers: MutableMapping[str, str | None]
    once: set[str] = field(default_factory=set)
    held: asyncio.Event | None = None
    lines: list[bytes] = field(default_factory=list)
    mail_came: asyncio.Event = field(default_factory=asyncio.Event)
    n_connections: int = 0
    port: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        answer: str | None = "220 ready\r\n"
        while answer is not None:
            writer.write(answer.encode())
            command = "." if answer.splitlines()[-1:] == ["354 go on"] else ""
            while line := await reader.readline():
                self.lines.append(line)
                if command != "." or line == b".\r\n":
                    break
            else:
                break
            if command == ".":
                self.mail_came.set()
                if self.held:
                    await self.held.wait()
            usual = {"DATA": "354 go on\r\n", "QUIT": "221 bye\r\n"}
            command = command or line[:4].decode().strip().upper()
            if (answer or "").startswith("421"):
                break
            answer = self.answers.get(command, usual.get(command, "250 ok\r\n"))
            if command in self.once:
                self.answers.pop(command, None)
        writer.close()


@asynccontextmanager
async def scripted(answers: MutableMapping[str, str | None]) -> AsyncIterator[Script]:
    script, talks = Script(answers), []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        # Some hang up without waiting for the last answer.
        with suppress(ConnectionResetError):
            await script.talk(reader, writer)

    server = await asyncio.start_server(talk, HOST, 0)
    script.port = server.sockets[0].getsockname()[1]
    yield script
    server.close()
    await asyncio.gather(*filter(None, talks))


@contextmanager
def beside(server: AbstractAsyncContextManager[_T]) -> Iterator[_T]:
    """Run a server in a thread of its own, while this one is busy."""
    started: Future[_T] = Future()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with server as found:
            started.set_result(found)
            await over.wait()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        thread = Thread(target=runner.run, args=(serve(),))
        thread.start()
        try:
            yield started.result(30)
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for `HOST` that nobody vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=mail -addext subjectAltName=IP:{HOST} -out {certificate} -keyout {key}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key
