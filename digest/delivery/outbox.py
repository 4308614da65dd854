"""The outbox: one row a mail, from queued to settled.

`in_flight` is committed before a byte of the mail is written. Whoever dies after that leaves a
row that is never sent again by itself: it becomes `uncertain`, for a person to settle.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from digest.delivery.letters import letter
from digest.delivery.suppression import is_suppressed
from digest.delivery.transport import Outcome, Transport
from digest.links import Links
from digest.mail.message import WireMessage
from digest.settings import MailSettings
from digest.store import Sessions
from digest.store.tables import Attempt, Delivery, DeliveryState, Subscriber

log = logging.getLogger(__name__)

# Longer than all the time-outs of one SMTP conversation added up.
LEASE = timedelta(minutes=30)
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Postage:
    """What every letter of an operator has in common."""

    links: Links
    settings: MailSettings
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """How many mails of one run ended in which state."""

    states: Counter[DeliveryState]

    @property
    def total(self) -> int:
        """All that were touched."""
        return self.states.total()


def due_deliveries(session: Session, now: datetime, *, limit: int | None = None) -> list[int]:
    """The mails that may be sent now, oldest first."""
    query = (
        select(Delivery.id)
        .where(Delivery.state.in_(("queued", "deferred")), Delivery.due_at <= now)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
    )
    return list(session.scalars(query))


async def deliver(
    sessions: Sessions,
    transport: Transport,
    delivery_ids: Sequence[int],
    postage: Postage,
    *,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda _n: None,
) -> DeliveryReport:
    """Send these mails, each once; one that is settled, or in other hands, is passed over.

    `stop` is asked before each mail.
    """
    states: Counter[DeliveryState] = Counter()
    async with transport:
        for delivery_id in delivery_ids:
            if stop():
                break
            with sessions() as session:
                message = _take(session, delivery_id, postage, now)
            if isinstance(message, WireMessage):
                outcome = await transport.send(message)
                with sessions() as session:
                    states[_settle(session, delivery_id, outcome, now)] += 1
            elif message is not None:
                states[message] += 1
            progress(1)
    return DeliveryReport(states)


def sweep(session: Session, now: datetime) -> None:
    """Settle what a crash or the passing of time left behind."""
    lost = Delivery.claimed_until < now
    expired = Delivery.state.in_(("queued", "deferred")) & (Delivery.expires_at <= now)
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


def _take(
    session: Session, delivery_id: int, postage: Postage, now: datetime
) -> WireMessage | DeliveryState | None:
    """Claim one mail and compose it; or the state it ended in; or None where it is not ours."""
    taken = session.execute(
        update(Delivery)
        .where(
            Delivery.id == delivery_id,
            Delivery.state.in_(("queued", "deferred")),
            Delivery.due_at <= now,
        )
        .values(state="in_flight", claimed_until=now + LEASE)
        .returning(Delivery.subscriber_id, Delivery.kind, Delivery.expires_at)
    ).one_or_none()
    if taken is None:
        return None
    subscriber = session.get_one(Subscriber, taken.subscriber_id)
    wanted = "pending" if taken.kind == "confirmation" else "active"
    if taken.expires_at <= now or subscriber.state != wanted:
        return _end(session, delivery_id, "cancelled", now)
    if is_suppressed(session, subscriber.address, postage.secret):
        return _end(session, delivery_id, "cancelled", now)
    try:
        return letter(session, delivery_id, postage.links, postage.settings)
    except Exception as error:
        # One mail that cannot be made must not keep the others back.
        log.exception("delivery %d cannot be composed", delivery_id)
        said = f"{type(error).__name__}: {error}"
        session.add(Attempt(delivery_id=delivery_id, at=now, state="failed", code=None, reply=said))
        return _end(session, delivery_id, "failed", now)


def _settle(session: Session, delivery_id: int, outcome: Outcome, now: datetime) -> DeliveryState:
    session.add(
        Attempt(
            delivery_id=delivery_id,
            at=now,
            state=outcome.state,
            code=outcome.code,
            reply=outcome.reply,
        )
    )
    if outcome.state != "deferred":
        return _end(session, delivery_id, outcome.state, now)
    tries = session.scalar(
        select(func.count()).select_from(Attempt).where(Attempt.delivery_id == delivery_id)
    )
    wait = min(FIRST_RETRY * 2.0 ** min((tries or 1) - 1, 16), LONGEST_RETRY)
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id)
        .values(state="deferred", due_at=now + wait, claimed_until=None)
    )
    return "deferred"


def _end(session: Session, delivery_id: int, state: DeliveryState, now: datetime) -> DeliveryState:
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id)
        .values(state=state, settled_at=now, claimed_until=None)
    )
    return state
