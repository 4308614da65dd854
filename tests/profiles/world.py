"""Readers, and a page of papers on two topics that no word joins."""

from datetime import UTC, date, datetime

from digest import subscribers
from digest.papers.catalog import list_papers
from digest.papers.embedding import embed_pending
from digest.papers.ingest import ingest_page
from digest.settings import SubscriberDefaults
from digest.sources import Listing
from digest.store import Sessions
from digest.subscribers import find
from tests.worlds import WordEncoder

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENCODER = WordEncoder(d=256)
TOPICS = {
    "proteins": "protein backbone folding residue helix",
    "robots": "robot grasping gripper tactile policy",
}


class TwoTopics:
    """A Reader of one page: six papers on proteins, six on robots, the first with an arXiv id."""

    name = "two-topics"

    def recognises(self, page: bytes) -> bool:  # noqa: ARG002
        return True

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002
        return [
            Listing(
                title=f"{topic} paper {chr(97 + n)}",
                abstract=f"{words} studied afresh in setting {chr(97 + n) * 4}",
                position=position,
                arxiv_id="2601.00001" if position == 1 else None,
            )
            for position, (n, (topic, words)) in enumerate(
                ((n, topic) for topic in TOPICS.items() for n in range(6)), start=1
            )
        ]


def people(sessions: Sessions, n: int) -> list[int]:
    """The numbers of `n` new subscribers without interests."""
    addresses = [f"reader{i}@example.org" for i in range(n)]
    with sessions() as session:
        for address in addresses:
            subscribers.add(
                session,
                {"address": address},
                SubscriberDefaults(),
                secret=b"a secret of enough bytes",
                now=NOON,
            )
        return [find(session, address).id for address in addresses]


def read_page(sessions: Sessions) -> dict[str, int]:
    """Ingest and embed the page; the papers' numbers by title."""
    ingest_page(sessions, "pages", TwoTopics(), b"two topics", at=NOON)
    embed_pending(sessions, ENCODER, clock=lambda: NOON)
    with sessions.reading() as session:
        return {paper.title: paper.id for paper in list_papers(session)}
