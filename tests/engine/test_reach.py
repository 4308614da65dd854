import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from digest.engine.findings import Finding
from digest.engine.reach import check_pages, check_relay
from digest.settings import Settings
from tests.delivery.servers import HOST, scripted, self_signed, smtp_server


def parts_of(findings: Iterator[Finding]) -> dict[str, Finding]:
    found = {one.part: one for one in findings}
    assert all(bool(one.fix) == (one.health != "ok") for one in found.values())
    return found


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context whose certificate, of two days, this process trusts."""
    certificate, key = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def relay(port: int, security: str) -> Settings:
    return Settings.model_validate({"smtp": {"host": HOST, "port": port, "security": security}})


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_relays_certificate_that_ends_soon_is_told(
    trusted: ssl.SSLContext, security: str
) -> None:
    async with smtp_server(
        **{"tls_context" if security == "starttls" else "tls": trusted}
    ) as inbox:
        smtp = relay(inbox.port, security).smtp
        now = datetime.now(UTC)
        found = await asyncio.to_thread(lambda: parts_of(check_relay(smtp, now)))
        assert found["tls"].health == "warning"
        assert "its certificate ends on" in found["tls"].said
        long_ago = now - timedelta(days=30)
        found = await asyncio.to_thread(lambda: parts_of(check_relay(smtp, long_ago)))
        assert (found["tls"].health, found["relay"].health) == ("ok", "ok")
        assert "takes mails up to 34 MB" in found["relay"].said


@pytest.mark.parametrize(
    ("ehlo", "health", "said"),
    [
        ("250-here\r\n250 SIZE 40000\r\n", "warning", "at most 40 kB"),
        ("250-here\r\n250 SIZE 52428800\r\n", "ok", "up to 52 MB"),
        ("250-here\r\n250 SIZE\r\n", "ok", "of any size"),
        ("250 here\r\n", "ok", "of any size"),
    ],
)
async def test_a_relay_that_takes_only_small_mails_is_told(
    ehlo: str, health: str, said: str
) -> None:
    async with scripted({"EHLO": ehlo}) as script:
        smtp = relay(script.port, "none").smtp
        found = await asyncio.to_thread(lambda: parts_of(check_relay(smtp, datetime.now(UTC))))
    assert (found["relay"].health, said in found["relay"].said) == (health, True)


@contextmanager
def pages(
    status: int = 200, *, late: timedelta = timedelta(), tls: ssl.SSLContext | None = None
) -> Iterator[Callable[[], dict[str, Finding]]]:
    """Answer /digest/healthz, and give what looks at it."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/digest/healthz" else 404)
            self.end_headers()

        def date_time_string(self, _timestamp: float | None = None) -> str:
            return super().date_time_string((datetime.now(UTC) + late).timestamp())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer((HOST, 0), Door)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"{'https' if tls else 'http'}://{HOST}:{server.server_port}/digest"
    settings = Settings.model_validate({"base_url": url, "smtp": {"host": HOST}})
    yield lambda: parts_of(check_pages(settings, datetime.now(UTC)))
    server.shutdown()
    thread.join()
    server.server_close()


def test_pages_that_answer_are_well_and_their_certificate_is_read(
    trusted: ssl.SSLContext,
) -> None:
    with pages(tls=trusted) as look:
        found = look()
    assert (found["pages"].health, found["tls"].health) == ("ok", "warning")


def test_pages_of_another_server_are_told() -> None:
    with pages(503) as look:
        assert look()["pages"].said.endswith("/digest/healthz answers 503")


def test_a_clock_that_differs_from_that_of_the_pages_is_a_fault() -> None:
    with pages(late=timedelta(hours=1)) as look:
        assert look()["clock"].health == "fault"


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with pages(tls=context) as look:
        found = look()
    assert (found["pages"].health, "certificate" in found["pages"].said) == ("warning", True)


def test_pages_that_nobody_answers_are_told() -> None:
    with pages() as look:
        pass
    assert "refused" in look()["pages"].said
