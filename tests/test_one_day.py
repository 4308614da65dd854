"""The product's story: from signing up to unsubscribing, over doors and wires that are real."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.testclient import TestClient

from digest.engine import App, open_app, tick
from digest.settings import Settings
from digest.web import create_web
from tests.engine.world import Clock, page
from tests.worlds import WordEncoder

BASE = "https://digest.example.org"
# What a browser says when somebody presses a button of a page.
A_PRESS = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"}
BERLIN = ZoneInfo("Europe/Berlin")
READER = "ann@example.org"
# The Saturday before the clocks go forward.
SATURDAY, SUNDAY, MONDAY, TUESDAY = (date(2026, 3, 28) + timedelta(days=n) for n in range(4))

PAPERS = {
    SATURDAY: {
        "Graph networks for chemistry": "Graph networks predict what molecules do.",
        "Robots that fold towels": "Robots grasp cloth and fold towels in kitchens.",
    },
    SUNDAY: {
        "Graph networks at scale": "Graph networks with a billion edges.",
        "Robots that wash towels": "Robots grasp wet cloth and wash towels.",
    },
    MONDAY: {
        "Graph networks in the dark": "Graph networks without labels.",
        "Robots that iron towels": "Robots grasp warm cloth and iron towels in kitchens.",
    },
    TUESDAY: {"Graph networks, again": "Graph networks once more."},
}


@dataclass
class Inbox:
    """What arrived at the server, as (recipients, bytes)."""

    received: list[tuple[list[str], bytes]] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.received.append((list(envelope.rcpt_tos), envelope.content))
        return "250 2.0.0 queued"


@dataclass
class World:
    """An installation, the server that takes its mail, and a reader with a browser."""

    app: App
    browser: TestClient
    inbox: Inbox
    clock: Clock
    pages: Path

    def at(self, day: date, hour: int, minute: int = 0) -> None:
        """Set the clock to the reader's local time."""
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN)
        self.clock.now = local.astimezone(UTC)

    def publish(self, day: date) -> None:
        """The morning's page comes in."""
        (self.pages / f"{day}.json").write_bytes(page(day, PAPERS[day]))

    def tick(self) -> list[EmailMessage]:
        """Do what is due; the mails that arrived by it."""
        before = len(self.inbox.received)
        report = tick(self.app, self.clock)
        assert report.failed == ()
        arrived = self.inbox.received[before:]
        assert all(recipients == [READER] for recipients, _ in arrived)
        return [message_from_bytes(raw, policy=default) for _, raw in arrived]

    def open(self, link: str) -> str:
        answer = self.browser.get(self.path(link))
        assert answer.status_code == 200
        return answer.text

    def press(self, link: str) -> str:
        """Press the button of the page that a link leads to."""
        action = re.search(r'<form method="post" action="([^"]+)"', self.open(link))
        assert action is not None
        answer = self.browser.post(action[1], headers=A_PRESS)
        assert answer.status_code == 200
        return answer.text

    def path(self, link: str) -> str:
        assert link.startswith(BASE)
        return link.removeprefix(BASE)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    inbox, clock, pages = Inbox(), Clock(), tmp_path / "pages"
    pages.mkdir()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    settings = Settings.model_validate(
        {
            "database": database_url,
            "base_url": BASE,
            "secret_key": "a secret of enough bytes",
            "mail": {"from_address": "digest@example.org"},
            "smtp": {"host": "127.0.0.1", "port": port, "security": "none"},
            "sources": [
                {"name": "daily", "path": pages, "hours": [5], "timezone": "Europe/Berlin"}
            ],
        }
    )
    app = open_app(settings, encoder=WordEncoder())
    yield World(app, TestClient(create_web(app, now=clock)), inbox, clock, pages)
    server.stop()
    app.sessions.engine.dispose()


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(mail: EmailMessage, page: str, *, after: str = "") -> str:
    """The first link to a page of ours that stands after some words."""
    found = re.search(rf"{BASE}/{page}/[\w-]+", text_of(mail).partition(after or "\n")[2])
    assert found is not None
    return found[0]


def order_in(mail: EmailMessage) -> list[str]:
    """The titles in a mail, in its order."""
    return re.findall(r"^\d+\. (.+?)\r?$", text_of(mail), re.MULTILINE)


def one(mails: list[EmailMessage]) -> EmailMessage:
    (mail,) = mails
    return mail


def test_one_subscriber_s_days(world: World) -> None:
    # On Saturday afternoon Ann signs up, with nothing but her address, hour and zone.
    world.at(SATURDAY, 4)
    world.publish(SATURDAY)
    assert world.tick() == []
    world.at(SATURDAY, 15)
    form = {"address": READER, "timezone": "Europe/Berlin", "hour": "7", "frequency": "daily"}
    assert "Check your mail" in world.browser.post("/subscribe", data=form).text

    # A mail asks whether it was her. Until she presses the button, nothing else comes.
    asked = one(world.tick())
    assert "List-Unsubscribe" not in asked
    world.open(link_in(asked, "confirm"))
    assert world.tick() == []
    assert "You are in" in world.press(link_in(asked, "confirm"))

    # Her first digest comes at once: the trending papers, for we know nothing of her.
    first = one(world.tick())
    assert order_in(first) == list(PAPERS[SATURDAY])
    assert world.tick() == []

    # She likes the robots. A look at the page is no vote; the button is one.
    like = link_in(first, "vote", after="Robots that fold towels")
    assert "One press to go" in world.open(like)
    assert "One press to go" in world.open(like)
    world.press(like)
    assert "Your vote counts" in world.open(like)

    # In the night the clocks go forward. The page comes in at five, and the digest at seven.
    world.at(SUNDAY, 4, 59)
    world.publish(SUNDAY)
    assert world.tick() == []
    world.at(SUNDAY, 5)
    assert world.tick() == []
    world.at(SUNDAY, 6, 59)
    assert world.tick() == []
    world.at(SUNDAY, 7)
    second = one(world.tick())
    assert second["Date"].datetime == datetime(2026, 3, 29, 5, 0, tzinfo=UTC)

    # Her vote has changed the order, and says so.
    assert order_in(second) == ["Robots that wash towels", "Graph networks at scale"]
    assert "Close to “Robots that fold towels”, which you liked" in " ".join(
        text_of(second).split()
    )
    for _ in range(3):
        assert world.tick() == []

    # On Monday she has enough: her mail program's one click, which sends no cookie and no form.
    world.at(MONDAY, 7)
    world.publish(MONDAY)
    third = one(world.tick())
    assert third["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    leave = third["List-Unsubscribe"].split(">")[0].removeprefix("<")
    world.open(leave)
    answer = TestClient(create_web(world.app, now=world.clock)).post(
        world.path(leave), data={"List-Unsubscribe": "One-Click"}
    )
    assert answer.status_code == 200

    # The day after nobody is mailed.
    world.at(TUESDAY, 7)
    world.publish(TUESDAY)
    assert world.tick() == []
    world.at(TUESDAY, 12)
    assert world.tick() == []
    assert [len(recipients) for recipients, _ in world.inbox.received] == [1, 1, 1, 1]
