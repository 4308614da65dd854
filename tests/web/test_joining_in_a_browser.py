"""The open pages in a real browser: live with JavaScript, whole without, fit for everybody."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from digest.engine.app import App
from digest.settings import WebSettings
from digest.store import open_database
from digest.store.tables import Signup, Throttle
from digest.web import create_web
from tests.editions.world import add_papers
from tests.web.conftest import wire
from tests.web.seed import NOON

ROBOTS = [f"Robots that grasp with a gripper, part {n}" for n in "abcdef"]
PROTEINS = [f"Folding proteins residue by residue, part {n}" for n in "abcdef"]
PATHS = ("/", "/trending", "/search?q=robots", "/search")


@pytest.fixture
def served(sqlite_url: str) -> Iterator[App]:
    """The doors behind a real server on loopback, with papers and a proof of work."""
    sessions = open_database(sqlite_url)
    add_papers(sessions, [*ROBOTS, *PROTEINS], NOON - timedelta(hours=5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = wire(sessions, f"http://127.0.0.1:{listener.getsockname()[1]}")
        web = WebSettings(public=True, proof_of_work=True)
        app = replace(app, settings=app.settings.model_copy(update={"web": web}))
        made = create_web(app, now=lambda: NOON)
        server = uvicorn.Server(uvicorn.Config(made, ws="none", lifespan="off", log_config=None))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield app
        server.should_exit = True
        thread.join()
    sessions.engine.dispose()


def count(app: App, table: type[Signup] | type[Throttle]) -> int:
    with app.sessions.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def watched(page: Page) -> list[str]:
    """What the policy blocks, and whoever else is asked than our own server."""
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if "policy" in one.text.lower() else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: said.append(one.url) if "//127.0.0.1:" not in one.url else None)
    return said


def test_the_sample_follows_the_picks_and_a_proof_is_worked_out(
    served: App, browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    wrong = watched(page)
    page.goto(f"{served.links.base_url}/")
    sample = page.get_by_role("region", name="What you would get")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    expect(sample).to_contain_text("this is what is trending")
    page.get_by_label("Mix").select_option("only my interests")
    page.get_by_role("checkbox", name="Folding").first.check()
    expect(sample).to_contain_text("From what you have told so far")
    expect(sample.get_by_role("listitem").first).to_contain_text("Folding")
    page.get_by_label("Search the papers").fill("gripper")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Found for “gripper”")).to_be_visible()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    library = tmp_path / "mine.bib"
    library.write_text("@article{a, title={A paper of mine}}\n@article{b, year={2020}}\n")
    page.get_by_label("A file of papers").set_input_files(library)
    expect(page.get_by_text("1 paper was read")).to_be_visible()
    page.get_by_label("E-mail address").fill("ann@example.org")
    page.get_by_role("button", name="Subscribe", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    with served.sessions.reading() as session:
        signup = session.scalars(select(Signup)).one()
    assert signup.asked["timezone"] == "Asia/Tokyo"
    assert len(signup.asked["picks"]) == 1
    assert signup.library is not None
    # The network, all confirmations, and a proof that was new.
    assert count(served, Throttle) == 3
    assert wrong == []
    context.close()


def test_without_javascript_the_buttons_do_the_same(
    served: App, browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.links.base_url}/")
    page.get_by_label("Mix").select_option("only my interests")
    page.get_by_role("checkbox", name="Folding").first.check()
    page.get_by_role("button", name="Show me a sample").click()
    sample = page.get_by_role("region", name="What you would get")
    expect(sample.get_by_role("listitem").first).to_contain_text("Folding")
    library = tmp_path / "mine.bib"
    library.write_text("@article{a, title={A paper of mine}}\n")
    page.get_by_label("A file of papers").set_input_files(library)
    page.get_by_label("Search the papers").fill("gripper")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("1 paper was read")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Folding", checked=True)).to_have_count(1)
    # Enter in a field subscribes, whatever buttons stand before that one.
    page.get_by_label("E-mail address").fill("ann@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    with served.sessions.reading() as session:
        assert session.scalars(select(Signup)).one().library is not None
    context.close()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious_and_a_small_phone_has_room(
    served: App, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": 320, "height": 640},
        color_scheme="dark" if scheme == "dark" else "light",
        # The page's policy lets no script in but ours; axe is put there by the test.
        bypass_csp=True,
    )
    page = context.new_page()
    for path in PATHS:
        page.goto(served.links.base_url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        found = Axe().run(page).response["violations"]
        bad = [one for one in found if one["impact"] in ("serious", "critical")]
        assert bad == [], json.dumps(bad, indent=1)[:3000]
    context.close()


def test_the_form_is_filled_in_by_keyboard_alone(served: App, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served.links.base_url}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.name || document.activeElement.innerText")
        seen.append(focused)
        if focused == "address":
            page.keyboard.type("ann@example.org")
        if focused == "pick" and seen.count("pick") == 1:
            page.keyboard.press("Space")
        if focused == "Subscribe":
            break
    wanted = ["address", "interest", "q", "do", "pick", "file", "frequency", "hour", "timezone"]
    places = [seen.index(name) for name in wanted]
    assert places == sorted(places)
    # The unseen first button is no stop on the way.
    assert seen.count("Subscribe") == 1
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    context.close()
