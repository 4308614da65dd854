"""One reader with an edition of two papers, one who has not confirmed yet, and the doors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from digest.engine.app import App
from digest.links import Choice, Claim, Links
from digest.mail import Signer
from digest.papers.encoder import SentenceEncoder
from digest.settings import Settings
from digest.store import Sessions
from digest.store.tables import Base
from digest.votes import votes_of
from digest.web import create_web
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

SECRET = b"a secret of enough bytes"
LATER = NOON + timedelta(days=60)
# For what does not depend on the kind of database.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
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

    def votes(self) -> Mapping[int, str]:
        with self.app.sessions.reading() as session:
            return votes_of(session, self.reader)

    def rows(self) -> dict[str, set[str]]:
        """Every row of every table."""
        with self.app.sessions.reading() as session:
            return {
                table.name: {repr(row) for row in session.execute(select(table))}
                for table in Base.metadata.sorted_tables
            }


def wire(sessions: Sessions, base_url: str = "http://digest.example.org") -> App:
    settings = Settings(base_url=base_url)
    signer = Signer(settings.dkim, "example.org")
    return App(settings, sessions, Links(base_url, [SECRET]), SECRET, signer, SentenceEncoder())


def client_of(app: App) -> TestClient:
    web = create_web(app, now=lambda: NOON)
    return TestClient(web, raise_server_exceptions=False, follow_redirects=False)


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


def expired(claim: Claim) -> Claim:
    return replace(claim, expires_at=NOON)
