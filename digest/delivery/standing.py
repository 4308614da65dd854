"""What bounces mean for a subscriber: points for soft ones, an end to all mail after a hard one."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, exists, select, update
from sqlalchemy.orm import Session

from digest.delivery.suppression import suppress
from digest.store.deliveries import cancel
from digest.store.tables import Consent, Subscriber

# Points come one a day at most, and go when mail is taken again after as many days without one.
POINTS_SUSPEND = 5
QUIET = timedelta(days=7)

_SUBSCRIBERS = cast("Table", Subscriber.__table__)
_CLEARED = select(_SUBSCRIBERS.c.id).where(
    _SUBSCRIBERS.c.id.in_(bindparam("ids", expanding=True)),
    _SUBSCRIBERS.c.bounce_points > 0,
    _SUBSCRIBERS.c.bounced_at <= bindparam("before"),
)
# Whom others hold, to erase them perhaps, is not worth waiting for: there is another mail.
_CLEAR = (
    update(_SUBSCRIBERS)
    .where(_SUBSCRIBERS.c.id.in_(_CLEARED.with_for_update(skip_locked=True)))
    .values(bounce_points=0)
)


def bounced_hard(
    session: Session, subscriber_id: int, *, secret: bytes, status: str, now: datetime
) -> None:
    """The address does not exist any more: suppress it, and mail the subscriber no more.

    `status` is the enhanced status alone: what servers say names the address. That a sign-up has
    bounced is another reason: a stranger may have typed anything.
    """
    row = session.get_one(Subscriber, subscriber_id, with_for_update=True)
    what = "sign-up bounced" if row.state == "pending" else "bounced"
    suppress(session, row.address, secret, reason=f"{what} {status}".strip(), now=now)
    _suspend(session, row, now)


def bounced_soft(session: Session, subscriber_id: int, *, now: datetime, sure: bool = True) -> bool:
    """Count a point, one a day (UTC) at most; five suspend. Whether this one did.

    A bounce that anybody could have written, not `sure`, counts, but is never the fifth.
    """
    row = session.get_one(Subscriber, subscriber_id, with_for_update=True)
    if row.bounced_at and row.bounced_at.astimezone(UTC).date() >= now.astimezone(UTC).date():
        return False
    if not sure and row.bounce_points + 1 >= POINTS_SUSPEND:
        return False
    row.bounce_points, row.bounced_at = row.bounce_points + 1, now
    if row.bounce_points < POINTS_SUSPEND:
        return False
    _suspend(session, row, now)
    return True


def has_moved_since(session: Session, subscriber_id: int, at: datetime) -> bool:
    """Whether their address has changed after `at`: what was mailed by then went to another."""
    moved = exists().where(
        Consent.subscriber_id == subscriber_id, Consent.kind == "moved", Consent.at > at
    )
    return bool(session.scalar(select(moved)))


def clear_points(session: Session, subscriber_ids: Collection[int], now: datetime) -> None:
    """Forget the points of those to whom mail went through, a quiet week after the last one."""
    if subscriber_ids:
        session.execute(_CLEAR, {"ids": list(subscriber_ids), "before": now - QUIET})


def _suspend(session: Session, row: Subscriber, now: datetime) -> None:
    if row.state in ("active", "paused", "pending"):
        row.state, row.next_due_at, row.paused_until = "suspended", None, None
    cancel(session, row.id, now)
