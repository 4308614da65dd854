"""Sending that is killed at random moments, again and again: what became of every mail.

A worker is a process of its own that runs `deliver`, the server another. After each SIGKILL the
clock of the workers goes on by more than a lease, and the next one begins.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import uuid4

import numpy as np
from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from digest.delivery.letters import Postage
from digest.delivery.outbox import LEASE
from digest.delivery.sending import deliver
from digest.delivery.transport import Smtp
from digest.errors import BadSettings, DigestError, ServiceUnreachable
from digest.evaluation.outbox_of import fill_outbox
from digest.evaluation.sink import HOST, Sink, recorded
from digest.links import Links
from digest.settings import MailSettings
from digest.store import Sessions, migrate, open_database
from digest.store.tables import Delivery

CONNECTIONS = 8
# About as many mails as the longest life is enough for; a life may be of any length up to it.
LONGEST_LIFE = 120
POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"

_START = datetime(2026, 3, 2, 7, tzinfo=UTC)
_UNTIL_LEASES_END = LEASE + timedelta(minutes=1)
# The longest that the first worker is given, until it is seen how fast mail leaves.
_FIRST_SECONDS = 0.5
# Runs that may see to what is left; the second finds what a killed connection still held.
_LAST_RUNS = 3
_SECRET = b"only for a measurement"
_POSTAGE = Postage(
    Links("https://digest.example.org", [_SECRET]),
    MailSettings(from_address="digest@example.org"),
    _SECRET,
)
_processes = get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Crashes:
    """What became of the mails of one database.

    `at_work` of the kills left mails claimed or in flight. Of `mails`, `sent` are settled so and
    the server has them; `uncertain` wait for a person, `uncertain_at_most` are those that all
    connections could carry at the kills, and the server has `arrived` of them. `lost` are in no
    state that tells what became of them; `duplicated` the server took more than once.
    """

    kills: int
    at_work: int
    mails: int
    sent: int
    uncertain: int
    uncertain_at_most: int
    arrived: int
    lost: int
    duplicated: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What was found by database, and why others could not be had."""

    databases: Mapping[str, Crashes]
    left_out: Mapping[str, str]

    @property
    def is_sound(self) -> bool:
        """Whether no mail was lost or doubled, and no more are uncertain than can be."""
        return not any(
            found.lost or found.duplicated or found.uncertain > found.uncertain_at_most
            for found in self.databases.values()
        )


def as_json(report: CrashReport) -> dict[str, Any]:
    """The sums over the databases, and each by itself."""
    each = {name: asdict(found) for name, found in report.databases.items()}
    names = [field.name for field in fields(Crashes)]
    sums = {name: round(sum(found[name] for found in each.values()), 1) for name in names}
    return {**sums, "databases": each, "left_out": dict(report.left_out)}


def measure_crashes(
    kills: int,
    *,
    postgresql: str = POSTGRESQL,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _n: None,
) -> CrashReport:
    """Kill `kills` workers on SQLite, and as many on PostgreSQL if there is one.

    The databases are made for this, PostgreSQL's on the server that `postgresql` names, and are
    gone afterwards. `progress` is told of every kill. Raises DigestError where a worker ends by a
    fault of its own.
    """
    databases: dict[str, Crashes] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        rng = np.random.default_rng(seed)
        file = f"sqlite:///{folder / 'digest.db'}"
        databases["sqlite"] = kill_workers(file, kills, folder / "1", rng=rng, progress=progress)
        try:
            url = stack.enter_context(scratch_database(postgresql))
        except (ServiceUnreachable, BadSettings) as error:
            left_out["postgresql"] = str(error)
        else:
            databases["postgresql"] = kill_workers(
                url, kills, folder / "2", rng=rng, progress=progress
            )
    return CrashReport(databases, left_out)


@contextmanager
def scratch_database(server: str) -> Iterator[str]:
    """The URL of a new PostgreSQL database that is dropped in the end.

    Raises ServiceUnreachable where `server` does not let us make one, and BadSettings.
    """
    name = f"digest_crash_{uuid4().hex[:12]}"
    engine = open_database(server).engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
        except DatabaseError as error:
            raise ServiceUnreachable(f"cannot make a database: {error.orig}") from None
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()


