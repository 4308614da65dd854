"""The one way out, tried on a real server on this machine."""

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import SourceUnreachable
from digest.sources.fetch import Answer, Mark, fetch, is_public, site_of

HERE = "127.0.0.1"
DAY = "Fri, 20 Nov 2026 05:00:00 GMT"


class Site(BaseHTTPRequestHandler):
    """Answers by path; everything slow waits for the test to end, not for a clock."""

    to: str = ""

    protocol_version = "HTTP/1.1"
    over: threading.Event
    agents: list[str]

    def do_GET(self) -> None:  # noqa: C901 - a case for each path
        self.agents.append(self.headers["User-Agent"])
        path, _, argument = self.path.partition("?")
        match path:
            case "/page":
                self._answer(b"papers")
            case "/zipped":
                self._answer(gzip.compress(b"papers"), ("Content-Encoding", "gzip"))
            case "/zipped-in-parts":
                parts = gzip.compress(b"pap") + gzip.compress(b"") + gzip.compress(b"ers") + b"\0\n"
                self._answer(parts, ("Content-Encoding", "gzip"))
            case "/half-of-the-second":
                parts = gzip.compress(b"pap") + gzip.compress(b"ers")[:-4]
                self._answer(parts, ("Content-Encoding", "gzip"))
            case "/bombs":
                bomb = gzip.compress(bytes(15_000_000))
                self._answer(bomb + bomb, ("Content-Encoding", "gzip"))
            case "/bomb":
                self._answer(gzip.compress(bytes(30_000_000)), ("Content-Encoding", "gzip"))
            case "/broken-gzip":
                self._answer(b"no gzip at all", ("Content-Encoding", "gzip"))
            case "/half-gzip":
                self._answer(gzip.compress(b"papers")[:-4], ("Content-Encoding", "gzip"))
            case "/brotli":
                self._answer(b"?", ("Content-Encoding", "gzip, gzip"))
            case "/large":
                self._answer(b"x" * 100_000)
            case "/to-what-is-set":
                self._answer(b"", ("Location", quote(self.to, safe=":/@[]%?#")), status=302)
            case "/marked":
                asked = (self.headers["If-None-Match"], self.headers["If-Modified-Since"])
                same = asked == ('W/"1"', DAY)
                headers = (("ETag", 'W/"1"'), ("Last-Modified", DAY))
                self._answer(b"" if same else b"papers", *headers, status=304 if same else 200)
            case "/never-changed":
                self._answer(b"", status=304)
            case "/typed":
                self._answer(b"papers", ("Content-Type", unquote(argument)))
            case "/to":
                self._answer(b"", ("Location", argument), status=302)
            case "/silent":
                self.over.wait()
            case "/dripping-head":
                self._drip(b"HTTP/1.1 200 OK\r\n", b"X-Wait: 1\r\n")
            case "/dripping-body":
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x")
            case _:
                self._answer(b"nothing here", status=404)

    def _answer(self, body: bytes, *headers: tuple[str, str], status: int = 200) -> None:
        self.send_response(status)
        for header in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, first: bytes, drop: bytes) -> None:
        self.close_connection = True
        try:
            self.wfile.write(first)
            while not self.over.wait(0.02):
                self.wfile.write(drop)
        except OSError:
            pass  # the client has left, as it should

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that leave early are the point


