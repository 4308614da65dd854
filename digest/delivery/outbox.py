"""The outbox: one row a mail, from queued to settled; only the database's side of it.

    queued -> claimed -> in_flight -> sent | deferred | failed | uncertain | cancelled

A claim that expires goes back to the queue. `in_flight` is committed before a byte of the mail is
written; one that expires becomes `uncertain`, is never sent again by itself, and waits for a
person to settle it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Table,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from digest.delivery.policy import Blame, Outcome, wait_after
from digest.delivery.standing import (
    bounced_hard,
    bounced_soft,
    clear_points,
    has_moved_since,
)
from digest.delivery.suppression import suppressed_among
from digest.errors import BadInput, Unknown
from digest.store.deliveries import LIFE
from digest.store.tables import (
    AddressChange,
    Attempt,
    Delivery,
    DeliveryState,
    EditionRow,
    MailKind,
    Subscriber,
    SubscriberState,
)

# Longer than all the time-outs of one SMTP conversation added up.
LEASE = timedelta(minutes=30)
# No mail waits so long for its next try, nor is held so long.
_FAR = timedelta(days=2)

# Tables rather than objects, and written once: the statements of every commit cost a quarter.
_DELIVERIES = cast("Table", Delivery.__table__)
_ATTEMPTS = cast("Table", Attempt.__table__)
_SUBSCRIBERS = cast("Table", Subscriber.__table__)
_THESE = _DELIVERIES.c.id.in_(bindparam("ids", expanding=True)) & (
    _DELIVERIES.c.claimed_by == bindparam("owner")
)
_OPEN = ("claimed", "in_flight", "uncertain")
_BEGIN = (
    update(_DELIVERIES)
    .where(_THESE, _DELIVERIES.c.state == "claimed")
    .values(state="in_flight", claimed_until=bindparam("until"))
    .returning(_DELIVERIES.c.id)
)
_SETTLE = (
    update(_DELIVERIES)
    .where(_THESE, or_(*(_DELIVERIES.c.state == one for one in _OPEN)))
    .values(state=bindparam("to"), settled_at=bindparam("at"), claimed_until=None)
    .returning(
        *(_DELIVERIES.c.id, _DELIVERIES.c.subscriber_id, _DELIVERIES.c.kind),
        _DELIVERIES.c.created_at,
        select(_SUBSCRIBERS.c.bounce_points)
        .where(_SUBSCRIBERS.c.id == _DELIVERIES.c.subscriber_id)
        .correlate(_DELIVERIES)
        .scalar_subquery()
        .label("points"),
    )
)
_WAITING_IN: tuple[DeliveryState, ...] = ("queued", "deferred")
_WAITING = Delivery.state.in_(_WAITING_IN)
_CHANGES = ("change_from", "change_to")
# In which states of theirs subscribers get a mail.
_WANTED_BY: Mapping[MailKind, tuple[SubscriberState, ...]] = {
    "edition": ("active",),
    "confirmation": ("pending",),
    "change_from": ("active", "paused"),
    "change_to": ("active", "paused"),
    "fresh_link": ("active", "paused"),
    "sunset": ("active",),
    "goodbye": ("left",),
}
# What counts against a subscriber.
_THEIRS: tuple[Blame, ...] = ("address", "mailbox")
_SETTLED_BY_HAND = "settled by hand: it had arrived"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim took: the mails to send, oldest first, and how many nobody wants any more."""

    delivery_ids: tuple[int, ...]
    cancelled: int


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A mail as it stands, and the last that was said of it."""

    id: int
    address: str
    kind: MailKind
    state: DeliveryState
    message_id: str
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    tries: int
    reply: str


def n_due(session: Session, now: datetime, *, limit: int | None = None) -> int:
    """How many mails may be sent now; counting ends at `limit`."""
    due = select(Delivery.id).where(_WAITING, Delivery.due_at <= now).limit(limit).subquery()
    return session.scalar(select(func.count()).select_from(due)) or 0


def sweep(session: Session, now: datetime) -> None:
    """Settle what a crash, the passing of time or a clock far ahead of it left behind."""
    lost = (Delivery.claimed_until < now) | (Delivery.claimed_until > now + _FAR)
    expired = _WAITING & (Delivery.expires_at <= now)
    for which, state in (
        ((Delivery.state == "in_flight") & lost, "uncertain"),
        ((Delivery.state == "claimed") & lost, "queued"),
        (expired, "cancelled"),
    ):
        session.execute(
            update(Delivery)
            .where(which)
            .values(state=state, settled_at=None if state == "queued" else now)
        )
    session.execute(
        update(Delivery).where(_WAITING, Delivery.due_at > now + _FAR).values(due_at=now)
    )


def claim(session: Session, owner: str, n: int, secret: bytes, now: datetime) -> Claim:
    """Take up to `n` mails that are due, oldest first; no two owners get the same one.

    Cancels on the way what is too late, whose reader has gone, or whose address is suppressed.
    """
    # Of each state the first in an index, and no more: of both together all would be sorted.
    found = [
        (due_at, id_)
        for state in _WAITING_IN
        for due_at, id_ in session.execute(
            select(Delivery.due_at, Delivery.id)
            .where(Delivery.state == state, Delivery.due_at <= now)
            .order_by(Delivery.due_at)
            .limit(n)
            .with_for_update(skip_locked=True)
        )
    ]
    chosen = [id_ for _, id_ in sorted(found)[:n]]
    rows = session.execute(
        select(
            Delivery.id,
            Delivery.kind,
            Delivery.expires_at,
            Subscriber.state,
            case(
                (Delivery.kind == "change_to", AddressChange.address_key),
                else_=Subscriber.address_key,
            ).label("address_key"),
            AddressChange.id.label("change_id"),
        )
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .outerjoin(AddressChange, AddressChange.subscriber_id == Subscriber.id)
        .where(Delivery.id.in_(chosen))
    ).all()
    keys = {row.address_key for row in rows if row.address_key}
    suppressed = suppressed_among(session, keys, secret)
    wanted = {
        row.id
        for row in rows
        if row.expires_at > now
        and row.state in _WANTED_BY[row.kind]
        and (row.change_id or row.kind not in _CHANGES)
        and row.address_key not in suppressed
    }
    ids = tuple(id_ for id_ in chosen if id_ in wanted)
    unwanted = set(chosen) - wanted
    _set(
        session, Delivery.id.in_(ids), state="claimed", claimed_by=owner, claimed_until=now + LEASE
    )
    _set(session, Delivery.id.in_(unwanted), state="cancelled", settled_at=now)
    return Claim(ids, len(unwanted))


def begin(session: Session, owner: str, delivery_ids: Collection[int], now: datetime) -> set[int]:
    """Mark mails as in flight; those among them that still are the owner's to send."""
    found = session.scalars(
        _BEGIN, {"ids": list(delivery_ids), "owner": owner, "until": now + LEASE}
    )
    return set(found)


