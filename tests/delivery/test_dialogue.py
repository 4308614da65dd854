import asyncio
import socket
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from aiosmtplib import SMTPResponseException, SMTPServerDisconnected
from hypothesis import given
from hypothesis import strategies as st

from digest.delivery.dialogue import MOST_BYTES, Dialogue

TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=("Cc",)), max_size=30)
REPLIES = st.tuples(st.integers(200, 599), st.lists(TEXTS.map(str.strip), min_size=1, max_size=4))


def on_the_wire(code: int, lines: Sequence[str]) -> bytes:
    *first, last = lines
    return "".join([*(f"{code}-{line}\r\n" for line in first), f"{code} {last}\r\n"]).encode()


def in_pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return (data[a:b] for a, b in pairwise(places))


class Heard:
    """A dialogue over a pair of sockets; what is given to `data_received` is what came."""

    async def __aenter__(self) -> Dialogue:
        self._here, self._there = socket.socketpair()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(asyncio.Protocol, sock=self._here)
        return Dialogue(self._transport, self._transport.close)

    async def __aexit__(self, *error: object) -> None:
        self._transport.abort()
        self._there.close()


@given(st.lists(REPLIES, min_size=1, max_size=5), st.lists(st.integers(0, 500), max_size=12))
def test_replies_are_heard_in_order_however_their_bytes_come(
    replies: list[tuple[int, list[str]]], cuts: list[int]
) -> None:
    async def hear() -> None:
        async with Heard() as dialogue:
            dialogue.say(b"NOOP\r\n" * len(replies), len(replies))
            for piece in in_pieces(b"".join(on_the_wire(*reply) for reply in replies), cuts):
                dialogue.data_received(piece)
            heard = [await dialogue.reply() for _ in replies]
            assert [(one.code, one.message) for one in heard] == [
                (code, "\n".join(lines)) for code, lines in replies
            ]
            assert dialogue.awaited == 0

    asyncio.run(hear())


@given(st.binary(min_size=1, max_size=80), st.lists(st.integers(0, 100), max_size=5))
def test_whatever_comes_is_replies_a_fault_or_not_yet_whole(data: bytes, cuts: list[int]) -> None:
    async def hear() -> None:
        async with Heard() as dialogue:
            dialogue.say(b"NOOP\r\n", 1)
            for piece in in_pieces(data, cuts):
                dialogue.data_received(piece)
            dialogue.connection_lost(None)
            try:
                reply = await dialogue.reply()
            except (SMTPServerDisconnected, SMTPResponseException):
                return
            assert data.count(b"\n") >= 1
            assert 0 <= reply.code <= 999

    asyncio.run(hear())


async def test_what_was_said_before_the_connection_broke_is_heard() -> None:
    async with Heard() as dialogue:
        dialogue.say(b"MAIL\r\nRCPT\r\n", 2)
        dialogue.data_received(b"421 4.3.2 closing\r\n")
        dialogue.connection_lost(ConnectionResetError("reset"))
        assert (await dialogue.reply()).code == 421
        with pytest.raises(ConnectionResetError):
            await dialogue.reply()
        with pytest.raises(ConnectionResetError):
            dialogue.say(b"RSET\r\n", 1)


@pytest.mark.parametrize("words", [b"250 ok\r\n", b"2", b"\x00"])
async def test_what_nobody_asked_ends_the_dialogue(words: bytes) -> None:
    async with Heard() as dialogue:
        dialogue.data_received(words)
        with pytest.raises(SMTPServerDisconnected, match="not asked"):
            await dialogue.ask(b"NOOP\r\n")


@pytest.mark.parametrize("words", [b"what?\r\n", b"250-one\r\ntwo\r\n", b"2" * (MOST_BYTES + 1)])
async def test_what_is_no_reply_ends_the_dialogue(words: bytes) -> None:
    async with Heard() as dialogue:
        dialogue.say(b"NOOP\r\n", 1)
        dialogue.data_received(words)
        with pytest.raises(SMTPResponseException) as raised:
            await dialogue.reply()
        assert raised.value.code < 200
        assert len(raised.value.message) < 300
