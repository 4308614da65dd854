"""How fast mail leaves: the whole pipeline, against the loop one would write first, and Postfix.

Ours is measured with every guarantee on: rendered, signed links, MIME, DKIM (RSA-2048), in flight
committed before a byte is written, the reply recorded durably. The plain loop has the editions in
memory and keeps no outbox. The ceiling is Postfix's own source into the same sink.
"""

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from aiosmtplib import SMTP
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import select

from digest.delivery.letters import Letter, Postage, compose_letter, read_letters, render_edition
from digest.delivery.sending import deliver
from digest.delivery.transport import Smtp
from digest.errors import ServiceUnreachable
from digest.evaluation.outbox_of import fill_outbox
from digest.evaluation.sink import HOST, Sink
from digest.links import Links
from digest.mail.dkim import Signer
from digest.settings import DkimSettings, MailSettings
from digest.store import migrate, open_database
from digest.store.tables import Delivery

NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)
CONNECTIONS, CONNECTIONS_FAR = 16, 32
# Mails of the slower measurements: enough for some seconds.
PLAIN, FAR = 300, 2000

_SECRET = b"only for a measurement"
_MAIL = MailSettings(from_address="digest@example.org", postal_address="Library, Example Street 1")


@dataclass(frozen=True, slots=True)
class DeliverySpeed:
    """Mails a second, with one process and two; None where a program to measure with is missing.

    `rate_20ms` and `rate_50ms` have so much added to every reply, `rate_commit_50ms` to that after
    the mail; these three with 32 connections. `peak_mb` is of the process that sent all `messages`.
    """

    messages: int
    mail_kb: float
    rate: float
    rate_2: float
    baseline_rate: float | None
    ceiling_rate: float | None
    times_baseline: float | None
    of_ceiling: float | None
    of_ceiling_2: float | None
    rate_20ms: float
    rate_50ms: float
    rate_commit_50ms: float
    peak_mb: float
    sink: str


def measure_delivery(
    messages: int, *, progress: Callable[[int], None] = lambda _n: None
) -> DeliverySpeed:
    """Send `messages` mails again and again on loopback; `progress` is told how many are done."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        key = _key_in(folder)
        sample = _sample(folder)
        size = len(compose_letter(sample[0], _postage(key)).raw)
        with _sink() as port:
            rate, peak = _ours(folder, key, port, messages, processes=1)
            progress(messages)
            rate_2, _ = _ours(folder, key, port, messages, processes=2)
            progress(messages)
            private = key.read_bytes()
            plain = asyncio.run(_plain(sample, private, port)) if find_spec("dkim") else None
            progress(PLAIN)
            ceiling = _ceiling(port, size, messages)
        far = []
        for reply_ms, commit_ms in ((20, 0), (50, 0), (0, 50)):
            with Sink(reply_ms=reply_ms, commit_ms=commit_ms) as sink:
                far.append(_ours(folder, key, sink.port, FAR, connections=CONNECTIONS_FAR)[0])
            progress(FAR)
    return DeliverySpeed(
        messages=messages,
        mail_kb=round(size / 1000, 1),
        rate=rate,
        rate_2=rate_2,
        baseline_rate=plain,
        ceiling_rate=ceiling,
        times_baseline=_ratio(rate, plain),
        of_ceiling=_ratio(rate, ceiling),
        of_ceiling_2=_ratio(rate_2, ceiling),
        rate_20ms=far[0],
        rate_50ms=far[1],
        rate_commit_50ms=far[2],
        peak_mb=peak,
        sink="smtp-sink" if shutil.which("smtp-sink") else "digest.evaluation.sink",
    )


def total_of(messages: int) -> int:
    """How many mails `measure_delivery` tells its `progress` of."""
    return 2 * messages + PLAIN + 3 * FAR


def _ratio(rate: float, other: float | None) -> float | None:
    return round(rate / other, 2) if other else None


def _ours(
    folder: Path,
    key: Path,
    port: int,
    messages: int,
    *,
    processes: int = 1,
    connections: int = CONNECTIONS,
) -> tuple[float, float]:
    """Mails a second, and the largest process's peak in MB."""
    url = f"sqlite:///{folder / 'outbox.db'}"
    _filled(url, messages)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        # Importing is not sending.
        list(pool.map(_warm, range(4 * processes)))
        start = time.perf_counter()
        runs = [pool.submit(_send_all, url, key, port, connections) for _ in range(processes)]
        found = [run.result() for run in runs]
        seconds = time.perf_counter() - start
    sent = sum(n for n, _ in found)
    if sent != messages:
        raise ServiceUnreachable(f"only {sent} of {messages} mails could be sent")
    return round(messages / seconds, 1), max(peak for _, peak in found)


