import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

import pytest
from sqlalchemy import select, update

from digest import subscribers
from digest.delivery.outbox import (
    FIRST_RETRY,
    LEASE,
    LONGEST_RETRY,
    DeliveryReport,
    Postage,
    deliver,
    due_deliveries,
    sweep,
)
from digest.delivery.suppression import suppress
from digest.delivery.transport import Outcome, State
from digest.links import Links
from digest.mail.message import WireMessage
from digest.settings import MailSettings
from digest.store import Sessions
from digest.store.deliveries import queue
from digest.store.tables import Attempt, Delivery, EditionItemRow, Subscriber
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

SECRET = b"a secret of enough bytes"
POSTAGE = Postage(
    Links("https://digest.example.org", [SECRET]),
    MailSettings(from_address="digest@example.org"),
    SECRET,
)


def answer(state: State = "sent", reply: str = "250 ok") -> Outcome:
    return Outcome(state, "content", 250 if state == "sent" else 451, None, reply)


@dataclass
class Post:
    """An outlet that answers as told, and then sends; `before` sees each mail as it is handed."""

    answers: list[Outcome] = field(default_factory=list)
    before: Callable[[WireMessage], None] = lambda _message: None
    sent: list[WireMessage] = field(default_factory=list)

    async def send(self, message: WireMessage) -> Outcome:
        self.before(message)
        self.sent.append(message)
        return self.answers.pop(0) if self.answers else answer()

    async def check(self) -> str:
        return ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


def add_mails(sessions: Sessions, n: int = 1) -> list[int]:
    """Editions for `n` readers, each with its queued mail; the deliveries' ids."""
    with sessions() as session:
        paper = add_paper(session, "On graphs")
        for i in range(n):
            reader = add_subscriber(session, f"r{i}@example.org")
            add_edition(session, reader, [paper], queued=True)
        return list(session.scalars(select(Delivery.id).order_by(Delivery.id)))


def send(
    sessions: Sessions, post: Post, ids: Sequence[int], now: datetime = NOON
) -> DeliveryReport:
    return asyncio.run(deliver(sessions, post, ids, POSTAGE, now=now))


def read(sessions: Sessions, delivery_id: int) -> Delivery:
    with sessions.reading() as session:
        return session.get_one(Delivery, delivery_id)


def states(sessions: Sessions) -> list[str]:
    with sessions.reading() as session:
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


def replies(sessions: Sessions) -> list[tuple[str, str]]:
    with sessions.reading() as session:
        rows = session.execute(select(Attempt.state, Attempt.reply).order_by(Attempt.id))
        return [(state, reply) for state, reply in rows]


def sweep_at(sessions: Sessions, now: datetime) -> None:
    with sessions() as session:
        sweep(session, now)


