"""Putting a mail into the outbox and taking it out again, in the caller's transaction."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import get_args
from uuid import uuid4

from sqlalchemy import update
from sqlalchemy.orm import Session

from digest.store.database import insert
from digest.store.tables import Delivery, DeliveryState, MailKind

# A mail that could not be handed over in this time says nothing new any more.
LIFE = timedelta(days=1)
_NOT_BEGUN: tuple[DeliveryState, ...] = ("queued", "claimed", "deferred")


def queue(
    session: Session,
    *,
    kind: MailKind,
    subscriber_id: int,
    edition_id: int | None = None,
    now: datetime,
    expires_at: datetime | None = None,
) -> int | None:
    """Queue one mail; its delivery's id, or None where that edition has one already."""
    row = _row(kind, subscriber_id, edition_id, now, expires_at or now + LIFE)
    found: int | None = session.scalar(
        insert(session, Delivery).values(row).on_conflict_do_nothing().returning(Delivery.id)
    )
    return found


def queue_editions(
    session: Session, editions: Iterable[tuple[int, int, datetime]], now: datetime
) -> None:
    """Queue the mails of editions, each its subscriber, its id and when its mail expires."""
    rows = [_row("edition", *edition[:2], now, edition[2]) for edition in editions]
    if rows:
        session.execute(insert(session, Delivery.__table__).on_conflict_do_nothing(), rows)


def _row(
    kind: MailKind, subscriber_id: int, edition_id: int | None, now: datetime, expires_at: datetime
) -> dict[str, object]:
    return {
        "kind": kind,
        "subscriber_id": subscriber_id,
        "edition_id": edition_id,
        "state": "queued",
        "message_id": uuid4().hex,
        "created_at": now,
        "due_at": now,
        "expires_at": expires_at,
    }


def readdress(session: Session, subscriber_id: int, now: datetime) -> None:
    """Have every mail to a subscriber that nobody has begun to send made anew.

    It then goes to the address that is theirs now, as one that was queued for it.
    """
    session.execute(
        update(Delivery)
        .where(Delivery.subscriber_id == subscriber_id, Delivery.state.in_(_NOT_BEGUN))
        .values(state="queued", created_at=now, claimed_by=None, claimed_until=None)
    )


def cancel(
    session: Session,
    subscriber_id: int,
    now: datetime,
    *,
    kinds: Collection[MailKind] = get_args(MailKind),
) -> None:
    """Take back every mail of these kinds to a subscriber that nobody has begun to send."""
    session.execute(
        update(Delivery)
        .where(
            Delivery.subscriber_id == subscriber_id,
            Delivery.kind.in_(kinds),
            Delivery.state.in_(_NOT_BEGUN),
        )
        .values(state="cancelled", settled_at=now)
    )
