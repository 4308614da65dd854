"""Signing up on a page: what a form changes, whom it asks, and what it tells."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from digest import subscribers
from digest.delivery.suppression import suppress
from digest.links import Claim
from digest.profiles.interests import interests_of
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.tables import Delivery, Signup, Subscriber, VoteRow
from digest.subscribers import (
    SignupForm,
    SignupLimits,
    due_signups,
    expire_pending,
    expire_signups,
    look_at,
    sign_up,
)
from digest.subscribers.signup import LONGEST_WAIT, Taken
from tests.editions.world import add_papers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of enough bytes"
PLENTY = SignupLimits(10_000, 100_000)
ANN = "ann@example.org"
BIB = b"@article{a, title={On finding things again}, year={2024}}\n"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def send(
    sessions: Sessions,
    address: str = ANN,
    *,
    now: datetime = NOON,
    network: str = "192.0.2.0/24",
    proven: bool | None = None,
    limits: SignupLimits = PLENTY,
    picks: tuple[int, ...] = (),
    library: bytes = b"",
    **asked: object,
) -> Taken:
    subscription = subscribers.parse_subscription(
        {"address": address, **asked}, SubscriberDefaults()
    )
    with sessions() as session:
        return sign_up(
            session,
            SignupForm(subscription, picks, library),
            network=network,
            proven=proven,
            limits=limits,
            secret=SECRET,
            now=now,
        )


def look(sessions: Sessions, now: datetime = NOON) -> list[str]:
    with sessions.reading() as session:
        due = due_signups(session, now)
    return [look_at(sessions, id_, secret=SECRET, now=now) for id_ in due]


def confirm(sessions: Sessions, address: str = ANN, now: datetime = NOON) -> int:
    with sessions() as session:
        who = subscribers.find(session, address).id
        subscribers.confirm(session, Claim("confirm", who, now + timedelta(days=7)), now=now)
    return who


def likes(sessions: Sessions, who: int) -> list[int]:
    with sessions.reading() as session:
        query = select(VoteRow.paper_id).where(VoteRow.subscriber_id == who, VoteRow.value == "up")
        return sorted(session.scalars(query))


def texts(sessions: Sessions, who: int) -> list[str]:
    with sessions.reading() as session:
        return [one.text for one in interests_of(session, who)]


def count(sessions: Sessions, table: Any) -> int:
    with sessions.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def state(sessions: Sessions, address: str = ANN) -> str:
    with sessions.reading() as session:
        return subscribers.find(session, address).state


# What takes effect, and when


def test_what_was_picked_and_brought_counts_once_it_is_confirmed(sessions: Sessions) -> None:
    papers = add_papers(sessions, ["graphs", "proteins"], NOON)
    send(sessions, picks=(papers[1],), library=BIB, interest="robots")
    assert look(sessions) == ["asked"]
    assert state(sessions) == "pending"
    assert count(sessions, VoteRow) == 0
    who = confirm(sessions)
    assert likes(sessions, who) == [papers[1]]
    assert texts(sessions, who) == ["robots"]
    assert look(sessions) == ["1 papers and 0 interests read"]
    assert len(likes(sessions, who)) == 2
    assert count(sessions, Signup) == 0
    assert look(sessions) == []


def test_of_several_forms_the_newest_counts(sessions: Sessions) -> None:
    papers = add_papers(sessions, ["graphs", "proteins"], NOON)
    send(sessions, picks=(papers[0],), interest="graphs", hour=5, library=BIB)
    look(sessions)
    send(sessions, picks=(papers[1],), interest="proteins", hour=9)
    who = confirm(sessions)
    assert (likes(sessions, who), texts(sessions, who)) == ([papers[1]], ["proteins"])
    with sessions.reading() as session:
        assert subscribers.read_subscriber(session, who).hour == 9


@pytest.mark.parametrize("before", ["active", "paused", "left", "suspended"])
def test_a_strangers_form_changes_nothing_of_who_was_subscribed(
    sessions: Sessions, before: str
) -> None:
    papers = add_papers(sessions, ["graphs"], NOON)
    with sessions() as session:
        given = {"address": ANN, "interest": "robots", "hour": 5}
        added = subscribers.add(
            session, given, SubscriberDefaults(), secret=SECRET, now=NOON - timedelta(days=9)
        )
        row = session.get_one(Subscriber, added.subscriber.id)
        row.state = before
        row.left_at = NOON - timedelta(days=3) if before == "left" else None
        who = row.id
    send(sessions, interest="spam", hour=23, picks=(papers[0],), library=BIB)
    look(sessions)
    assert (texts(sessions, who), likes(sessions, who)) == (["robots"], [])
    with sessions.reading() as session:
        assert subscribers.read_subscriber(session, who).hour == 5
    week_later = NOON + timedelta(days=8)
    with sessions() as session:
        expire_pending(session, week_later)
        expire_signups(session, week_later)
    # Nobody confirmed, so all is as it was: nobody is deleted for what a stranger did.
    assert state(sessions) == before
    assert count(sessions, Signup) == 0


def test_who_left_comes_back_with_what_they_ask_for_now_and_keeps_what_they_had(
    sessions: Sessions,
) -> None:
    with sessions() as session:
        given = {"address": ANN, "interest": "robots", "hour": 5}
        who = subscribers.add(
            session, given, SubscriberDefaults(), secret=SECRET, now=NOON
        ).subscriber.id
        subscribers.leave(session, who, now=NOON, why="a test")
    later = NOON + timedelta(days=1)
    send(sessions, interest="graphs", hour=9, now=later)
    assert look(sessions, later) == ["asked"]
    confirm(sessions, now=later)
    assert texts(sessions, who) == ["robots", "graphs"]
    with sessions.reading() as session:
        assert subscribers.read_subscriber(session, who).hour == 9


def test_a_library_that_is_being_read_is_not_a_strangers_to_change(sessions: Sessions) -> None:
    send(sessions, library=BIB)
    look(sessions)
    who = confirm(sessions)
    send(sessions, library=b"@article{b, title={Spam}}", interest="spam")
    look(sessions)
    with sessions.reading() as session:
        titles = session.scalars(select(Signup.id)).all()
    assert titles == []
    assert len(likes(sessions, who)) == 1
    assert texts(sessions, who) == []


def test_looking_twice_is_looking_once(sessions: Sessions) -> None:
    send(sessions)
    with sessions.reading() as session:
        (id_,) = due_signups(session, NOON)
    assert look_at(sessions, id_, secret=SECRET, now=NOON) == "asked"
    assert look_at(sessions, id_, secret=SECRET, now=NOON) == "done before"
    assert count(sessions, Delivery) == 1


def test_erasing_forgets_a_form_too(sessions: Sessions) -> None:
    send(sessions)
    look(sessions)
    send(sessions)
    with sessions() as session:
        subscribers.erase(session, ANN)
    assert count(sessions, Signup) == 0


# What it tells


@contextmanager
def statements(sessions: Sessions) -> Iterator[list[str]]:
    said: list[str] = []

    def hear(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(sessions.engine, "before_cursor_execute", hear)
    yield said
    event.remove(sessions.engine, "before_cursor_execute", hear)


def test_the_database_does_the_same_for_every_address(sessions: Sessions) -> None:
    """Known or not, suppressed or not: the same statements in the same order, and no other."""
    send(sessions, "warm@example.org")
    heard: dict[str, list[str]] = {}
    for kind in ("new", "pending", "active", "paused", "left", "suspended", "suppressed"):
        address = f"{kind}@example.org"
        if kind not in ("new", "suppressed"):
            send(sessions, address)
            look(sessions)
            with sessions() as session:
                session.execute(
                    update(Subscriber).where(Subscriber.address == address).values(state=kind)
                )
        if kind == "suppressed":
            with sessions() as session:
                suppress(session, address, SECRET, reason="bounced", now=NOON)
        with statements(sessions) as heard[kind]:
            assert send(sessions, address, interest="graphs", library=BIB) == "taken"
    assert len(heard["new"]) >= 3
    assert all(said == heard["new"] for said in heard.values())


# List bombing


@on_sqlite
@pytest.mark.parametrize(
    ("n", "hours"), [(240, 0.1), pytest.param(10_000, 1, marks=pytest.mark.slow)]
)
def test_sign_ups_of_many_addresses_from_few_networks_end_in_few_mails(
    sessions: Sessions, n: int, hours: float
) -> None:
    """10,000 forms in an hour from eight networks: as many mails as eight networks may ask for."""
    limits = SignupLimits(per_network=30, confirmations=500)
    said: Counter[str] = Counter()
    for i in range(n):
        at = NOON + timedelta(hours=hours * i / n)
        network = f"192.0.{i % 8}.0/24"
        said[send(sessions, f"victim{i}@example.org", now=at, network=network, limits=limits)] += 1
    look(sessions, NOON + timedelta(hours=2))
    # Half an hour's at once, and then as many as time goes by.
    assert count(sessions, Delivery) == said["taken"] <= 8 * (15 + 30 * hours + 1)
    assert said["too many from there"] == n - said["taken"] > 0


def test_one_address_is_asked_once_a_day_however_many_forms_name_it(sessions: Sessions) -> None:
    for n in range(30):
        send(sessions, network=f"192.0.{n}.0/24", now=NOON + timedelta(minutes=n))
        look(sessions, NOON + timedelta(minutes=n))
    assert count(sessions, Delivery) == 1


def test_beyond_an_hours_mails_a_form_waits_and_at_last_is_refused(sessions: Sessions) -> None:
    limits = SignupLimits(per_network=1000, confirmations=4)
    said = [send(sessions, f"r{n}@example.org", limits=limits) for n in range(32)]
    most = 2 + 4 * (LONGEST_WAIT // timedelta(hours=1))
    assert said == ["taken"] * most + ["too many"] * (32 - most)
    assert len(look(sessions)) == 2
    assert len(look(sessions, NOON + timedelta(hours=1))) == 4
    assert len(look(sessions, NOON + LONGEST_WAIT)) == most - 6
    assert count(sessions, Delivery) == most


def test_without_a_proof_of_work_a_network_may_do_a_fifth(sessions: Sessions) -> None:
    limits = SignupLimits(per_network=30, confirmations=500)
    for proven, allowed in ((True, 15), (None, 15), (False, 3)):
        said = [
            send(sessions, f"{n}@example.org", network=str(proven), proven=proven, limits=limits)
            for n in range(16)
        ]
        assert said.count("taken") == allowed
