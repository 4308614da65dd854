"""Traces, as a collector gets them over the wire."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from starlette.testclient import TestClient

from digest.engine import tick
from digest.engine.doctor import checkup
from digest.errors import BadSettings
from digest.links import Claim
from digest.settings import FetchSettings, Settings, SourceSettings
from digest.traces import end_traces, span, start_traces, tell
from digest.web import create_web
from tests.collector import Collector, Span, collecting
from tests.engine.world import DAY, SEVEN, Clock, Installation, installed, settings_of
from tests.worlds import WordEncoder

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that this process tells, until `end_traces`."""
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        start_traces()
        yield collector
        end_traces()


class _Folder(SimpleHTTPRequestHandler):
    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str) -> Iterator[Installation]:
    """An installation whose one source is the newest page, over HTTP, with a key in its address."""
    with installed(tmp_path, sqlite_url) as world:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Folder, directory=str(world.pages)))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/0.json?key=hunter2"
        parts = {
            "sources": (SourceSettings(name="daily", url=url, hours=(7,)),),
            "fetch": FetchSettings(allow=("127.0.0.1",)),
        }
        settings = world.app.settings.model_copy(update=parts)
        object.__setattr__(world.app, "settings", settings)
        yield world
        server.shutdown()
        thread.join()
        server.server_close()


def only(spans: list[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name == name)
    return found


def test_a_morning_is_one_trace_from_the_tick_to_the_mails_with_what_they_came_to(
    world: Installation, collector: Collector
) -> None:
    world.publish("graph networks", "protein folding")
    ids = [world.subscribe(f"{name}@example.org") for name in ("ann", "bob")]
    tick(world.app, Clock(SEVEN))
    end_traces()
    spans = collector.spans()
    whole = only(spans, "tick")
    ingest, fetch = only(spans, "job ingest"), only(spans, "fetch")
    compose, deliver = only(spans, "job compose"), only(spans, "job deliver")
    batches = [span for span in spans if span.name == "batch of mails"]
    assert {span.trace for span in spans} == {whole.trace}
    assert {ingest.parent, compose.parent, deliver.parent} == {whole.id}
    assert fetch.parent == ingest.id
    assert {span.parent for span in batches} == {deliver.id}
    assert 0 < fetch.seconds <= ingest.seconds <= whole.seconds
    assert whole.told["digest.done"] == len([one for one in spans if one.parent == whole.id])
    assert whole.told["digest.failed"] == 0
    assert ingest.told.items() >= {"digest.verdict": "fresh", "digest.new_papers": 2}.items()
    assert fetch.told["server.address"] == "127.0.0.1"
    assert compose.told.items() >= {"digest.ids": ids, "digest.built": 2}.items()
    assert [len(span.told["digest.ids"]) for span in batches] == [2, 0]
    assert deliver.told["digest.sent"] == 2


def test_no_address_token_or_title_is_told(world: Installation, collector: Collector) -> None:
    world.publish("graph networks")
    reader = world.subscribe("ann@example.org")
    tick(world.app, Clock(SEVEN))
    path = world.app.links.path(Claim("unsubscribe", reader, SEVEN + DAY))
    client = TestClient(create_web(world.app, now=lambda: SEVEN), raise_server_exceptions=False)
    client.get(path, headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    client.get(path + "x?q=graph")
    with pytest.raises(ValueError, match="ann@"), span("a mistake"):
        raise ValueError("ann@example.org")
    end_traces()
    wire = b"".join(collector.bodies)
    for secret in (b"ann@", b"graph", b"hunter2", path.rpartition("/")[2].encode()[:20]):
        assert secret not in wire
    assert only(collector.spans(), "a mistake").error == "ValueError"


def test_a_request_is_told_by_its_route_and_is_no_part_of_a_visitors_trace(
    world: Installation, collector: Collector
) -> None:
    client = TestClient(create_web(world.app, now=lambda: SEVEN), raise_server_exceptions=False)
    client.get("/healthz", headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    client.request("BREW", "/nowhere")
    end_traces()
    found = {span.name: span for span in collector.spans()}
    assert found.keys() == {"GET /healthz", "other none"}
    healthz = found["GET /healthz"]
    assert healthz.told == {
        "http.request.method": "GET",
        "http.route": "/healthz",
        "http.response.status_code": 200,
    }
    assert healthz.parent == b""
    assert healthz.trace != bytes.fromhex("1" * 32)


def test_a_job_that_fails_is_told_by_the_class_of_its_error(
    world: Installation, collector: Collector
) -> None:
    assert tick(world.app, Clock(SEVEN)).failed, "its page is not there"
    end_traces()
    assert only(collector.spans(), "job ingest").error == "SourceUnreachable"
    assert only(collector.spans(), "tick").told["digest.failed"] == 1


def test_without_a_collector_nothing_is_imported() -> None:
    said = (
        "import sys; from digest.traces import *; start_traces()\n"
        "with span('x', {'n': 1}): tell({'n': 2})\n"
        "end_traces(); print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_disabled_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        start_traces()
        with span("x"):
            tell({"n": 1})
        end_traces()
        assert collector.bodies == []


def test_without_the_extra_the_variable_and_the_extra_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    with pytest.raises(BadSettings, match=rf"^{ENDPOINT} is set .* install .*'\.\[traces\]'"):
        start_traces()


def said_by_the_doctor(settings: Settings) -> tuple[str, str]:
    (found,) = (
        one for one in checkup(settings, now=SEVEN, encoder=WordEncoder()) if one.part == "traces"
    )
    return found.health, found.said


def test_the_doctor_asks_the_collector(
    tmp_path: Path, sqlite_url: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, sqlite_url)
    assert said_by_the_doctor(settings) == ("ok", f"the collector that {ENDPOINT} names takes them")
    assert collector.spans() == []
    collector.status = 400
    assert said_by_the_doctor(settings)[0] == "fault"
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    health, said = said_by_the_doctor(settings)
    assert (health, "'.[traces]'" in said) == ("fault", True)
