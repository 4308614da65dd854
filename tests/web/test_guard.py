import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from digest.links import Claim
from digest.store import open_database
from digest.store.tables import EditionItemRow
from digest.web import create_web
from tests.web.conftest import LATER, World, client_of, expired, on_sqlite, wire

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PAGES: dict[str, Callable[[World], str]] = {
    "/": lambda _: "/",
    "/subscribe": lambda _: "/subscribe",
    "/confirm/{token}": lambda world: world.path(world.confirm()),
    "/edition/{token}": lambda world: world.path(world.read()),
    "/vote/{token}": lambda world: world.path(world.vote()),
    "/vote/{token}/undo": lambda world: world.path(world.vote()) + "/undo",
    "/edition/{token}/undo": lambda world: world.path(world.read()) + "/undo",
    "/edition/{token}/count": lambda world: world.path(world.read()) + "/count",
    "/edition/{token}/paper/{paper_id}": lambda world: (
        f"{world.path(world.read())}/paper/{world.papers[0]}"
    ),
    "/preferences/{token}": lambda world: world.path(world.prefer()),
    "/preferences/{token}/export": lambda world: world.path(world.prefer()) + "/export",
    "/preferences/{token}/erase": lambda world: world.path(world.prefer()) + "/erase",
    "/preferences/{token}/{section}": lambda world: world.path(world.prefer()) + "/pause",
    "/change_from/{token}": lambda world: world.path(world.move("change_from")),
    "/change_to/{token}": lambda world: world.path(world.move("change_to")),
    "/fresh/{token}": lambda world: f"/fresh/{world.app.links.token(expired(world.read()))}",
    "/unsubscribe/{token}": lambda world: world.path(world.unsubscribe()),
    "/bounces": lambda _: "/bounces",
    "/healthz": lambda _: "/healthz",
    "/static/style.css": lambda _: "/static/style.css",
    "/static/live.js": lambda _: "/static/live.js",
    "/subscribe/challenge": lambda _: "/subscribe/challenge",
    "/feed/{token}": lambda world: world.path(world.feed()) + ".atom",
    "/trending": lambda _: "/trending",
    "/trending.atom": lambda _: "/trending.atom",
    "/trending.json": lambda _: "/trending.json",
    "/search": lambda _: "/search?q=graphs",
    "/search/{token}": lambda world: f"/search/{world.app.links.token(world.feed())}?q=graphs",
    "/readyz": lambda _: "/readyz",
    "/metrics": lambda _: "/metrics",
    "/status": lambda _: "/status",
    "/static/subscribe.js": lambda _: "/static/subscribe.js",
}
OUR_SCRIPT = re.compile(
    r'<script src="/static/(live|subscribe)\.js\?v=[0-9a-f]+"( defer| async)*></script>'
)
OPEN = {"/", "/subscribe", "/trending", "/search"}
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@on_sqlite
def test_the_table_of_pages_names_every_route(world: World) -> None:
    routes = create_web(world.app).routes
    assert {route.path for route in routes if isinstance(route, Route)} == set(PAGES)


# What only reads never writes


def test_get_and_head_of_every_route_leave_every_row_as_it_was(world: World) -> None:
    world.client.post(world.path(world.vote("saved")))
    paths = {route: path(world) for route, path in PAGES.items()}
    before = world.rows()
    for route, path in paths.items():
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = world.client.request(method, path)
            # Nobody has set a token for /status, so there is no such page.
            assert answer.status_code in ((200, 405) if route != "/status" else (404, 405))
            assert world.rows() == before, f"{method} {route}"


def test_link_prefetch_does_not_confirm_vote_or_unsubscribe(world: World) -> None:
    before = world.rows()
    for claim in (world.confirm(), world.unsubscribe(), world.vote("up"), world.vote("saved", 1)):
        path = world.path(claim)
        for headers in ({"purpose": "prefetch"}, {"sec-purpose": "prefetch;prerender"}):
            assert world.client.get(path, headers=headers).status_code == 200
        assert world.client.head(path).status_code == 200
        assert world.client.get(f"{path}?List-Unsubscribe=One-Click").status_code == 200
    assert world.rows() == before


