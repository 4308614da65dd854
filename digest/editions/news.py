"""What is new to whom: the candidates of a shard, and which of them each reader may be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Exists, Select, exists, func, select, union
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.papers.identity import text_of
from digest.papers.ingest import is_news
from digest.papers.momentum import Momentum, momenta
from digest.profiles.ground import Ground
from digest.profiles.mutes import muted
from digest.ranking.types import Candidates
from digest.store.tables import (
    Delivery,
    EditionItemRow,
    EditionRow,
    ListingRow,
    Paper,
    VoteRow,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """How long an edition a subscriber asked for, how personal, and how surely theirs."""

    length: int
    mix: float
    min_probability: float


@dataclass(frozen=True, slots=True)
class Order:
    """One edition to make: for whom, for which date, from what time on papers are new.

    `last` is when they last had papers. What came in between `since` and `last` may have been
    missed then, so it is looked at again, but is not counted as new.
    """

    subscriber_id: int
    local_date: date
    last: datetime | None
    since: datetime
    wish: Wish


@dataclass(frozen=True, slots=True)
class News:
    """The papers that are new to somebody in the shard; `at` and `momenta` by paper id."""

    candidates: Candidates
    at: Mapping[int, datetime]
    momenta: Mapping[int, Momentum]


def news_of(
    session: Session, since: datetime, encoder: str, ground: Ground, *, now: datetime
) -> News:
    """The papers that came in after `since`, with their points, and how much they trend."""
    rows = session.execute(_ready(since, now)).all()
    texts = {row.text_hash: text_of(row.title, row.abstract) for row in rows}
    vectors = vectors_of(session, encoder, texts)
    points = ground.points(vectors, texts)
    rows = [row for row in rows if row.text_hash in points]
    ids = [row.id for row in rows]
    moving = momenta(session, ids, now)
    d = len(ground.space.spectrum)
    return News(
        candidates=Candidates(
            ids=np.array(ids, np.int64),
            points=np.array([points[row.text_hash] for row in rows], np.float32).reshape(-1, d),
            vectors=np.array([vectors[row.text_hash] for row in rows], np.float32).reshape(
                -1, ground.d
            ),
            momentum=np.array([moving[id_].score for id_ in ids], np.float32),
        ),
        at={row.id: max(filter(None, (row.ready_at, row.listed_at))) for row in rows},
        momenta=moving,
    )


def free_for(
    session: Session, orders: Sequence[Order], new: News, had: Mapping[int, set[int]]
) -> NDArray[np.bool_]:
    """What may be shown to whom, shape (orders, candidates): new to them, and not muted."""
    ids = new.candidates.ids.tolist()
    hidden = muted(session, [order.subscriber_id for order in orders], ids)
    at = np.array([new.at[id_].timestamp() for id_ in ids])
    since = np.array([order.since.timestamp() for order in orders])
    free: NDArray[np.bool_] = (at[None, :] > since[:, None]) & ~hidden
    place = {id_: i for i, id_ in enumerate(ids)}
    for row, order in enumerate(orders):
        free[row, [place[id_] for id_ in had[order.subscriber_id] if id_ in place]] = False
    return free


def _ready(since: datetime, now: datetime) -> Select[Any]:
    """Papers that became ready, or were on a page again, after `since` and up to `now`."""
    listed = (
        select(ListingRow.paper_id, func.max(ListingRow.seen_at).label("at"))
        .where(ListingRow.seen_at > since, ListingRow.seen_at <= now, is_news())
        .group_by(ListingRow.paper_id)
        .subquery()
    )
    was_news = exists().where(ListingRow.paper_id == Paper.id, is_news())
    return (
        select(
            Paper.id,
            Paper.text_hash,
            Paper.title,
            Paper.abstract,
            Paper.ready_at,
            listed.c.at.label("listed_at"),
        )
        .outerjoin(listed, listed.c.paper_id == Paper.id)
        .where(
            Paper.ready_at <= now,
            listed.c.at.is_not(None) | (Paper.ready_at > since) & was_news,
        )
        .order_by(Paper.id)
    )


def had_by(
    session: Session, owners: Sequence[int], since: datetime, now: datetime
) -> dict[int, set[int]]:
    """Of the papers after `since`, those that each subscriber was shown before, or voted on."""
    ready = select(_ready(since, now).subquery().c.id)
    shown = (
        select(EditionItemRow.subscriber_id, EditionItemRow.paper_id)
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .where(
            EditionItemRow.subscriber_id.in_(owners),
            EditionItemRow.paper_id.in_(ready),
            EditionRow.built_at < now,
            ~was_taken_back(),
        )
    )
    voted = select(VoteRow.subscriber_id, VoteRow.paper_id).where(
        VoteRow.subscriber_id.in_(owners), VoteRow.paper_id.in_(ready), VoteRow.at <= now
    )
    had: dict[int, set[int]] = {owner: set() for owner in owners}
    for owner, paper_id in session.execute(union(shown, voted)):
        had[owner].add(paper_id)
    return had


def was_taken_back() -> Exists:
    """Of an `EditionRow`: its mail never left, so what is in it has not been shown."""
    return exists().where(Delivery.edition_id == EditionRow.id, Delivery.state == "cancelled")


def count_new(order: Order, new: News, had: set[int]) -> int:
    """How many papers are new to a subscriber."""
    since = order.last or order.since
    return sum(at > since and id_ not in had for id_, at in new.at.items())
