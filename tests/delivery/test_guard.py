import asyncio
import itertools
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from digest.delivery.breaker import read_pause, resume
from digest.delivery.guard import guard, read_rates
from digest.delivery.sending import CLAIM, deliver
from digest.delivery.suppression import import_suppressions, list_suppressions
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.tables import Delivery, Subscriber, Suppression
from digest.subscribers import parse_subscription, subscribe
from tests.delivery.world import (
    NOON,
    POSTAGE,
    SECRET,
    Post,
    add_mails,
    answer,
    read,
    send,
    states,
)
from tests.web.seed import add_subscriber

DAY = timedelta(days=1)


def sent_before(sessions: Sessions, n: int, at: datetime = NOON - DAY / 2) -> None:
    """Mails of one reader that left."""
    with sessions() as session:
        who = add_subscriber(session, f"old{at:%d%H}@example.org")
        session.execute(
            Delivery.__table__.insert(),
            [
                {
                    "subscriber_id": who, "kind": "goodbye", "state": "sent",
                    "message_id": f"{at:%d%H}-{i}", "created_at": at, "due_at": at,
                    "expires_at": at + DAY, "settled_at": at,
                }
                for i in range(n)
            ],
        )  # fmt: skip


def suppressed(sessions: Sessions, n: int, why: str, at: datetime = NOON) -> None:
    with sessions() as session:
        for i in range(n):
            key = f"{why} {i} {at}"
            session.add(Suppression(address_hash=key, reason=why, at=at - timedelta(minutes=1)))


def alarm_and_pause(sessions: Sessions, now: datetime = NOON) -> tuple[bool, bool]:
    with sessions() as session:
        rates, pause = guard(session, now)
    return bool(rates.alarm), pause is not None


@pytest.mark.parametrize(
    ("mails", "complaints", "expected"),
    [
        (2000, 1, (False, False)),  # one reader is no rate
        (2001, 2, (False, False)),
        (2000, 2, (True, False)),  # 0.1 %
        (400, 4, (True, False)),  # 1 %, of a small list
        (1667, 5, (True, False)),
        (1666, 5, (True, True)),  # 0.3 %
    ],
)
def test_complaints_alarm_at_one_in_a_thousand_and_stop_at_three(
    sessions: Sessions, mails: int, complaints: int, expected: tuple[bool, bool]
) -> None:
    sent_before(sessions, mails)
    suppressed(sessions, complaints, "complaint")
    assert alarm_and_pause(sessions) == expected


@pytest.mark.parametrize(
    ("mails", "bounces", "expected"), [(100, 9, False), (200, 10, False), (199, 10, True)]
)
def test_more_than_five_in_a_hundred_addresses_that_are_gone_end_that_day(
    sessions: Sessions, mails: int, bounces: int, expected: bool
) -> None:
    sent_before(sessions, mails)
    suppressed(sessions, bounces, "bounced 5.1.1")
    assert alarm_and_pause(sessions) == (False, expected)


def test_what_was_long_ago_does_not_count(sessions: Sessions) -> None:
    sent_before(sessions, 100, NOON - 8 * DAY)
    suppressed(sessions, 50, "complaint", NOON - 8 * DAY)
    suppressed(sessions, 50, "bounced 5.1.1", NOON - 2 * DAY)
    assert alarm_and_pause(sessions) == (False, False)


@pytest.mark.parametrize("reason", ["imported", "bounced", "complaint", "complaints of 2024"])
def test_addresses_that_an_operator_imports_are_no_bounces_whatever_they_say(
    sessions: Sessions, reason: str
) -> None:
    sent_before(sessions, 100)
    text = "\n".join(f"r{i}@example.net" for i in range(20))
    import_suppressions(sessions, text, SECRET, reason=reason, now=NOON)
    assert alarm_and_pause(sessions) == (False, False)


def test_strangers_who_sign_up_addresses_that_do_not_exist_stop_nothing(
    sessions: Sessions,
) -> None:
    sent_before(sessions, 100)
    with sessions() as session:
        for i in range(20):
            asked = parse_subscription({"address": f"no{i}@example.net"}, SubscriberDefaults())
            subscribe(session, asked, secret=SECRET, now=NOON)
    gone = answer("failed", "550 5.1.1 no such user", blame="address", status="5.1.1")
    assert send(sessions, Post([gone] * 20)).states["failed"] == 20
    assert alarm_and_pause(sessions) == (False, False)
    with sessions.reading() as session:
        reasons = {entry.reason for entry in list_suppressions(session)}
    assert reasons == {"sign-up bounced 5.1.1"}


class TestAStopForComplaints:
    @pytest.fixture
    def stopped(self, sessions: Sessions) -> Sessions:
        sent_before(sessions, 1000)
        suppressed(sessions, 5, "complaint")
        add_mails(sessions, 2)
        return sessions

    def test_nothing_is_sent_and_the_report_says_why(self, stopped: Sessions) -> None:
        report = send(stopped, Post())
        assert report.pause
        assert "5 complaints about 1000 mails within a week, 0.50%" in report.pause.reason
        assert report.alarm
        assert states(stopped)[-2:] == ["queued", "queued"]

    def test_it_lasts_though_the_rate_has_fallen(self, stopped: Sessions) -> None:
        send(stopped, Post())
        assert alarm_and_pause(stopped, NOON + 30 * DAY) == (False, True)

    def test_a_person_ends_it_and_what_they_know_does_not_stop_it_again(
        self, stopped: Sessions
    ) -> None:
        send(stopped, Post())
        with stopped() as session:
            resume(session, NOON)
            assert read_pause(session) is None
        report = send(stopped, Post(), NOON + timedelta(seconds=1))
        assert (report.states, report.pause, report.alarm) == ({"sent": 2}, None, "")

    def test_new_complaints_stop_it_again(self, stopped: Sessions) -> None:
        send(stopped, Post())
        with stopped() as session:
            resume(session, NOON)
        sent_before(stopped, 900, NOON + DAY)
        suppressed(stopped, 5, "complaint", NOON + DAY)
        assert alarm_and_pause(stopped, NOON + DAY + DAY / 4) == (True, True)


def test_a_pause_for_bounces_is_over_the_next_day_by_itself(sessions: Sessions) -> None:
    sent_before(sessions, 100)
    suppressed(sessions, 20, "bounced 5.1.1")
    add_mails(sessions, 1)
    with sessions() as session:
        session.execute(update(Delivery).values(expires_at=NOON + 9 * DAY))
    assert send(sessions, Post()).pause
    report = send(sessions, Post(), NOON + DAY + timedelta(minutes=1))
    assert (report.states, report.pause) == ({"sent": 1}, None)
    with sessions.reading() as session:
        assert read_pause(session) is None


def test_a_run_stops_in_its_middle_when_addresses_turn_out_to_be_gone(sessions: Sessions) -> None:
    ids = add_mails(sessions, 2 * CLAIM)
    gone = answer("failed", "550 5.1.1 no such user", blame="address", status="5.1.1")
    ticks = itertools.count()

    def clock() -> datetime:
        return NOON + timedelta(seconds=2 * next(ticks))

    report = asyncio.run(deliver(sessions, Post([gone] * len(ids)), POSTAGE, clock=clock))
    assert report.pause
    assert "addresses of the last day are gone" in report.pause.reason
    assert 10 <= report.states["failed"] < len(ids)
    assert read(sessions, ids[-1]).state == "queued"
    with sessions.reading() as session:
        assert read_rates(session, NOON + timedelta(hours=1)).bounce_rate == 1.0
        assert session.get_one(Subscriber, 1).state == "suspended"
