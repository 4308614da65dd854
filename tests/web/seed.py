"""Rows to open pages on, written straight into the tables."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from digest.store.deliveries import LIFE, queue_editions
from digest.store.tables import EditionItemRow, EditionRow, Paper, Subscriber

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def add_subscriber(session: Session, address: str, state: str = "active") -> int:
    (id_,) = add_subscribers(session, [address], state)
    return id_


def add_subscribers(session: Session, addresses: Sequence[str], state: str = "active") -> list[int]:
    rows = [
        Subscriber(
            address=address,
            address_key=address.casefold(),
            state=state,
            timezone="Europe/Berlin",
            hour=7,
            frequency="daily",
            length=8,
            mix=0.75,
            created_at=NOON,
            confirmed_at=None if state == "pending" else NOON,
            next_due_at=NOON if state == "active" else None,
        )
        for address in addresses
    ]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def add_paper(session: Session, title: str, abstract: str = "We show something.") -> int:
    row = Paper(
        title=title,
        abstract=abstract,
        authors=["Ada Lovelace", "Emmy Noether"],
        arxiv_id="2603.00001",
        url="https://arxiv.org/abs/2603.00001",
        published_on=NOON.date(),
        text_hash=title[:64],
        first_seen_at=NOON,
        ready_at=NOON,
    )
    session.add(row)
    session.flush()
    return row.id


def add_edition(session: Session, subscriber_id: int, paper_ids: Sequence[int], **more: Any) -> int:
    (id_,) = add_editions(session, [subscriber_id], paper_ids, **more)
    return id_


def add_editions(
    session: Session,
    subscriber_ids: Sequence[int],
    paper_ids: Sequence[int],
    *,
    days_later: int = 0,
    queued: bool = False,
    reasons: Sequence[dict[str, object]] = ({"kind": "interest", "share": 1.0, "name": "graphs"},),
) -> list[int]:
    """The same papers for each of them."""
    editions = [
        EditionRow(
            subscriber_id=subscriber_id,
            local_date=NOON.date() + timedelta(days=days_later),
            built_at=NOON,
            since=NOON - timedelta(days=1),
            encoder="none",
            n_candidates=120,
            note="",
            runners_up=[],
        )
        for subscriber_id in subscriber_ids
    ]
    session.add_all(editions)
    session.flush()
    cards = {paper_id: _card(session.get_one(Paper, paper_id)) for paper_id in paper_ids}
    session.add_all(
        EditionItemRow(
            edition_id=edition.id,
            paper_id=paper_id,
            subscriber_id=edition.subscriber_id,
            position=position,
            lane="personal",
            score=1.0,
            probability=None,
            propensity=1.0,
            card=card,
            reasons=list(reasons),
        )
        for edition in editions
        for position, (paper_id, card) in enumerate(cards.items(), 1)
    )
    session.flush()
    if queued:
        mails = [(edition.subscriber_id, edition.id, NOON + LIFE) for edition in editions]
        queue_editions(session, mails, NOON)
    return [edition.id for edition in editions]


def _card(paper: Paper) -> dict[str, Any]:
    return {
        "title": paper.title,
        "summary": paper.abstract.split(". ")[0],
        "authors": paper.authors,
        "published_on": "2026-03-01",
        "arxiv_id": paper.arxiv_id,
        "doi": paper.doi,
        "url": paper.url,
        "code_url": paper.code_url,
        "sources": ["trending"],
        "upvotes": 42,
    }
