from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import delete, update

from digest.delivery.breaker import FIRST_PAUSE, pause
from digest.engine import jobs, perform
from digest.engine.jobs import (
    FIRST_RETRY,
    LEASE,
    LONGEST_RETRY,
    SHARD,
    Job,
    due,
    give_back,
    held_back,
    hold_back,
    renew,
    take,
)
from digest.papers.collect import ingest_bytes
from digest.store.deliveries import queue
from digest.store.tables import Consent, Subscriber
from tests.engine.world import DAY, SEVEN, Clock, Installation, page

JOB = Job("embed", "embed:papers:0", (1,), "papers")
SOURCE = Job("ingest", "ingest:daily", name="daily")
DELIVER = Job("deliver", "deliver:0")


def due_at(world: Installation, *, later: timedelta = timedelta(0), done: set[Job]) -> list[Job]:
    with world.app.sessions.reading() as session:
        return due(session, world.app, SEVEN + later, done=done)


def all_stations(world: Installation) -> int:
    """Something to do at every station; the reader."""
    reader = world.subscribe(interest="graphs")
    ingest_bytes(
        world.app.sessions,
        "daily",
        page(SEVEN.date(), {"Graphs": "We study them."}),
        at=SEVEN - DAY,
    )
    with world.app.sessions() as session:
        queue(session, kind="confirmation", subscriber_id=reader, now=SEVEN)
    return reader


def taken(world: Installation, job: Job, *, owner: str, later: timedelta = timedelta(0)) -> bool:
    with world.app.sessions() as session:
        return take(session, job, SEVEN + later, owner=owner)


def test_what_is_due_is_told_station_after_station_and_sending_waits_for_none(
    world: Installation,
) -> None:
    reader = all_stations(world)
    done: set[Job] = set()
    stations = []
    while (found := due_at(world, done=done)) != [DELIVER]:
        stations.append(found)
        done |= set(found) - {DELIVER}
    assert stations == [
        [SOURCE, DELIVER],
        [JOB, Job("embed", "embed:interests:0", (1,), "interests"), DELIVER],
        [Job("compose", "compose:0", (reader,)), DELIVER],
    ]


def test_a_station_waits_for_one_that_another_process_is_at(world: Installation) -> None:
    all_stations(world)
    assert taken(world, SOURCE, owner="other")
    assert due_at(world, done=set()) == [DELIVER]
    assert due_at(world, later=LEASE, done=set()) == [SOURCE, DELIVER]


def test_a_job_that_is_held_back_keeps_nobody_waiting(world: Installation) -> None:
    all_stations(world)
    assert taken(world, SOURCE, owner="me")
    with world.app.sessions() as session:
        assert renew(session, SOURCE, SEVEN, owner="me")
        assert hold_back(session, SOURCE, SEVEN, owner="me") == SEVEN + FIRST_RETRY
    assert due_at(world, done=set())[0] == JOB
    assert due_at(world, later=FIRST_RETRY, done=set()) == [SOURCE, DELIVER]


def test_new_interests_keep_nobody_waiting_while_others_are_at_them(world: Installation) -> None:
    all_stations(world)
    mine, theirs = due_at(world, done={SOURCE})[:2]
    assert (mine, theirs.name) == (JOB, "interests")
    assert taken(world, theirs, owner="other")
    assert due_at(world, done={SOURCE}) == [JOB, DELIVER]
    assert [job.kind for job in due_at(world, done={SOURCE, JOB})] == ["compose", "deliver"]


