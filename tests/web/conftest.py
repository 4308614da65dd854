"""One reader with an edition of two papers, one who has not confirmed yet, and the doors."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import select
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from digest.delivery.letters import LINKS_LIVE
from digest.engine.app import App
from digest.engine.clock import config_of
from digest.links import Choice, Claim, Links, Purpose
from digest.mail import Signer
from digest.settings import Settings, WebSettings
from digest.store import Sessions
from digest.store.tables import Base
from digest.subscribers import ask_for_change, due_signups, look_at, pending_change
from digest.votes import votes_of
from digest.web import create_web
from tests.conftest import need_service
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber
from tests.worlds import WordEncoder

SECRET = b"a secret of enough bytes"
# When the links of a mail end that has just come.
LATER = NOON + LINKS_LIVE
# For what does not depend on the kind of database.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking"]
READER, NEWCOMER = "ann@example.org", "bob@example.org"


@dataclass(frozen=True)
class World:
    app: App
    client: TestClient
    reader: int
    newcomer: int
    edition: int
    papers: tuple[int, int]

    def path(self, claim: Claim) -> str:
        return self.app.links.path(claim)

    def confirm(self) -> Claim:
        return Claim("confirm", self.newcomer, LATER)

    def unsubscribe(self) -> Claim:
        return Claim("unsubscribe", self.reader, LATER)

    def read(self) -> Claim:
        return Claim("edition", self.reader, LATER, self.edition)

    def vote(self, value: Choice = "up", n: int = 0) -> Claim:
        return Claim("vote", self.reader, LATER, self.edition, self.papers[n], value)

    def prefer(self) -> Claim:
        return Claim("preferences", self.reader, LATER)

    def move(self, purpose: Purpose) -> Claim:
        """One side of a change of address, which is asked for if need be."""
        with self.app.sessions() as session:
            change = pending_change(session, self.reader) or ask_for_change(
                session, self.reader, "ann@new.example.org", secret=SECRET, now=NOON
            )
        return Claim(purpose, self.reader, change.expires_at, change_id=change.id)

    def feed(self) -> Claim:
        return Claim("feed", self.reader, LATER)

    def votes(self) -> Mapping[int, str]:
        with self.app.sessions.reading() as session:
            return votes_of(session, self.reader)

    def look_at_signups(self) -> None:
        """What the next tick does first."""
        with self.app.sessions.reading() as session:
            due = due_signups(session, NOON)
        for id_ in due:
            look_at(self.app.sessions, id_, secret=SECRET, now=NOON)

    def rows(self) -> dict[str, set[str]]:
        """Every row of every table."""
        with self.app.sessions.reading() as session:
            return {
                table.name: {repr(row) for row in session.execute(select(table))}
                for table in Base.metadata.sorted_tables
            }


def wire(sessions: Sessions, base_url: str = "http://digest.example.org") -> App:
    settings = Settings(base_url=base_url, web=WebSettings(public=True))
    signer = Signer(settings.dkim, "example.org")
    return App(settings, sessions, Links(base_url, [SECRET]), SECRET, signer, WordEncoder())


def client_of(app: App) -> TestClient:
    web = create_web(app, now=lambda: NOON)
    here = ("127.0.0.1", 50000)
    return TestClient(web, raise_server_exceptions=False, follow_redirects=False, client=here)


def speaking(world: World, code: str) -> World:
    """The same world of an operator who has set another language, even one that nobody speaks."""
    settings = world.app.settings
    mail = settings.mail.model_copy(update={"language": code})
    app = replace(world.app, settings=settings.model_copy(update={"mail": mail}))
    return replace(world, app=app, client=client_of(app))


@pytest.fixture
def world(sessions: Sessions) -> World:
    """Each kind of database in turn."""
    app = wire(sessions)
    with sessions() as session:
        reader = add_subscriber(session, READER)
        newcomer = add_subscriber(session, NEWCOMER, "pending")
        papers = (add_paper(session, "On graphs"), add_paper(session, "On proteins"))
        edition = add_edition(session, reader, papers)
    return World(app, client_of(app), reader, newcomer, edition, papers)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    if not CHROMIUM.exists():
        need_service(f"needs Chromium ({CHROMIUM})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def serving(web: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Answer on a socket as `digest serve` does."""
    config = config_of(WebSettings(), web)
    config.lifespan = "off"
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield
    server.should_exit = True
    thread.join()


def expired(claim: Claim) -> Claim:
    return replace(claim, expires_at=NOON)
