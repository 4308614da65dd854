"""What every engine keeps: each on its real parts, Celery's on RabbitMQ and PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from digest.engine import App, Job, open_app, open_engine, tick
from digest.engine.engines import InlineEngine
from digest.engine.jobs import FIRST_RETRY, held_back, take
from digest.errors import BadInput, BadSettings, ServiceUnreachable
from digest.evaluation.cluster import OneCluster, cluster
from digest.evaluation.sink import recorded
from digest.settings import Settings
from digest.traces import end_traces, span, start_traces
from tests.collector import Collector, collecting
from tests.engine.cluster_world import (
    changes_are_told,
    leases,
    n_editions,
    nothing_twice,
    read_papers,
    right_now,
    sign_up,
    states,
    wait_for,
)

NOWHERE = "celery+amqp://me:hunter2@127.0.0.1:9//"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def worked(
    _postgres_database: str,
    rabbitmq_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    collector: Collector,
) -> Iterator[OneCluster]:
    """A cluster with a worker that is up, and tells of traces at once."""
    folder = tmp_path_factory.mktemp("cluster")
    changes_are_told(_postgres_database)
    with cluster(_postgres_database, rabbitmq_url, folder) as one:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
            worker = one.worker("--processes", "1")
        try:
            # What comes first takes as long as the worker needs to start.
            yield one
            worker.terminate()
            assert worker.wait(60) == 0, one.log()
        finally:
            worker.kill()


@pytest.fixture(params=["inline", "celery"])
def one(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[OneCluster]:
    """A cluster with each engine, its database empty."""
    if request.param == "celery":
        found: OneCluster = request.getfixturevalue("worked")
        (found.folder / "mails").write_text("")
        yield found
        return
    with _inline(postgres_url, tmp_path) as here:
        yield here


@contextmanager
def _inline(url: str, folder: Path) -> Iterator[OneCluster]:
    changes_are_told(url)
    with cluster(url, "inline", folder) as here:
        yield here


def submit(one: OneCluster, jobs: Sequence[Job], owner: str) -> None:
    one.app.engine.submit(one.app, jobs, owner, right_now)


def leased(app: App, job: Job, owner: str) -> None:
    with app.sessions() as session:
        assert take(session, job, right_now(), owner=owner)


class TestEveryEngine:
    def test_a_morning_reaches_every_reader_once(self, one: OneCluster) -> None:
        sign_up(one.app, 3)
        read_papers(one.app, "graph networks", "protein folding")

        def is_over() -> bool:
            tick(one.app, right_now)
            return states(one.app) == {"sent": 3} and leases(one.app) == []

        wait_for(one.app, is_over, what=one.folder.name)
        assert sum(recorded(one.folder / "mails").values()) == 3
        assert tick(one.app, right_now).done == ()
        nothing_twice(one)

    def test_a_job_that_is_submitted_twice_makes_nothing_twice(self, one: OneCluster) -> None:
        sign_up(one.app, 3)
        read_papers(one.app, "graph networks")
        job = Job("compose", "compose:0", tuple(range(1, 10)))
        leased(one.app, job, "me")
        submit(one, [job, job], "me")
        wait_for(one.app, lambda: leases(one.app) == [])
        leased(one.app, job, "me again")
        submit(one, [job], "me again")
        wait_for(one.app, lambda: leases(one.app) == [])
        assert n_editions(one.app) == 3

    def test_a_job_whose_lease_others_have_by_now_is_left_to_them(self, one: OneCluster) -> None:
        sign_up(one.app, 1)
        read_papers(one.app, "graph networks")
        theirs, mine = (Job("compose", f"compose:{n}", (1,)) for n in (0, 1))
        leased(one.app, theirs, "others")
        submit(one, [theirs], "me")
        # What comes after it in the same queue is done after it.
        leased(one.app, replace(mine, ids=()), "me")
        submit(one, [replace(mine, ids=())], "me")
        wait_for(one.app, lambda: leases(one.app) == ["compose:0"])
        assert n_editions(one.app) == 0

    def test_a_job_that_fails_keeps_its_lease_for_a_while(self, one: OneCluster) -> None:
        job = Job("ingest", "ingest:gone", name="gone")
        leased(one.app, job, "me")
        submit(one, [job], "me")

        def failures() -> list[tuple[str, int]]:
            with one.app.sessions.reading() as session:
                return [(key, n) for key, _, n in held_back(session, right_now()) if n]

        wait_for(one.app, lambda: failures() == [(job.key, 1)])
        with one.app.sessions.reading() as session:
            ((_, until, _),) = held_back(session, right_now())
        assert until - right_now() <= FIRST_RETRY


def test_what_a_worker_does_is_a_part_of_the_schedulers_trace(
    worked: OneCluster, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    start_traces()
    job = Job("housekeeping", "housekeeping")
    leased(worked.app, job, "me")
    with span("here"):
        submit(worked, [job], "me")
    end_traces()
    theirs = collector.wait_for("job housekeeping")
    (here,) = (one for one in collector.spans() if one.name == "here")
    assert (theirs.trace, theirs.parent) == (here.trace, here.id)
    assert theirs.told["digest.owner"] == "me"


# Which engine, and what it says


def test_the_engine_is_chosen_by_its_url() -> None:
    assert isinstance(open_engine("inline"), InlineEngine)
    assert type(open_engine(NOWHERE)).__name__ == "CeleryEngine"


def test_without_celery_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digest.engine.engines.find_spec", lambda _name: None)
    with pytest.raises(BadSettings, match=r"install Digest as '\.\[cluster\]'"):
        open_engine(NOWHERE)


def test_a_broker_that_is_away_is_told_without_its_password_and_leaves_no_lease(
    tmp_path: Path, sqlite_url: str
) -> None:
    settings = Settings.model_validate(
        {"database": sqlite_url, "engine": NOWHERE, "secret_key": "a secret of enough bytes"}
    )
    app = open_app(settings)
    sign_up(app, 1)
    with pytest.raises(ServiceUnreachable, match=r"celery\+amqp://me:\*\*\*@127") as raised:
        tick(app, right_now)
    assert "hunter2" not in str(raised.value) + repr(settings)
    assert leases(app) == [], "what is due is so at the next tick"
    app.sessions.engine.dispose()


def test_a_worker_needs_a_broker_and_the_names_of_queues() -> None:
    with pytest.raises(BadSettings, match=r"inline.* has no workers"):
        InlineEngine().work()
    with pytest.raises(BadInput, match=r"queues: one of ingest, signup, .*, not brew"):
        open_engine(NOWHERE).work(lambda: None, right_now, queues=["brew"])  # type: ignore[arg-type, return-value]
    with pytest.raises(ServiceUnreachable, match="cannot reach the broker"):
        open_engine(NOWHERE).work(lambda: None, right_now)  # type: ignore[arg-type, return-value]