def settle(
    session: Session,
    owner: str,
    outcomes: Sequence[tuple[int, Outcome]],
    secret: bytes,
    now: datetime,
) -> None:
    """Record what became of the owner's mails, and what it means for their readers.

    One that was swept away meanwhile is settled all the same: now it is known what became of it.
    """
    became = dict(outcomes)
    if returned := [id_ for id_, outcome in became.items() if outcome.blame in _THEIRS]:
        # Subscribers before their mails, as who erases them does: else both could wait for ever.
        whose = select(Delivery.subscriber_id).where(Delivery.id.in_(returned))
        held = select(Subscriber.id).where(Subscriber.id.in_(whose)).order_by(Subscriber.id)
        session.execute(held.with_for_update())
    settled: list[Any] = []
    for state in dict.fromkeys(outcome.state for outcome in became.values()):
        ids = [id_ for id_, outcome in became.items() if outcome.state == state]
        at = None if state == "deferred" else now
        settled += session.execute(
            _SETTLE, {"ids": ids, "owner": owner, "to": state, "at": at}
        ).all()
    if not settled:
        return
    session.execute(_ATTEMPTS.insert(), [_attempt(row.id, became[row.id], now) for row in settled])
    clear_points(
        session,
        [row.subscriber_id for row in settled if row.points and became[row.id].state == "sent"],
        now,
    )
    for row in settled:
        outcome = became[row.id]
        if outcome.state == "deferred":
            _set(session, Delivery.id == row.id, due_at=now + wait_after(_tries(session, row.id)))
        if outcome.blame not in _THEIRS:
            continue
        # It went to an address that is not theirs yet, or no longer.
        if row.kind == "change_to" or has_moved_since(session, row.subscriber_id, row.created_at):
            continue
        if outcome.blame == "address":
            bounced_hard(
                session, row.subscriber_id, secret=secret, status=outcome.enhanced or "", now=now
            )
        else:
            bounced_soft(session, row.subscriber_id, now=now)


def release(session: Session, owner: str) -> int:
    """Give back what the owner claimed and did not begin to send; how many these are."""
    return _set(
        session,
        (Delivery.state == "claimed") & (Delivery.claimed_by == owner),
        state="queued",
        claimed_by=None,
        claimed_until=None,
    )


def put_back(session: Session, owner: str, turns: Mapping[int, datetime]) -> None:
    """Give back claimed mails, each until its turn."""
    mine = (_DELIVERIES.c.claimed_by == owner) & (_DELIVERIES.c.state == "claimed")
    session.execute(
        update(_DELIVERIES)
        .where(mine, _DELIVERIES.c.id == bindparam("mail"))
        .values(state="queued", due_at=bindparam("turn"), claimed_by=None, claimed_until=None),
        [{"mail": id_, "turn": turn} for id_, turn in turns.items()],
    )


