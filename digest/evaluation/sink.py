"""A mail server in a process of its own that takes mail: what sending is measured against.

`python -m digest.evaluation.sink` prints its port and serves loopback until its input ends. Told to
record, it writes the Message-ID of a mail to a file before it answers that it has taken it. It may
be told to refuse: some at random, as greylisting does, and some recipients always.
"""

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
from collections import Counter, deque
from pathlib import Path
from typing import IO, Self, cast
from zlib import crc32

HOST = "127.0.0.1"

_HELLO = b"220 sink ESMTP\r\n"
_FEATURES = (
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
    b"250 SIZE 100000000\r\n"
)
_REPLIES = {
    b"EHLO": _FEATURES,
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"DATA": b"354 go on\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_LATER = b"451 4.7.1 greylisted, try again later\r\n"
_GONE = b"550 5.1.1 no such user\r\n"
_UNKNOWN = b"500 5.5.1 no such command\r\n"
_TAKEN = b"250 2.0.0 taken\r\n"
_END = b"\r\n.\r\n"
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>\r\n]+)>", re.IGNORECASE | re.MULTILINE)


class Sink:
    """A server in a new process, as a context manager; it listens on `port` of `HOST` within.

    Every reply takes `reply_ms`, that to a whole mail `commit_ms` more. `record` gets the
    Message-IDs, a line each; `recorded` reads them. A share `defer` of recipients is refused for
    now, at random, and a share `refuse`, always the same ones, for good.
    """

    def __init__(
        self,
        record: Path | None = None,
        *,
        reply_ms: float = 0,
        commit_ms: float = 0,
        defer: float = 0,
        refuse: float = 0,
    ) -> None:
        """Say what it should be like; it begins with the block."""
        self.port = 0
        self._command = [sys.executable, "-m", __name__]
        self._command += [f"--reply-ms={reply_ms}", f"--commit-ms={commit_ms}"]
        self._command += [f"--defer={defer}", f"--refuse={refuse}"]
        if record is not None:
            self._command.append(f"--record={record}")

    def __enter__(self) -> Self:
        """Wait until it listens."""
        self._server = subprocess.Popen(  # noqa: S603 - ourselves
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port = int(_pipe(self._server.stdout).readline())
        return self

    def __exit__(self, *error: object) -> None:
        """End it, and whatever connections it has."""
        self._server.communicate()


def recorded(record: Path) -> Counter[str]:
    """How often each Message-ID, without its <>, was taken."""
    return Counter(record.read_text().split())


class _Doorkeeper:
    """Says who is let in: of 10,000 draws and recipients, so many not."""

    def __init__(self, defer: float, refuse: float) -> None:
        self._defer, self._refuse = defer, refuse
        self._draws = random.Random(0)  # noqa: S311 - the same ones again

    def answer(self, line: bytes) -> bytes:
        if crc32(line.strip().lower()) % 10_000 < self._refuse * 10_000:
            return _GONE
        return _LATER if self._draws.random() < self._defer else _REPLIES[b"RCPT"]


class _Dialogue(asyncio.Protocol):
    def __init__(
        self,
        record: int | None,
        reply_seconds: float,
        commit_seconds: float,
        door: _Doorkeeper | None = None,
    ) -> None:
        self._record, self._door = record, door or _Doorkeeper(0, 0)
        self._reply_seconds, self._commit_seconds = reply_seconds, commit_seconds
        self._came = bytearray()
        self._searched = 0
        self._in_mail = False
        self._replies: deque[bytes] = deque()
        self._free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        self._answer(_HELLO)

    def data_received(self, data: bytes) -> None:
        """Answer every command and every mail that is now whole."""
        self._came += data
        while self._mail() if self._in_mail else self._command():
            pass

    def _command(self) -> bool:
        line, end, rest = self._came.partition(b"\n")
        if not end:
            return False
        self._came = rest
        verb = bytes(line[:4]).upper()
        # So that a mail without a body is ended by its first line, too.
        if verb == b"DATA":
            self._in_mail, self._came, self._searched = True, bytearray(b"\r\n") + rest, 0
        known = _REPLIES.get(verb, _UNKNOWN)
        self._answer(self._door.answer(bytes(line)) if verb == b"RCPT" else known)
        return True

    def _mail(self) -> bool:
        end = self._came.find(_END, self._searched)
        if end < 0:
            self._searched = max(0, len(self._came) - len(_END) + 1)
            return False
        if self._record is not None:
            found = _MESSAGE_ID.search(self._came, 0, end)
            # One write, whole in the file before the answer goes out, whoever is killed then.
            os.write(self._record, (found[1] if found else b"?") + b"\n")
        del self._came[: end + len(_END)]
        self._in_mail = False
        self._answer(_TAKEN, self._commit_seconds)
        return True

    def _answer(self, reply: bytes, more_seconds: float = 0.0) -> None:
        seconds = self._reply_seconds + more_seconds
        self._replies.append(reply)
        if not seconds:
            self._say()
            return
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time() + seconds)
        loop.call_at(self._free_at, self._say)

    def _say(self) -> None:
        reply = self._replies.popleft()
        if not self._transport.is_closing():
            self._transport.write(reply)
            if reply is _REPLIES[b"QUIT"]:
                self._transport.close()


async def _serve(
    record: int | None, port: int, reply_ms: float, commit_ms: float, door: _Doorkeeper
) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Dialogue(record, reply_ms / 1000, commit_ms / 1000, door),
        HOST,
        port,
        backlog=1000,
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Whoever started it holds its input: it ends with them, however they end.
    await asyncio.to_thread(sys.stdin.read)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - it was asked for
    return pipe


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--reply-ms", type=float, default=0, help="how long every reply takes")
    parser.add_argument("--commit-ms", type=float, default=0, help="and that to a mail, more")
    parser.add_argument("--defer", type=float, default=0, help="share of recipients put off")
    parser.add_argument("--refuse", type=float, default=0, help="share of recipients unknown")
    parser.add_argument("--record", type=Path, help="where Message-IDs are written")
    asked = parser.parse_args()
    how = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    record = asked.record and os.open(asked.record, how, 0o600)
    door = _Doorkeeper(asked.defer, asked.refuse)
    asyncio.run(_serve(record, asked.port, asked.reply_ms, asked.commit_ms, door))


if __name__ == "__main__":
    _main()
