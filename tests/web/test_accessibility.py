"""Pages for everybody: axe-core finds nothing, the keyboard reaches all, small screens hold it."""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from digest.profiles.interests import set_interest
from digest.profiles.mutes import mute
from digest.store.tables import EditionItemRow, VoteRow
from digest.web import create_web
from tests.web.conftest import World, client_of, expired, on_sqlite, serving, wire
from tests.web.seed import NOON

pytestmark = on_sqlite
# axe-core is put in from outside, which the pages' own policy forbids.
AXE = Axe()
LONG = "W" * 120 + " Gesellschaft" * 12


@pytest.fixture
def base(world: World) -> Iterator[str]:
    with world.app.sessions() as session:
        set_interest(session, world.reader, LONG[:80], LONG, NOON)
        mute(session, world.reader, "word", LONG[:100], NOON)
        item = session.get_one(EditionItemRow, (world.edition, world.papers[1]))
        item.card = {**item.card, "title": LONG}
        for paper, held in zip(world.papers, (None, NOON), strict=True):
            row = {"paper_id": paper, "value": "up", "via": "web", "at": NOON, "held_at": held}
            session.add(VoteRow(subscriber_id=world.reader, **row))
    web = create_web(world.app, now=lambda: NOON)
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(web, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def paths_of(world: World) -> list[str]:
    """Every kind of page that a reader may see."""
    edition, preferences = world.path(world.read()), world.path(world.prefer())
    gone = replace(world.unsubscribe(), subscriber_id=404)
    return [
        "/",
        edition,
        world.path(world.vote("down")),
        f"{edition}/paper/{world.papers[1]}",
        preferences,
        f"{preferences}?saved=mutes",
        f"{preferences}/erase",
        world.path(world.move("change_from")),
        world.path(world.move("change_to")),
        world.path(world.confirm()),
        world.path(world.unsubscribe()),
        world.path(expired(world.read())),
        world.path(gone),
        "/nowhere",
    ]


def check(page: Page, where: str) -> None:
    found = AXE.run(page, options={"resultTypes": ["violations"]})
    violations = [(one["id"], [node["html"] for node in one["nodes"]])
                  for one in found.response["violations"]]  # fmt: skip
    assert violations == [], where
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, where


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_and_nothing_scrolls_sideways_on_a_small_phone(
    world: World, base: str, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": 320, "height": 640},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,
    )
    page = context.new_page()
    for path in paths_of(world):
        page.goto(base + path)
        check(page, path)
    # What a fault looks like.
    page.goto(base + world.path(world.prefer()))
    page.get_by_label("Time zone").fill("Mars")
    page.locator("#frequency").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").first).to_contain_text("Not saved yet")
    check(page, "a fault")
    context.close()


def test_every_control_is_reached_and_seen_by_the_keyboard_alone(
    world: World, base: str, browser: Browser
) -> None:
    page = browser.new_page()
    for path in (world.path(world.vote("down", 1)), world.path(world.prefer())):
        page.goto(base + path)
        wanted = page.locator(
            "a[href], button, input:not([type=hidden]):not([type=radio]), select, textarea, summary"
        ).count()
        seen = set()
        for _ in range(wanted + 8):
            page.keyboard.press("Tab")
            seen.add(page.evaluate(
                "() => { const one = document.activeElement; one.dataset.n ??= Math.random();"
                "return one === document.body ? '' : [one.dataset.n,"
                "getComputedStyle(one).outlineStyle, one.outerHTML].join(' ') }"
            ))  # fmt: skip
        reached = {one for one in seen if one}
        # Of three radio buttons one is in the order; a date has parts of its own.
        assert len(reached) >= wanted
        assert not [one for one in reached if one.split()[1] != "solid"]
    page.close()


def test_a_vote_by_keyboard_keeps_its_place_and_is_spoken(
    world: World, base: str, browser: Browser
) -> None:
    page = browser.new_page()
    page.goto(base + world.path(world.read()))
    thumb = page.get_by_role("button", name=re.compile("^Less"), pressed=False).first
    thumb.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(re.compile("You asked for less like this"))
    expect(page.get_by_role("button", name=re.compile("^Less"), pressed=True)).to_be_focused()
    page.close()


def test_without_a_connection_a_press_is_sent_again_as_a_form(
    world: World, base: str, browser: Browser
) -> None:
    """A script that cannot post leaves it to the browser, which says what is wrong."""
    page = browser.new_page()
    page.goto(base + world.path(world.read()))
    page.route("**/vote/**", lambda route: route.abort(), times=1)
    page.get_by_role("article").first.get_by_role("button", name="Less").click()
    page.wait_for_url("**#paper-*")
    assert world.votes()[world.papers[0]] == "down"
    page.close()


def test_pages_over_tls_tell_browsers_to_stay_there(world: World) -> None:
    client = client_of(wire(world.app.sessions, "https://digest.example.org"))
    for path in ("/", "/nowhere", "/static/style.css"):
        assert client.get(path).headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in world.client.get("/").headers
