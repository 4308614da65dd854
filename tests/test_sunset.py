from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from digest import subscribers
from digest.settings import SubscriberDefaults, SunsetSettings
from digest.store import Sessions
from digest.store.tables import Consent, Delivery, MailKind, Paper, Subscriber
from digest.subscribers import Sunset, follow_sunset, is_sunset_due
from digest.subscribers.sunset import AT_ONCE
from digest.votes import vote
from tests.web.seed import NOON, add_paper

POLICY = SunsetSettings(after_days=180)
DAY = timedelta(days=1)


@pytest.fixture
def ann(sessions: Sessions) -> str:
    with sessions() as session:
        asked = {"address": "ann@example.org"}
        subscribers.add(
            session, asked, SubscriberDefaults(), secret=b"a secret of enough bytes", now=NOON
        )
    return "ann@example.org"


def follow(sessions: Sessions, days: int, *, sent: bool = True) -> Sunset:
    """What the policy does so many days later; mails are sent at once."""
    with sessions() as session:
        done = follow_sunset(session, POLICY, now=NOON + days * DAY)
        if sent:
            session.execute(update(Delivery).values(state="sent"))
    return done


def mails(sessions: Sessions) -> list[MailKind]:
    with sessions.reading() as session:
        return list(session.scalars(select(Delivery.kind).order_by(Delivery.id)))


def state(sessions: Sessions) -> str:
    with sessions.reading() as session:
        return session.scalars(select(Subscriber.state)).one()


def test_who_is_silent_is_asked_once_and_a_month_later_paused(sessions: Sessions, ann: str) -> None:
    assert follow(sessions, 179) == Sunset(0, 0)
    assert follow(sessions, 180) == Sunset(1, 0)
    assert follow(sessions, 181) == Sunset(0, 0)
    assert follow(sessions, 209) == Sunset(0, 0)
    assert state(sessions) == "active"
    assert follow(sessions, 210) == Sunset(0, 1)
    assert (state(sessions), mails(sessions)) == ("paused", ["sunset"])
    assert follow(sessions, 400) == Sunset(0, 0)
    with sessions.reading() as session:
        last = session.scalars(select(Consent).order_by(Consent.id.desc())).first()
        assert last is not None
        assert (last.kind, "no sign since" in last.wording) == ("sunset", True)


def voted(session: object, at: datetime) -> None:
    paper = session.scalars(select(Paper.id)).first() or add_paper(session, "On graphs")
    who = session.scalars(select(Subscriber.id)).one()
    vote(session, who, paper, "up", at=at, via="web")


@pytest.mark.parametrize(
    "sign",
    [
        voted,
        lambda session, at: subscribers.change(session, "ann@example.org", {"length": 3}, now=at),
        lambda session, at: subscribers.pause(
            session, "ann@example.org", (at + 7 * DAY).date(), now=at
        ),
    ],
)
def test_any_sign_of_theirs_makes_it_as_before(sessions: Sessions, ann: str, sign: object) -> None:
    follow(sessions, 180)
    with sessions() as session:
        sign(session, NOON + 190 * DAY)
        subscribers.wake(session, NOON + 200 * DAY)
    assert follow(sessions, 211) == Sunset(0, 0)
    assert state(sessions) == "active"
    assert follow(sessions, 190 + 188) == Sunset(1, 0)


def test_who_was_paused_comes_back_by_resuming(sessions: Sessions, ann: str) -> None:
    follow(sessions, 180)
    follow(sessions, 210)
    with sessions() as session:
        subscribers.resume(session, ann, secret=b"x" * 32, now=NOON + 300 * DAY)
    assert follow(sessions, 301) == Sunset(0, 0)
    assert state(sessions) == "active"


@pytest.mark.parametrize("lost", ["cancelled", "failed"])
def test_a_question_that_never_left_is_asked_again(sessions: Sessions, ann: str, lost: str) -> None:
    follow(sessions, 180, sent=False)
    with sessions() as session:
        session.execute(update(Delivery).values(state=lost))
    assert follow(sessions, 211) == Sunset(1, 0)
    assert state(sessions) == "active"


def test_a_question_that_is_forgotten_before_its_month_is_over_is_asked_again(
    sessions: Sessions, ann: str
) -> None:
    follow(sessions, 180)
    with sessions() as session:
        # Nothing ran for long, and then what is past its time went first.
        session.execute(delete(Delivery))
    assert follow(sessions, 280) == Sunset(1, 0)
    assert state(sessions) == "active"
    with sessions.reading() as session:
        assert not is_sunset_due(session, POLICY, NOON + 280 * DAY)


def test_an_imported_vote_is_no_sign(sessions: Sessions, ann: str) -> None:
    with sessions() as session:
        paper = add_paper(session, "On graphs")
        vote(session, 1, paper, "up", at=NOON + 100 * DAY, via="import")
    assert follow(sessions, 180) == Sunset(1, 0)


def test_nobody_is_asked_where_the_policy_is_off(sessions: Sessions, ann: str) -> None:
    with sessions() as session:
        off = follow_sunset(session, SunsetSettings(after_days=0), now=NOON + 900 * DAY)
    assert off == Sunset(0, 0)
    with pytest.raises(ValueError, match="at least 30 days"):
        SunsetSettings(after_days=7)


def test_many_are_asked_some_at_a_time(sessions: Sessions, ann: str) -> None:
    with sessions() as session:
        row = session.get_one(Subscriber, 1)
        values = {
            c.name: getattr(row, c.name) for c in Subscriber.__table__.columns if c.name != "id"
        }
        session.execute(
            Subscriber.__table__.insert(),
            [{**values, "address_key": f"r{n}"} for n in range(AT_ONCE)],
        )
    assert [follow(sessions, 200).asked, follow(sessions, 201).asked] == [AT_ONCE, 1]


def test_it_is_due_as_long_as_there_is_somebody_to_ask_or_to_pause(
    sessions: Sessions, ann: str
) -> None:
    def due(days: int, policy: SunsetSettings = POLICY) -> bool:
        with sessions.reading() as session:
            return is_sunset_due(session, policy, NOON + days * DAY)

    assert not due(179)
    assert due(180)
    assert not due(180, SunsetSettings(after_days=0))
    follow(sessions, 180)
    assert not due(209)
    assert due(210)
    follow(sessions, 210)
    assert not due(400)
