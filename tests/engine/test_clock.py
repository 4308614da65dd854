import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from urllib.request import Request, urlopen

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from digest.delivery.sending import FAREWELL
from digest.engine.clock import config_of, serve
from digest.errors import BadSettings, ServiceUnreachable
from digest.settings import WebSettings
from digest.store.deliveries import queue
from digest.web import create_web
from tests.engine.world import SEVEN, Installation, installed

HOST = "127.0.0.1"


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        found: int = unused.getsockname()[1]
    return found


@pytest.fixture
def served(tmp_path: Path, sqlite_url: str, port: int) -> Iterator[Installation]:
    with installed(tmp_path, sqlite_url) as world:
        listen_on(world, HOST, port)
        yield world


def listen_on(world: Installation, host: str, port: int) -> None:
    web = {"web": WebSettings(host=host, port=port)}
    world.app = replace(world.app, settings=world.app.settings.model_copy(update=web))


def stopped_by(number: signal.Signals, served: Installation, port: int) -> list[int]:
    """Serve until a signal comes, which is sent when a mail is out and a page was answered."""
    answered: list[int] = []
    mailed = Event()

    def clock() -> datetime:
        # Asked before and after each job.
        if ("edition", "sent") in served.mails():
            mailed.set()
        return SEVEN

    def visitor() -> None:
        try:
            with urlopen(f"http://{HOST}:{port}/healthz", timeout=10) as answer:
                answered.append(answer.status)
            mailed.wait(10)
        finally:
            os.kill(os.getpid(), number)

    serve(
        served.app,
        create_web(served.app),
        clock=clock,
        ready=lambda: Thread(target=visitor).start(),
    )
    return answered


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_ticks_and_stops_in_order_at_a_signal(
    served: Installation, port: int, number: signal.Signals
) -> None:
    served.subscribe()
    served.publish("graph networks")
    before = signal.getsignal(number)
    assert stopped_by(number, served, port) == [200]
    assert served.mails() == [("edition", "sent")]
    assert served.leases() == []
    assert signal.getsignal(number) == before
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind((HOST, port))


def test_a_second_signal_ends_it_at_once(
    served: Installation, sqlite_url: str, tmp_path: Path
) -> None:
    with served.app.sessions() as session:
        queue(session, kind="fresh_link", subscriber_id=served.subscribe(), now=datetime.now(UTC))
    with socket.create_server((HOST, 0)) as silent:
        silent.settimeout(60)
        given = {
            "DIGEST_DATABASE": sqlite_url,
            "DIGEST_SECRET_KEY": served.app.secret.decode(),
            "DIGEST_WEB_PORT": str(served.app.settings.web.port),
            "DIGEST_SMTP_HOST": HOST,
            "DIGEST_SMTP_PORT": str(silent.getsockname()[1]),
            "DIGEST_SMTP_SECURITY": "none",
        }
        command = [sys.executable, "-m", "digest", "serve"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | given, stderr=subprocess.PIPE
        ) as process:
            try:
                connection, _ = silent.accept()
                # One of each, for two of a kind may come as one.
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGTERM)
                assert process.wait(FAREWELL / 2) == 1
            finally:
                process.kill()
            connection.close()


@pytest.mark.parametrize(
    ("error", "traceback"), [(RuntimeError("no clock"), True), (ServiceUnreachable("gone"), False)]
)
def test_a_tick_that_fails_does_not_stop_the_server(
    served: Installation,
    port: int,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    traceback: bool,
) -> None:
    failed = Event()

    def clock() -> datetime:
        failed.set()
        raise error

    def visitor() -> None:
        try:
            failed.wait(10)
            with urlopen(f"http://{HOST}:{port}/healthz", timeout=10) as answer:
                assert answer.status == 200
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    web = create_web(served.app)
    serve(served.app, web, clock=clock, ready=lambda: Thread(target=visitor).start())
    assert str(error) in caplog.text
    assert ("Traceback" in caplog.text) == traceback


def test_a_port_in_use_is_said_with_what_to_set(served: Installation, port: int) -> None:
    with socket.create_server((HOST, port)), pytest.raises(BadSettings) as raised:
        serve(served.app, create_web(served.app))
    assert f"cannot listen on {HOST} port {port}: Address already in use; set" in str(raised.value)
    assert "DIGEST_WEB_PORT" in str(raised.value)


def test_a_host_that_is_not_ours_is_said_too(served: Installation) -> None:
    listen_on(served, "192.0.2.1", 8000)
    with pytest.raises(BadSettings, match=r"cannot listen on 192\.0\.2\.1 port 8000"):
        serve(served.app, create_web(served.app))


def visitor_as_seen(settings: WebSettings, headers: dict[str, str]) -> str:
    """Who the visitor is to our pages, when a connection from this machine says so."""
    seen: list[str] = []

    async def page(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(f"{scope['scheme']} {scope['client'][0]}")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server((HOST, 0)) as listener:
        config = config_of(settings, page)
        config.lifespan = "off"
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://{HOST}:{listener.getsockname()[1]}/"
        with urlopen(Request(url, headers=headers), timeout=10):
            pass
        server.should_exit = True
        thread.join()
    return seen[0]


def test_forwarded_headers_count_from_configured_proxies_alone() -> None:
    told = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert visitor_as_seen(WebSettings(), told) == "http 127.0.0.1"
    assert visitor_as_seen(WebSettings(proxies=("10.0.0.0/8",)), told) == "http 127.0.0.1"
    assert visitor_as_seen(WebSettings(proxies=("127.0.0.0/8",)), told) == "https 192.0.2.7"


def test_there_is_no_access_log_for_paths_carry_tokens() -> None:
    log = logging.getLogger("uvicorn.access")
    log.propagate = True
    config_of(WebSettings(), lambda _scope: None)
    assert log.propagate is False
