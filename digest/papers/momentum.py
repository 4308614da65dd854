"""How much a paper is trending: its places and upvotes on the pages of the last days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from digest.store.tables import ListingRow, Paper

# A page older than this says nothing of today.
WINDOW = timedelta(days=3)
OLD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Momentum:
    """What the pages of the last days say of one paper. `score` is between 0 and 1."""

    score: float
    pages: int
    upvotes: int | None
    resurfaced: bool


def momenta(session: Session, paper_ids: Sequence[int], now: datetime) -> dict[int, Momentum]:
    """The momentum of each paper; one that no page showed lately has the score 0."""
    since = now - WINDOW
    listed = {
        row.paper_id: row
        for row in session.execute(
            select(
                ListingRow.paper_id,
                func.count().label("pages"),
                func.min(ListingRow.position).label("place"),
                func.max(case((ListingRow.upvotes.is_(None), 0), else_=ListingRow.upvotes)).label(
                    "upvotes"
                ),
                func.min(Paper.first_seen_at).label("first_seen_at"),
                func.min(Paper.published_on).label("published_on"),
            )
            .join(Paper, Paper.id == ListingRow.paper_id)
            .where(ListingRow.seen_at > since, ListingRow.seen_at <= now)
            .group_by(ListingRow.paper_id)
        )
    }
    rows = [listed.get(id_) for id_ in paper_ids]
    scores = _score(
        np.array([row.place if row else np.inf for row in rows]),
        np.array([row.upvotes if row else 0 for row in rows], dtype=float),
        np.array([row.pages if row else 0 for row in rows], dtype=float),
    )
    found = {}
    for id_, row, score in zip(paper_ids, rows, scores.tolist(), strict=True):
        if row is None:
            found[id_] = Momentum(0.0, 0, None, resurfaced=False)
            continue
        old = now - row.first_seen_at > OLD or (
            row.published_on is not None and now.date() - row.published_on > OLD
        )
        found[id_] = Momentum(score, row.pages, row.upvotes or None, resurfaced=old)
    return found


def _score(
    place: NDArray[np.float64], upvotes: NDArray[np.float64], pages: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A mean of place, upvotes and pages, each between 0 and 1; shapes (n,).

    Upvotes count by their logarithm against the most upvoted; where no page shows any, the other
    two speak alone.
    """
    score: NDArray[np.float64] = (1.0 / np.sqrt(place) + 1.0 - 1.0 / (1.0 + pages)) / 2.0
    if (most := float(upvotes.max(initial=0.0))) > 0.0:
        score = (score + np.log1p(upvotes) / np.log1p(most)) / 2.0
    return score
