"""The server that sending is measured against takes every whole mail, and notes it in time."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from smtplib import SMTP
from time import monotonic

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.evaluation.sink import HOST, Sink, _Dialogue, recorded

MAIL = b"From: a@example.org\r\nMessage-ID: <%s@example.org>\r\n\r\nHello\r\n..dot\r\n"


def send(port: int, *names: str) -> None:
    with SMTP(HOST, port) as client:
        for name in names:
            mail = MAIL % name.encode()
            assert client.sendmail("a@example.org", ["b@example.org"], mail) == {}


def test_what_it_took_is_on_record(tmp_path: Path) -> None:
    record = tmp_path / "taken"
    with Sink(record) as sink:
        send(sink.port, "1", "2")
        assert recorded(record) == {"1@example.org": 1, "2@example.org": 1}
        send(sink.port, "2")
    assert recorded(record) == {"1@example.org": 1, "2@example.org": 2}


def test_it_is_on_record_before_the_answer_and_a_mail_that_is_cut_off_is_not(
    tmp_path: Path,
) -> None:
    record = tmp_path / "taken"
    with Sink(record) as sink:
        for n, end in enumerate((b".\r\n", b".\r", b".", b"")):
            with socket.create_connection((HOST, sink.port)) as client:
                client.sendall(b"DATA\r\n" + MAIL % b"%d" % n + end)
                client.shutdown(socket.SHUT_WR)
                answers = b"".join(iter(lambda: client.recv(1000), b""))
            taken = answers.endswith(b"250 2.0.0 taken\r\n")
            assert taken == (end == b".\r\n")
            assert recorded(record)[f"{n}@example.org"] == taken


def test_without_a_record_it_only_takes() -> None:
    with Sink() as sink:
        send(sink.port, "1")


def test_it_is_gone_after_the_block() -> None:
    with Sink() as sink:
        open_still = socket.create_connection((HOST, sink.port))
    open_still.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, sink.port))


def test_replies_take_as_long_as_asked() -> None:
    with Sink(reply_ms=20, commit_ms=50) as sink, SMTP(HOST, sink.port) as client:
        client.ehlo()
        begin = monotonic()
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        assert monotonic() - begin >= 0.04
        begin = monotonic()
        client.data(MAIL % b"1")
        assert monotonic() - begin >= 0.09


class Line(asyncio.Transport):
    """A connection that keeps what is said on it."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.said += b"(closed)"


bodies = st.lists(st.sampled_from([b"", b".", b"..", b"\r", b"QUIT", b"DATA", b"x" * 90]))


@given(st.lists(bodies, max_size=4), st.lists(st.integers(1, 40)))
@example([[]], [1] * 30)
def test_however_the_bytes_come_every_mail_is_taken_once(
    mails: Sequence[Sequence[bytes]], cuts: Sequence[int]
) -> None:
    stream = b"EHLO me\r\n"
    for n, lines in enumerate(mails):
        stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
        body = b"\r\n".join([b"message-id: <%d>" % n, *stuffed, b".\r\n"])
        stream += b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n" + body
    stream += b"NONSENSE\r\nQUIT\r\n"
    reader, writer = os.pipe()
    line = Line()
    dialogue = _Dialogue(writer, 0, 0)
    dialogue.connection_made(line)
    for n in cuts:
        dialogue.data_received(stream[:n])
        stream = stream[n:]
    dialogue.data_received(stream)
    os.close(writer)
    with os.fdopen(reader, "rb") as record:
        assert Counter(record.read().split()) == {b"%d" % n: 1 for n in range(len(mails))}
    codes = [answer[:3] for answer in line.said.split(b"\r\n") if answer[3:4] == b" "]
    each = [b"250", b"250", b"354", b"250"]
    assert codes == [b"220", b"250", *each * len(mails), b"500", b"221"]
    assert line.said.endswith(b"bye\r\n(closed)")
