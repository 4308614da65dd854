"""What is due, as a query; and the leases that let one process do each job.

Success gives a lease back. Failure keeps it for a while that doubles, so retry lives here alone.
"""

import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from digest.delivery.breaker import read_pause
from digest.delivery.outbox import n_due
from digest.editions import due_subscribers
from digest.engine.app import App
from digest.papers import embedding
from digest.papers.collect import due_sources
from digest.profiles import interests
from digest.store import insert
from digest.store.tables import Lease

Kind = Literal["source", "embed", "editions", "deliver", "bounces"]

# Longer than a job takes; a process that dies keeps others from its job for as long.
LEASE = timedelta(minutes=10)
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=6)
# Rows that one job takes on, by ranges of their ids, so that a range has one key.
SHARD = 200
# More than one machine may sign; the number tells processes on one apart.
OWNER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work that is safe to repeat: what to do, and the rows or the name to do it to."""

    kind: Kind
    key: str
    ids: tuple[int, ...] = ()
    name: str = ""


_BOUNCES = Job("bounces", "bounces")


def due(
    session: Session, app: App, now: datetime, *, done: Collection[Job] = frozenset()
) -> list[Job]:
    """The jobs of the first station that has any, less those that are leased or `done`.

    A station waits for those before it, whichever process is at them: no edition is built while
    papers come in. A job that failed, and is held back for a while, keeps nobody waiting.
    """
    failures = {key: n for key, _, n in held_back(session, now, resting=True)}
    for station in (_sources, _embedding, _editions, _deliveries, _bounces):
        jobs = [job for job in station(session, app, now) if job not in done]
        if free := [job for job in jobs if job.key not in failures]:
            return free
        if any(failures[job.key] == 0 for job in jobs):
            return []
    return []


def held_back(
    session: Session, now: datetime, *, resting: bool = False
) -> list[tuple[str, datetime, int]]:
    """The leases that are held: key, until when, and how often the job has failed in a row.

    With `resting` also those of jobs that went well and are done again when their lease is over.
    """
    query = select(Lease.key, Lease.until, Lease.failures).where(Lease.until > now)
    if not resting:
        query = query.where((Lease.key != _BOUNCES.key) | (Lease.failures > 0))
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


def give_back(session: Session, job: Job, *, owner: str = OWNER) -> None:
    """End a lease after success; a mailbox rests until its lease is over."""
    if job == _BOUNCES:
        return
    session.execute(delete(Lease).where(Lease.key == job.key, Lease.owner == owner))


def hold_back(session: Session, job: Job, now: datetime, *, owner: str = OWNER) -> datetime | None:
    """Keep a failed job's lease until it may be tried again, and say when; None if it was lost."""
    mine = (Lease.key == job.key, Lease.owner == owner)
    failures = session.scalar(select(Lease.failures).where(*mine))
    if failures is None:
        return None
    until = now + min(FIRST_RETRY * 2.0 ** min(failures, 16), LONGEST_RETRY)
    session.execute(update(Lease).where(*mine).values(until=until, failures=failures + 1))
    return until


def _sources(session: Session, app: App, now: datetime) -> list[Job]:
    found = due_sources(session, app.settings.sources, now)
    return [Job("source", f"source:{source.name}", name=source.name) for source in found]


def _embedding(session: Session, app: App, _now: datetime) -> list[Job]:
    identity = app.encoder.identity
    waiting = embedding.pending(session, identity, limit=1) or interests.pending(
        session, identity, limit=1
    )
    return [Job("embed", "embed")] if waiting else []


def _editions(session: Session, _app: App, now: datetime) -> list[Job]:
    """Jobs of subscribers whose numbers, in order, fall into one range."""
    return [
        Job("editions", f"editions:{shard}", tuple(some))
        for shard, some in groupby(due_subscribers(session, now), key=lambda id_: id_ // SHARD)
    ]


def _deliveries(session: Session, _app: App, now: datetime) -> list[Job]:
    pause = read_pause(session)
    if (pause and pause.until > now) or not n_due(session, now):
        return []
    return [Job("deliver", "deliver")]


def _bounces(_session: Session, app: App, _now: datetime) -> list[Job]:
    bounces = app.settings.bounces
    return [_BOUNCES] if bounces.maildir or bounces.imap_host else []