def _warm(_n: int) -> None:
    time.sleep(0.05)


def _send_all(url: str, key: Path, port: int, connections: int) -> tuple[int, float]:
    sessions = open_database(url)
    outlet = Smtp(
        HOST,
        port,
        security="none",
        connections=connections,
        mails_per_connection=10_000,
        local_hostname="localhost",
    )
    report = asyncio.run(deliver(sessions, outlet, _postage(key), clock=lambda: NOW))
    sessions.engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report.states["sent"], round(peak, 1)


def _filled(url: str, messages: int) -> None:
    file = Path(url.removeprefix("sqlite:///"))
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    sessions = open_database(url)
    migrate(sessions)
    fill_outbox(sessions, messages, now=NOW)
    sessions.engine.dispose()


def _postage(key: Path) -> Postage:
    signer = Signer(DkimSettings(rsa_key=key), "example.org")
    return Postage(Links("https://digest.example.org", [_SECRET]), _MAIL, _SECRET, signer)


def _key_in(folder: Path) -> Path:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = folder / "dkim.pem"
    file.write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return file


def _sample(folder: Path) -> Sequence[Letter]:
    url = f"sqlite:///{folder / 'sample.db'}"
    _filled(url, PLAIN)
    sessions = open_database(url)
    with sessions.reading() as session:
        ids = session.scalars(select(Delivery.id)).all()
        letters = read_letters(session, ids)
    sessions.engine.dispose()
    return letters


async def _plain(letters: Sequence[Letter], private: bytes, port: int) -> float:
    """The loop that one would write first: a mail after another, over one connection."""
    import dkim

    links = Links("https://digest.example.org", [_SECRET])
    smtp = SMTP(hostname=HOST, port=port, start_tls=False, local_hostname="localhost")
    await smtp.connect()
    start = time.perf_counter()
    for letter in letters:
        assert letter.edition is not None  # noqa: S101 - filled with editions alone
        rendered = render_edition(letter.edition, links, _MAIL, issued=letter.created_at)
        message = EmailMessage()
        message["From"] = f"Digest <{_MAIL.from_address}>"
        message["To"] = letter.recipient
        message["Subject"] = rendered.subject
        message["Date"] = letter.created_at
        message["Message-ID"] = f"<{letter.message_id}@example.org>"
        message.set_content(rendered.text)
        message.add_alternative(rendered.html, subtype="html")
        raw = message.as_bytes()
        signature = dkim.sign(raw, b"digest", b"example.org", private)
        await smtp.sendmail(_MAIL.from_address, [letter.recipient], signature + raw)
    seconds = time.perf_counter() - start
    await smtp.quit()
    return round(len(letters) / seconds, 1)


def _ceiling(port: int, size: int, messages: int) -> float | None:
    source = shutil.which("smtp-source")
    if source is None:
        return None
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - a program of Postfix's, with numbers
        [
            *(source, "-d", "-s", str(CONNECTIONS), "-l", str(size), "-m", str(messages)),
            *("-f", "digest@example.org", "-t", "reader@example.org", f"{HOST}:{port}"),
        ],
        check=True,
        capture_output=True,
    )
    return round(messages / (time.perf_counter() - start), 1)


@contextmanager
def _sink() -> Iterator[int]:
    """Postfix's smtp-sink where there is one, else ours: the port that it listens on."""
    program = shutil.which("smtp-sink")
    if program is None:
        with Sink() as ours:
            yield ours.port
        return
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    # It refuses to stay root.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, f"{HOST}:{port}", "256"])  # noqa: S603
    try:
        _wait_for(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > ends:
                raise ServiceUnreachable("smtp-sink does not listen") from None
            time.sleep(0.02)
        else:
            return