def states_of(session: Session, delivery_ids: Collection[int]) -> list[DeliveryState]:
    """The states of mails that may have been taken away; those that are gone count as cancelled."""
    query = select(Delivery.state).where(Delivery.id.in_(delivery_ids))
    found = list(session.scalars(query))
    return found + ["cancelled"] * (len(delivery_ids) - len(found))


def newest_attempt(session: Session) -> int:
    """The number of the last try that is on record."""
    return session.scalar(select(func.max(Attempt.id))) or 0


def doubts(session: Session, owner: str, since: int) -> list[str]:
    """What must never be: mail of the owner's in limbo, two for one reader and date; in words.

    Looks at the tries after number `since`.
    """
    limbo = session.scalars(
        select(Delivery.id).where(
            Delivery.state.in_(("claimed", "in_flight")), Delivery.claimed_by == owner
        )
    ).all()
    sent = (Attempt.id > since) & (Attempt.state == "sent")
    twice = session.scalars(
        select(Attempt.delivery_id)
        .where(sent)
        .group_by(Attempt.delivery_id)
        .having(func.count() > 1)
    ).all()
    doubled = session.execute(
        select(EditionRow.subscriber_id, EditionRow.local_date)
        .join(Delivery, Delivery.edition_id == EditionRow.id)
        .join(Attempt, Attempt.delivery_id == Delivery.id)
        .where(sent)
        .group_by(EditionRow.subscriber_id, EditionRow.local_date)
        .having(func.count(Delivery.id.distinct()) > 1)
    ).all()
    return [
        *(f"mail {id_} was begun and not settled" for id_ in limbo),
        *(f"mail {id_} was sent twice" for id_ in twice),
        *(f"subscriber {who} got two mails for {day}" for who, day in doubled),
    ]


def list_deliveries(
    session: Session,
    *,
    states: Collection[DeliveryState] = (),
    subscriber_id: int | None = None,
    limit: int | None = None,
) -> list[DeliveryView]:
    """Mails in any of `states` (none: all), newest first."""
    theirs = Attempt.delivery_id == Delivery.id
    tries = select(func.count()).select_from(Attempt).where(theirs).scalar_subquery()
    reply = select(Attempt.reply).where(theirs).order_by(Attempt.id.desc()).limit(1)
    query = (
        select(Delivery, Subscriber.address, tries, reply.scalar_subquery())
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if states:
        query = query.where(Delivery.state.in_(states))
    if subscriber_id is not None:
        query = query.where(Delivery.subscriber_id == subscriber_id)
    return [
        DeliveryView(
            id=row.id,
            address=address,
            kind=row.kind,
            state=row.state,
            message_id=row.message_id,
            created_at=row.created_at,
            due_at=row.due_at,
            settled_at=row.settled_at,
            tries=n,
            reply=said or "",
        )
        for row, address, n, said in session.execute(query)
    ]


def settle_by_hand(
    session: Session, delivery_id: int, to: Literal["sent", "resend"], now: datetime
) -> None:
    """Settle an uncertain mail on a person's word; one that failed may be sent again as well.

    It goes out with the same Message-ID, so that mail programs can tell a double. Raises Unknown
    where there is no such mail, BadInput where it is in another state.
    """
    row = session.get(Delivery, delivery_id, with_for_update=True)
    if row is None:
        raise Unknown(f"there is no mail {delivery_id}: digest deliveries list shows them")
    allowed = ("uncertain",) if to == "sent" else ("uncertain", "failed")
    if row.state not in allowed:
        raise BadInput(f"mail {delivery_id} is {row.state}, not {' or '.join(allowed)}")
    if to == "sent":
        row.state, row.settled_at = "sent", now
        session.add(
            Attempt(delivery_id=row.id, at=now, state="sent", code=None, reply=_SETTLED_BY_HAND)
        )
    else:
        row.state, row.settled_at, row.due_at = "queued", None, now
        row.expires_at = max(row.expires_at, now + LIFE)
    row.claimed_by = row.claimed_until = None


def _set(session: Session, which: ColumnElement[bool], **values: object) -> int:
    result = session.execute(update(_DELIVERIES).where(which).values(**values))
    return cast("CursorResult[Any]", result).rowcount


def _tries(session: Session, delivery_id: int) -> int:
    tries = select(func.count()).select_from(Attempt).where(Attempt.delivery_id == delivery_id)
    return session.scalar(tries) or 1


def _attempt(delivery_id: int, outcome: Outcome, now: datetime) -> dict[str, object]:
    return {
        "delivery_id": delivery_id,
        "at": now,
        "state": outcome.state,
        "code": outcome.code,
        "reply": outcome.reply,
    }
