"""Processes that are killed, connections that are cut, clocks that are wrong: nothing is lost.

Workers are real processes on RabbitMQ and PostgreSQL, and what is cut is cut by a proxy of ours.
How long it takes until the work is done again is printed and held against what is promised.
"""

# ruff: noqa: T201 - how long it took is told

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete, func, select, update

from digest.delivery.outbox import LEASE as MAIL_LEASE
from digest.delivery.sending import FAREWELL
from digest.engine import tick
from digest.engine.jobs import FIRST_RETRY, LEASE
from digest.evaluation.cluster import OneCluster, cluster
from digest.evaluation.outbox_of import fill_outbox
from digest.evaluation.sink import recorded
from digest.papers.collect import ingest_bytes
from digest.store.tables import EditionRow, Paper, Subscriber, VectorRow
from tests.engine.cluster_world import (
    changes_are_told,
    kill,
    leases,
    n_due,
    n_editions,
    nothing_twice,
    read_papers,
    right_now,
    sign_up,
    states,
    time_goes_by,
    wait_for,
)
from tests.engine.world import page

pytestmark = pytest.mark.slow

# The broker notices at once that a worker is gone; a new one has to open its database.
SOON = 30.0


class Proxy:
    """Stands before a server; `cut` ends every connection, and none is had until `mend`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pairs: list[socket.socket] = []
        self._up = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._up:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while came := one.recv(65536):
                other.sendall(came)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self._up = False
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs.clear()

    def mend(self) -> None:
        self._up = True

    def close(self) -> None:
        self.cut()
        self._listener.close()


@pytest.fixture
def proxies() -> Iterator[dict[str, Proxy]]:
    """What stands before PostgreSQL and RabbitMQ, by the scheme of their URLs."""
    made: dict[str, Proxy] = {}
    yield made
    for proxy in made.values():
        proxy.close()


@pytest.fixture
def one(
    postgres_url: str, rabbitmq_url: str, tmp_path: Path, proxies: dict[str, Proxy]
) -> Iterator[OneCluster]:
    """A cluster whose workers reach everything through proxies; its mail server is slow."""

    def through(url: str) -> str:
        parts = urlsplit(url)
        scheme = "database" if "postgres" in parts.scheme else "broker"
        made = proxies.setdefault(
            scheme, Proxy(parts.port or (5432 if scheme == "database" else 5672))
        )
        return url.replace(f"127.0.0.1:{parts.port}", f"127.0.0.1:{made.port}")

    changes_are_told(postgres_url)
    with cluster(postgres_url, rabbitmq_url, tmp_path, through=through, reply_ms=4) as found:
        yield found


@pytest.fixture
def workers(one: OneCluster) -> Iterator[list]:
    """Those that were started, all ended at last."""
    started: list = []
    yield started
    for worker in started:
        with suppress(ProcessLookupError):
            kill(worker)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def go_on(one: OneCluster) -> None:
    tick(one.app, right_now)


def all_composed(one: OneCluster) -> bool:
    go_on(one)
    return n_due(one.app) == 0


def test_a_worker_that_is_killed_while_it_composes(one: OneCluster, workers: list) -> None:
    n = 1000
    sign_up(one.app, n)
    read_papers(one.app, "graph networks", "protein folding")
    workers.append(one.worker("--queues", "compose"))
    go_on(one)
    wait_for(one.app, lambda: n_editions(one.app) > 0)
    kill(workers[0])
    left = n_editions(one.app)
    assert 0 < left < n
    assert leases(one.app), "what it was at is leased still"
    workers.append(one.worker("--queues", "compose"))
    seconds = wait_for(one.app, lambda: n_editions(one.app) > left, what=one.log())
    print(f"composing went on {seconds:.1f} s after a worker was killed, its start included")
    assert seconds < SOON < LEASE.total_seconds()
    wait_for(one.app, lambda: all_composed(one) and leases(one.app, "compose") == [])
    assert n_editions(one.app) == n
    assert states(one.app) == {"queued": n}
    nothing_twice(one)


def test_a_worker_that_is_killed_while_it_sends(one: OneCluster, workers: list) -> None:
    n = 600
    fill_outbox(one.app.sessions, n, now=right_now())
    workers.append(one.worker("--queues", "deliver"))
    go_on(one)
    mails = one.folder / "mails"
    wait_for(one.app, lambda: sum(recorded(mails).values()) > 20)
    kill(workers[0])
    taken = sum(recorded(mails).values())
    assert taken < n
    workers.append(one.worker("--queues", "deliver"))
    seconds = wait_for(one.app, lambda: sum(recorded(mails).values()) > taken)
    print(f"sending went on {seconds:.1f} s after a worker was killed, its start included")
    assert seconds < SOON
    # What it had claimed waits for the end of the claim; what it had begun is nobody's to repeat.
    wait_for(one.app, lambda: not leases(one.app, "deliver"))
    assert set(states(one.app)) <= {"sent", "claimed", "in_flight"}
    held = Counter(states(one.app))
    assert held["in_flight"] <= one.app.settings.smtp.connections
    time_goes_by(one.app, MAIL_LEASE + timedelta(minutes=1))

    def is_over() -> bool:
        go_on(one)
        settled = set(states(one.app)) <= {"sent", "uncertain"}
        return settled and not leases(one.app, "deliver")

    wait_for(one.app, is_over)
    found = Counter(states(one.app))
    assert found["sent"] + found["uncertain"] == n
    assert found["uncertain"] == held["in_flight"]
    arrived = sum(recorded(mails).values())
    assert found["sent"] <= arrived <= n
    nothing_twice(one)


def test_a_worker_that_is_killed_while_it_embeds(one: OneCluster, workers: list) -> None:
    n = 400
    at = right_now()
    papers = {f"Paper {i} on graphs": f"We study graph number {i}. " * 20 for i in range(n)}
    ingest_bytes(one.app.sessions, "daily", page(at.date(), papers), at=at)
    workers.append(one.worker("--queues", "embed"))
    go_on(one)

    def n_vectors() -> int:
        with one.app.sessions.reading() as session:
            return session.scalar(select(func.count()).select_from(VectorRow)) or 0

    def n_ready() -> int:
        with one.app.sessions.reading() as session:
            ready_ = select(func.count()).where(Paper.ready_at.is_not(None))
            return session.scalar(ready_) or 0

    wait_for(one.app, lambda: n_vectors() > 0, 180, what=one.log())
    kill(workers[0])
    left = n_vectors()
    assert 0 < left < n
    workers.append(one.worker("--queues", "embed"))
    seconds = wait_for(one.app, lambda: n_vectors() > left, 180)
    print(f"embedding went on {seconds:.1f} s after a worker was killed, the model's load included")
    wait_for(one.app, lambda: n_ready() == n and not leases(one.app), 180)
    assert n_vectors() == n


def test_a_broker_whose_connections_are_cut(
    one: OneCluster, workers: list, proxies: dict[str, Proxy]
) -> None:
    n = 1000
    sign_up(one.app, n)
    read_papers(one.app, "graph networks")
    workers.append(one.worker("--queues", "compose,deliver"))
    go_on(one)
    wait_for(one.app, lambda: n_editions(one.app) > 0)
    proxies["broker"].cut()
    before = n_editions(one.app)
    assert before < n
    proxies["broker"].mend()

    def is_over() -> bool:
        go_on(one)
        return states(one.app) == {"sent": n} and not leases(one.app)

    seconds = wait_for(one.app, is_over, 180, what=one.log())
    print(
        f"{n - before} of {n} editions were made and sent {seconds:.1f} s after the broker was cut"
    )
    assert n_editions(one.app) == n
    nothing_twice(one)


def test_a_database_whose_connections_are_cut(
    one: OneCluster, workers: list, proxies: dict[str, Proxy]
) -> None:
    n = 1000
    sign_up(one.app, n)
    read_papers(one.app, "graph networks")
    workers.append(one.worker("--queues", "compose"))
    go_on(one)
    wait_for(one.app, lambda: n_editions(one.app) > 0)
    proxies["database"].cut()
    assert n_editions(one.app) < n
    proxies["database"].mend()
    wait_for(one.app, lambda: all_composed(one) or n_editions(one.app) >= n - 400)
    # The job that met it is held back, or its lease runs out: either is over by then.
    time_goes_by(one.app, max(FIRST_RETRY, LEASE))
    wait_for(one.app, lambda: all_composed(one) and not leases(one.app, "compose"))
    print(f"what a cut database interrupted is done again within {max(FIRST_RETRY, LEASE)}")
    assert n_editions(one.app) == n
    nothing_twice(one)


def test_a_worker_whose_database_is_away_when_its_processes_are_born(
    one: OneCluster, workers: list, proxies: dict[str, Proxy]
) -> None:
    sign_up(one.app, 1)
    read_papers(one.app, "graph networks")
    workers.append(one.worker("--queues", "compose", "--processes", "1"))
    go_on(one)
    wait_for(one.app, lambda: n_editions(one.app) == 1, what=one.log())
    proxies["database"].cut()
    # The one that is killed is replaced while there is no database.
    (child,) = children_of(workers[0].pid)
    os.kill(child, signal.SIGKILL)
    wait_for(one.app, lambda: children_of(workers[0].pid) not in ([], [child]))
    proxies["database"].mend()
    time_goes_by(one.app, LEASE)
    with one.app.sessions() as session:
        session.execute(delete(EditionRow))
        session.execute(update(Subscriber).values(next_due_at=right_now()))
    go_on(one)
    wait_for(one.app, lambda: n_editions(one.app) == 1, SOON, what=one.log())


def test_a_worker_does_not_start_without_its_database(
    one: OneCluster, workers: list, proxies: dict[str, Proxy]
) -> None:
    proxies["database"].cut()
    workers.append(one.worker())
    assert workers[0].wait(SOON) != 0
    assert "cannot open the database" in one.log()


def test_a_second_signal_ends_a_worker_at_once(
    postgres_url: str, rabbitmq_url: str, tmp_path: Path, workers: list
) -> None:
    changes_are_told(postgres_url)
    with cluster(postgres_url, rabbitmq_url, tmp_path, reply_ms=60_000) as one:
        fill_outbox(one.app.sessions, 1, now=right_now())
        workers.append(one.worker("--queues", "deliver"))
        go_on(one)
        wait_for(one.app, lambda: states(one.app) == {"in_flight": 1}, what=one.log())
        # One of each, for two of a kind may come as one.
        workers[0].send_signal(signal.SIGINT)
        workers[0].send_signal(signal.SIGTERM)
        assert workers[0].wait(FAREWELL / 2) == 1
        assert states(one.app) == {"in_flight": 1}


def test_two_schedulers_at_once(one: OneCluster, workers: list) -> None:
    n = 600
    sign_up(one.app, n)
    read_papers(one.app, "graph networks")
    workers += [one.worker("--queues", "compose,deliver") for _ in range(2)]

    def scheduler(_n: int) -> int:
        submitted = 0
        while states(one.app) != {"sent": n}:
            submitted += tick(one.app, right_now).submitted
        return submitted

    with ThreadPoolExecutor(2) as pool:
        submitted = sum(pool.map(scheduler, range(2)))
    wait_for(one.app, lambda: not leases(one.app))
    ended = Counter(job.key for job in one.jobs())
    assert sum(ended.values()) <= submitted
    composed = {key: times for key, times in ended.items() if key.startswith("compose")}
    assert set(composed.values()) == {1}, "no range was composed for twice"
    nothing_twice(one)


def test_workers_whose_clocks_are_minutes_apart(one: OneCluster, workers: list) -> None:
    n = 600
    sign_up(one.app, n)
    read_papers(one.app, "graph networks", at=right_now() - timedelta(minutes=20))
    workers += [
        one.worker("--queues", "compose,deliver", f"--ahead={ahead}") for ahead in (-300, 300)
    ]

    def is_over() -> bool:
        # What the worker ahead has queued is due when its time has come: here at once.
        tick(one.app, lambda: right_now() + timedelta(minutes=5))
        return states(one.app) == {"sent": n} and n_due(one.app) == 0

    seconds = wait_for(one.app, is_over, 120, what=one.log())
    print(f"with clocks ten minutes apart a morning took {seconds:.1f} s")
    assert n_editions(one.app) == n
    nothing_twice(one)
