"""Rankers set against each other: on past mornings, and by the votes of a trial.

A replay ranks an edition again from what was known when it was built. It counts the likes that
came then, and these came for what was shown: it favours the ranker whose lists were shown. What is
kept without its time (mutes, withdrawals, links between papers, interests switched off, how long
and how personal somebody wants their mail) is taken as it is now, and what was changed since (an
interest, a vote) counts from then on, for all rankers alike.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.editions.build import RANKED_AT_ONCE
from digest.editions.news import Order, Wish
from digest.editions.shard import shard_of
from digest.evaluation.learning import ANSWERED, LIKED, ndcg
from digest.evaluation.propensity import Floats, Mean, Rate, mean_of, self_normalised
from digest.ranking.ranker import Ranker
from digest.ranking.types import LANES
from digest.store import Sessions
from digest.store.tables import Delivery, EditionItemRow, EditionRow, Subscriber, VoteRow

# What is added up a reader and ranker.
_COLUMNS = ("ndcg", "kept", "likes", "judged", "weight", "weighted", "squares", "explored")


@dataclass(frozen=True, slots=True)
class Replayed:
    """How one ranker does in a replay; all but the last two are means over readers.

    `ndcg` is of its list, with every like of the edition as gain 1, and `kept` the share of these
    likes that are in the list: both over editions in which something was liked. `likes` estimates
    the likes an edition, over all editions: what the live ranker showed for sure counts as it came,
    what it drew by lot by its inverse propensity (Horvitz and Thompson 1952), and only where this
    ranker lists it for sure. What nobody was shown counts as not liked; `judged` is the share of
    the list's places that could be judged, in expectation. `rate` is how often papers were liked
    that this ranker lists for sure and the live one left to the lot, and `explored` how many of
    these were drawn. That a paper which is drawn stands last is not corrected for.
    """

    ranker: str
    ndcg: Mean
    kept: Mean
    likes: Mean
    judged: float | None
    rate: Rate
    explored: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rankers on the same past editions, built from `since` to `until`.

    `shown` is the likes an edition of what was shown for sure, as they came. `overlap` is the share
    of papers that the lists of the first two have in common. The differences are the first's less
    the second's, or less what was shown where there is one ranker; paired by reader.
    """

    since: datetime
    until: datetime
    editions: int
    liked: int
    readers: int
    shown: Mean
    rankers: tuple[Replayed, ...]
    overlap: float | None
    ndcg_difference: Mean | None
    likes_difference: Mean


@dataclass(frozen=True, slots=True)
class _Shown:
    """One paper of a past edition: whether it was there for sure, or how likely, and was liked."""

    paper_id: int
    sure: bool
    propensity: float
    liked: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    """A list that a ranker makes now: the papers in order, and those that no lot has drawn."""

    papers: Sequence[int]
    sure: frozenset[int]


def replay_rankers(
    sessions: Sessions,
    rankers: Sequence[Ranker],
    encoder: str,
    *,
    since: datetime,
    now: datetime,
    progress: Callable[[int], None] = lambda _n: None,
) -> Comparison:
    """Rank the editions again that were built since then, mailed, and had a day to be answered.

    Memory grows with readers, not with editions. `progress` is told how many were read again.
    """
    until = now - ANSWERED
    sums: dict[int, Floats] = {}
    for order, shown, lists in _again(sessions, rankers, encoder, since, until):
        who = order.subscriber_id
        mine = sums.setdefault(who, np.zeros((1 + len(rankers), len(_COLUMNS))))
        mine += _outcome(shown, lists)
        progress(1)
    table = np.array(list(sums.values())).reshape(-1, 1 + len(rankers), len(_COLUMNS))
    editions, liked, overlap, as_shown = table[:, 0, :4].T
    with np.errstate(invalid="ignore"):  # who liked nothing has no nDCG
        by = {
            "ndcg": table[:, 1:, 0] / liked[:, None],
            "kept": table[:, 1:, 1] / liked[:, None],
            "likes": table[:, 1:, 2] / editions[:, None],
            "judged": table[:, 1:, 3] / editions[:, None],
        }
    shown_likes = as_shown / np.maximum(editions, 1)
    replayed = tuple(
        Replayed(
            ranker.name,
            mean_of(by["ndcg"][:, i]),
            mean_of(by["kept"][:, i]),
            mean_of(by["likes"][:, i]),
            mean_of(by["judged"][:, i]).value,
            self_normalised(*table[:, 1 + i, 4:7].T),
            int(table[:, 1 + i, 7].sum()),
        )
        for i, ranker in enumerate(rankers)
    )
    two = len(rankers) > 1
    return Comparison(
        since=since,
        until=until,
        editions=int(editions.sum()),
        liked=int(liked.sum()),
        readers=len(sums),
        shown=mean_of(shown_likes),
        rankers=replayed,
        overlap=mean_of(overlap / np.maximum(editions, 1)).value if two else None,
        ndcg_difference=mean_of(by["ndcg"][:, 0] - by["ndcg"][:, 1]) if two else None,
        likes_difference=mean_of(by["likes"][:, 0] - (by["likes"][:, 1] if two else shown_likes)),
    )


def count_editions(sessions: Sessions, *, since: datetime, now: datetime) -> int:
    """How many editions `replay_rankers` will read again."""
    with sessions.reading() as session:
        return sum(n for _, n in _mornings(session, since, now - ANSWERED))


