from datetime import timedelta

import pytest
from sqlalchemy import update

from digest.delivery.breaker import pause
from digest.engine.jobs import Job, hold_back, renew, take
from digest.engine.status import Status, read_status
from digest.store.deliveries import queue
from digest.store.tables import Subscriber, Suppression
from tests.engine.world import DAY, SEVEN, Installation

MINUTE = timedelta(minutes=1)


def look(world: Installation) -> Status:
    with world.app.sessions.reading() as session:
        return read_status(session, world.app.settings, world.clock.now)


def test_a_day_is_told_from_what_is_due_to_what_was_sent(world: Installation) -> None:
    world.subscribe()
    world.publish("graph networks", "graph theory")
    before = look(world)
    assert (before.due, before.built, before.mails, before.sources[0].verdict) == (1, 0, {}, None)
    world.tick()
    world.clock.now += MINUTE
    after = look(world)
    assert (after.subscribers, after.due, after.papers, after.built) == ({"active": 1}, 0, 2, 1)
    assert (after.mails, after.waiting, after.uncertain) == ({"sent": 1}, 0, 0)
    assert after.sources[0].verdict == "fresh"
    assert (after.rates.mails, after.pause, after.alarm) == (1, "", "")
    world.clock.now += 2 * DAY
    later = look(world)
    assert (later.papers, later.built, later.mails, later.due) == (0, 0, {}, 1)


def test_what_waits_failed_or_stands_still_is_told(one_world: Installation) -> None:
    world = one_world
    who = world.subscribe()
    with world.app.sessions() as session:
        queue(session, kind="goodbye", subscriber_id=who, now=SEVEN)
        pause(session, "535 wrong password", SEVEN)
        job = Job("embed", "embed")
        take(session, job, SEVEN)
        renew(session, job, SEVEN)
        hold_back(session, job, SEVEN)
        session.add(Suppression(address_hash="x", reason="complaint", at=SEVEN))
    status = look(world)
    assert (status.waiting, status.waiting_since) == (1, SEVEN)
    assert status.pause == "535 wrong password"
    assert [(one.key, one.failures) for one in status.failed_jobs] == [("embed", 1)]
    assert (status.suppressed, status.rates.complaints) == (1, 1)


@pytest.mark.parametrize(("state", "told"), [("active", (1, 0)), ("paused", (0, 1))])
def test_who_was_asked_for_a_sign_is_counted(
    one_world: Installation, state: str, told: tuple[int, int]
) -> None:
    one_world.subscribe()
    with one_world.app.sessions() as session:
        session.execute(update(Subscriber).values(sunset_at=SEVEN, state=state))
    status = look(one_world)
    assert (status.asked, status.silent) == told
