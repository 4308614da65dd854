"""How fast pages answer while mail goes out: edition pages and votes, beside a send on one machine.

The web server is a process as `digest serve` makes it, but for its clock; the mails are sent by
another, which is `deliver` with every guarantee on; the mail server is a third. The readers are in
this process, each on a connection of their own; the next request follows the last answer.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep
from typing import Any

import numpy as np
import uvicorn
from sqlalchemy import func, select
from starlette.types import ASGIApp

from digest.delivery.sending import deliver
from digest.delivery.transport import Smtp
from digest.engine.app import App, open_app
from digest.errors import BadSettings, DigestError, ServiceUnreachable
from digest.evaluation.crash import POSTGRESQL, scratch_database
from digest.evaluation.outbox_of import fill_outbox
from digest.evaluation.sink import HOST, Sink
from digest.links import Claim, Links
from digest.settings import Settings
from digest.store.tables import Delivery, EditionItemRow

# Of each kind, at once.
READERS = 4
IDLE_SECONDS = 5.0
# Different links that are opened, so that no row stays in any cache.
_LINKS = 500
_CONNECTIONS = 8
_SECRET = "only for a measurement"  # noqa: S105 - it guards nothing
_processes = get_context("spawn")

MakeWeb = Callable[[App], ASGIApp]


@dataclass(frozen=True, slots=True)
class Answers:
    """How requests of one kind were answered: how many, how fast, and how many wrongly."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class WebSpeed:
    """Edition pages and votes, alone and while `messages` mails were sent at `mails_per_second`."""

    messages: int
    mails_per_second: float
    edition: Answers
    vote: Answers
    edition_alone: Answers
    vote_alone: Answers


@dataclass(frozen=True, slots=True)
class WebReport:
    """What was measured by database, and why others could not be had."""

    databases: Mapping[str, WebSpeed]
    left_out: Mapping[str, str]


def as_json(report: WebReport) -> dict[str, Any]:
    """The report as plain values."""
    return asdict(report)


def measure_web(
    make_web: MakeWeb,
    messages: int,
    *,
    postgresql: str = POSTGRESQL,
    progress: Callable[[int], None] = lambda _n: None,
) -> WebReport:
    """Measure on SQLite, and on PostgreSQL if there is one at `postgresql`.

    `make_web` makes the pages; it must be a function that another process can import. The databases
    are made for this and are gone afterwards. `progress` is told of mails that were sent.
    """
    databases: dict[str, WebSpeed] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        file = f"sqlite:///{folder / 'digest.db'}"
        databases["sqlite"] = _measure(file, make_web, messages, progress)
        try:
            url = stack.enter_context(scratch_database(postgresql))
        except (ServiceUnreachable, BadSettings) as error:
            left_out["postgresql"] = str(error)
        else:
            databases["postgresql"] = _measure(url, make_web, messages, progress)
    return WebReport(databases, left_out)


def _measure(
    url: str, make_web: MakeWeb, messages: int, progress: Callable[[int], None]
) -> WebSpeed:
    settings = _settings(url)
    app = open_app(settings)
    try:
        fill_outbox(app.sessions, messages, now=datetime.now(UTC))
        pages, votes = _paths(app)
        with Sink() as sink, _serving(settings, make_web) as port:
            began = monotonic()
            alone = asyncio.run(
                _read(port, pages, votes, lambda: monotonic() - began < IDLE_SECONDS)
            )
            sender = _processes.Process(target=_send, args=(settings, sink.port), daemon=True)
            sender.start()
            _until(lambda: _sent(app) > 0 or not sender.is_alive())
            before, began, told = _sent(app), monotonic(), 0

            def goes_on() -> bool:
                nonlocal told
                n = _sent(app)
                progress(n - told)
                told = n
                return n < messages and sender.is_alive()

            beside = asyncio.run(_read(port, pages, votes, goes_on, look_every=0.5))
            seconds = monotonic() - began
            sender.join()
            sent = _sent(app)
        if sent < messages:
            raise DigestError(f"{messages - sent} of {messages} mails were not sent")
        return WebSpeed(messages, round((sent - before) / seconds, 1), *beside, *alone)
    finally:
        app.sessions.engine.dispose()


def _settings(url: str) -> Settings:
    given = {"database": url, "secret_key": _SECRET, "base_url": "http://127.0.0.1:8000"}
    return Settings.model_validate(given)


