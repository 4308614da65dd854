"""Everything that a reader does, from signing up to being forgotten, in a real browser.

Pictures of the pages are kept in `build/pages`, on a phone and on a desk, light and dark.
"""

import logging
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from digest.engine import App, open_app, tick
from digest.settings import Settings
from digest.store.tables import Base, Consent, Delivery, VoteRow
from digest.web import create_web
from tests.engine.world import Clock, page
from tests.web.conftest import serving
from tests.worlds import WordEncoder

MORNING = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
PICTURES = Path(__file__).parents[2] / "build" / "pages"
SIZES = {"phone": (390, 844), "desk": (1200, 800)}
PAPERS = {
    "Graph networks for chemistry": "Graph networks predict what molecules do in water.",
    "Robots that fold towels": "Robots grasp cloth and fold towels in kitchens.",
    "Proteins that fold by themselves": "Protein backbones fold into helices.",
    "Tides of small moons": "Moons pull tides through ice.",
    "Graph networks at scale": "Graph networks with a billion edges and molecules.",
    "Robots that wash towels": "Robots grasp wet cloth and wash towels.",
}


@dataclass
class Inbox:
    """What arrived at the mail server."""

    received: list[tuple[str, bytes]] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.received.append((envelope.rcpt_tos[0], envelope.content))
        return "250 2.0.0 queued"


@dataclass
class World:
    app: App
    inbox: Inbox
    clock: Clock

    def tick(self) -> list[tuple[str, EmailMessage]]:
        """Do what is due; what arrived by it, and at which address."""
        before = len(self.inbox.received)
        assert tick(self.app, self.clock).failed == ()
        arrived = self.inbox.received[before:]
        return [(to, message_from_bytes(raw, policy=default)) for to, raw in arrived]


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def link_in(mail: EmailMessage, page: str) -> str:
    found = re.search(rf'href="([^"]*/{page}/[^"]*)"', html_of(mail))
    assert found is not None
    return unescape(found[1])


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[World]:
    inbox, clock, pages = Inbox(), Clock(MORNING), tmp_path / "pages"
    pages.mkdir()
    (pages / "today.json").write_bytes(page(MORNING.date(), PAPERS))
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings.model_validate(
            {
                "database": sqlite_url,
                "base_url": f"http://127.0.0.1:{listener.getsockname()[1]}",
                "secret_key": "a secret of enough bytes",
                "mail": {"from_address": "digest@example.org", "maildir": tmp_path / "outbox"},
                "smtp": {"host": "127.0.0.1", "port": port, "security": "none"},
                "sources": [{"name": "daily", "path": pages, "hours": [5]}],
                "defaults": {"length": 4},
            }
        )
        app = open_app(settings, encoder=WordEncoder())
        with serving(create_web(app, now=clock), listener):
            yield World(app, inbox, clock)
    server.stop()
    app.sessions.engine.dispose()