def _outcome(shown: Sequence[_Shown], lists: Sequence[_Listed]) -> Floats:
    """What one edition adds to its reader's sums."""
    found = np.zeros((1 + len(lists), len(_COLUMNS)))
    liked = {one.paper_id for one in shown if one.liked}
    sets = [set(listed.papers) for listed in lists]
    common = len(set.intersection(*sets)) / max(1, *map(len, sets)) if lists else 0.0
    as_shown = sum(one.liked for one in shown if one.sure)
    found[0, :4] = 1, bool(liked), common, as_shown
    for row, listed in zip(found[1:], lists, strict=True):
        if liked:
            places = [n for n, paper in enumerate(listed.papers, 1) if paper in liked]
            row[:2] = ndcg(places, len(liked)), len(places) / len(liked)
        for one in shown:
            if one.paper_id in listed.sure:
                weight = 1.0 if one.sure else 1.0 / one.propensity
                row[2] += weight * one.liked
                row[3] += weight / len(listed.sure)
                if not one.sure:
                    row[4:] += weight, weight * one.liked, weight**2, 1
    return found


def _again(
    sessions: Sessions,
    rankers: Sequence[Ranker],
    encoder: str,
    since: datetime,
    until: datetime,
) -> Iterator[tuple[Order, list[_Shown], list[_Listed]]]:
    """Past editions in the order in which they were built, each with a list of every ranker."""
    with sessions.reading() as session:
        mornings = _mornings(session, since, until)
    for built_at, _ in mornings:
        last = 0
        while True:
            with sessions.reading() as session:
                orders = _orders(session, built_at, beyond=last)
                if not orders:
                    break
                shown = _shown(session, list(orders), built_at)
                lists = _lists(session, list(orders.values()), rankers, encoder, built_at)
            for (id_, order), listed in zip(orders.items(), lists, strict=True):
                yield order, shown[id_], listed
            last = max(orders)


def _mornings(session: Session, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
    """When editions were built that were mailed, and how many."""
    query = (
        select(EditionRow.built_at, func.count())
        .join(Delivery, (Delivery.edition_id == EditionRow.id) & (Delivery.state == "sent"))
        .where(EditionRow.built_at >= since, EditionRow.built_at <= until)
        .group_by(EditionRow.built_at)
        .order_by(EditionRow.built_at)
    )
    return [(built_at, n) for built_at, n in session.execute(query)]


def _orders(session: Session, built_at: datetime, *, beyond: int) -> dict[int, Order]:
    """What the next editions of a morning were made for, by their numbers."""
    rows = session.execute(
        select(
            EditionRow.id,
            EditionRow.subscriber_id,
            EditionRow.local_date,
            EditionRow.since,
            Subscriber.length,
            Subscriber.mix,
            Subscriber.min_probability,
        )
        .join(Subscriber, Subscriber.id == EditionRow.subscriber_id)
        .join(Delivery, (Delivery.edition_id == EditionRow.id) & (Delivery.state == "sent"))
        .where(EditionRow.built_at == built_at, EditionRow.id > beyond)
        .order_by(EditionRow.id)
        .limit(RANKED_AT_ONCE)
    )
    return {
        id_: Order(who, day, None, since, Wish(length, mix, least or 0.0))
        for id_, who, day, since, length, mix, least in rows
    }


def _shown(
    session: Session, edition_ids: Sequence[int], built_at: datetime
) -> dict[int, list[_Shown]]:
    """What was shown, and what readers said of it since."""
    rows = session.execute(
        select(
            EditionItemRow.edition_id,
            EditionItemRow.paper_id,
            EditionItemRow.lane,
            EditionItemRow.propensity,
            VoteRow.paper_id.is_not(None),
        )
        .outerjoin(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id)
            & VoteRow.value.in_(LIKED)
            & (VoteRow.at >= built_at)
            & VoteRow.held_at.is_(None),
        )
        .where(EditionItemRow.edition_id.in_(edition_ids))
    )
    shown: dict[int, list[_Shown]] = defaultdict(list)
    for edition_id, paper_id, lane, propensity, liked in rows:
        shown[edition_id].append(_Shown(paper_id, lane != "exploration", propensity, liked))
    return shown


def _lists(
    session: Session,
    orders: Sequence[Order],
    rankers: Sequence[Ranker],
    encoder: str,
    built_at: datetime,
) -> list[list[_Listed]]:
    """By edition, what each ranker lists from what was known when it was built."""
    shard = shard_of(session, orders, encoder, now=built_at)
    if shard is None:
        return [[_Listed((), frozenset())] * len(rankers) for _ in orders]
    ids = shard.new.candidates.ids
    choices = [shard.rank(shard.fit(ranker)).choice for ranker in rankers]
    return [
        [_listed(choice.papers[i], choice.lanes[i], ids) for choice in choices]
        for i in range(len(orders))
    ]


def _listed(papers: NDArray[np.int64], lanes: NDArray[np.int8], ids: NDArray[np.int64]) -> _Listed:
    there = papers >= 0
    sure = there & (lanes != LANES.index("exploration"))
    return _Listed(ids[papers[there]].tolist(), frozenset(ids[papers[sure]].tolist()))