def test_a_range_that_others_are_at_is_not_asked_for_again(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE", 2)
    monkeypatch.setattr(jobs, "SHARD", 1)
    numbers = [world.subscribe(f"r{n}@example.org") for n in range(4)]
    first, second = due_at(world, done={SOURCE})
    assert [first.ids, second.ids] == [(numbers[0],), (numbers[1],)]
    assert taken(world, first, owner="other")
    assert [job.ids for job in due_at(world, done={SOURCE})] == [(numbers[1],)]
    assert taken(world, second, owner="other")
    assert due_at(world, done={SOURCE}) == []
    with world.app.sessions() as session:
        give_back(session, first, SEVEN, owner="other")
        session.execute(
            update(Subscriber).values(next_due_at=SEVEN + DAY).where(Subscriber.id == 1)
        )
    assert [job.ids for job in due_at(world, done={SOURCE})] == [(numbers[2],)]


def test_many_mails_have_as_many_lanes_as_the_engine_can_have(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LANE", 2)
    for n in range(7):
        reader = world.subscribe(f"r{n}@example.org")
        with world.app.sessions() as session:
            queue(session, kind="confirmation", subscriber_id=reader, now=SEVEN)
            session.execute(update(Subscriber).values(next_due_at=None))
    for lanes, keys in ((1, 1), (3, 3), (64, 4)):
        monkeypatch.setattr(world.app.engine, "lanes", lanes)
        found = [job.key for job in due_at(world, done={SOURCE})]
        assert found == [f"deliver:{n}" for n in range(keys)]


def test_what_is_past_its_time_is_a_job_and_forgotten(world: Installation) -> None:
    world.subscribe()
    world.publish("graph networks")
    world.tick()
    year = timedelta(days=366)
    assert Job("housekeeping", "housekeeping") not in due_at(world, done={SOURCE})
    assert Job("housekeeping", "housekeeping") in due_at(world, later=year, done={SOURCE})
    before = {table: len(rows) for table, rows in world.rows().items()}
    job = Job("housekeeping", "housekeeping")
    said = perform(world.app, job, Clock(SEVEN + year))
    asked = "1 asked whether they still read, 0 paused"
    assert said == f"1 editions forgotten, 1 looks forgotten, 1 pages forgotten, {asked}"
    after = {table: len(rows) for table, rows in world.rows().items()}
    gone = {table for table in before if after[table] < before[table]}
    # The mail that is gone has made room for the one that asks.
    assert gone == {"editions", "edition_items", "looks", "attempts", "pages", "listings"}
    assert perform(world.app, job, Clock(SEVEN + year)) == "none"


def test_while_sending_is_paused_no_mail_is_due(world: Installation) -> None:
    all_stations(world)
    waiting = due_at(world, done={SOURCE})
    stations_before = {SOURCE, *waiting, Job("compose", "compose:0", (1,))} - {DELIVER}
    with world.app.sessions() as session:
        pause(session, "wrong password", SEVEN)
    assert due_at(world, done=stations_before) == []
    assert due_at(world, later=FIRST_PAUSE, done=stations_before) == [DELIVER]


def test_a_job_takes_rows_of_one_range_so_that_ranges_have_one_key(world: Installation) -> None:
    for n in range(4):
        world.subscribe(f"r{n}@example.org")
    numbers = (1, SHARD - 1, SHARD, 2 * SHARD + 1)
    with world.app.sessions() as session:
        session.execute(delete(Consent))
        for n, new in reversed(list(enumerate(numbers, 1))):
            session.execute(update(Subscriber).where(Subscriber.id == n).values(id=new))
    assert due_at(world, done={SOURCE}) == [
        Job("compose", "compose:0", (1, SHARD - 1)),
        Job("compose", "compose:1", (SHARD,)),
        Job("compose", "compose:2", (2 * SHARD + 1,)),
    ]


def test_of_eight_takers_one_wins(world: Installation) -> None:
    start = Barrier(8)

    def taker(n: int) -> bool:
        start.wait()
        return taken(world, JOB, owner=f"process {n}")

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(taker, range(8))) == {True: 1, False: 7}


def test_a_lease_of_a_dead_process_ends(world: Installation) -> None:
    assert taken(world, JOB, owner="dead")
    assert not taken(world, JOB, owner="alive", later=LEASE - timedelta(seconds=1))
    assert taken(world, JOB, owner="alive", later=LEASE)
    assert not taken(world, JOB, owner="dead", later=LEASE)


def test_only_its_owner_gives_a_lease_back(world: Installation) -> None:
    taken(world, JOB, owner="me")
    with world.app.sessions() as session:
        give_back(session, JOB, SEVEN, owner="other")
        assert hold_back(session, JOB, SEVEN, owner="other") is None
    assert not taken(world, JOB, owner="other")
    with world.app.sessions() as session:
        give_back(session, JOB, SEVEN, owner="me")
    assert taken(world, JOB, owner="other")


def test_a_failed_job_is_nobodys_so_no_second_message_does_it_early(world: Installation) -> None:
    taken(world, JOB, owner="me")
    with world.app.sessions() as session:
        assert renew(session, JOB, SEVEN, owner="me")
        until = hold_back(session, JOB, SEVEN, owner="me")
        assert not renew(session, JOB, SEVEN, owner="me")
        give_back(session, JOB, SEVEN, owner="me", undone=True)
        assert held_back(session, SEVEN) == [(JOB.key, until, 1)]


def test_back_off_doubles_up_to_a_limit_and_success_forgets_it(world: Installation) -> None:
    waits, now = [], SEVEN
    for n in range(20):
        with world.app.sessions() as session:
            assert take(session, JOB, now)
            assert renew(session, JOB, now)
            until = hold_back(session, JOB, now)
            assert until is not None
            assert held_back(session, now) == [(JOB.key, until, n + 1)]
        waits.append(until - now)
        now = until
    assert waits == [min(FIRST_RETRY * 2**n, LONGEST_RETRY) for n in range(20)]
    with world.app.sessions() as session:
        assert take(session, JOB, now)
        give_back(session, JOB, now)
        assert take(session, JOB, now)
        assert renew(session, JOB, now)
        assert hold_back(session, JOB, now) == now + FIRST_RETRY


def test_a_job_that_takes_its_process_along_is_put_off_as_one_that_fails(
    world: Installation,
) -> None:
    waits, now = [], SEVEN
    for n in range(9):
        with world.app.sessions() as session:
            assert take(session, JOB, now)
            assert renew(session, JOB, now)
            ((key, until, failures),) = held_back(session, now)
        assert (key, failures) == (JOB.key, n), "the one that is under way may end well"
        waits.append(until - now)
        now = until
    assert waits == [max(LEASE, min(FIRST_RETRY * 2**n, LONGEST_RETRY)) for n in range(9)]


def test_a_job_that_waits_in_the_broker_and_is_never_begun_has_not_failed(
    world: Installation,
) -> None:
    for n in range(9):
        assert taken(world, JOB, owner="dead", later=n * LEASE)
        with world.app.sessions.reading() as session:
            now = SEVEN + n * LEASE
            assert held_back(session, now) == [(JOB.key, now + LEASE, 0)]


def test_what_goes_well_and_rests_forgets_its_failures(world: Installation) -> None:
    mailbox, now = Job("bounces", "bounces"), SEVEN
    with world.app.sessions() as session:
        for _ in range(3):
            assert take(session, mailbox, now)
            assert renew(session, mailbox, now)
            now = hold_back(session, mailbox, now) or now
        assert take(session, mailbox, now)
        assert renew(session, mailbox, now)
        give_back(session, mailbox, now)
        assert held_back(session, now) == []
        assert held_back(session, now, resting=True) == [("bounces", now + LEASE, 0)]


def test_leases_of_different_jobs_do_not_meet(world: Installation) -> None:
    assert taken(world, JOB, owner="me")
    assert taken(world, replace(JOB, key="embed:2"), owner="other")