def test_a_queued_mail_is_sent_and_settled(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    post = Post()
    assert send(sessions, post, [mail]).states == {"sent": 1}
    row = read(sessions, mail)
    assert (row.state, row.settled_at, row.claimed_until) == ("sent", NOON, None)
    assert [message.recipient for message in post.sent] == ["r0@example.org"]
    assert replies(sessions) == [("sent", "250 ok")]


@pytest.mark.parametrize("state", ["sent", "failed", "uncertain"])
def test_a_settled_mail_is_never_sent_again(sessions: Sessions, state: State) -> None:
    (mail,) = add_mails(sessions)
    post = Post([answer(state)])
    assert send(sessions, post, [mail]).states == {state: 1}
    sweep_at(sessions, NOON + timedelta(days=9))
    assert send(sessions, post, [mail], NOON + timedelta(days=9)).total == 0
    assert (len(post.sent), states(sessions)) == (1, [state])


def test_in_flight_is_committed_before_the_outlet_is_called(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    seen: list[tuple[str, datetime | None]] = []

    def look(_message: WireMessage) -> None:
        row = read(sessions, mail)
        seen.append((row.state, row.claimed_until))

    send(sessions, Post(before=look), [mail])
    assert seen == [("in_flight", NOON + LEASE)]


@pytest.mark.parametrize("crash", [RuntimeError("a bug"), KeyboardInterrupt(), SystemExit(1)])
def test_a_crash_while_sending_leaves_a_mail_that_is_uncertain_and_never_sent_again(
    sessions: Sessions, crash: BaseException
) -> None:
    first, second = add_mails(sessions, 2)

    def die(_message: WireMessage) -> None:
        raise crash

    # A KeyboardInterrupt must not reach asyncio.run, which would take it for Ctrl-C.
    async def dying() -> None:
        with pytest.raises(type(crash)):
            await deliver(sessions, Post(before=die), [first, second], POSTAGE, now=NOON)

    asyncio.run(dying())
    assert states(sessions) == ["in_flight", "queued"]
    post = Post()
    sweep_at(sessions, NOON + LEASE)
    assert states(sessions) == ["in_flight", "queued"]
    sweep_at(sessions, NOON + LEASE + timedelta(seconds=1))
    assert states(sessions) == ["uncertain", "queued"]
    later = NOON + LEASE + timedelta(minutes=1)
    assert send(sessions, post, [first, second], later).states == {"sent": 1}
    assert [message.recipient for message in post.sent] == ["r1@example.org"]


def test_a_claim_that_nobody_followed_up_is_queued_again(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    with sessions() as session:
        session.execute(update(Delivery).values(state="claimed", claimed_until=NOON + LEASE))
    sweep_at(sessions, NOON + 2 * LEASE)
    row = read(sessions, mail)
    assert (row.state, row.settled_at) == ("queued", None)


def test_a_deferred_mail_is_tried_again_ever_later_with_the_same_bytes(
    sessions: Sessions,
) -> None:
    (mail,) = add_mails(sessions)
    now, waits, post = NOON, [], Post([answer("deferred", "451 later")] * 9)
    with sessions() as session:
        session.execute(update(Delivery).values(expires_at=NOON + timedelta(days=9)))
    for _ in range(9):
        with sessions.reading() as session:
            assert due_deliveries(session, now) == [mail]
            assert due_deliveries(session, now - timedelta(seconds=1)) == []
        assert send(sessions, post, [mail], now).states == {"deferred": 1}
        waits.append(read(sessions, mail).due_at - now)
        assert send(sessions, post, [mail], now).total == 0
        now += waits[-1]
    assert waits == [min(FIRST_RETRY * 2**n, LONGEST_RETRY) for n in range(9)]
    assert send(sessions, post, [mail], now).states == {"sent": 1}
    assert len({message.raw for message in post.sent}) == 1
    assert len({message.message_id for message in post.sent}) == 1


def test_a_mail_deferred_for_a_week_still_counts_its_tries(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    with sessions() as session:
        session.add_all(
            Attempt(delivery_id=mail, at=NOON, state="deferred", code=451, reply="")
            for _ in range(60)
        )
    assert send(sessions, Post([answer("deferred")]), [mail]).states == {"deferred": 1}
    assert read(sessions, mail).due_at == NOON + LONGEST_RETRY


@pytest.mark.parametrize("state", ["queued", "deferred"])
@pytest.mark.parametrize("swept", [True, False])
def test_a_mail_that_is_too_old_is_cancelled(sessions: Sessions, state: str, swept: bool) -> None:
    (mail,) = add_mails(sessions)
    with sessions() as session:
        session.execute(update(Delivery).values(state=state))
    late = read(sessions, mail).expires_at
    sweep_at(sessions, late - timedelta(seconds=1))
    assert states(sessions) == [state]
    post = Post()
    if swept:
        sweep_at(sessions, late)
    send(sessions, post, [mail], late)
    assert (states(sessions), post.sent) == (["cancelled"], [])
    assert read(sessions, mail).settled_at == late


@pytest.mark.parametrize("how", ["left", "paused", "suspended", "suppressed", "pending"])
def test_who_went_between_queue_and_send_is_not_mailed(sessions: Sessions, how: str) -> None:
    first, second = add_mails(sessions, 2)
    with sessions() as session:
        if how == "suppressed":
            suppress(session, "R0@EXAMPLE.org", SECRET, reason="complaint", now=NOON)
        else:
            gone = update(Subscriber).where(Subscriber.address == "r0@example.org")
            session.execute(gone.values(state=how))
    post = Post()
    assert send(sessions, post, [first, second]).states == {"cancelled": 1, "sent": 1}
    assert [message.recipient for message in post.sent] == ["r1@example.org"]


def test_unsubscribing_takes_the_queued_mail_back_at_once(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    with sessions() as session:
        subscribers.leave(session, 1, now=NOON, why="test")
    assert states(sessions) == ["cancelled"]
    assert send(sessions, Post(), [mail]).total == 0


def test_who_was_erased_meanwhile_is_passed_over(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    with sessions() as session:
        session.delete(session.get_one(Subscriber, 1))
    assert send(sessions, Post(), [mail]).total == 0


def test_a_confirmation_goes_to_the_pending_alone(sessions: Sessions) -> None:
    with sessions() as session:
        for state in ("pending", "active"):
            who = add_subscriber(session, f"{state}@example.org", state)
            queue(session, kind="confirmation", subscriber_id=who, now=NOON)
        ids = due_deliveries(session, NOON)
    post = Post()
    assert send(sessions, post, ids).states == {"sent": 1, "cancelled": 1}
    assert [message.recipient for message in post.sent] == ["pending@example.org"]


def test_a_mail_that_cannot_be_composed_fails_and_stops_no_other(sessions: Sessions) -> None:
    ids = add_mails(sessions, 3)
    with sessions() as session:
        session.execute(
            update(EditionItemRow).where(EditionItemRow.edition_id == 1).values(card={})
        )
        broken = update(Subscriber).where(Subscriber.address == "r1@example.org")
        session.execute(broken.values(address="no address\r\nBcc: x@example.org"))
    post = Post()
    assert send(sessions, post, ids).states == {"failed": 2, "sent": 1}
    assert [message.recipient for message in post.sent] == ["r2@example.org"]
    assert "no e-mail address" in replies(sessions)[1][1]


def test_stop_is_asked_before_each_mail(sessions: Sessions) -> None:
    ids = add_mails(sessions, 3)
    post = Post()
    run = deliver(sessions, post, ids, POSTAGE, now=NOON, stop=lambda: len(post.sent) == 2)
    assert asyncio.run(run).states == {"sent": 2}
    assert states(sessions) == ["sent", "sent", "queued"]


def test_deliverers_at_once_send_each_mail_once(sessions: Sessions) -> None:
    ids = add_mails(sessions, 12)
    start = threading.Barrier(4)
    posts = [Post() for _ in range(4)]

    def deliverer(post: Post) -> DeliveryReport:
        start.wait()
        return send(sessions, post, ids)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(deliverer, posts))
    sent = Counter(message.message_id for post in posts for message in post.sent)
    assert (len(sent), set(sent.values())) == (12, {1})
    assert sum(report.total for report in reports) == 12
    assert states(sessions) == ["sent"] * 12


def test_the_oldest_mails_come_first(sessions: Sessions) -> None:
    first, second, third = add_mails(sessions, 3)
    with sessions() as session:
        session.get_one(Delivery, third).due_at = NOON - timedelta(hours=1)
        session.get_one(Delivery, first).due_at = NOON + timedelta(hours=1)
        assert due_deliveries(session, NOON) == [third, second]
        assert due_deliveries(session, NOON, limit=1) == [third]
