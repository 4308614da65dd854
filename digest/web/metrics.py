"""The door for Prometheus: what the database counts, and how requests fare."""

import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from threading import Lock

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.engine.app import App
from digest.engine.gauges import Gauge, read_gauges
from digest.traces import span, tell
from digest.web.answers import PRIVATE, SHUT

# However many scrape, the database is asked so often.
KEPT_FOR = timedelta(seconds=10)
_METHODS = {"GET", "HEAD", "POST"}
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Requests:
    """Counts requests and times them, by the route's template: no path, which holds a token."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Tell `registry`."""
        labels = ("method", "route")
        self._count = Counter(
            "digest_requests", "Requests.", (*labels, "status"), registry=registry
        )
        self._seconds = Histogram(
            "digest_request_seconds", "Seconds.", labels, registry=registry, buckets=_BUCKETS
        )

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request is answered."""
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Measured:
    """Stands before everything and tells `requests` of each request."""

    def __init__(self, app: ASGIApp, *, requests: Requests) -> None:
        """Stand before `app`."""
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # A visitor's own choice of method would be a label that is never forgotten.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with span(method, kind="server"):
            try:
                await self.app(scope, receive, noting)
            finally:
                # Our routes put their template there; what none of them takes has none.
                route = scope.get("state", {}).get("route", "none")
                self.requests.saw(method, route, status, time.perf_counter() - began)
                told = {
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": status,
                }
                tell(told, name=f"{method} {route}")


@dataclass(slots=True, eq=False)
class _FromDatabase(Collector):
    app: App
    now: Callable[[], datetime]
    _lock: Lock = field(default_factory=Lock)
    _kept: tuple[datetime, list[Gauge]] | None = None

    def describe(self) -> list[Metric]:
        """Say nothing beforehand: to register is not to ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What was counted at most `KEPT_FOR` ago."""
        now = self.now()
        with self._lock:
            if self._kept is None or not now - KEPT_FOR < self._kept[0] <= now:
                with self.app.sessions.reading() as session:
                    self._kept = now, read_gauges(session, now)
            gauges = self._kept[1]
        for gauge in gauges:
            family = GaugeMetricFamily(
                gauge.name, gauge.says, labels=[gauge.label] if gauge.label else []
            )
            for name, value in gauge.values.items():
                family.add_metric([name] if gauge.label else [], value)
            yield family


class MetricsDoors:
    """Open to this machine, and to whoever has the token."""

    def __init__(self, app: App, now: Callable[[], datetime]) -> None:
        """Count on `app`."""
        self.app = app
        self._registry = CollectorRegistry()
        self.requests = Requests(self._registry)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(_FromDatabase(app, now))

    def metrics(self, request: Request) -> Response:
        """Everything, in Prometheus' text format."""
        if not self._may_read(request):
            raise HTTPException(404)
        return Response(
            generate_latest(self._registry),
            headers={**SHUT, **PRIVATE},
            media_type=CONTENT_TYPE_LATEST,
        )

    def _may_read(self, request: Request) -> bool:
        token = self.app.settings.web.metrics_token
        if token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            expected = token.get_secret_value().encode()
            told = given.encode("utf-8", "replace")
            return scheme.lower() == "bearer" and hmac.compare_digest(told, expected)
        # A proxy on this machine brings everybody, and says for whom.
        if any(name in request.headers for name in ("x-forwarded-for", "forwarded", "via")):
            return False
        try:
            return request.client is not None and ip_address(request.client.host).is_loopback
        except ValueError:
            return False
