"""The day at a glance: what is due, what was built and sent, what came back, how sources are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.delivery.breaker import read_pause
from digest.delivery.guard import Rates, read_rates
from digest.engine.jobs import held_back
from digest.papers.collect import SourceView, list_sources
from digest.settings import Settings
from digest.store.tables import (
    Delivery,
    EditionRow,
    Paper,
    Subscriber,
    Suppression,
    VoteRow,
)

_DAY = timedelta(days=1)
_WAITING = ("queued", "claimed", "deferred", "in_flight")


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that is held back after a failure."""

    key: str
    failures: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """Everything of the last 24 hours, `now` at their end, and what stands.

    `due` are subscribers whose edition should be made now; `mails` those that became due within the
    day, by state; `uncertain` and `waiting` are of all times. `asked` are subscribers who were
    asked whether they still read, `silent` those who were paused for not answering. `pause` and
    `alarm` are empty where all is well.
    """

    at: datetime
    subscribers: Mapping[str, int]
    asked: int
    silent: int
    suppressed: int
    due: int
    papers: int
    built: int
    mails: Mapping[str, int]
    waiting: int
    waiting_since: datetime | None
    uncertain: int
    votes: Mapping[str, int]
    rates: Rates
    alarm: str
    pause: str
    sources: tuple[SourceView, ...]
    failed_jobs: tuple[FailedJob, ...]


def read_status(session: Session, settings: Settings, now: datetime) -> Status:
    """Look; every query is answered by an index or a small table."""
    since = now - _DAY
    waiting, oldest = session.execute(
        select(func.count(), func.min(Delivery.due_at)).where(Delivery.state.in_(_WAITING))
    ).one()
    pause, rates = read_pause(session), read_rates(session, now)
    return Status(
        at=now,
        subscribers=_by(session, Subscriber.state),
        asked=_count(session, Subscriber.sunset_at.is_not(None), Subscriber.state == "active"),
        silent=_count(session, Subscriber.sunset_at.is_not(None), Subscriber.state == "paused"),
        suppressed=session.scalar(select(func.count()).select_from(Suppression)) or 0,
        due=_count(session, Subscriber.state == "active", Subscriber.next_due_at <= now),
        papers=_count(session, Paper.ready_at > since, Paper.ready_at <= now),
        built=_count(session, EditionRow.built_at > since, EditionRow.built_at <= now),
        mails=_by(session, Delivery.state, Delivery.due_at > since),
        waiting=waiting,
        waiting_since=oldest,
        uncertain=_count(session, Delivery.state == "uncertain"),
        votes=_by(session, VoteRow.value, VoteRow.at > since),
        rates=rates,
        alarm=rates.alarm,
        pause=pause.reason if pause else "",
        sources=tuple(list_sources(session, settings.sources)),
        failed_jobs=tuple(
            FailedJob(key, failures, until)
            for key, until, failures in sorted(held_back(session, now))
            if failures
        ),
    )


def _count(session: Session, *where: Any) -> int:
    return session.scalar(select(func.count()).where(*where)) or 0


def _by(session: Session, column: Any, *where: Any) -> dict[str, int]:
    query = select(column, func.count()).where(*where).group_by(column).order_by(column)
    return {str(name): n for name, n in session.execute(query)}