def kill_workers(
    url: str,
    kills: int,
    record: Path,
    *,
    rng: np.random.Generator,
    progress: Callable[[int], None] = lambda _n: None,
) -> Crashes:
    """Kill `kills` workers on the empty database `url`, let one end their work, and reconcile.

    A worker lives for a time between none and that for 120 mails, as likely one as another; mails
    are added as they are sent. The server keeps its `record` in that file.
    """
    begin = monotonic()
    _import_ahead()
    record.touch()
    sessions = open_database(url)
    migrate(sessions)
    now, lived, killed, at_work = _START, 0.0, 0, 0
    with Sink(record) as sink:
        while killed < kills:
            if _unsettled(sessions) < 2 * LONGEST_LIFE:
                fill_outbox(sessions, 2 * LONGEST_LIFE, now=now)
            taken = recorded(record).total()
            longest = LONGEST_LIFE * lived / taken if taken else _FIRST_SECONDS * (1 + killed)
            start = monotonic()
            was_killed = _worker(url, sink.port, now, rng.random() * longest)
            lived += monotonic() - start
            if was_killed:
                killed += 1
                at_work += _unsettled(sessions, Delivery.claimed_until >= now + LEASE) > 0
                progress(1)
            now += timedelta(seconds=monotonic() - start) + _UNTIL_LEASES_END
        for _ in range(_LAST_RUNS):
            _worker(url, sink.port, now, None)
            now += _UNTIL_LEASES_END
            if not _unsettled(sessions):
                break
    found = reconcile(sessions, recorded(record))
    sessions.engine.dispose()
    return Crashes(
        kills=killed,
        at_work=at_work,
        uncertain_at_most=killed * CONNECTIONS,
        seconds=round(monotonic() - begin, 1),
        **found,
    )


def reconcile(sessions: Sessions, taken: Mapping[str, int]) -> dict[str, int]:
    """What the rows say, against the Message-IDs that the server has, and how often."""
    with sessions.reading() as session:
        mails = session.execute(select(Delivery.message_id, Delivery.state)).all()
    times = {message_id.partition("@")[0]: n for message_id, n in taken.items()}
    uncertain = {mail.message_id for mail in mails if mail.state == "uncertain"}
    sent = {mail.message_id for mail in mails if mail.state == "sent"} & times.keys()
    return {
        "mails": len(mails),
        "sent": len(sent),
        "uncertain": len(uncertain),
        "arrived": len(uncertain & times.keys()),
        "lost": len(mails) - len(sent) - len(uncertain),
        "duplicated": sum(n > 1 for n in times.values()),
    }


def _import_ahead() -> None:
    """What is killed should be sending, not importing: workers are forked from one that has."""
    _processes.set_forkserver_preload(["__main__", __name__])
    first = _processes.Process(target=int)
    first.start()
    first.join()


def _worker(url: str, port: int, now: datetime, seconds: float | None) -> bool:
    """Let a worker begin at `now` and kill it after `seconds`; whether it had not ended before."""
    worker = _processes.Process(target=_send, args=(url, port, now), daemon=True)
    worker.start()
    worker.join(seconds)
    worker.kill()
    worker.join()
    if worker.exitcode not in (0, -SIGKILL):
        raise DigestError(f"a worker ended by itself, with status {worker.exitcode}")
    return worker.exitcode == -SIGKILL


def _send(url: str, port: int, now: datetime) -> None:
    """All that a worker does."""
    begin = monotonic()
    sessions = open_database(url)
    outlet = Smtp(HOST, port, security="none", connections=CONNECTIONS, local_hostname="worker")
    asyncio.run(
        deliver(
            sessions,
            outlet,
            _POSTAGE,
            clock=lambda: now + timedelta(seconds=monotonic() - begin),
        )
    )
    sessions.engine.dispose()


def _unsettled(sessions: Sessions, *which: ColumnElement[bool]) -> int:
    """How many mails are under way still, of those in question."""
    under_way = Delivery.state.in_(("queued", "claimed", "in_flight", "deferred"))
    with sessions.reading() as session:
        query = select(func.count()).select_from(Delivery).where(under_way, *which)
        return session.scalar(query) or 0
