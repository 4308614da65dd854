"""The outlets that a mail leaves by: an SMTP server, or a Maildir where there is none.

An outlet makes one try and tells what became of it; whether to try again is for the outbox.
"""

import asyncio
import os
import re
import ssl
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Literal, Protocol, Self

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.typing import SMTPStatus

from digest.delivery.dialogue import Dialogue
from digest.delivery.policy import MAX_REPLY, Outcome, Stage, answered, unanswered, unsendable
from digest.errors import BadSettings
from digest.mail.message import WireMessage
from digest.text import one_line

Security = Literal["starttls", "tls", "none"]

# After this many seconds without a mail, a connection is asked whether it lives.
_IDLE = 30.0
_BEFORE = ("connect", "sender")
_LEAST_CODE = 200
_HUNG_UP = (None, SMTPStatus.domain_unavailable)
# At the beginning of a line, where one dot alone would end the mail (RFC 5321, 4.5.2).
_DOT = re.compile(rb"\r\n\.")
_SLOW = "the server took too long to answer"
_NO_ADDRESS = "an address has what would end a command"
_NO_SMTPUTF8 = "the server takes no addresses beyond ASCII before the @ (SMTPUTF8)"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a server has for each part of a dialogue: RFC 5321, 4.5.3.2.

    `mail` is for a mail from end to end, `farewell` for what nothing depends on.
    """

    greeting: float = 300
    command: float = 300
    data: float = 120
    reply: float = 600
    mail: float = 1500
    farewell: float = 10


class Transport(Protocol):
    """An outlet: as a context manager it closes what `send` opened, and it may be used again.

    `width` is how many mails it takes at once.
    """

    width: int

    async def send(self, message: WireMessage) -> Outcome:
        """Make one try; the world's faults come back as an Outcome, never as an exception."""
        ...

    def give_up(self) -> None:
        """End the tries of which the server has not the whole mail: they come back deferred."""
        ...

    async def check(self, envelope_sender: str) -> str:
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

    width = 4

    def __init__(self, folder: Path) -> None:
        """Store mail under `folder`, which is made when it is first needed."""
        self.folder = folder

    async def send(self, message: WireMessage) -> Outcome:
        """Store `message` durably before answering."""
        try:
            await asyncio.to_thread(self._store, message)
        except OSError as error:
            return unanswered("connect", f"{self.folder}: {error.strerror}")
        return answered("content", 250, f"stored in {self.folder}")

    def give_up(self) -> None:
        """Nobody is waited for."""

    async def check(self, envelope_sender: str) -> str:  # noqa: ARG002 - nobody to be asked
        """Make the folder, and write into it what is at once taken away again."""
        try:
            await asyncio.to_thread(self._try_out)
        except OSError as error:
            return _fault(error.strerror or str(error))
        return ""

    def forget(self, message_ids: Collection[str]) -> None:
        """Delete these mails, wherever in the folder they are, half-written ones included."""
        for message_id in message_ids:
            for place in ("tmp", "new", "cur"):
                for file in (self.folder / place).glob(f"{_file_of(message_id)}*"):
                    file.unlink(missing_ok=True)

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
        name = _file_of(message.message_id)
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
    """An SMTP server over a few kept connections, each of which takes one mail at a time."""

    def __init__(
        self,
        host: str,
        port: int = 587,
        *,
        username: str | None = None,
        password: str | None = None,
        security: Security = "starttls",
        connections: int = 4,
        mails_per_connection: int = 100,
        timeouts: Timeouts | None = None,
        tls_context: ssl.SSLContext | None = None,
        local_hostname: str | None = None,
    ) -> None:
        """Certificates are verified, against `tls_context` if given. Raises BadSettings."""
        if username is not None and security == "none" and not _is_loopback(host):
            raise BadSettings(
                f"smtp.security: a login to {host} needs starttls or tls; "
                "without them the password would cross the network in the clear"
            )
        self.width = connections
        timeouts = timeouts or Timeouts()

        def connect() -> _Connection:
            smtp = SMTP(
                hostname=host,
                port=port,
                username=username,
                password=password,
                use_tls=security == "tls",
                start_tls=security == "starttls",
                tls_context=tls_context,
                timeout=timeouts.command,
                local_hostname=local_hostname,
            )
            return _Connection(smtp, timeouts, mails_per_connection)

        self._connect = connect
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._room = asyncio.Semaphore(connections)

    async def send(self, message: WireMessage) -> Outcome:
        """Hand `message` to the server; `uncertain` where its answer to the mail was lost."""
        async with self._room:
            connection = self._idle.pop() if self._idle else self._connect()
            self._busy.add(connection)
            try:
                return await connection.send(message)
            finally:
                self._busy.discard(connection)
                self._idle.append(connection)

    def give_up(self) -> None:
        """Hang up where the server has not the whole mail."""
        for connection in self._busy:
            connection.give_up()

    async def check(self, envelope_sender: str) -> str:
        """Connect anew, greet, log in where there is a password, and ask to send as the sender."""
        return await self._connect().check(envelope_sender)

    async def __aenter__(self) -> Self:
        """Connect at the first mail."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Say goodbye on every connection."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))


class _Connection:
    """One connection to the server, opened when it is needed, and anew after whatever broke it."""

    def __init__(self, smtp: SMTP, timeouts: Timeouts, most: int) -> None:
        self._smtp = smtp
        self._timeouts = timeouts
        self._most = most
        self._n = 0
        self._last_used = self._ends_at = 0.0
        self._stage: Stage = "connect"
        self._patience: asyncio.Timeout
        self._dialogue: Dialogue | None = None

    async def send(self, message: WireMessage) -> Outcome:
        self._stage = "connect"
        self._ends_at = monotonic() + self._timeouts.mail
        try:
            async with asyncio.timeout(self._timeouts.mail) as self._patience:
                was_kept = await self._is_kept()
                outcome = await self._send(message)
                # A server may hang up on a connection that was idle; then it has not begun.
                if was_kept and outcome.stage in _BEFORE and outcome.code in _HUNG_UP:
                    self._smtp.close()
                    outcome = await self._send(message)
        except TimeoutError:
            self._smtp.close()
            return unanswered(self._stage, _SLOW)
        except BaseException:
            # Half a dialogue would give the next mail this one's replies.
            self._smtp.close()
            raise
        self._last_used = monotonic()
        self._n += 1
        if self._n >= self._most:
            await self.quit()
        return outcome

    def give_up(self) -> None:
        if self._stage != "content" and monotonic() < self._ends_at:
            self._ends_at = monotonic()
            # It is over already where the mail is refused and the connection being closed.
            with suppress(RuntimeError):
                self._patience.reschedule(self._ends_at)

    async def check(self, envelope_sender: str) -> str:
        try:
            async with asyncio.timeout(self._timeouts.command):
                reply = await (await self._open()).ask(_mail_from(envelope_sender))
        except TimeoutError:
            return _SLOW
        except SMTPResponseException as error:
            return _fault(f"{error.code} {error.message}")
        except (SMTPException, OSError) as error:
            return _fault(str(error) or type(error).__name__)
        finally:
            await self.quit()
        return "" if reply.code == SMTPStatus.completed else _fault(f"{reply.code} {reply.message}")

    async def quit(self) -> None:
        self._n = 0
        with suppress(SMTPException, OSError):
            await self._ask(b"QUIT\r\n")
        self._smtp.close()

    async def _is_kept(self) -> bool:
        """Whether there is a connection still; one that was long idle is asked."""
        if self._smtp.is_connected and monotonic() - self._last_used > _IDLE:
            try:
                await self._ask(b"NOOP\r\n")
            except (SMTPException, OSError):
                self._smtp.close()
        return self._smtp.is_connected

    async def _ask(self, command: bytes) -> None:
        """Ask what no mail depends on, if there is somebody to ask."""
        if self._dialogue and self._smtp.is_connected:
            async with asyncio.timeout(self._timeouts.farewell):
                await self._dialogue.ask(command)

    async def _open(self) -> Dialogue:
        smtp = self._smtp
        if self._dialogue is None or not smtp.is_connected:
            self._n, self._dialogue = 0, None
            smtp.close()
            await smtp.connect(timeout=self._timeouts.greeting)
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
            if not isinstance(smtp.transport, asyncio.Transport):
                raise SMTPServerDisconnected("Connection lost")
            self._dialogue = Dialogue(smtp.transport, smtp.close)
        return self._dialogue

    async def _send(self, message: WireMessage) -> Outcome:
        self._stage = "connect"
        try:
            self._allow(self._timeouts.mail)
            dialogue = await self._open()
            if message.smtputf8 and not self._smtp.supports_extension("smtputf8"):
                return unsendable(_NO_SMTPUTF8)
            if not f"{message.envelope_sender}{message.recipient}".isprintable():
                return unsendable(_NO_ADDRESS)
            refused = await self._let_in(message, dialogue)
            if refused:
                return await self._refused(refused)
            if monotonic() >= self._ends_at:
                raise TimeoutError(_SLOW)
            self._allow(self._timeouts.reply)
            dialogue.say(_DOT.sub(b"\r\n..", message.raw) + b".\r\n", 1)
            self._stage = "content"
            reply = await dialogue.reply()
            if reply.code != SMTPStatus.completed:
                return await self._refused(reply)
            return answered("content", reply.code, reply.message)
        except SMTPResponseException as error:
            return await self._refused(SMTPResponse(error.code, error.message))
        except (SMTPException, OSError) as error:
            self._smtp.close()
            return unanswered(self._stage, str(error) or type(error).__name__)

    async def _let_in(self, message: WireMessage, dialogue: Dialogue) -> SMTPResponse | None:
        """Ask the server to take the mail; the reply that refuses it, at `_stage`, if one does."""
        commands = _envelope(message, self._smtp)
        # All at once where the server lets us, which saves two round trips a mail (RFC 2920).
        ahead = self._smtp.supports_extension("pipelining")
        if ahead:
            dialogue.say(b"".join(command for _, command, _ in commands), len(commands))
        for stage, command, fine in commands:
            self._stage = stage
            self._allow(self._timeouts.data if stage == "data" else self._timeouts.command)
            reply = await (dialogue.reply() if ahead else dialogue.ask(command))
            if reply.code not in fine:
                return reply
        return None

    def _allow(self, seconds: float) -> None:
        """Wait so long for what comes next, within what is left for the whole mail."""
        until = min(monotonic() + seconds, self._ends_at)
        # A clock that is set anew for each command costs more than the command.
        if not 0 <= until - (self._patience.when() or 0.0) <= seconds / 100:
            self._patience.reschedule(until)

    async def _refused(self, reply: SMTPResponse) -> Outcome:
        if reply.code < _LEAST_CODE:
            # No reply at all; what follows would be taken for that to the next command.
            self._smtp.close()
            return unanswered(self._stage, reply.message)
        if reply.code == SMTPStatus.domain_unavailable:
            self._smtp.close()
        await self._reset()
        return answered(self._stage, reply.code, reply.message)

    async def _reset(self) -> None:
        """Clear what the server holds of a refused mail, or start afresh if it will not."""
        dialogue = self._dialogue
        try:
            async with asyncio.timeout(self._timeouts.farewell):
                while dialogue and dialogue.awaited and self._smtp.is_connected:
                    reply = await dialogue.reply()
                    if reply.code == SMTPStatus.start_input:
                        # It waits for a mail, though it refused the one that there is.
                        self._smtp.close()
            await self._ask(b"RSET\r\n")
        except (SMTPException, OSError):
            self._smtp.close()


def _envelope(message: WireMessage, smtp: SMTP) -> list[tuple[Stage, bytes, Collection[int]]]:
    """The commands before the mail, each with its stage and the replies that let it go on."""
    # SMTPUTF8: its addresses stand in the headers too, in eight bits.
    options = " SMTPUTF8 BODY=8BITMIME" if message.smtputf8 else ""
    if smtp.supports_extension("size"):
        options += f" SIZE={len(message.raw)}"
    return [
        ("sender", _mail_from(message.envelope_sender, options), (250,)),
        ("recipient", f"RCPT TO:<{message.recipient}>\r\n".encode(), (250, 251)),
        ("data", b"DATA\r\n", (SMTPStatus.start_input,)),
    ]


def _mail_from(address: str, options: str = "") -> bytes:
    return f"MAIL FROM:<{address}>{options}\r\n".encode()


def _file_of(message_id: str) -> str:
    """The name of a mail's file in a Maildir, to which mail programs append flags.

    It goes by what stands before the @: that is unique, and the sender's domain may change.
    """
    unique = message_id.partition("@")[0]
    return f"{sha256(unique.encode()).hexdigest()[:32]}.digest"


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
