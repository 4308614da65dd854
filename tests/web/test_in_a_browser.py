"""The whole visit in a real browser, with JavaScript off: sign up, confirm, vote, undo, leave."""

import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from threading import Thread

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from digest.delivery.letters import compose_letter, read_letters
from digest.engine.app import App
from digest.links import Claim
from digest.store import open_database
from digest.store.tables import Delivery
from digest.subscribers import due_signups, find, look_at
from digest.votes import votes_of
from digest.web import create_web
from tests.web.conftest import LATER, wire
from tests.web.seed import NOON, add_edition, add_paper


@pytest.fixture
def served(sqlite_url: str) -> Iterator[App]:
    """The doors behind a real server on loopback, under a path prefix."""
    sessions = open_database(sqlite_url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = wire(sessions, f"http://127.0.0.1:{listener.getsockname()[1]}/digest")
        web = create_web(app, now=lambda: NOON)
        server = uvicorn.Server(uvicorn.Config(web, ws="none", lifespan="off", log_config=None))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield app
        server.should_exit = True
        thread.join()
    sessions.engine.dispose()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone's page without JavaScript, which hears of everything that the policy blocks."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    yield page
    context.close()
    # A browser logs every 4xx too; what the policy blocks is what we must not ask for.
    assert not [text for text in said if "policy" in text.lower()]


def link_in_the_mail(app: App) -> str:
    with app.sessions.reading() as session:
        due = due_signups(session, NOON)
    for id_ in due:
        look_at(app.sessions, id_, secret=app.secret, now=NOON)
    with app.sessions.reading() as session:
        delivery = session.scalars(select(Delivery.id)).one()
        (letter,) = read_letters(session, [delivery])
        wire_message = compose_letter(letter, app.postage)
    mail = message_from_bytes(wire_message.raw, policy=policy.default)
    part = mail.get_body(("plain",))
    assert part is not None
    text: str = part.get_content()
    return next(word for word in text.split() if "/confirm/" in word)


def edition_link(app: App, *titles: str) -> tuple[int, str]:
    with app.sessions() as session:
        who = find(session, "ann@example.org").id
        papers = [add_paper(session, title) for title in titles]
        edition = add_edition(session, who, papers)
    return who, app.links.url(Claim("vote", who, LATER, edition, papers[0], "up"))


def test_a_reader_signs_up_confirms_votes_undoes_and_leaves(served: App, page: Page) -> None:
    page.goto(f"{served.links.base_url}/")
    page.get_by_label("E-mail address").fill("ann@example.org")
    page.get_by_label("Your interests").fill("graph networks")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Hour").select_option("09:00")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")

    page.goto(link_in_the_mail(served))
    page.get_by_role("button", name="Confirm my subscription").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are in")
    expect(page.get_by_role("main")).to_contain_text("every day at 09:00, Europe/Berlin time")

    def votes() -> list[str]:
        with served.sessions.reading() as session:
            return list(votes_of(session, who).values())

    who, link = edition_link(served, "On graphs", "On proteins")
    page.goto(link)
    assert votes() == []
    graphs = page.get_by_role("article").filter(has_text="On graphs")
    proteins = page.get_by_role("article").filter(has_text="On proteins")
    page.get_by_role("main").get_by_role("button", name="More like this", exact=True).click()
    expect(graphs).to_contain_text("You asked for more like this.")
    assert votes() == ["up"]
    proteins.get_by_role("button", name="Save").click()
    expect(proteins).to_contain_text("You saved this paper.")
    assert votes() == ["up", "saved"]
    graphs.get_by_role("button", name="Undo").click()
    expect(graphs.get_by_role("button", name="Undo")).to_have_count(0)
    assert votes() == ["saved"]
    proteins.get_by_role("button", pressed=True).click()
    expect(proteins.get_by_role("button", name="Undo")).to_have_count(0)
    assert votes() == []

    page.get_by_role("navigation").get_by_role("link", name="Unsubscribe").click()
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are unsubscribed")
    with served.sessions.reading() as session:
        assert find(session, "ann@example.org").state == "left"


def test_a_form_with_a_fault_leads_to_it_and_keeps_the_rest(served: App, page: Page) -> None:
    page.goto(f"{served.links.base_url}/")
    page.get_by_label("E-mail address").fill("ann@example.org")
    page.get_by_label("Your interests").fill("\ngraph networks")
    page.get_by_label("Time zone").fill("Europa/Berlin")
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("alert").get_by_role("link", name="Time zone").click()
    zone = page.locator("[aria-invalid=true]")
    expect(zone).to_be_focused()
    expect(page.get_by_label("Your interests")).to_have_value("\ngraph networks")
    zone.fill("Europe/Berlin")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_small_phone_and_keep_their_policy(
    served: App, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": 320, "height": 640},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(f"{served.links.base_url}/")
    page.get_by_label("E-mail address").fill("ann@example.org")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    confirm = link_in_the_mail(served)
    _, edition = edition_link(served, "W" * 200, "A title " * 30)
    for url in (f"{served.links.base_url}/", confirm, edition):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(23, 24, 27)" if scheme == "dark" else "rgb(252, 251, 248)")
    context.close()
