"""Who subscribes: finding subscribers by number or address, and what is told of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from difflib import get_close_matches
from typing import get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.delivery.suppression import address_key
from digest.errors import BadInput, Unknown
from digest.languages import msgid
from digest.settings import Frequency
from digest.store.tables import Subscriber, SubscriberState

# Comparing takes long, and this may be a transaction that writes.
_MOST_COMPARED = 1000


@dataclass(frozen=True, slots=True)
class SubscriberView:
    """A subscriber as they stand."""

    id: int
    address: str
    state: SubscriberState
    timezone: str
    hour: int
    frequency: Frequency
    length: int
    mix: float
    min_probability: float | None
    language: str | None
    created_at: datetime
    confirmed_at: datetime | None
    paused_until: date | None
    next_due_at: datetime | None


def find(session: Session, address: str) -> SubscriberView:
    """The subscriber of an address, however it is spelt. Raises Unknown, with the nearest one."""
    return view_of(held_as(session, address))


def read_subscriber(session: Session, subscriber_id: int) -> SubscriberView:
    """The subscriber of a claim. Raises Unknown."""
    row = session.get(Subscriber, subscriber_id)
    if row is None:
        raise Unknown(msgid("this subscription no longer exists"))
    return view_of(row)


def list_subscribers(
    session: Session, state: str | None = None, limit: int | None = None
) -> list[SubscriberView]:
    """Subscribers by address. Raises BadInput for a `state` that there is not."""
    if state is not None and state not in get_args(SubscriberState):
        states = ", ".join(get_args(SubscriberState))
        raise BadInput(f"one of {states}, not {state!r}", field="state")
    query = select(Subscriber).order_by(Subscriber.address_key).limit(limit)
    if state is not None:
        query = query.where(Subscriber.state == state)
    return [view_of(row) for row in session.scalars(query)]


def view_of(row: Subscriber) -> SubscriberView:
    """The row as others are told of it."""
    return SubscriberView(
        **{field.name: getattr(row, field.name) for field in fields(SubscriberView)}
    )


def held(session: Session, subscriber_id: int) -> Subscriber:
    """The row of a number, held against others who would change it. Raises Unknown."""
    row = session.get(Subscriber, subscriber_id, with_for_update=True)
    if row is None:
        raise Unknown(msgid("this subscription no longer exists"))
    return row


def held_as(session: Session, who: str | int) -> Subscriber:
    """The row of a number, held, or of an address however it is spelt. Raises Unknown."""
    if isinstance(who, int):
        return held(session, who)
    row = known(session, who)
    if row is None:
        key = address_key(who)
        alike = func.length(Subscriber.address_key).between(len(key) - 2, len(key) + 2)
        first = Subscriber.address_key.startswith(key[:1], autoescape=True)
        query = select(Subscriber.address).where(first, alike).limit(_MOST_COMPARED)
        addresses: Sequence[str] = session.scalars(query).all()
        near = get_close_matches(who, addresses, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Unknown(f"nobody is subscribed as {who}{hint}")
    return row


def known(session: Session, address: str) -> Subscriber | None:
    """The row of an address, however it is spelt, if there is one."""
    return session.scalar(select(Subscriber).where(Subscriber.address_key == address_key(address)))