def _paths(app: App) -> tuple[list[str], list[str]]:
    """Links to edition pages, and links that cast a vote, of as many readers."""
    ends = datetime.now(UTC) + timedelta(days=60)
    with app.sessions.reading() as session:
        rows = session.execute(
            select(EditionItemRow.subscriber_id, EditionItemRow.edition_id, EditionItemRow.paper_id)
            .where(EditionItemRow.position == 1)
            .order_by(EditionItemRow.edition_id)
            .limit(_LINKS)
        ).all()
    links: Links = app.links
    pages = [links.path(Claim("edition", who, ends, edition)) for who, edition, _ in rows]
    votes = [
        links.path(Claim("vote", who, ends, edition, paper, "up")) for who, edition, paper in rows
    ]
    return pages, votes


def _sent(app: App) -> int:
    with app.sessions.reading() as session:
        query = select(func.count()).select_from(Delivery).where(Delivery.state == "sent")
        return session.scalar(query) or 0


def _while(goes_on: Callable[[], bool], look_every: float) -> None:
    while goes_on():
        sleep(look_every)


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        sleep(0.02)


# --- the other processes ----------------------------------------------------------------------


@contextmanager
def _serving(settings: Settings, make_web: MakeWeb) -> Iterator[int]:
    """The web server in a process of its own, and its port."""
    here, there = _processes.Pipe()
    server = _processes.Process(target=_serve, args=(settings, make_web, there), daemon=True)
    server.start()
    try:
        if not here.poll(60):
            raise DigestError("the web server did not begin to answer")
        yield here.recv()
    finally:
        server.terminate()
        server.join()


def _serve(settings: Settings, make_web: MakeWeb, told: Connection) -> None:
    app = open_app(settings)
    config = uvicorn.Config(make_web(app), log_config=None, access_log=False, server_header=False)
    with socket.create_server((HOST, 0), backlog=512) as listener:
        told.send(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def _send(settings: Settings, port: int) -> None:
    app = open_app(settings)
    outlet = Smtp(HOST, port, security="none", connections=_CONNECTIONS, local_hostname="bench")
    asyncio.run(deliver(app.sessions, outlet, app.postage, clock=lambda: datetime.now(UTC)))


# --- the readers ------------------------------------------------------------------------------


async def _read(
    port: int,
    pages: Sequence[str],
    votes: Sequence[str],
    goes_on: Callable[[], bool],
    *,
    look_every: float = 0.05,
) -> tuple[Answers, Answers]:
    """Open pages and cast votes as long as it `goes_on`, which is asked by another thread."""
    over = asyncio.Event()
    taken: dict[str, list[float]] = {"GET": [], "POST": []}
    failed = dict.fromkeys(taken, 0)

    async def reader(method: str, paths: Sequence[str], expected: int) -> None:
        stream = await asyncio.open_connection(HOST, port)
        shuffled = random.Random(len(taken)).sample(paths, len(paths))  # noqa: S311 - no secret
        for path in cycle(shuffled):
            if over.is_set():
                break
            began = perf_counter()
            status = await _ask(stream, method, path)
            taken[method].append(perf_counter() - began)
            failed[method] += status != expected
        stream[1].close()

    began = monotonic()
    readers = [
        asyncio.create_task(reader(*kind))
        for kind in (("GET", pages, 200), ("POST", votes, 303))
        for _ in range(READERS)
    ]
    await asyncio.to_thread(_while, goes_on, look_every)
    over.set()
    await asyncio.gather(*readers)
    seconds = monotonic() - began
    edition, vote = (_answers(taken[kind], seconds, failed[kind]) for kind in ("GET", "POST"))
    return edition, vote


async def _ask(
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], method: str, path: str
) -> int:
    """Send one request on a connection that stays open, read the whole answer, give its status."""
    reader, writer = stream
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(
        (int(line.partition(":")[2]) for line in head.split("\r\n") if "content-length" in line), 0
    )
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1])


def _answers(seconds: Sequence[float], whole: float, failed: int) -> Answers:
    p50, p99 = np.percentile(np.array(seconds or [0.0]), [50, 99]) * 1000
    return Answers(
        len(seconds),
        round(len(seconds) / whole, 1),
        round(float(p50), 1),
        round(float(p99), 1),
        failed,
    )
