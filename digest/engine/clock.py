"""`digest serve`: the web server and a clock that ticks, in one process."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from signal import SIGINT, SIGTERM
from types import FrameType

import uvicorn
from apscheduler.schedulers.background import BackgroundScheduler
from starlette.types import ASGIApp

from digest.engine.app import App
from digest.engine.tick import tick
from digest.errors import BadSettings, DigestError
from digest.settings import WebSettings

log = logging.getLogger(__name__)

# An edition is late by at most as much.
EVERY_SECONDS = 20


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn's own handling ends the process before our last mail is."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        """Call `ready` when pages are answered."""
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready()


def serve(
    app: App,
    web: ASGIApp,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer on the settings' address and tick until SIGTERM or SIGINT; then end what is begun.

    A second signal ends at once, which loses nothing. `ready` is called when pages are answered.
    Raises BadSettings where the address cannot be had.
    """
    stopping = threading.Event()
    config = config_of(app.settings.web, web)
    with _listening(app.settings.web) as listener:
        server = _Server(config, ready)
        scheduler = BackgroundScheduler(timezone=UTC)
        scheduler.add_job(
            lambda: _tick(app, clock, stopping.is_set),
            "interval",
            seconds=EVERY_SECONDS,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        with _stopped_by_signals(stopping, server):
            scheduler.start()
            try:
                server.run(sockets=[listener])
            finally:
                stopping.set()
                scheduler.shutdown(wait=True)
    log.info("stopped")


def _tick(app: App, clock: Callable[[], datetime], stop: Callable[[], bool]) -> None:
    try:
        tick(app, clock, stop=stop)
    except DigestError as error:
        said = "%s; what is due is looked for again in %d s"
        log.error(said, error, EVERY_SECONDS)  # noqa: TRY400 - it says what to do


def config_of(settings: WebSettings, web: ASGIApp) -> uvicorn.Config:
    """How pages are served: paths carry tokens, so there is no access log.

    Nobody's word counts for who the visitor is but that of the proxies in the settings.
    """
    return uvicorn.Config(
        web,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
    )


def _listening(web: WebSettings) -> socket.socket:
    try:
        family = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((web.host, web.port), family=family)
    except OSError as error:
        # Python adds the address once more, in brackets.
        said = str(error.strerror).partition(" (")[0]
        raise BadSettings(
            f"web: cannot listen on {web.host} port {web.port}: {said}; "
            "set web.host or web.port (DIGEST_WEB_PORT)"
        ) from None


@contextmanager
def _stopped_by_signals(stopping: threading.Event, server: uvicorn.Server) -> Iterator[None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            # Threads would be waited for, and they wait for servers.
            os._exit(1)
        stopping.set()
        server.should_exit = True

    before = {number: signal.signal(number, handle) for number in (SIGTERM, SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
