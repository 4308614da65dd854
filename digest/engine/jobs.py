"""What is due, as a query; and the leases that let one process do each job.

Success gives a lease back. Failure keeps it for a while that doubles, so retry lives here alone.
A lease keeps work from being done twice for nothing; that nothing is stored or sent twice is seen
to at the rows, so a job may be repeated, at once or by two, whoever holds its lease.
"""

import logging
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from digest.delivery.breaker import read_pause
from digest.delivery.outbox import n_due
from digest.editions import due_subscribers
from digest.papers import embedding, written
from digest.papers.collect import due_sources
from digest.profiles import interests
from digest.store import insert
from digest.store.retention import is_past
from digest.store.tables import Lease
from digest.subscribers import due_signups, is_sunset_due

if TYPE_CHECKING:
    from digest.engine.app import App

log = logging.getLogger(__name__)

Kind = Literal[
    "ingest", "signup", "embed", "compose", "deliver", "summaries", "bounces", "housekeeping"
]

# Longer than a job takes; a process that dies keeps others from its job for as long.
LEASE = timedelta(minutes=10)
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=6)
# Nobody ticks less often. After a longer break the clock may have jumped, and what it takes for old
# is let be for so long.
LONGEST_BREAK, DOUBT = timedelta(days=8), timedelta(days=1)
# Rows that one job takes on, by ranges of their ids, so that a range has one key: subscribers to
# compose for, texts to embed.
SHARD, EMBED_AT_ONCE = 200, 512
# Jobs of one kind that are out at a time: what is due beyond them waits in the database, not in
# the broker. Mails for which another lane is worth its connections.
AT_ONCE, LANE = 500, 500
# Forms of the subscribe page that one look takes up.
SIGNUPS = 100
# More than one machine may sign; the number tells processes on one apart.
OWNER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work that is safe to repeat: what to do, and the rows or the name to do it to."""

    kind: Kind
    key: str
    ids: tuple[int, ...] = ()
    name: str = ""


_SUMMARIES = Job("summaries", "summaries")
_BOUNCES = Job("bounces", "bounces")
_HOUSEKEEPING = Job("housekeeping", "housekeeping")
# A lease that nobody takes: it lasts until the last tick, or until the clock is believed again.
_CLOCK = "clock"


def due(
    session: Session, app: "App", now: datetime, *, done: Collection[Job] = frozenset()
) -> list[Job]:
    """The jobs that may be done now, less those that are leased or `done`.

    No edition is composed while papers come in, whichever process is at them; a job that failed,
    and is held back for a while, keeps nobody waiting. Sending waits for nothing.
    """
    held = {key: n for key, _, n in held_back(session, now, resting=True)}
    jobs = [*_on_the_papers_way(session, app, now, held, done), *_beside(session, app, now, held)]
    # No mail waits for a language model: mails show the summaries that are there.
    return jobs or [job for job in _summaries(session, app, now) if job.key not in held]


def _on_the_papers_way(
    session: Session, app: "App", now: datetime, held: Mapping[str, int], done: Collection[Job]
) -> list[Job]:
    """The jobs of the first station that has any; none while others are at one before."""
    for station in (_ingest, _signups, _embed, _compose):
        jobs = [job for job in station(session, app, now, held) if job not in done]
        if free := [job for job in jobs if job.key not in held]:
            return free
        if any(held[job.key] == 0 and not _is_short(job) for job in jobs):
            return []
    return []


def _is_short(job: Job) -> bool:
    """Whether it is one of seconds; where many come in, one is always under way."""
    return job.kind == "signup" or job.name == "interests"


def _beside(session: Session, app: "App", now: datetime, held: Mapping[str, int]) -> Iterator[Job]:
    for station in (_deliver, _bounces, *(() if _CLOCK in held else (_housekeeping,))):
        yield from (job for job in station(session, app, now) if job.key not in held)


def held_back(
    session: Session, now: datetime, *, resting: bool = False
) -> list[tuple[str, datetime, int]]:
    """The leases that are held: key, until when, and how often the job has failed in a row.

    With `resting` also those of jobs that went well and are done again when their lease is over.
    """
    # The run that is under way is counted with the lease, and may still end well.
    failed = case(((Lease.owner != "") & (Lease.failures > 0), Lease.failures - 1),
                  else_=Lease.failures)  # fmt: skip
    query = select(Lease.key, Lease.until, failed).where(Lease.until > now)
    if not resting:
        query = query.where((Lease.owner != "") | (Lease.failures > 0))
    return [(key, until, failures) for key, until, failures in session.execute(query)]


def take(session: Session, job: Job, now: datetime, *, owner: str = OWNER) -> bool:
    """Lease a job; False where another has it."""
    until = now + LEASE
    taken = (
        insert(session, Lease)
        .values(key=job.key, owner=owner, until=until, failures=0)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={"owner": owner, "until": until},
            where=Lease.until <= now,
        )
        .returning(Lease.key)
    )
    return session.scalar(taken) is not None


def renew(session: Session, job: Job, now: datetime, *, owner: str = OWNER) -> bool:
    """Begin a leased job: its time runs from now on. False where others have it by now.

    It counts as failed until it has ended: one that takes its process along is put off as others.
    """
    mine = (Lease.key == job.key, Lease.owner == owner)
    begun = {"until": now + LEASE, "failures": Lease.failures + 1}
    failures = session.scalar(update(Lease).where(*mine).values(begun).returning(Lease.failures))
    if failures is not None and (wait := _wait_after(failures)) > LEASE:
        session.execute(update(Lease).where(*mine).values(until=now + wait))
    return failures is not None


def give_back(
    session: Session, job: Job, now: datetime, *, owner: str = OWNER, undone: bool = False
) -> None:
    """End a lease after success, or of a job that was not begun (`undone`).

    A mailbox that was read rests for as long as a lease lasts.
    """
    mine = (Lease.key == job.key, Lease.owner == owner)
    if job == _BOUNCES and not undone:
        rest = {"owner": "", "until": now + LEASE, "failures": 0}
        session.execute(update(Lease).where(*mine).values(rest))
    else:
        session.execute(delete(Lease).where(*mine))


def hold_back(session: Session, job: Job, now: datetime, *, owner: str = OWNER) -> datetime | None:
    """Keep a failed job's lease until it may be tried again, and say when; None if it was lost.

    It is nobody's then: a message that comes twice does not do the job before its time.
    """
    mine = (Lease.key == job.key, Lease.owner == owner)
    failures = session.scalar(select(Lease.failures).where(*mine))
    if failures is None:
        return None
    until = now + _wait_after(failures)
    session.execute(update(Lease).where(*mine).values(owner="", until=until))
    return until


def trim(session: Session, now: datetime) -> None:
    """End leases that last longer than any: a clock that was far ahead has left them behind."""
    session.execute(update(Lease).where(Lease.until > now + 2 * DOUBT).values(until=now))


def trusts_clock(session: Session, now: datetime) -> bool:
    """Whether so much time may have gone by as the clock says; of a jump it is not sure for a day.

    Asked at every tick, before anything is deleted or mailed for having waited long enough.
    """
    last = session.scalar(select(Lease.until).where(Lease.key == _CLOCK).with_for_update())
    if last is not None and last > now:
        return False
    jumped = last is not None and now - last > LONGEST_BREAK
    if jumped:
        log.warning("the last tick was at %s: for a day nothing is forgotten", last)
    # A tick that finds nothing to do should write nothing.
    if last is None or now - last > LEASE:
        until = now + DOUBT if jumped else now
        session.execute(
            insert(session, Lease)
            .values(key=_CLOCK, owner="", until=until, failures=0)
            .on_conflict_do_update(index_elements=["key"], set_={"until": until})
        )
    return not jumped


def _wait_after(failures: int) -> timedelta:
    return min(FIRST_RETRY * 2.0 ** min(failures - 1, 16), LONGEST_RETRY)


def _ingest(session: Session, app: "App", now: datetime, _held: Collection[str]) -> list[Job]:
    found = due_sources(session, app.settings.sources, now)
    return [Job("ingest", f"ingest:{source.name}", name=source.name) for source in found]


def _signups(session: Session, _app: "App", now: datetime, held: Collection[str]) -> list[Job]:
    """A job each: a library that cannot be read holds up nobody else, however many there are."""
    found = due_signups(session, now, limit=SIGNUPS, less=_numbers("signup", held))
    return [Job("signup", f"signup:{id_}", (id_,)) for id_ in found]


def _embed(session: Session, app: "App", _now: datetime, _held: Collection[str]) -> list[Job]:
    """Jobs of papers and of interests that have no vector of our encoder."""
    identity, limit = app.encoder.identity, AT_ONCE * EMBED_AT_ONCE
    return [
        Job("embed", f"embed:{what}:{shard}", tuple(ids), what)
        for what, waiting in (
            ("papers", embedding.pending_ids(session, identity, limit=limit)),
            ("interests", interests.pending_ids(session, identity, limit=limit)),
        )
        for shard, ids in _shards(waiting, EMBED_AT_ONCE)
    ]


def _compose(session: Session, _app: "App", now: datetime, held: Collection[str]) -> list[Job]:
    """Jobs of subscribers whose numbers, in order, fall into one range."""
    busy = _numbers("compose", held)
    waiting = due_subscribers(
        session, now, limit=max(AT_ONCE - len(busy), 0) * SHARD, shard=SHARD, less=busy
    )
    return [Job("compose", f"compose:{n}", tuple(ids)) for n, ids in _shards(waiting, SHARD)]


def _numbers(kind: Kind, held: Collection[str]) -> list[int]:
    """The numbers in the keys of those that are held."""
    return [int(key.partition(":")[2]) for key in held if key.startswith(f"{kind}:")]


def _shards(ids: Iterable[int], size: int) -> Iterator[tuple[int, Iterator[int]]]:
    """The numbers in order, by the range of so many that they fall into."""
    return groupby(sorted(ids), key=lambda id_: id_ // size)


def _deliver(session: Session, app: "App", now: datetime) -> list[Job]:
    """A lane, or as many as are worth it and the engine can have: any of them sends any mail."""
    pause = read_pause(session)
    if pause and pause.until > now:
        return []
    lanes = -(-n_due(session, now, limit=app.engine.lanes * LANE) // LANE)
    return [Job("deliver", f"deliver:{lane}") for lane in range(lanes)]


def _summaries(session: Session, app: "App", now: datetime) -> list[Job]:
    waiting = written.pending(session, app.settings.summaries, now, limit=1)
    return [_SUMMARIES] if waiting else []


def _bounces(_session: Session, app: "App", _now: datetime) -> list[Job]:
    bounces = app.settings.bounces
    return [_BOUNCES] if bounces.maildir or bounces.imap_host else []


def _housekeeping(session: Session, app: "App", now: datetime) -> list[Job]:
    settings = app.settings
    past = is_past(session, settings.retention, now)
    return [_HOUSEKEEPING] if past or is_sunset_due(session, settings.sunset, now) else []
