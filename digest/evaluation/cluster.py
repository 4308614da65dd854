"""A cluster on this machine at work: real workers, a broker, PostgreSQL and a mail server.

What is measured is a morning: all editions are due at once, and all mails follow.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from sqlalchemy import func, make_url, select, text

from digest.engine import App, open_app, open_engine, tick
from digest.errors import BadInput, DigestError
from digest.evaluation.cluster_of import NEW, OLD, VOTES, fill
from digest.evaluation.crash import scratch_database
from digest.evaluation.sink import HOST, Sink
from digest.evaluation.worker import Done, StatementCounter, read_record
from digest.papers.encoder import SentenceEncoder
from digest.settings import Settings, load_settings
from digest.store import Sessions, migrate, open_database
from digest.store.tables import Delivery

# Between two ticks; a scheduler of its own ticks every 20 seconds.
_PAUSE = 0.25
# What grows with every mail.
_DAILY = ("editions", "edition_items", "deliveries", "attempts")
_STAGES = ("compose", "deliver")


@dataclass(frozen=True, slots=True)
class Stage:
    """What one kind of job took, a subscriber each: milliseconds of a worker, and of its CPU."""

    ms: float
    cpu_ms: float
    statements: float
    transactions: float


@dataclass(frozen=True, slots=True)
class Run:
    """One morning with so many workers; `speed_up` is over the first of the runs.

    `scheduler_statements` and `messages` are a subscriber each; a message is a job.
    """

    workers: int
    seconds: float
    per_second: float
    speed_up: float
    jobs: int
    messages: float
    scheduler_statements: float
    stages: Mapping[str, Stage]


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was measured; `bytes_by_table` is what a subscriber and day adds, with its indexes."""

    subscribers: int
    votes: int
    papers: int
    new_papers: int
    fill_seconds: float
    runs: tuple[Run, ...]
    bytes_by_table: Mapping[str, int]
    bytes_a_day: int


