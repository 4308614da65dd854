"""Traces: how long each piece of work took, told to a collector of OpenTelemetry.

This is the only module that knows it. Traces are on where OTEL_EXPORTER_OTLP_ENDPOINT names a
collector (OTLP over HTTP; the other standard variables count, too); else nothing is imported, and a
span is a call that does nothing. Attributes are numbers, counts, keys of jobs and names of the
settings: never an address, a token or a title. So an error is told by its class alone.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from digest.errors import BadSettings, ServiceUnreachable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# So long a checkup waits for the collector.
_SECONDS = 3.0

Told = Mapping[str, str | int | float | Sequence[int]]
Kind = Literal["internal", "server", "client"]

# As with logging, a process has one.
_provider: "TracerProvider | None" = None


def wanted() -> str:
    """The variable that names a collector; empty where none does, or OTEL_SDK_DISABLED is true."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    return next((name for name in _ENDPOINTS if os.environ.get(name)), "")


def start_traces() -> None:
    """Tell of spans from now on, if that is wanted; processes that are forked do, too.

    Raises BadSettings where OpenTelemetry is missing.
    """
    global _provider
    if not wanted() or _provider is not None:
        return
    exporter = _exporter()
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or "digest"
    _provider = TracerProvider(
        resource=Resource.create({"service.name": name}), shutdown_on_exit=False
    )
    _provider.add_span_processor(BatchSpanProcessor(exporter))


def end_traces() -> None:
    """Tell what has not been told yet, and nothing from now on."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def check_traces() -> None:
    """Send the collector a request without spans.

    Raises BadSettings where OpenTelemetry is missing, ServiceUnreachable where nothing takes it.
    """
    exporter = _exporter(_SECONDS)
    from opentelemetry.sdk.trace.export import SpanExportResult

    if exporter.export([]) is not SpanExportResult.SUCCESS:
        raise ServiceUnreachable(f"the collector that {wanted()} names takes no traces")


def _exporter(seconds: float | None = None) -> "SpanExporter":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise BadSettings(
            f"{wanted()} is set and OpenTelemetry is missing: install Digest as '.[traces]', "
            "or unset it"
        ) from None
    # A collector that is away is told of once for a batch, and not for each try.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    return OTLPSpanExporter(timeout=seconds)


@contextmanager
def span(name: str, told: Told | None = None, *, kind: Kind = "internal") -> Iterator[None]:
    """What is done inside is a span, a part of the one around it, with what is `told` of it."""
    if _provider is None:
        yield
        return
    from opentelemetry.trace import SpanKind, StatusCode

    with _provider.get_tracer("digest").start_as_current_span(
        name,
        kind=SpanKind[kind.upper()],
        attributes=told,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def tell(told: Told, *, name: str = "") -> None:
    """Add to the span that is under way, and give it its `name` where that is known only now."""
    if _provider is None:
        return
    from opentelemetry.trace import get_current_span

    current = get_current_span()
    current.set_attributes(told)
    if name:
        current.update_name(name)


def carried() -> dict[str, str]:
    """The span that is under way as headers of a message (W3C Trace Context); empty without one."""
    headers: dict[str, str] = {}
    if _provider is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """Spans inside are parts of the span that these headers carry."""
    if _provider is None:
        yield
        return
    from opentelemetry.context import attach, detach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = attach(TraceContextTextMapPropagator().extract(headers))
    try:
        yield
    finally:
        detach(token)