def photograph(page: Page, name: str) -> None:
    """Keep the page as it looks on a phone and on a desk, by day and by night."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for device, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=PICTURES / f"{name}-{device}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")


def votes(world: World) -> list[tuple[str, bool]]:
    with world.app.sessions.reading() as session:
        rows = session.execute(select(VoteRow.value, VoteRow.held_at).order_by(VoteRow.at))
        return [(value, held is not None) for value, held in rows]


@pytest.mark.slow
def test_a_reader_s_whole_life_with_us(
    world: World,
    browser: Browser,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    # pytest hangs its own ear even on a logger that is silenced, which uvicorn takes for a wish.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "handlers", [])
    canary = f"canary-{secrets.token_hex(6)}@example.org"
    context = browser.new_context(accept_downloads=True)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    world.tick()

    # Sign up; the mail that asks is read off the mail server, and its button pressed.
    page.goto(f"{world.app.links.base_url}/")
    page.get_by_label("E-mail address").fill(canary)
    page.get_by_label("Your interests").fill("graph networks for molecules")
    page.get_by_role("button", name="Subscribe", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    ((to, asked),) = world.tick()
    assert to == canary
    page.goto(link_in(asked, "confirm"))
    photograph(page, "confirm")
    page.get_by_role("button", name="Confirm my subscription").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are in")
    # The first edition is shown before it is mailed, and it is the one that comes.
    previewed = page.locator("article h3").all_inner_texts()
    assert previewed[0].startswith("Graph networks")
    photograph(page, "confirmed")
    ((_, mail),) = world.tick()
    for title in previewed:
        assert title in html_of(mail)
    with world.app.sessions.reading() as session:
        consents = session.execute(select(Consent.kind, Consent.wording, Consent.form)).all()
    assert [kind for kind, _, _ in consents] == ["asked", "confirmed"]
    assert all(wording and form for _, wording, form in consents)

    # A thumb in the mail opens the edition with that vote chosen; one press casts it.
    page.goto("about:blank")
    page.set_content(html_of(mail))
    page.get_by_role("link", name="More", exact=False).first.click()
    page.wait_for_url("**/vote/**")
    assert votes(world) == []
    photograph(page, "vote")
    page.get_by_role("main").get_by_role("button", name="More like this", exact=True).click()
    first = page.get_by_role("article").first
    expect(first).to_contain_text("You asked for more like this.")
    assert votes(world) == [("up", False)]

    # The other thumbs are live: no reload, and the vote says so; then it is undone.
    world.clock.now += timedelta(minutes=1)
    page.evaluate("window.stays = true")
    third = page.get_by_role("article").nth(2)
    third.get_by_role("button", name="Less").click()
    expect(third).to_contain_text("You asked for less like this.")
    expect(page.locator("#said")).to_have_text("You asked for less like this.")
    expect(page.locator("#votes")).to_contain_text("Your last 2 votes")
    assert votes(world) == [("up", False), ("down", False)]
    third.get_by_text("Why this?").first.click()
    photograph(page, "edition")
    world.clock.now += timedelta(minutes=1)
    third.get_by_role("button", name="Undo").click()
    expect(third).not_to_contain_text("You asked for less like this.")
    assert votes(world) == [("up", False)]
    assert page.evaluate("window.stays") is True

    # One paper of it: what is near, and nothing of its authors comes again.
    first.get_by_role("link", name="Similar").click()
    expect(page.get_by_role("heading", name="Similar papers")).to_be_visible()
    page.get_by_label("word or phrase").fill("towels")
    page.get_by_role("button", name="Mute").click()
    expect(page.get_by_role("status")).to_contain_text("Muted")
    photograph(page, "paper")

    # Preferences: each section saves by itself.
    page.goto(link_in(mail, "preferences"))
    expect(page.locator("#mutes")).to_contain_text("towels")
    page.get_by_label("Hour").select_option("09:00")
    page.get_by_label("Papers in a mail").fill("3")
    page.locator("#frequency").get_by_role("button", name="Save").click()
    expect(page.locator("#frequency").get_by_role("status")).to_have_text("Saved.")
    page.locator("#interests").get_by_label("What it is").last.fill("tides and moons")
    page.locator("#interests").get_by_role("button", name="Save").click()
    expect(page.locator("#interests").get_by_label("Name").nth(1)).to_have_value("tides and moons")
    photograph(page, "preferences")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download everything").click()
    assert canary in Path(download.value.path()).read_text(encoding="utf-8")

    # She leaves by her mail program's one click, and asks for deletion.
    page.goto(link_in(mail, "unsubscribe"))
    photograph(page, "unsubscribe")
    one_click = str(mail["List-Unsubscribe"]).split(">")[0].removeprefix("<")
    answer = context.request.post(
        one_click, form={"List-Unsubscribe": "One-Click"}, max_redirects=0
    )
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert world.tick() == []
    page.goto(link_in(mail, "preferences"))
    expect(page.get_by_role("main")).to_contain_text(f"{canary} is unsubscribed")
    page.get_by_role("link", name="Delete everything").click()
    photograph(page, "erase")
    page.get_by_label("Yes, delete everything").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is deleted")
    page.goto(link_in(mail, "preferences"))
    expect(page.get_by_role("heading", level=1)).to_have_text("This is no longer here")
    photograph(page, "gone")
    assert context.cookies() == []
    context.close()
    assert not [text for text in said if "policy" in text.lower()]

    # Nothing is left of her, in any table, any file, or any log.
    with world.app.sessions.reading() as session:
        for table in Base.metadata.sorted_tables:
            assert canary not in repr(session.execute(select(table)).all())
        assert session.scalars(select(Delivery.id)).all() == []
    token = link_in(mail, "edition").rpartition("/")[2]
    ours = [record for record in caplog.records if not record.name.startswith("mail.")]
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in ours)
    assert "built" in logged
    assert canary not in logged
    assert token not in logged
