"""The outlets that a mail leaves by: an SMTP server, or a Maildir where there is none.

An outlet makes one try and tells what became of it; whether to try again is for the outbox.
"""

import asyncio
import os
import re
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Protocol, Self

from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.typing import SMTPStatus

from digest.errors import BadSettings
from digest.mail.content import one_line
from digest.mail.message import WireMessage

State = Literal["sent", "deferred", "failed", "uncertain"]
Stage = Literal["connect", "sender", "recipient", "content"]
Security = Literal["starttls", "tls", "none"]

MAX_REPLY = 500

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b", re.ASCII)
_LEADING_DOT = re.compile(rb"(?m)^\.")
_NO_SMTPUTF8 = "the server takes no addresses beyond ASCII before the @ (SMTPUTF8)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try; `reply` is one clean line, `stage` the last that was tried.

    `failed` at the stage `recipient` speaks of the address, at `content` of this mail.
    """

    state: State
    stage: Stage
    code: int | None
    enhanced: str | None
    reply: str


class Transport(Protocol):
    """An outlet: as a context manager it closes what `send` opened, and it may be used again."""

    async def send(self, message: WireMessage) -> Outcome:
        """Make one try; the world's faults come back as an Outcome, never as an exception."""
        ...

    async def check(self) -> str:
        """Try all but a mail: empty if one could leave now, else what is wrong, in one line."""
        ...

    async def __aenter__(self) -> Self:
        """Make ready; does not connect, so that a server that is down defers mail."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """Close connections."""
        ...


class Maildir:
    """A folder that mail programs open; every mail is stored once, however often it is sent."""

    def __init__(self, folder: Path) -> None:
        """Store mail under `folder`, which is made when it is first needed."""
        self.folder = folder

    async def send(self, message: WireMessage) -> Outcome:
        """Store `message` durably before answering."""
        try:
            await asyncio.to_thread(self._store, message)
        except OSError as error:
            return _outcome("deferred", "content", None, f"{self.folder}: {error.strerror}")
        return _outcome("sent", "content", None, f"stored in {self.folder}")

    async def check(self) -> str:
        """Make the folder, and write into it what is at once taken away again."""
        try:
            await asyncio.to_thread(self._try_out)
        except OSError as error:
            return _fault(error.strerror or str(error))
        return ""

    async def __aenter__(self) -> Self:
        """Nothing is held open."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is held open."""

    def _try_out(self) -> None:
        self._make()
        for name in ("tmp", "new"):
            tempfile.TemporaryFile(dir=self.folder / name).close()

    def _make(self) -> None:
        for folder in (self.folder, *(self.folder / name for name in ("tmp", "new", "cur"))):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _store(self, message: WireMessage) -> None:
        self._make()
        name = f"{sha256(message.message_id.encode()).hexdigest()[:32]}.digest"
        new, cur = self.folder / "new", self.folder / "cur"
        # A mail program that has seen a mail moves it to cur/ and appends its flags.
        if (new / name).exists() or any(cur.glob(f"{name}*")):
            return
        # A Maildir has the host's line ends. Nothing is lost: on the wire every one is CRLF.
        content = message.raw.replace(b"\r\n", b"\n")
        handle, unfinished = tempfile.mkstemp(prefix=f"{name}.", dir=self.folder / "tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, new / name)  # noqa: PTH105 - mkstemp gives a str
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        _sync_folder(new)


class Smtp:
    """An SMTP server over one kept connection, which takes one mail at a time."""

    def __init__(
        self,
        host: str,
        port: int = 587,
        *,
        username: str | None = None,
        password: str | None = None,
        security: Security = "starttls",
        timeout: float = 60.0,
        tls_context: ssl.SSLContext | None = None,
        local_hostname: str | None = None,
    ) -> None:
        """Certificates are verified, against `tls_context` if given. Raises BadSettings."""
        if username is not None and security == "none" and not _is_loopback(host):
            raise BadSettings(
                f"smtp.security: a login to {host} needs starttls or tls; "
                "over none the password would cross the network in the clear"
            )
        self._connection = SMTP(
            hostname=host,
            port=port,
            username=username,
            password=password,
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=tls_context,
            timeout=timeout,
            local_hostname=local_hostname,
        )
        self._one_at_a_time = asyncio.Lock()

    async def send(self, message: WireMessage) -> Outcome:
        """Hand `message` to the server; `uncertain` where its answer to the mail was lost."""
        async with self._one_at_a_time:
            try:
                return await self._send(message)
            except BaseException:
                # Half a dialogue would give the next mail this one's replies.
                self._connection.close()
                raise

    async def check(self) -> str:
        """Connect anew, greet, log in where there is a password, and say goodbye."""
        smtp = self._connection
        async with self._one_at_a_time:
            smtp.close()
            try:
                await smtp.connect()
                if smtp.is_ehlo_or_helo_needed:
                    await smtp.ehlo()
                with suppress(SMTPException, OSError):
                    await smtp.quit()
            except SMTPResponseException as error:
                return _fault(f"{error.code} {error.message}")
            except (SMTPException, OSError) as error:
                return _fault(str(error) or type(error).__name__)
            finally:
                smtp.close()
        return ""

    async def __aenter__(self) -> Self:
        """Connect at the first mail."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Say goodbye."""
        with suppress(SMTPException, OSError):
            if self._connection.is_connected:
                await self._connection.quit()
        self._connection.close()

    async def _send(self, message: WireMessage) -> Outcome:
        smtp = self._connection
        stage: Stage = "connect"
        try:
            if not smtp.is_connected:
                await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
            if message.smtputf8 and not smtp.supports_extension("smtputf8"):
                return _outcome("failed", "recipient", None, _NO_SMTPUTF8)
            # Its addresses stand in the headers too, in eight bits.
            options = ["SMTPUTF8", "BODY=8BITMIME"] if message.smtputf8 else []
            if smtp.supports_extension("size"):
                options.append(f"SIZE={len(message.raw)}")
            stage = "sender"
            await smtp.mail(message.envelope_sender, options=options, encoding="utf-8")
            stage = "recipient"
            await smtp.rcpt(message.recipient, encoding="utf-8")
            stage = "content"
            await self._begin(message.raw)
        except SMTPResponseException as error:
            await self._reset()
            return _answered(stage, error.code, error.message)
        except (SMTPException, OSError) as error:
            smtp.close()
            return _outcome("deferred", stage, None, str(error))
        return await self._answer()

    async def _begin(self, raw: bytes) -> None:
        """Send DATA and the mail; where this raises, no byte of the mail has left.

        aiosmtplib's own `data()` does not tell a connection lost before the mail from one after.
        """
        reply = await self._connection.execute_command(b"DATA")
        if reply.code != SMTPStatus.start_input:
            raise SMTPResponseException(reply.code, reply.message)
        self._protocol().write(_LEADING_DOT.sub(b"..", raw) + b".\r\n")

    async def _answer(self) -> Outcome:
        try:
            reply = await self._protocol().read_response(timeout=self._connection.timeout)
        except (SMTPException, OSError) as error:
            self._connection.close()
            return _outcome("uncertain", "content", None, str(error))
        if reply.code != SMTPStatus.completed:
            await self._reset()
        return _answered("content", reply.code, reply.message, after_mail=True)

    async def _reset(self) -> None:
        """Clear what the server holds of a refused mail, or start afresh if it will not."""
        try:
            if self._connection.is_connected:
                await self._connection.rset()
        except (SMTPException, OSError):
            self._connection.close()

    def _protocol(self) -> SMTPProtocol:
        if self._connection.protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        return self._connection.protocol


def _answered(stage: Stage, code: int, reply: str, *, after_mail: bool = False) -> Outcome:
    match code // 100:
        case 2 if after_mail:
            return _outcome("sent", stage, code, reply)
        # A refusal before the recipient was named speaks of our settings, which somebody can mend.
        case 5 if stage in {"recipient", "content"}:
            return _outcome("failed", stage, code, reply)
        case 4 | 5:
            return _outcome("deferred", stage, code, reply)
        case _:
            return _outcome("uncertain" if after_mail else "deferred", stage, code, reply)


def _outcome(state: State, stage: Stage, code: int | None, reply: str) -> Outcome:
    line = one_line(reply)[:MAX_REPLY]
    enhanced = _ENHANCED.match(line)
    return Outcome(state, stage, code, enhanced and enhanced[0], line)


def _fault(said: str) -> str:
    return one_line(said)[:MAX_REPLY]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
