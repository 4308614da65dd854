"""An outbox full of editions like a real morning's, to measure sending; all in it is made up.

Rows are written many at a time, past the rooms that own them: making editions is not measured.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from digest.editions.edition import EditionItem, Reason, freeze
from digest.ranking.types import Lane
from digest.store import Sessions
from digest.store.tables import Delivery, EditionItemRow, EditionRow, Paper, Subscriber

# No mail of a measurement comes too late.
LIFE = timedelta(days=1000)

_AT_ONCE = 1000  # readers in one transaction
_METHODS = ("Lantern", "Gravel", "Snip", "Tidewater", "Half-Life", "Second Reader")
_TITLES = (
    "{0}: Choosing Passage Boundaries at Query Time for Dense Retrieval",
    "{0}: What Motor Currents Say about the Ground, and What They Leave Out",
    "A Sharp Bound for Forgetting Schedules under Distribution Shift, with {0}",
    "{0}: Designing Protein Backbones from Paired Views of the Same Scene",
)
_SUMMARY = (
    "We ask why earlier work stops short as soon as the data changes, and find that one number "
    "explains most of it. {0} estimates it while the model runs, in linear time and without a "
    "label, and raises the score on five of six benchmarks by 4.2 points on average — at a cost of "
    "less than 11% more memory."
)
_AUTHORS = (
    ("Mira Okafor", "Aiko Tanabe", "Jonas Feld"),
    ("Ana Belén Ruiz", "Søren Kjær", "Li Wei", "Tomáš Novák", "Priya Raman"),
    ("Ruth Adler",),
)
_INTERESTS = ("retrieval for question answering", "robots that walk", "how models forget")


def fill_outbox(sessions: Sessions, n: int, *, papers: int = 8, now: datetime) -> None:
    """Add `n` readers (reader1@example.org, ...), each with an edition whose mail is due `now`.

    An edition has `papers` papers, 24 at most, with two reasons each.
    """
    with sessions() as session:
        pool = _papers(session, now)
    for first in range(0, n, _AT_ONCE):
        with sessions() as session:
            _fill(session, min(_AT_ONCE, n - first), pool, papers, now)


def _fill(
    session: Session, n: int, pool: Sequence[EditionItem], papers: int, now: datetime
) -> None:
    last = session.scalar(select(func.max(Subscriber.id))) or 0
    readers = _added(session, Subscriber, [_reader(last + i, now) for i in range(1, n + 1)])
    editions = _added(session, EditionRow, [_edition(reader, now) for reader in readers])
    own = list(zip(readers, editions, strict=True))
    shown = [(item, freeze(item), [asdict(reason) for reason in item.reasons]) for item in pool]
    rows = [
        {
            "edition_id": edition,
            "paper_id": item.paper_id,
            "subscriber_id": reader,
            "position": position,
            "lane": item.lane,
            "score": item.score,
            "probability": item.probability,
            "propensity": item.propensity,
            "card": card,
            "reasons": reasons,
        }
        for reader, edition in own
        for position in range(1, papers + 1)
        # 5 and the size of the pool have no common divisor: no edition gets a paper twice.
        for item, card, reasons in [shown[(reader + 5 * position) % len(shown)]]
    ]
    session.execute(insert(EditionItemRow), rows)
    session.execute(insert(Delivery), [_mail(*ids, now) for ids in own])


def _papers(session: Session, now: datetime) -> list[EditionItem]:
    """New papers, as they are shown."""
    titles = [title.format(method) for method in _METHODS for title in _TITLES]
    rows = [
        {
            "title": title,
            "abstract": _SUMMARY.format(_METHODS[i // len(_TITLES)]),
            "authors": list(_AUTHORS[i % len(_AUTHORS)]),
            "arxiv_id": f"2603.{i:05}",
            "url": f"https://arxiv.org/abs/2603.{i:05}",
            "published_on": now.date(),
            "text_hash": f"{i:064}",
            "first_seen_at": now,
            "ready_at": now,
        }
        for i, title in enumerate(titles)
    ]
    ids = _added(session, Paper, rows)
    return [_shown(i, id_, rows[i]) for i, id_ in enumerate(ids)]


def _shown(i: int, id_: int, paper: dict[str, Any]) -> EditionItem:
    lane: Lane = "trending" if i % 4 == 3 else "personal"
    return EditionItem(
        position=0,
        paper_id=id_,
        title=paper["title"],
        abstract="",
        summary=paper["abstract"],
        authors=tuple(paper["authors"]),
        published_on=paper["published_on"],
        arxiv_id=paper["arxiv_id"],
        doi=None,
        url=paper["url"],
        code_url=f"https://code.example.org/{i}" if i % 3 == 0 else None,
        sources=("trending-papers",),
        upvotes=10 + i,
        lane=lane,
        score=1.0,
        probability=None,
        propensity=1.0,
        reasons=(
            Reason("interest", 0.6, name=_INTERESTS[i % len(_INTERESTS)]),
            Reason("trending", 0.4, upvotes=10 + i, pages=1, place=1 + i, of=50, growth=i),
        ),
    )


def _added(session: Session, table: Any, rows: list[dict[str, Any]]) -> list[int]:
    """The ids that the rows were given, in their order."""
    return list(
        session.scalars(insert(table).returning(table.id, sort_by_parameter_order=True), rows)
    )


def _reader(i: int, now: datetime) -> dict[str, Any]:
    address = f"reader{i}@example.org"
    return {
        "address": address,
        "address_key": address,
        "state": "active",
        "timezone": "UTC",
        "hour": 7,
        "frequency": "daily",
        "length": 8,
        "mix": 0.75,
        "created_at": now,
        "confirmed_at": now,
    }


def _edition(reader: int, now: datetime) -> dict[str, Any]:
    return {
        "subscriber_id": reader,
        "local_date": now.date(),
        "built_at": now,
        "since": now - timedelta(days=1),
        "encoder": "none",
        "n_candidates": 120,
        "note": "",
        "runners_up": [],
    }


def _mail(reader: int, edition: int, now: datetime) -> dict[str, Any]:
    return {
        "kind": "edition",
        "subscriber_id": reader,
        "edition_id": edition,
        "state": "queued",
        "message_id": uuid4().hex,
        "created_at": now,
        "due_at": now,
        "expires_at": now + LIFE,
    }