# Links that are not ours


@on_sqlite
def test_a_link_of_one_purpose_opens_no_other_door(world: World) -> None:
    before = world.rows()
    claims = (world.confirm(), world.unsubscribe(), world.read(), world.vote())
    for claim in claims:
        token = world.app.links.token(claim)
        for other in claims:
            if other.purpose != claim.purpose:
                for method in ("GET", "POST"):
                    answer = world.client.request(method, f"/{other.purpose}/{token}")
                    assert answer.status_code in (404, 405)
        if claim.purpose != "vote":
            assert world.client.post(f"/vote/{token}/undo").status_code == 404
    assert world.rows() == before


@on_sqlite
@many
@given(st.data())
def test_a_tampered_link_opens_nothing(world: World, data: st.DataObject) -> None:
    claim = data.draw(st.sampled_from([world.confirm(), world.read(), world.vote()]))
    token = world.app.links.token(claim)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from(BASE64).filter(lambda c: c != token[place]))
    forged = token[:place] + letter + token[place + 1 :]
    cut = data.draw(st.sampled_from([forged, token[:place] or "A", token + letter]))
    assert world.client.get(f"/{claim.purpose}/{cut}").status_code == 404
    if claim.purpose != "edition":
        assert world.client.post(f"/{claim.purpose}/{cut}").status_code == 404
    assert world.votes() == {}


@on_sqlite
@many
@given(st.text(min_size=1, max_size=150).filter(lambda text: text.strip(".")))
def test_any_text_for_a_token_is_a_page_not_found(world: World, text: str) -> None:
    path = f"/vote/{quote(text, safe='', errors='replace')}"
    answer = world.client.post(path)
    assert answer.status_code in (404, 405)
    assert "<script" not in answer.text.lower()


# Hostile texts

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'\x00\u202e"


@on_sqlite
def test_texts_from_outside_are_escaped_on_an_edition(world: World) -> None:
    with world.app.sessions() as session:
        item = session.get_one(EditionItemRow, (world.edition, world.papers[0]))
        hostile = dict.fromkeys(("title", "summary"), HOSTILE)
        links = {"url": "javascript:alert(1)", "code_url": "data:text/html,<b>"}
        item.card = {**item.card, **hostile, **links, "authors": [HOSTILE], "sources": [HOSTILE]}
        item.reasons = [{"kind": "interest", "share": 1.0, "name": HOSTILE}]
    for path in ("/edition/{token}", "/vote/{token}", "/edition/{token}/paper/{paper_id}"):
        page = OUR_SCRIPT.sub("", world.client.get(PAGES[path](world)).text)
        assert "&lt;script&gt;alert(1)" in page
        for alive in ("<script", "<img", "javascript:", "data:", "\x00", "\u202e"):
            assert alive not in page


@on_sqlite
def test_texts_of_a_form_are_escaped(world: World) -> None:
    fields = ("address", "interest", "timezone", "hour", "frequency", "length", "mix")
    page = world.client.post("/subscribe", data=dict.fromkeys(fields, HOSTILE)).text
    assert "&lt;script&gt;" in page
    for alive in ("<script>", "<img"):
        assert alive not in page


# What every answer carries


def answers(world: World) -> Iterator[Any]:
    """One answer of every kind, errors included."""
    for path in [path(world) for path in PAGES.values()]:
        for method in ("GET", "HEAD", "POST", "DELETE"):
            yield world.client.request(method, path)
    yield world.client.get("/nowhere")
    yield world.client.get("/vote/forged")
    yield world.client.get(world.path(expired(world.vote())))
    yield world.client.post("/vote/x", content=b"a" * 70_000)
    with world.app.sessions() as session:
        session.get_one(EditionItemRow, (world.edition, world.papers[0])).card = {}
    crashed = world.client.get(world.path(world.read()))
    assert crashed.status_code == 500
    yield crashed


