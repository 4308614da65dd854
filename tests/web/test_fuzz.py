"""Whatever is sent to whichever door, none breaks: no 5xx, and every answer is shut tight.

The doors are taken from the routing table, so that one which is added is tried, too.
"""

import random
import re
import string
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from digest.links import _KINDS, Claim
from digest.web import create_web
from tests.web.conftest import LATER, World, expired, on_sqlite
from tests.web.seed import NOON

METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get")
KINDS = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "y" * 300,
    "multipart/form-data; boundary*=utf-8''%ff",
    "application/json",
    "message/rfc822",
    "text/plain; charset=nonsense",
    "\xff\xfe",
    ";;;=",
    "",
)
HEADERS = (
    ("host", "evil.example"),
    ("host", "a" * 5000),
    ("x-forwarded-for", "999.1.1.1, ::1, \xff"),
    ("x-forwarded-proto", "javascript"),
    ("forwarded", 'for="[::1]";proto=gopher'),
    ("content-length", "-5"),
    ("content-length", "99999999999"),
    ("transfer-encoding", "chunked, chunked"),
    ("authorization", "Bearer \xff\xfe"),
    ("authorization", "Basic !!!!"),
    ("authorization", "Bearer " + "x" * 4000),
    ("if-none-match", 'W/"x", , *'),
    ("if-modified-since", "Tue, 99 Foo 99999 25:61:61 GMT"),
    ("if-modified-since", "Mon, 01 Jan 0001 00:00:00 +9959"),
    ("range", "bytes=-1-,5"),
    ("accept", "\xe9" * 200),
    ("accept-language", "de;q=nan, *;q=inf, \xff-\xfe;q*=utf-8''%ff, ;;=,,-"),
    ("cookie", "a=b; " * 500),
    ("expect", "100-continue"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-site", "\x7f"),
    ("sec-fetch-mode", "navigate"),
    ("upgrade", "websocket"),
)
NAMES = (
    "address", "interest", "timezone", "hour", "frequency", "length", "mix", "website", "do", "q",
    "pick", "library", "file", "forget", "altcha", "value", "instead", "by", "until", "name",
    "text", "on", "kind", "remove", "what", "min_probability", "\xe9", "", "a[b]", "__proto__",
)  # fmt: skip
VALUES = (
    "", " ", "0", "-1", "1e309", "nan", "9" * 400, "\x00", "\ud800", "\u202e\u0000", "<script>",
    "ann@example.org", "ann@" + "x" * 300, "@", "Europe/Berlin", "../../etc/passwd", "daily",
    "search", "sample", "weekly", "2026-02-30", "9999-12-31", "0001-01-01", "\U0001f9ec" * 50,
    "' OR 1=1 --", "{{7*7}}", "%", "%zz", "\r\nSet-Cookie: a=b", "eJwDAAAAAAE=", "e30=", "W10=",
    "x" * 3000, "\\today" * 400, "up", "1", "2", "99999999999999999999",
)  # fmt: skip
# What stands in a path beside a token: the number of a paper, the part of a form.
PLACES = ("1", "2", "0", "-1", "99999999999999999999", "x", "settings", "interests", "pause", "%00")
LIBRARIES = (
    b"@article{a, title={A}, year={2020}}",
    b"@article{" * 400,
    b"@article{a, title={" + b"{" * 2000,
    b'title,year\n"open',
    b"title,abstract\n" + b"a,b,c\n" * 50,
    b"<opml><outline xmlUrl='x",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><rdf:RDF>&b;</rdf:RDF>",
    b"<rdf:RDF xmlns:z='http://www.zotero.org/namespaces/export#'>",
    b"\x00\x01\x02" * 50,
    b"\xff\xfe\x00",
    b"[1, 2",
    b'{"interests": [{"name": 1}]}',
    b"2601.00001\n10.1234/x\n",
    bytes(range(256)),
)


class Fuzz:
    """Requests made of what breaks parsers, by a seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = world
        ids = (world.reader, LATER, world.edition)
        claims = [
            Claim(purpose, *ids, world.papers[0] if purpose == "vote" else 0, value)
            for purpose, value in _KINDS
        ]
        foreign = [Claim(purpose, 404, LATER, 405, 406, value) for purpose, value in _KINDS]
        self.tokens = {
            purpose: [
                world.app.links.token(claim)
                for one in (*claims, *claims, *foreign)
                for claim in (one, one, expired(one))
                if one.purpose == purpose
            ]
            for purpose, _ in _KINDS
        }

    def token(self, wanted: str) -> str:
        """Mostly one that opens something."""
        ours = self.tokens.get("feed" if wanted == "search" else wanted)
        if ours and self.rng.random() < 0.7:
            return self.rng.choice(ours)
        letters = string.ascii_letters + string.digits + "-_="
        return self.rng.choice(
            (
                self.rng.choice(self.tokens[self.rng.choice(_KINDS)[0]]),
                "".join(self.rng.choices(letters, k=self.rng.randint(1, 120))),
                quote(self.rng.choice(VALUES), safe="", errors="replace")[:1500] or "x",
                "%ff%fe",
                "..",
            )
        )

    def path(self, route: str) -> str:
        path = route.replace("{token}", self.token(route.strip("/").split("/")[0]))
        path = re.sub(r"\{[^}]+\}", lambda _: self.rng.choice(PLACES), path)
        if path.startswith("/feed/") and self.rng.random() < 0.8:
            path += self.rng.choice((".atom", ".json", ".xml", "."))
        extra = (*[""] * 30, "/", "//", "/../", "%00", "%2e%2e/", ";a=b", "\u00e9")
        path += quote(self.rng.choice(extra), safe="/%;")
        if self.rng.random() < 0.5:
            path += "?" + self.form()[: self.rng.choice((50, 4000))]
        return path

    def form(self) -> str:
        """Fields as a browser sends them, some twice, some not encoded as they should be."""
        pairs = [
            f"{quote(name, errors='replace')}={quote(value, errors='replace')}"
            for name, value in self.fields()
        ]
        return self.rng.choice(("&", "&", "&&", ";")).join(pairs)

    def fields(self) -> Iterator[tuple[str, str]]:
        for _ in range(self.rng.choice((0, 1, 3, 8, 300))):
            yield self.rng.choice(NAMES), self.rng.choice(VALUES)

    def multipart(self) -> bytes:
        parts = b""
        for name, value in self.fields():
            head = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            parts += (head + value + "\r\n").encode("utf-8", "replace")
        file = self.rng.choice(LIBRARIES)
        parts += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + file
        whole = parts + b"\r\n--x--\r\n"
        return whole if self.rng.random() < 0.7 else whole[: self.rng.randrange(len(whole))]

    def body(self) -> bytes | Iterator[bytes]:
        made: bytes = self.rng.choice(
            (
                b"",
                self.form().encode("utf-8", "replace"),
                self.form().encode("utf-8", "replace"),
                self.multipart(),
                self.multipart(),
                self.rng.randbytes(self.rng.randint(1, 500)),
                b"a=1&" * 3000,
                b"{" * 1000,
                b'[{"event": 1}]',
            )
        )
        if self.rng.random() < 0.02:
            made = made + b"x" * 70_000
        if self.rng.random() < 0.2:
            return iter([made[:7], b"", made[7:]])
        return made

    def request(self, routes: list[str]) -> dict[str, Any]:
        method = self.rng.choice(("GET", "POST", "POST", self.rng.choice(METHODS)))
        headers = [
            ("content-type", self.rng.choice(KINDS[:2] if self.rng.random() < 0.7 else KINDS))
        ]
        headers += self.rng.sample(HEADERS, self.rng.choice((0, 0, 1, 3)))
        return {
            "method": method,
            "url": self.path(self.rng.choice(routes)),
            "headers": [(name, value.encode("latin-1", "replace")) for name, value in headers],
            "content": None if method == "GET" else self.body(),
        }


@on_sqlite
@pytest.mark.parametrize("n", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_input_breaks_a_door(world: World, n: int) -> None:
    # Seconds go by between two requests, so that none is refused for being too many.
    ticks = count()
    web = create_web(world.app, now=lambda: NOON + timedelta(seconds=next(ticks)))
    client = TestClient(web, raise_server_exceptions=False, follow_redirects=False)
    routes = [route.path for route in web.routes if isinstance(route, Route)]
    routes += ["/nowhere", "", "/confirm", "/static/../digest.toml"]
    fuzz = Fuzz(world, n)
    statuses: Counter[int] = Counter()
    for _ in range(n):
        asked = fuzz.request(routes)
        answer = client.request(**asked)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, asked
        assert answer.headers["content-security-policy"].startswith("default-src 'none'"), asked
        assert answer.headers["x-content-type-options"] == "nosniff", asked
        assert answer.headers["referrer-policy"] == "no-referrer", asked
        assert "set-cookie" not in answer.headers, asked
        assert "evil.example" not in answer.headers.get("location", ""), asked
    # All kinds of answers were had: doors were opened, not only shut.
    assert {200, 404, 405, 410, 422} <= set(statuses), statuses
