"""What whoever runs Digest may watch: ready or not, and numbers that name nobody."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text
from starlette.testclient import TestClient

from digest.errors import BadEncoder
from digest.settings import Settings, WebSettings
from digest.store.tables import Breaker, SourceState
from digest.web import create_web
from digest.web.metrics import KEPT_FOR
from tests.web.conftest import NEWCOMER, READER, World, client_of, on_sqlite
from tests.web.seed import NOON, add_edition, add_paper

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(body: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def asked_from(world: World, host: str, **headers: str) -> int:
    web = create_web(world.app, now=lambda: NOON)
    client = TestClient(web, client=(host, 1), raise_server_exceptions=False)
    status: int = client.get("/metrics", headers=headers).status_code
    return status


def test_everything_is_counted(world: World) -> None:
    with world.app.sessions() as session:
        add_edition(session, world.reader, [add_paper(session, "x")], days_later=1, queued=True)
        session.add(Breaker(name="smtp", until=NOON + timedelta(hours=1), failures=1, reason="x"))
        session.add(
            SourceState(
                name="daily", last_run_at=NOON, last_read_at=NOON - timedelta(hours=1),
                verdict="stale", detail="", n_listings=3,
            )
        )  # fmt: skip
    world.client.post(world.path(world.vote("up")))
    world.client.get(world.path(world.vote("up")) + "x")
    body = world.client.get("/metrics").text
    found = samples(body)
    for name, value in {
        ("digest_subscribers", (("state", "active"),)): 1,
        ("digest_subscribers", (("state", "pending"),)): 1,
        ("digest_editions", ()): 2,
        ("digest_papers", ()): 3,
        ("digest_deliveries", (("state", "queued"),)): 1,
        ("digest_queue_age_seconds", ()): 0,
        ("digest_sending_paused", ()): 1,
        ("digest_source_ok", (("source", "daily"),)): 0,
        ("digest_source_age_seconds", (("source", "daily"),)): 3600,
        ("digest_votes", (("value", "up"),)): 1,
    }.items():
        assert found[name] == value, name
    route = ("route", "/vote/{token}")
    assert found["digest_requests_total", (("method", "POST"), route, ("status", "303"))] == 1
    assert found["digest_requests_total", (("method", "GET"), route, ("status", "404"))] == 1
    assert found["digest_request_seconds_count", (("method", "POST"), route)] == 1
    assert found["process_start_time_seconds", ()] > 0
    for secret in (READER, NEWCOMER, world.app.links.token(world.vote("up"))):
        assert secret not in body


@on_sqlite
def test_no_visitor_makes_labels_of_their_own(world: World) -> None:
    for n in range(20):
        world.client.request(f"BREW{n}", f"/nowhere{n}")
    found = [
        key for key in samples(world.client.get("/metrics").text) if "requests_total" in key[0]
    ]
    assert found == [
        ("digest_requests_total", (("method", "other"), ("route", "none"), ("status", "404")))
    ]


@on_sqlite
def test_the_database_is_asked_once_in_ten_seconds_however_many_scrape(world: World) -> None:
    at = [NOON]
    web = create_web(world.app, now=lambda: at[0])
    client = TestClient(web, client=("127.0.0.1", 1))
    said: list[str] = []

    def hear(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    client.get("/metrics")
    event.listen(world.app.sessions.engine, "before_cursor_execute", hear)
    client.get("/metrics")
    assert said == []
    at[0] += KEPT_FOR
    client.get("/metrics")
    assert 5 < sum("SELECT" in one for one in said) < 20


@on_sqlite
def test_numbers_are_for_this_machine_or_for_who_has_the_token(world: World) -> None:
    assert asked_from(world, "127.0.0.1") == asked_from(world, "::1") == 200
    assert asked_from(world, "192.0.2.1") == 404
    # A proxy on this machine brings the whole world.
    assert asked_from(world, "127.0.0.1", **{"x-forwarded-for": "192.0.2.1"}) == 404
    web = WebSettings.model_validate({"metrics_token": "s3cret"})
    settings = Settings(base_url=world.app.settings.base_url, web=web)
    keyed = replace(world, app=replace(world.app, settings=settings))
    assert asked_from(keyed, "192.0.2.1", authorization="Bearer s3cret") == 200
    for wrong in ("Bearer s3cre", "Basic s3cret", "s3cret", ""):
        assert asked_from(keyed, "127.0.0.1", authorization=wrong) == 404
    assert "s3cret" not in repr(settings)


def test_ready_is_when_work_can_be_done(world: World) -> None:
    assert world.client.get("/readyz").json() == {"status": "ready"}


@on_sqlite
def test_not_ready_says_what_is_missing_and_not_how(world: World) -> None:
    class NoModel:
        @property
        def identity(self) -> str:
            raise BadEncoder("encoder: /srv/models is gone")

        def encode(self, texts: Any) -> Any:
            raise AssertionError(texts)

    app = replace(world.app, encoder=NoModel())
    answer = client_of(app).get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "the encoder's model is missing or not the pinned one"}
    with world.app.sessions() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = world.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "the database is not at this program's revision"}
    assert world.client.get("/healthz").status_code == 200


@on_sqlite
def test_without_an_encoder_pages_work_by_words_alone(world: World) -> None:
    class NoModel:
        identity = "words-64"

        def encode(self, texts: Any) -> Any:
            raise BadEncoder(f"cannot load it for {len(texts)}")

    client = client_of(replace(world.app, encoder=NoModel()))
    assert "On graphs" in client.get("/search?q=graphs").text
    given = {"address": "", "interest": "graphs", "do": "sample"}
    assert client.post("/subscribe", data=given).status_code == 200
