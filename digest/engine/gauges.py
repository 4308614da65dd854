"""What there is of everything, in numbers, for whoever watches: each a count by one label."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.store.tables import (
    Attempt,
    Bounce,
    Breaker,
    Delivery,
    DeliveryState,
    EditionRow,
    Paper,
    Signup,
    SourceState,
    Subscriber,
    VoteRow,
)

# Mails and attempts are many and stay for long: those of a while are counted.
_LATELY, _A_WEEK = timedelta(days=1), timedelta(days=7)
_WAITING = ("queued", "claimed", "deferred", "in_flight")


@dataclass(frozen=True, slots=True)
class Gauge:
    """One thing that is counted: its name, what it says, and its values by `label`.

    An unlabelled one has the single value of "".
    """

    name: str
    says: str
    label: str
    values: Mapping[str, float]


def read_gauges(session: Session, now: datetime) -> list[Gauge]:
    """Count, with one query each that an index or a smaller table answers; no label names anybody.

    Votes are the exception: they are read through.
    """
    oldest = session.scalar(
        select(func.min(Delivery.due_at)).where(
            Delivery.state.in_(_WAITING), Delivery.due_at <= now
        )
    )
    waiting = session.scalar(select(func.count(Signup.id)))
    paused = session.scalar(select(func.count()).where(Breaker.until > now))
    outcomes = (Attempt.at > now - _LATELY, Attempt.at <= now)
    sources = session.execute(
        select(SourceState.name, SourceState.verdict, SourceState.last_read_at)
    ).all()
    return [
        Gauge("digest_subscribers", "Subscribers.", "state", _by(session, Subscriber.state)),
        Gauge("digest_signups", "Sign-ups that wait.", "", {"": float(waiting or 0)}),
        Gauge("digest_papers", "Papers seen so far.", "", _highest(session, Paper.id)),
        Gauge("digest_editions", "Editions built so far.", "", _highest(session, EditionRow.id)),
        Gauge(
            "digest_deliveries",
            "Mails that were due in the last seven days, or will be.",
            "state",
            _by(
                session,
                Delivery.state,
                Delivery.state.in_(get_args(DeliveryState)),
                Delivery.due_at > now - _A_WEEK,
            ),
        ),
        Gauge(
            "digest_queue_age_seconds",
            "How long the mail that is due has waited the longest.",
            "",
            {"": (now - oldest).total_seconds() if oldest else 0.0},
        ),
        Gauge(
            "digest_attempts_last_day",
            "Attempts to send of the last 24 hours.",
            "outcome",
            _by(session, Attempt.state, *outcomes),
        ),
        Gauge("digest_bounces", "Mail that came back.", "kind", _by(session, Bounce.kind)),
        Gauge(
            "digest_sending_paused", "1 while the breaker holds mail back.", "", {"": paused or 0}
        ),
        Gauge(
            "digest_source_ok",
            "1 where a source's last run brought what it should.",
            "source",
            {row.name: float(row.verdict in ("fresh", "quiet")) for row in sources},
        ),
        Gauge(
            "digest_source_age_seconds",
            "How long ago a source last answered.",
            "source",
            {
                row.name: (now - row.last_read_at).total_seconds()
                for row in sources
                if row.last_read_at
            },
        ),
        Gauge("digest_votes", "Votes as they stand.", "value", _by(session, VoteRow.value)),
    ]


def _by(session: Session, column: Any, *where: Any) -> dict[str, float]:
    query = select(column, func.count()).where(*where).group_by(column)
    return {str(name): float(n) for name, n in session.execute(query)}


def _highest(session: Session, column: Any) -> dict[str, float]:
    """The last number that was given: rows are numbered in a row, and counting them takes long."""
    return {"": float(session.scalar(select(func.max(column))) or 0)}
