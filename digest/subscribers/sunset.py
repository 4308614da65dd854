"""The sunset policy: who has given no sign for long is asked once, and then mailed no more.

A sign is something a person did: a vote, a button on one of our pages, a change of settings. That a
mail was opened is none: we do not look, and mail programs open mails by themselves. Providers take
mail that nobody heeds for spam, and file what others do want with it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, exists, or_, select, update
from sqlalchemy.orm import Session

from digest.settings import SunsetSettings
from digest.store.deliveries import cancel, queue
from digest.store.tables import Consent, Delivery, Subscriber

ANSWER_WITHIN = timedelta(days=30)
# Asked at once: where the policy is new, half of a list may have been silent.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Sunset:
    """How many were asked whether they still read, and how many were paused for their silence."""

    asked: int
    paused: int


def is_sunset_due(session: Session, settings: SunsetSettings, now: datetime) -> bool:
    """Whether there is anybody to ask, or to pause."""
    if not settings.after_days:
        return False
    active = select(Subscriber.id).where(Subscriber.state == "active").limit(1)
    unanswered = Subscriber.sunset_at <= now - ANSWER_WITHIN
    silent = (Subscriber.sunset_at.is_(None) & ever for ever in _silent_since(settings, now))
    # One by one: of all at once a database would not see that the index answers them.
    return any(session.scalar(active.where(one)) is not None for one in (unanswered, *silent))


def follow_sunset(session: Session, settings: SunsetSettings, *, now: datetime) -> Sunset:
    """Ask the silent, and pause those who were asked a month ago; some at a time. Safe to repeat.

    They stay subscribed, and any sign of theirs while they are only asked makes it as before.
    """
    if not settings.after_days:
        return Sunset(0, 0)
    active = Subscriber.state == "active"
    asked_of = (
        Delivery.subscriber_id == Subscriber.id,
        Delivery.kind == "sunset",
        Delivery.created_at >= Subscriber.sunset_at,
    )
    # A question that never left is asked again, and so is one that is forgotten.
    lost = ~exists().where(*asked_of, Delivery.state.not_in(("cancelled", "failed")))
    asked = Subscriber.sunset_at.is_not(None)
    session.execute(update(Subscriber).where(active, asked, lost).values(sunset_at=None))
    arrived = exists().where(*asked_of, Delivery.state.in_(("sent", "uncertain")))
    silent = select(Subscriber).where(active, Subscriber.sunset_at <= now - ANSWER_WITHIN, arrived)
    paused = session.scalars(silent.limit(AT_ONCE).with_for_update(skip_locked=True)).all()
    for row in paused:
        row.state, row.paused_until, row.next_due_at = "paused", None, None
        wording = f"no sign since {_since(row):%Y-%m-%d}, asked on {row.sunset_at:%Y-%m-%d}"
        session.add(Consent(subscriber_id=row.id, at=now, kind="sunset", wording=wording))
        cancel(session, row.id, now)
    quiet = select(Subscriber).where(
        active, Subscriber.sunset_at.is_(None), or_(*_silent_since(settings, now))
    )
    newly = session.scalars(quiet.limit(AT_ONCE).with_for_update(skip_locked=True)).all()
    for row in newly:
        row.sunset_at = now
        queue(session, kind="sunset", subscriber_id=row.id, now=now)
    return Sunset(len(newly), len(paused))


def is_asked(session: Session, subscriber_id: int) -> bool:
    """Whether they have been asked if they still read, and have not answered yet."""
    query = select(Subscriber.sunset_at).where(
        Subscriber.id == subscriber_id, Subscriber.state == "active"
    )
    return session.scalar(query) is not None


def note_sign(session: Session, subscriber_id: int, at: datetime) -> bool:
    """Note that a subscriber did something themselves; whether there is one."""
    signed = update(Subscriber).where(Subscriber.id == subscriber_id)
    result = session.execute(
        signed.values(sign_at=at, sunset_at=None),
        execution_options={"synchronize_session": False},
    )
    return cast("CursorResult[Any]", result).rowcount > 0


def _silent_since(settings: SunsetSettings, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The ways in which the last sign of somebody may be too old; each a range of the index."""
    before = now - timedelta(days=settings.after_days)
    never, unconfirmed = Subscriber.sign_at.is_(None), Subscriber.confirmed_at.is_(None)
    return (
        Subscriber.sign_at <= before,
        never & (Subscriber.confirmed_at <= before),
        never & unconfirmed & (Subscriber.created_at <= before),
    )


def _since(row: Subscriber) -> datetime:
    return row.sign_at or row.confirmed_at or row.created_at
