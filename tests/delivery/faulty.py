"""An SMTP server on loopback that does one thing wrong, once, at one point of the dialogue."""

import asyncio
import re
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal, get_args

from tests.delivery.servers import HOST

Point = Literal[
    "connect",
    "banner",
    "EHLO",
    "STARTTLS",
    "AUTH",
    "MAIL",
    "RCPT",
    "DATA",
    "mid-body",
    "after the dot",
    "after the reply",
    "QUIT",
]
Thing = Literal["4xx", "421", "5xx", "reset", "silence", "garbage", "trickle"]
POINTS: tuple[Point, ...] = get_args(Point)
THINGS: tuple[Thing, ...] = get_args(Thing)

REFUSALS: dict[Point, bytes] = {
    "RCPT": b"550 5.1.1 no such user\r\n",
    "DATA": b"554 5.6.0 not this\r\n",
    "mid-body": b"554 5.6.0 not this\r\n",
    "after the dot": b"554 5.6.0 not this\r\n",
}
_GARBAGE = b"\x00\xff!! what?\r\n"


class _HungUp(Exception):
    """The dialogue is over."""


@dataclass
class Faulty:
    """Does `thing` the first time that a dialogue comes to `point`; `accepted` counts whole mails
    that it has taken over, by Message-ID, whether or not it got to say so. One that is `ahead` lets
    commands be sent before the last is answered."""

    point: Point
    thing: Thing
    tls: ssl.SSLContext
    ahead: bool = False
    armed: bool = True
    accepted: Counter[str] = field(default_factory=Counter)
    port: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (_HungUp, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._at("connect", writer)
        if self._is_at("banner"):
            writer.write(b"220-welcome\r\n")
        await self._at("banner", writer)
        writer.write(b"220 ready\r\n")
        refused = False
        while line := await reader.readline():
            command = line[:8].split()[0].decode().upper()
            if command in POINTS and await self._at(command, writer):
                refused = True
                continue
            match command:
                case "EHLO":
                    writer.write(b"250-here\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n")
                    writer.write(b"250-PIPELINING\r\n" if self.ahead else b"")
                    writer.write(b"250 SIZE\r\n")
                case "STARTTLS":
                    writer.write(b"220 go ahead\r\n")
                    await writer.start_tls(self.tls)
                case "AUTH":
                    writer.write(b"235 2.7.0 welcome\r\n")
                case "DATA" if refused and self.ahead:
                    writer.write(b"503 5.5.1 no mail to be sent\r\n")
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    await self._mail(reader, writer)
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    refused = refused and command != "RSET"
                    writer.write(b"250 ok\r\n")

    async def _mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = await reader.readuntil(b"\r\n\r\n")
        refused = await self._at("mid-body", writer)
        await reader.readuntil(b"\r\n.\r\n")
        if refused:
            return
        message_id = re.search(rb"(?m)^Message-ID: <(.+)@", begun)
        assert message_id
        refuses = self._is_at("after the dot") and self.thing in ("4xx", "421", "5xx")
        if not refuses:
            self.accepted[message_id[1].decode()] += 1
        if not await self._at("after the dot", writer):
            writer.write(b"250 2.0.0 taken\r\n")
            await self._at("after the reply", writer)

    def _is_at(self, point: str) -> bool:
        return self.armed and self.point == point

    async def _at(self, point: str, writer: asyncio.StreamWriter) -> bool:
        """Do the thing where this is the point; whether it stood for an answer."""
        if not self._is_at(point):
            return False
        self.armed = False
        match self.thing:
            case "4xx":
                writer.write(b"451 4.3.0 not now\r\n")
            case "5xx":
                writer.write(REFUSALS.get(self.point, b"554 5.3.0 never\r\n"))
            case "421":
                writer.write(b"421 4.3.2 closing\r\n")
                raise _HungUp
            case "garbage":
                writer.write(_GARBAGE)
            case "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                raise _HungUp
            case "silence":
                await self.ended.wait()
                raise _HungUp
            case "trickle":
                while not self.ended.is_set():
                    writer.write(b"2")
                    await writer.drain()
                    await asyncio.wait([asyncio.ensure_future(self.ended.wait())], timeout=0.02)
                raise _HungUp
        if point in ("connect", "banner"):
            raise _HungUp
        return True


@asynccontextmanager
async def faulty(
    point: Point, thing: Thing, tls: ssl.SSLContext, *, ahead: bool
) -> AsyncIterator[Faulty]:
    server = Faulty(point, thing, tls, ahead)
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talks.add(task)
        await server.talk(reader, writer)

    listening = await asyncio.start_server(talk, HOST, 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.ended.set()
        listening.close()
        await asyncio.gather(*talks)