@contextmanager
def serving() -> Iterator[str]:
    """Run a server that answers by path; gives its address."""
    Site.over, Site.agents = threading.Event(), []
    server = _Server((HERE, 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://{HERE}:{server.server_port}"
    Site.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a server that answers by path."""
    with serving() as url:
        yield url


def get(url: str, **limits: Any) -> bytes:
    body = fetch(url, contact="me@example.org", allow=[HERE], **limits).body
    assert body is not None
    return body


def test_the_body_is_read_and_the_operator_is_named(site: str) -> None:
    assert get(f"{site}/page") == b"papers"
    assert "contact me@example.org" in Site.agents[0]


def test_a_zipped_body_is_unzipped(site: str) -> None:
    assert get(f"{site}/zipped") == get(f"{site}/zipped-in-parts") == b"papers"


def test_a_redirect_to_an_allowed_host_is_followed(site: str) -> None:
    assert get(f"{site}/to?{site}/page") == b"papers"


def test_a_missing_page_is_unreachable(site: str) -> None:
    with pytest.raises(SourceUnreachable, match="/gone answered 404"):
        get(f"{site}/gone")


class TestMarks:
    def test_a_page_that_has_not_changed_is_not_sent_again(self, site: str) -> None:
        first = fetch(f"{site}/marked", contact="me@example.org", allow=[HERE])
        assert first == Answer(b"papers", Mark('W/"1"', DAY))
        again = fetch(f"{site}/marked", contact="me@example.org", allow=[HERE], mark=first.mark)
        assert again == Answer(None, first.mark)

    def test_one_that_has_is(self, site: str) -> None:
        known = Mark('"other"', DAY)
        again = fetch(f"{site}/marked", contact="me@example.org", allow=[HERE], mark=known)
        assert again.body == b"papers"

    def test_who_did_not_ask_gets_no_unchanged_page(self, site: str) -> None:
        with pytest.raises(SourceUnreachable, match="answered 304"):
            get(f"{site}/never-changed")


class TestTypes:
    @pytest.mark.parametrize(
        "said",
        ["text/plain", "text/html; charset=utf-8", "application/json", "application/atom+xml",
         "application/feed+json", "APPLICATION/XML", "application/x-ndjson", "text/x-bibtex",
         "application/octet-stream", ""],
    )  # fmt: skip
    def test_what_may_be_a_page_of_papers_is_taken(self, site: str, said: str) -> None:
        assert get(f"{site}/typed?{quote(said)}") == b"papers"

    @pytest.mark.parametrize(
        "said",
        ["application/pdf", "image/png", "video/mp4", "application/zip", "font/woff2",
         "application/javascript", "multipart/mixed", "nonsense"],
    )  # fmt: skip
    def test_what_is_none_is_refused(self, site: str, said: str) -> None:
        with pytest.raises(SourceUnreachable, match="no page of papers"):
            get(f"{site}/typed?{quote(said)}")


def test_a_redirect_in_a_circle_ends(site: str) -> None:
    with pytest.raises(SourceUnreachable, match="redirects"):
        get(f"{site}/to?{site}/to")


def test_a_body_that_is_too_large_is_refused(site: str) -> None:
    assert len(get(f"{site}/large", max_bytes=100_000)) == 100_000
    with pytest.raises(SourceUnreachable, match="more than 99,999 bytes"):
        get(f"{site}/large", max_bytes=99_999)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(site: str) -> None:
    with pytest.raises(SourceUnreachable, match="more than 1,000,000 bytes"):
        get(f"{site}/bomb", max_bytes=1_000_000)
    with pytest.raises(SourceUnreachable, match="more than 20,000,000 bytes"):
        get(f"{site}/bombs", max_bytes=20_000_000)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/broken-gzip", "broken gzip"),
        ("/half-gzip", "broke off"),
        ("/half-of-the-second", "broke off"),
        ("/brotli", "answered in gzip, gzip"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_unreachable(site: str, path: str, said: str) -> None:
    with pytest.raises(SourceUnreachable, match=said):
        get(site + path)


@pytest.mark.parametrize("path", ["/silent", "/dripping-head", "/dripping-body"])
def test_a_slow_server_is_left_in_time(site: str, path: str) -> None:
    begun = monotonic()
    with pytest.raises(SourceUnreachable, match="took longer than"):
        get(site + path, max_seconds=0.3)
    assert monotonic() - begun < 3


def test_this_machine_is_refused_unless_it_is_allowed(site: str) -> None:
    with pytest.raises(SourceUnreachable, match=r"127\.0\.0\.1, which is no public address"):
        fetch(f"{site}/page", contact="me@example.org")
    assert Site.agents == []


@pytest.mark.parametrize(
    "inside",
    [
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://localhost/",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(site: str, inside: str) -> None:
    with pytest.raises(SourceUnreachable, match="no public address"):
        get(f"{site}/to?{inside}")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/", "no address", "http://", "http://a b/"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(SourceUnreachable):
        get(url)


def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        url = f"http://{HERE}:{taken.getsockname()[1]}/"
    with pytest.raises(SourceUnreachable):
        get(url)


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7"))
def test_no_private_address_counts_as_public(address: Any) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("::ffff:93.184.215.14", True),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378::", False),
        ("64:ff9b::10.0.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("ff0e::1", False),
    ],
)
def test_public_addresses_are_told_from_those_that_hide_others(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    ("url", "site_and_pause"),
    [
        ("https://export.arxiv.org/api/query?x=1", ("arxiv.org", 3.0)),
        ("https://rss.arxiv.org./rss/cs.LG", ("arxiv.org", 3.0)),
        ("http://ARXIV.org/", ("arxiv.org", 3.0)),
        ("https://notarxiv.org/", ("notarxiv.org", 1.0)),
        ("http://user@mirror.lan:8080/arxiv.org", ("mirror.lan", 1.0)),
    ],
)
def test_all_hosts_of_a_site_share_its_pace(url: str, site_and_pause: tuple[str, float]) -> None:
    assert site_of(url) == site_and_pause
