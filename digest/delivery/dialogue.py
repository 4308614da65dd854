"""What is said on a connection once it is open: commands, and their replies in order.

aiosmtplib connects, negotiates TLS, greets and logs in, and then leaves the connection to a
Dialogue: it drops a reply that nobody awaits yet, so that no command could be sent ahead of the
answer to the last (PIPELINING, RFC 2920).
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable

from aiosmtplib import SMTPResponse, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.typing import SMTPStatus

# More than this is no reply; a server that never ends one shall not fill the memory.
MOST_BYTES, MOST_SHOWN = 32_768, 200

# RFC 5321, 4.2: every line has the code, and a hyphen after it unless it is the last.
_BEGUN = re.compile(rb"(?:\d{3}-[^\n]*\n)*")
_REPLY = re.compile(_BEGUN.pattern + rb"(\d{3})(?!-)[^\n]*\n")


class Dialogue(asyncio.Protocol):
    """What is said on one connection; `awaited` is how many replies the server still owes."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        """Take the connection over; `close` is called when it ends, whoever ends it."""
        self._transport, self._close = transport, close
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._replies: deque[SMTPResponse] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._fault: Exception | None = None
        self.awaited = 0
        transport.set_protocol(self)

    async def ask(self, command: bytes) -> SMTPResponse:
        """Say one thing, and wait for the reply. Raises what `say` and `reply` do."""
        self.say(command, 1)
        return await self.reply()

    def say(self, words: bytes, replies: int) -> None:
        """Say what asks for so many replies. Raises what ended the dialogue, and says nothing then.

        That is SMTPServerDisconnected, SMTPResponseException or OSError.
        """
        if self._fault:
            raise self._fault
        self.awaited += replies
        self._transport.write(words)

    async def reply(self) -> SMTPResponse:
        """The next reply that is `awaited`. Raises what ended the dialogue before it came."""
        while not self._replies:
            if self._fault:
                raise self._fault
            self._waiter = self._loop.create_future()
            await self._waiter
        self.awaited -= 1
        return self._replies.popleft()

    def data_received(self, data: bytes) -> None:
        """Take what the server says; what was not asked for ends the dialogue."""
        self._buffer += data
        while self._buffer and not self._fault:
            if len(self._replies) == self.awaited:
                # It would be taken for the reply to whatever is said next.
                self._end(SMTPServerDisconnected("the server said what it was not asked"))
            elif found := _REPLY.match(self._buffer):
                self._replies.append(SMTPResponse(int(found[1]), _text(found[0])))
                self._buffer = self._buffer[found.end() :]
            elif self._is_none():
                said = self._buffer[:MOST_SHOWN].decode(errors="replace")
                code = SMTPStatus.invalid_response
                self._end(SMTPResponseException(code, f"Malformed SMTP response: {said}"))
            else:
                break
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will be heard."""
        self._end(exc if isinstance(exc, OSError) else SMTPServerDisconnected("Connection lost"))
        self._wake()

    def _is_none(self) -> bool:
        """Whether what has come can no more become a reply."""
        begun = _BEGUN.match(self._buffer)
        is_broken = begun is not None and b"\n" in self._buffer[begun.end() :]
        return is_broken or len(self._buffer) > MOST_BYTES

    def _end(self, fault: Exception) -> None:
        self._fault = self._fault or fault
        self._close()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done() and (self._replies or self._fault):
            self._waiter.set_result(None)


def _text(reply: bytes) -> str:
    lines = (line[4:].strip() for line in reply.splitlines())
    return b"\n".join(lines).decode("utf-8", "surrogateescape")