def measure_cluster(
    subscribers: int,
    workers: Sequence[int],
    *,
    database: str,
    engine: str,
    progress: Callable[[int], None] = lambda _n: None,
) -> Cluster:
    """Run a morning of so many made-up subscribers with each of these numbers of workers.

    A database is made on the PostgreSQL server `database` for it, and queues at the RabbitMQ of
    `engine`; both are gone afterwards. `progress` is told of mails that were sent. Raises BadInput
    where one of the two is of another kind, ServiceUnreachable, or DigestError where a worker ends.
    """
    if not make_url(database).drivername.startswith("postgresql"):
        raise BadInput("a cluster needs PostgreSQL: --database postgresql://..., or the settings'")
    if engine == "inline":
        raise BadInput("a cluster needs RabbitMQ: --engine celery+amqp://..., or the settings'")
    runs: list[Run] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        filled = stack.enter_context(scratch_database(database))
        now, start = datetime.now(UTC), time.perf_counter()
        with _opened(filled) as sessions:
            migrate(sessions)
            fill(sessions, subscribers, SentenceEncoder().identity, now=now)
            before = _bytes(sessions)
        fill_seconds = round(time.perf_counter() - start, 1)
        sizes: dict[str, int] = {}
        for n in workers:
            with _copy_of(filled) as url, cluster(url, engine, folder / str(n)) as one:
                run = _morning(one, n, subscribers, progress)
                with one.app.sessions.reading() as session:
                    after = _bytes_in(session)
            sizes = {name: (after[name] - before[name]) // subscribers for name in _DAILY}
            first = runs[0].seconds if runs else run.seconds
            runs.append(replace(run, speed_up=round(first / run.seconds, 2)))
    return Cluster(
        subscribers,
        VOTES,
        OLD,
        NEW,
        fill_seconds,
        tuple(runs),
        sizes,
        sum(sizes.values()),
    )


@dataclass(frozen=True, slots=True)
class OneCluster:
    """A cluster that is up: where its settings are, its App, and how to start a worker."""

    folder: Path
    settings_file: Path
    app: App

    @property
    def record(self) -> Path:
        """Where workers write what they did."""
        return self.folder / "jobs"

    def worker(self, *options: str) -> "subprocess.Popen[bytes]":
        """A new worker, as a process of its own session, with the options of its module."""
        command = [sys.executable, "-m", "digest.evaluation.worker", str(self.settings_file)]
        with (self.folder / "workers.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - ourselves
                [*command, "--record", str(self.record), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def jobs(self) -> list[Done]:
        """The jobs that ended."""
        return read_record(self.record)

    def log(self) -> str:
        """The last that workers said."""
        return "".join((self.folder / "workers.log").read_text().splitlines(keepends=True)[-20:])


@contextmanager
def cluster(
    database: str,
    engine: str,
    folder: Path,
    *,
    through: Callable[[str], str] = str,
    reply_ms: int = 0,
) -> Iterator[OneCluster]:
    """A cluster on a migrated database, with queues and a mail server of its own.

    `through` may change the URLs that workers get, as where something stands in between.
    """
    folder.mkdir(exist_ok=True)
    mark = engine if engine == "inline" else f"{engine}?prefix=digest-{uuid4().hex[:12]}"
    with Sink(folder / "mails", reply_ms=reply_ms) as sink:
        (folder / "mails").touch()
        file = folder / "digest.toml"
        file.write_text(_SETTINGS.format(through(database), through(mark), sink.port))
        settings = load_settings(file, {})
        direct = settings.model_copy(update={"database": database, "engine": mark})
        app = open_app(Settings.model_validate(direct))
        try:
            yield OneCluster(folder, file, app)
        finally:
            app.sessions.engine.dispose()
            open_engine(mark).clear()


_SETTINGS = """
database = "{}"
engine = "{}"
secret_key = "only for a measurement"
base_url = "https://digest.example.org"
[mail]
from_address = "digest@example.org"
[smtp]
host = "127.0.0.1"
port = {}
security = "none"
"""


def _morning(
    one: OneCluster, workers: int, subscribers: int, progress: Callable[[int], None]
) -> Run:
    counter = StatementCounter()
    queues = ",".join(_STAGES)
    processes = [one.worker("--queues", queues) for _ in range(workers)]
    try:
        _until_ready(one, workers)
        start, counted, since = time.perf_counter(), counter.statements, datetime.now(UTC)
        sent = messages = 0
        while sent < subscribers:
            if any(process.poll() is not None for process in processes):
                raise DigestError(f"a worker ended by itself: {one.log()}")
            messages += tick(one.app, lambda: datetime.now(UTC)).submitted
            with one.app.sessions.reading() as session:
                so_far = _settled(session, since)
            progress(so_far - sent)
            sent = so_far
            time.sleep(_PAUSE)
        seconds = time.perf_counter() - start
        statements = counter.statements - counted
        _ended(processes)
    finally:
        counter.stop()
        for process in processes:
            process.kill()
            process.wait()
    jobs = one.jobs()
    return Run(
        workers,
        round(seconds, 1),
        round(subscribers / seconds, 1),
        1.0,
        len(jobs),
        round(messages / subscribers, 5),
        round(statements / subscribers, 3),
        {kind: _stage([job for job in jobs if job.kind == kind], subscribers) for kind in _STAGES},
    )


def _stage(jobs: Sequence[Done], subscribers: int) -> Stage:
    return Stage(
        round(1000 * sum(job.seconds for job in jobs) / subscribers, 3),
        round(1000 * sum(job.cpu_seconds for job in jobs) / subscribers, 3),
        round(sum(job.statements for job in jobs) / subscribers, 3),
        round(sum(job.transactions for job in jobs) / subscribers, 3),
    )


def _until_ready(one: OneCluster, workers: int) -> None:
    """Wait for the workers to be at the broker: how long they take to start is not measured."""
    deadline = time.monotonic() + 120
    file = one.folder / "workers.log"
    while file.read_text().count(" ready.") < workers:
        if time.monotonic() > deadline:
            raise DigestError(f"the workers did not start: {one.log()}")
        time.sleep(0.1)


def _ended(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)


def _settled(session: Any, since: datetime) -> int:
    """Mails of this morning of which something became."""
    settled = Delivery.state.in_(("sent", "failed", "uncertain", "cancelled"))
    query = select(func.count()).select_from(Delivery)
    return int(session.scalar(query.where(Delivery.created_at >= since, settled)))


def _bytes(sessions: Sessions) -> dict[str, int]:
    with sessions.reading() as session:
        return _bytes_in(session)


def _bytes_in(session: Any) -> dict[str, int]:
    query = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
    return {name: session.scalar(query, {"name": name}) for name in _DAILY}


@contextmanager
def _opened(url: str) -> Iterator[Sessions]:
    sessions = open_database(url)
    try:
        yield sessions
    finally:
        sessions.engine.dispose()


@contextmanager
def _copy_of(url: str) -> Iterator[str]:
    """A copy of a database that nobody is connected to, dropped in the end."""
    with scratch_database(url.rpartition("/")[0] + "/postgres") as copy:
        name, copied = make_url(url).database, make_url(copy).database
        server = open_database(url.rpartition("/")[0] + "/postgres").engine
        try:
            with server.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text(f"DROP DATABASE {copied}"))
                connection.execute(text(f"CREATE DATABASE {copied} TEMPLATE {name}"))
        finally:
            server.dispose()
        yield copy


def as_json(measured: Cluster) -> dict[str, Any]:
    """All of it, as plain values."""
    return asdict(measured)


__all__ = ["HOST", "Cluster", "OneCluster", "Run", "as_json", "cluster", "measure_cluster"]
