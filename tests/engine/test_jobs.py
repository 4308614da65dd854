from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

from sqlalchemy import delete, update

from digest.delivery.breaker import FIRST_PAUSE, pause
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
    take,
)
from digest.store.deliveries import queue
from digest.store.tables import Consent, Subscriber
from tests.engine.world import SEVEN, Installation

JOB = Job("embed", "embed")
SOURCE = Job("source", "source:daily", name="daily")


def due_at(world: Installation, *, later: timedelta = timedelta(0), done: set[Job]) -> list[Job]:
    with world.app.sessions.reading() as session:
        return due(session, world.app, SEVEN + later, done=done)


def all_stations(world: Installation) -> int:
    """Something to do at every station; the reader."""
    reader = world.subscribe(interest="graphs")
    with world.app.sessions() as session:
        queue(session, kind="confirmation", subscriber_id=reader, now=SEVEN)
    return reader


def taken(world: Installation, job: Job, *, owner: str, later: timedelta = timedelta(0)) -> bool:
    with world.app.sessions() as session:
        return take(session, job, SEVEN + later, owner=owner)


def test_what_is_due_is_told_station_after_station(world: Installation) -> None:
    reader = all_stations(world)
    done: set[Job] = set()
    stations = []
    while jobs := due_at(world, done=done):
        stations.append(jobs)
        done |= set(jobs)
    assert stations == [
        [SOURCE],
        [Job("embed", "embed")],
        [Job("editions", "editions:0", (reader,))],
        [Job("deliver", "deliver")],
    ]


def test_a_station_waits_for_one_that_another_process_is_at(world: Installation) -> None:
    all_stations(world)
    assert taken(world, SOURCE, owner="other")
    assert due_at(world, done=set()) == []
    assert due_at(world, later=LEASE, done=set()) == [SOURCE]


def test_a_job_that_is_held_back_keeps_nobody_waiting(world: Installation) -> None:
    all_stations(world)
    assert taken(world, SOURCE, owner="me")
    with world.app.sessions() as session:
        assert hold_back(session, SOURCE, SEVEN, owner="me") == SEVEN + FIRST_RETRY
    assert due_at(world, done=set()) == [JOB]
    assert due_at(world, later=FIRST_RETRY, done=set()) == [SOURCE]


def test_while_sending_is_paused_no_mail_is_due(world: Installation) -> None:
    all_stations(world)
    stations_before = {SOURCE, JOB, Job("editions", "editions:0", (1,))}
    with world.app.sessions() as session:
        pause(session, "wrong password", SEVEN)
    assert due_at(world, done=stations_before) == []
    assert due_at(world, later=FIRST_PAUSE, done=stations_before) == [Job("deliver", "deliver")]


def test_a_job_takes_rows_of_one_range_so_that_ranges_have_one_key(world: Installation) -> None:
    for n in range(4):
        world.subscribe(f"r{n}@example.org")
    numbers = (1, SHARD - 1, SHARD, 2 * SHARD + 1)
    with world.app.sessions() as session:
        session.execute(delete(Consent))
        for n, new in reversed(list(enumerate(numbers, 1))):
            session.execute(update(Subscriber).where(Subscriber.id == n).values(id=new))
    assert due_at(world, done={SOURCE}) == [
        Job("editions", "editions:0", (1, SHARD - 1)),
        Job("editions", "editions:1", (SHARD,)),
        Job("editions", "editions:2", (2 * SHARD + 1,)),
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
        give_back(session, JOB, owner="other")
        assert hold_back(session, JOB, SEVEN, owner="other") is None
    assert not taken(world, JOB, owner="other")
    with world.app.sessions() as session:
        give_back(session, JOB, owner="me")
    assert taken(world, JOB, owner="other")


def test_back_off_doubles_up_to_a_limit_and_success_forgets_it(world: Installation) -> None:
    waits, now = [], SEVEN
    for n in range(20):
        with world.app.sessions() as session:
            assert take(session, JOB, now)
            until = hold_back(session, JOB, now)
            assert until is not None
            assert held_back(session, now) == [(JOB.key, until, n + 1)]
        waits.append(until - now)
        now = until
    assert waits == [min(FIRST_RETRY * 2**n, LONGEST_RETRY) for n in range(20)]
    with world.app.sessions() as session:
        assert take(session, JOB, now)
        give_back(session, JOB)
        assert take(session, JOB, now)
        assert hold_back(session, JOB, now) == now + FIRST_RETRY


def test_leases_of_different_jobs_do_not_meet(world: Installation) -> None:
    assert taken(world, JOB, owner="me")
    assert taken(world, replace(JOB, key="embed:2"), owner="other")