@on_sqlite
def test_every_answer_is_shut_tight(world: World) -> None:
    statuses = set()
    for answer in answers(world):
        statuses.add(answer.status_code)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self'")
        assert "frame-ancestors 'none'; base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        path = str(answer.request.url.path)
        feed = path.startswith("/feed/")
        if (
            path not in OPEN
            and "/static/" not in path
            and not path.startswith("/trending")
            and not feed
        ):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-robots-tag"] == "noindex"
        if "html" in answer.headers.get("content-type", "") and answer.text:
            assert answer.text.startswith("<!DOCTYPE html>")
            assert '<html lang="en"' in answer.text
            assert answer.text.count("<h1") == 1
            text = OUR_SCRIPT.sub("", answer.text)
            for foreign in ("<script", "style=", "//cdn", "@import", "onclick"):
                assert foreign not in text
    assert statuses == {200, 303, 404, 405, 410, 413, 422, 500}


@on_sqlite
def test_a_405_names_the_methods_that_there_are(world: World) -> None:
    answer = world.client.delete(PAGES["/vote/{token}"](world))
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert world.client.get("/healthz/").status_code == 404


@on_sqlite
def test_a_crash_shows_no_trace(world: World) -> None:
    *_, crashed = answers(world)
    assert "Something went wrong" in crashed.text
    for telling in ("Traceback", "Error", "digest/", "card"):
        assert telling not in crashed.text


@on_sqlite
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_more_than_64_kb_is_refused_and_does_nothing(
    world: World, *, chunked: bool
) -> None:
    before = world.rows()

    def body(n: int) -> Any:
        return iter([b"a" * 1024] * (n // 1024) + [b"a" * (n % 1024)]) if chunked else b"a" * n

    for path in (world.path(world.confirm()), world.path(world.vote())):
        assert world.client.post(path, content=body(65_537)).status_code == 413
    assert world.rows() == before
    voted = world.client.post(world.path(world.vote()), content=body(65_536))
    assert voted.status_code == 303


# Where it runs


def test_health_is_told_in_json(world: World) -> None:
    answer = world.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_a_readable_database_health_and_pages_say_so(tmp_path: Path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    app = wire(sessions)
    client = client_of(app)
    assert client.get("/healthz").status_code == 503
    answer = client.get(app.links.path(Claim("edition", 1, LATER, 1)))
    assert answer.status_code == 503
    sessions.engine.dispose()


@on_sqlite
def test_everything_works_under_a_path_prefix(world: World) -> None:
    app = wire(world.app.sessions, "https://example.org/papers/digest/")
    world = replace(world, app=app, client=client_of(app))
    prefix = "/papers/digest"
    page = world.client.get(f"{prefix}/").text
    assert f'action="{prefix}/subscribe"' in page
    style = page.split('rel="stylesheet" href="')[1].split('"')[0]
    assert style.startswith(f"{prefix}/static/")
    assert world.client.get(style).headers["content-type"].startswith("text/css")
    path = world.path(world.vote())
    assert path.startswith(prefix)
    assert f'action="{path}"' in world.client.get(path).text
    assert world.client.post(path).headers["location"].startswith(f"{prefix}/edition/")
    assert world.client.post(f"{path}/undo").status_code == 303
    assert world.client.delete(path).status_code == 405
    # A proxy that strips the prefix reaches the same doors.
    assert f'action="{path}"' in world.client.get(path.removeprefix(prefix)).text


@on_sqlite
def test_links_and_redirects_do_not_follow_the_host_header(world: World) -> None:
    headers = {"host": "evil.example"}
    path = world.path(world.vote())
    assert "evil" not in world.client.get(path, headers=headers).text
    answer = world.client.post(path, headers=headers)
    assert answer.headers["location"].startswith("/edition/")
