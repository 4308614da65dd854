import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from digest import subscribers
from digest.delivery.breaker import FIRST_PAUSE, LONGEST_PAUSE, end_pause, read_pause
from digest.delivery.outbox import LEASE
from digest.delivery.policy import Outcome, State
from digest.delivery.sending import CLAIM, DeliveryReport, Pace, deliver
from digest.delivery.standing import QUIET
from digest.delivery.suppression import is_suppressed
from digest.delivery.transport import Smtp
from digest.mail.message import WireMessage
from digest.store import Sessions
from digest.store.tables import Delivery, EditionItemRow, Subscriber
from tests.delivery.servers import HOST, beside, scripted
from tests.delivery.world import (
    NOON,
    POSTAGE,
    SECRET,
    Post,
    add_mails,
    answer,
    read,
    replies,
    send,
    states,
)

OURS = answer("deferred", "454 4.7.0 who are you", blame="us")


def test_a_queued_mail_is_sent_and_settled(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    post = Post()
    assert send(sessions, post).states == {"sent": 1}
    row = read(sessions, mail)
    assert (row.state, row.settled_at, row.claimed_until) == ("sent", NOON, None)
    assert post.recipients == ["r0@example.org"]
    assert replies(sessions) == [("sent", "250 ok")]


@pytest.mark.parametrize("state", ["sent", "failed", "uncertain"])
def test_a_settled_mail_is_never_sent_again(sessions: Sessions, state: State) -> None:
    add_mails(sessions)
    post = Post([answer(state)])
    assert send(sessions, post).states == {state: 1}
    assert send(sessions, post, NOON + timedelta(days=9)).due == 0
    assert (len(post.sent), states(sessions)) == (1, [state])


def test_in_flight_is_committed_before_the_outlet_is_called(sessions: Sessions) -> None:
    (mail,) = add_mails(sessions)
    seen: list[tuple[str, datetime | None]] = []

    def look(_message: WireMessage) -> None:
        row = read(sessions, mail)
        seen.append((row.state, row.claimed_until))

    send(sessions, Post(before=look))
    assert seen == [("in_flight", NOON + LEASE)]


def test_no_more_is_in_flight_than_there_are_connections(sessions: Sessions) -> None:
    add_mails(sessions, 9)
    most = 0

    def look(_message: WireMessage) -> None:
        nonlocal most
        most = max(most, states(sessions).count("in_flight"))

    send(sessions, Post(before=look, width=3))
    assert most == 3


def test_a_fault_of_ours_while_sending_leaves_one_uncertain_and_the_others_due(
    sessions: Sessions,
) -> None:
    add_mails(sessions, 2)

    def die(_message: WireMessage) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        send(sessions, Post(before=die))
    assert states(sessions) == ["in_flight", "queued"]
    post = Post()
    assert send(sessions, post, NOON + LEASE + timedelta(seconds=1)).states == {"sent": 1}
    assert (states(sessions), post.recipients) == (["uncertain", "sent"], ["r1@example.org"])


def test_when_a_run_is_cancelled_what_is_in_flight_is_still_recorded(sessions: Sessions) -> None:
    add_mails(sessions, 2)

    class Slow(Post):
        async def send(self, message: WireMessage) -> Outcome:
            begun.set()
            await may_answer.wait()
            return await super().send(message)

    begun, may_answer = asyncio.Event(), asyncio.Event()

    async def cancelled() -> None:
        run = asyncio.create_task(deliver(sessions, Slow(), POSTAGE, clock=lambda: NOON))
        await begun.wait()
        run.cancel()
        may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(cancelled())
    assert states(sessions) == ["sent", "queued"]


def test_stop_is_asked_before_each_mail(sessions: Sessions) -> None:
    add_mails(sessions, 3)
    post = Post()
    report = send(sessions, post, stop=lambda: len(post.sent) == 2)
    assert (report.due, report.states, report.released) == (3, {"sent": 2}, 1)
    assert states(sessions) == ["sent", "sent", "queued"]


def test_when_a_run_has_to_stop_a_server_that_is_silent_is_soon_given_up(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.delivery.sending.FAREWELL", 0.0)
    add_mails(sessions, 3)
    with beside(scripted({"MAIL": ""})) as server:
        outlet = Smtp(HOST, server.port, security="none", connections=2)

        def both_wait() -> bool:
            return sum(line.startswith(b"MAIL") for line in server.lines) == 2

        report = send(sessions, outlet, stop=both_wait)
    assert (report.states, report.released, report.pause) == ({"deferred": 2}, 1, None)
    assert states(sessions) == ["deferred", "deferred", "queued"]


def test_a_limit_is_kept(sessions: Sessions) -> None:
    add_mails(sessions, 3)
    assert send(sessions, Post(width=4), limit=2).states == {"sent": 2}
    assert states(sessions) == ["sent", "sent", "queued"]


def test_more_mails_than_one_claim_takes_all_go(sessions: Sessions) -> None:
    add_mails(sessions, CLAIM + 3)
    moved: list[int] = []
    report = send(sessions, Post(width=8), progress=moved.append)
    assert (report.due, report.states, sum(moved)) == (CLAIM + 3, {"sent": CLAIM + 3}, CLAIM + 3)


def test_deliverers_at_once_send_each_mail_once(sessions: Sessions) -> None:
    add_mails(sessions, 12)
    start = threading.Barrier(4)
    posts = [Post(width=2) for _ in range(4)]

    def deliverer(post: Post) -> DeliveryReport:
        start.wait()
        return send(sessions, post)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(deliverer, posts))
    sent = Counter(message.message_id for post in posts for message in post.sent)
    assert (len(sent), set(sent.values())) == (12, {1})
    assert sum(report.due for report in reports) == 12
    assert states(sessions) == ["sent"] * 12


def test_a_mail_that_cannot_be_composed_fails_and_stops_no_other(sessions: Sessions) -> None:
    add_mails(sessions, 3)
    with sessions() as session:
        session.execute(
            update(EditionItemRow).where(EditionItemRow.edition_id == 1).values(card={})
        )
        broken = update(Subscriber).where(Subscriber.address == "r1@example.org")
        session.execute(broken.values(address="no address\r\nBcc: x@example.org"))
    post = Post()
    assert send(sessions, post).states == {"failed": 2, "sent": 1}
    assert post.recipients == ["r2@example.org"]
    assert any("no e-mail address" in said for _, said in replies(sessions))


def test_who_leaves_while_their_mail_waits_composed_is_not_mailed(sessions: Sessions) -> None:
    add_mails(sessions, 2)

    def second_leaves(_message: WireMessage) -> None:
        with sessions() as session:
            subscribers.leave(session, 2, now=NOON, why="test")

    post = Post(before=second_leaves)
    assert send(sessions, post).states == {"sent": 1, "cancelled": 1}
    assert post.recipients == ["r0@example.org"]


def test_who_was_erased_meanwhile_is_passed_over(sessions: Sessions) -> None:
    add_mails(sessions, 2)

    def second_is_erased(_message: WireMessage) -> None:
        with sessions() as session:
            subscribers.erase(session, "r1@example.org")

    assert send(sessions, Post(before=second_is_erased)).states == {"sent": 1, "cancelled": 1}


def test_a_database_that_is_away_for_a_moment_loses_no_reply(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.delivery.sending.PATIENCE_SECONDS", (0.0,) * 3)
    add_mails(sessions, 2)
    away = 0

    def fail(connection: object) -> None:
        nonlocal away
        if away:
            away -= 1
            raise lost

    def goes_away(_message: WireMessage) -> None:
        nonlocal away
        away = 0 if post.sent else 3

    lost = OperationalError("COMMIT", {}, Exception("connection lost"))
    event.listen(sessions.engine, "begin", fail)
    post = Post(before=goes_away)
    assert send(sessions, post).states == {"sent": 2}
    assert states(sessions) == ["sent", "sent"]


class TestTheBreaker:
    def test_five_refusals_in_a_row_pause_sending_and_say_so(self, sessions: Sessions) -> None:
        add_mails(sessions, 8)
        post = Post([OURS] * 8)
        report = send(sessions, post)
        assert (report.states, report.released) == ({"deferred": 5}, 3)
        assert report.pause
        assert report.pause.until == NOON + FIRST_PAUSE
        assert "5 mails in a row" in report.pause.reason
        assert "454 4.7.0 who are you" in report.pause.reason
        assert send(sessions, post).pause == report.pause
        assert len(post.sent) == 5, "while it is paused nothing is tried"

    def test_ten_of_fifty_pause_it_as_well(self, sessions: Sessions) -> None:
        add_mails(sessions, 60)
        report = send(sessions, Post([answer(), OURS] * 30))
        assert report.pause
        assert "10 of the last 20" in report.pause.reason

    def test_refusals_of_addresses_never_do(self, sessions: Sessions) -> None:
        add_mails(sessions, 8)
        gone = answer("failed", "550 5.1.1 no such user", blame="address", status="5.1.1")
        assert send(sessions, Post([gone] * 8)).pause is None

    def test_after_a_pause_the_first_mail_decides(self, sessions: Sessions) -> None:
        add_mails(sessions, 8)
        now, pauses = NOON, []
        with sessions() as session:
            session.execute(update(Delivery).values(expires_at=NOON + timedelta(days=9)))
        for tries in (5, 1, 1, 1, 1):
            post = Post([OURS] * 8)
            report = send(sessions, post, now)
            assert (len(post.sent), bool(report.pause)) == (tries, True)
            assert report.pause
            pauses.append(report.pause.until - now)
            now = report.pause.until
        assert pauses == [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(5)]
        assert send(sessions, Post(), now + timedelta(hours=4)).states == {"sent": 8}
        with sessions.reading() as session:
            assert read_pause(session) is None

    def test_an_operator_can_end_a_pause(self, sessions: Sessions) -> None:
        add_mails(sessions, 5)
        send(sessions, Post([OURS] * 5))
        with sessions() as session:
            assert end_pause(session)
        assert send(sessions, Post(), NOON + FIRST_PAUSE).states == {"sent": 5}


class TestWhatItMeansForReaders:
    def reader(self, sessions: Sessions) -> Subscriber:
        with sessions.reading() as session:
            return session.scalars(select(Subscriber)).one()

    def test_an_address_that_is_gone_is_suppressed_and_its_reader_suspended(
        self, sessions: Sessions
    ) -> None:
        add_mails(sessions)
        gone = answer("failed", "550 5.1.1 <r0@example.org>", blame="address", status="5.1.1")
        send(sessions, Post([gone]))
        assert self.reader(sessions).state == "suspended"
        with sessions.reading() as session:
            assert is_suppressed(session, "r0@example.org", SECRET)

    def test_a_full_mailbox_is_a_point_and_mail_after_a_quiet_week_clears_it(
        self, sessions: Sessions
    ) -> None:
        (mail,) = add_mails(sessions)
        full = answer("failed", "552 5.2.2 full", blame="mailbox", status="5.2.2")
        send(sessions, Post([full]))
        assert (self.reader(sessions).bounce_points, self.reader(sessions).state) == (1, "active")
        for wait, points in ((timedelta(days=6), 1), (QUIET, 0)):
            with sessions() as session:
                again = update(Delivery).where(Delivery.id == mail)
                session.execute(again.values(state="queued", expires_at=NOON + 2 * QUIET))
            assert send(sessions, Post(), NOON + wait).states == {"sent": 1}
            assert self.reader(sessions).bounce_points == points

    def test_what_is_our_fault_never_counts(self, sessions: Sessions) -> None:
        add_mails(sessions)
        send(sessions, Post([answer("failed", "554 5.6.0 no", blame="us", status="5.6.0")]))
        assert (self.reader(sessions).bounce_points, self.reader(sessions).state) == (0, "active")


class TestPace:
    async def test_without_limits_everything_may_leave(self) -> None:
        pace = Pace()
        assert all([await pace.take(f"r{n}@example.org") for n in range(999)])

    async def test_a_domain_that_had_its_share_does_not_hold_up_the_others(self) -> None:
        pace = Pace(per_second_to_domain=0.001)
        assert await pace.take("a@example.org")
        assert not await pace.take("b@EXAMPLE.org")
        assert await pace.take("c@example.net")

    async def test_the_limit_in_all_is_for_all(self) -> None:
        pace = Pace(per_second=0.001)
        assert await pace.take("a@example.org")
        assert not await pace.take("c@example.net")

    def test_a_run_sends_first_what_the_pace_allows(self, sessions: Sessions) -> None:
        add_mails(sessions, 3)
        with sessions() as session:
            other = update(Subscriber).where(Subscriber.address == "r2@example.org")
            session.execute(other.values(address="r2@example.net", address_key="r2@example.net"))
        post = Post()
        report = send(
            sessions,
            post,
            pace=Pace(per_second_to_domain=0.001),
            stop=lambda: len(post.sent) == 2,
        )
        assert post.recipients == ["r0@example.org", "r2@example.net"]
        assert (report.due, report.states, report.released) == (2, {"sent": 2}, 0)
        waiting = read(sessions, 2)
        assert (waiting.state, waiting.due_at) == ("queued", NOON + timedelta(seconds=2000))

    def test_a_domain_with_many_mails_is_in_nobodys_way(self, sessions: Sessions) -> None:
        add_mails(sessions, 2 * CLAIM)
        with sessions() as session:
            last = update(Subscriber).where(Subscriber.id == 2 * CLAIM)
            session.execute(last.values(address="last@example.net", address_key="last@example.net"))
        post = Post()
        send(
            sessions,
            post,
            pace=Pace(per_second_to_domain=1.0),
            stop=lambda: "last@example.net" in post.recipients,
        )
        assert len(post.sent) < 9

    def test_what_was_put_back_goes_by_the_same_run_when_it_is_its_turn(
        self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.delivery.sending.HELD_SECONDS", 0.0)
        add_mails(sessions, 3)
        seconds = count()

        def clock() -> datetime:
            return NOON + timedelta(seconds=next(seconds))

        pace = Pace(per_second_to_domain=50.0)
        report = asyncio.run(deliver(sessions, Post(), POSTAGE, clock=clock, pace=pace))
        assert (report.due, report.states, report.released) == (3, {"sent": 3}, 0)
