"""What is new to whom: the candidates of a shard, and which of them each reader may be shown."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from hashlib import sha256
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Exists, Select, exists, func, select
from sqlalchemy.orm import Session, aliased

from digest.languages import Message, msgid
from digest.papers.copies import linked_to
from digest.papers.ingest import is_news
from digest.papers.momentum import Momentum, momenta
from digest.papers.news import was_withdrawn
from digest.papers.verdict import SourceDay, day_of_sources
from digest.profiles.ground import Ground
from digest.profiles.mutes import muted
from digest.profiles.signals import places_of
from digest.ranking.types import Candidates
from digest.sources import RANKING
from digest.store import insert, parts
from digest.store.tables import (
    Delivery,
    EditionItemRow,
    EditionRow,
    ListingRow,
    Look,
    Page,
    Paper,
    Subscriber,
    VoteRow,
)

# A page may be committed by another process while an edition is built: the next one looks back a
# little further, at what this one had not before it.
OVERLAP = timedelta(minutes=10)
# Papers whose numbers are not further below the newest than so many times the candidates.
YOUNG = 4

_Key = tuple[datetime, int | None, tuple[int, ...]]
_KEPT: WeakKeyDictionary[Engine | Connection, tuple[_Key, Mapping[int, Momentum]]] = (
    WeakKeyDictionary()
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

    `last` is when they last had papers.
    """

    subscriber_id: int
    local_date: date
    last: datetime | None
    since: datetime
    wish: Wish
    language: str | None = None


class Last(NamedTuple):
    """When an edition was built, and the look that it was made from."""

    at: datetime
    look: str | None


@dataclass(frozen=True, slots=True)
class News:
    """The papers that are new to somebody in the shard; `at` and `momenta` by paper id.

    `links` are those of their works: (one of them, another paper).
    """

    candidates: Candidates
    at: Mapping[int, datetime]
    momenta: Mapping[int, Momentum]
    links: Sequence[tuple[int, int]]


def news_of(
    session: Session, since: datetime, encoder: str, ground: Ground, *, now: datetime
) -> News:
    """The papers that came in after `since`, with their points, and how much they trend."""
    rows = session.execute(_ready(since, now)).all()
    places = places_of(session, encoder, ground, (row.text_hash for row in rows))
    rows = [row for row in rows if row.text_hash in places]
    ids = [row.id for row in rows]
    moving = _moving(session, ids, now)
    d = len(ground.space.spectrum)
    at = [places[row.text_hash] for row in rows]
    return News(
        candidates=Candidates(
            ids=np.array(ids, np.int64),
            points=np.array([place.point for place in at], np.float32).reshape(-1, d),
            vectors=np.array([place.vector for place in at], np.float32).reshape(-1, ground.d),
            momentum=np.array([moving[id_].score for id_ in ids], np.float32),
        ),
        at={row.id: max(filter(None, (row.ready_at, row.listed_at))) for row in rows},
        momenta=moving,
        links=linked_to(session, ids),
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
    # A work is shown once: of its papers that are new to somebody, the one that was seen first.
    for one, other in sorted(new.links):
        if other in place and one < other:
            free[:, place[other]] &= ~free[:, place[one]]
    return free


def _ready(since: datetime, now: datetime) -> Select[Any]:
    """Papers that became ready, or were listed, after `since` and up to `now`.

    To be listed again is news on a page that ranks papers: others repeat themselves at weekends.
    """
    before = aliased(ListingRow)
    is_first = ~exists().where(
        before.paper_id == ListingRow.paper_id,
        before.seen_at < ListingRow.seen_at,
        before.is_news.is_(True),
    )
    listed = (
        select(ListingRow.paper_id, func.max(ListingRow.seen_at).label("at"))
        .join(Page, Page.id == ListingRow.page_id)
        .where(
            ListingRow.seen_at > since,
            ListingRow.seen_at <= now,
            is_news(),
            Page.reader.in_(RANKING) | is_first,
        )
        .group_by(ListingRow.paper_id)
        .subquery()
    )
    was_news = exists().where(ListingRow.paper_id == Paper.id, is_news())
    return (
        select(
            Paper.id,
            Paper.text_hash,
            Paper.ready_at,
            listed.c.at.label("listed_at"),
        )
        .outerjoin(listed, listed.c.paper_id == Paper.id)
        .where(
            Paper.ready_at <= now,
            ~was_withdrawn(),
            listed.c.at.is_not(None) | (Paper.ready_at > since) & was_news,
        )
        .order_by(Paper.id)
    )


def _moving(session: Session, ids: Sequence[int], now: datetime) -> Mapping[int, Momentum]:
    """The momenta of a shard's papers; within an hour, every shard of the same papers has one.

    What a page says is heeded at once, a reader's vote within the hour.
    """
    newest = session.scalar(
        select(ListingRow.id)
        .where(ListingRow.seen_at <= now)
        .order_by(ListingRow.seen_at.desc(), ListingRow.id.desc())
        .limit(1)
    )
    key = (now.replace(minute=0, second=0, microsecond=0), newest, tuple(ids))
    database = session.get_bind()
    kept = _KEPT.get(database)
    if kept is None or kept[0] != key:
        kept = _KEPT[database] = key, momenta(session, ids, now)
    return kept[1]


def had_by(
    session: Session, owners: Sequence[int], new: News, now: datetime
) -> dict[int, set[int]]:
    """Of the papers that are new, those that each subscriber was shown before, or voted on.

    A paper is had with any other of its work. What their last edition passed over is had as well,
    unless it has come in again. Some others may be among them.
    """
    had: dict[int, set[int]] = {owner: set() for owner in owners}
    ids = new.candidates.ids.tolist()
    if not ids:
        return had
    copies: defaultdict[int, list[int]] = defaultdict(list)
    for id_, other in new.links:
        copies[other].append(id_)
    # New papers have the highest numbers, and they are all that is read of a reader's history;
    # the few that are on a page again, and other papers of a work, are looked up.
    young = max(ids) - YOUNG * len(ids)
    old = list(parts(sorted(id_ for id_ in {*ids, *copies} if id_ < young)))
    voted = select(VoteRow.subscriber_id, VoteRow.paper_id).where(
        VoteRow.subscriber_id.in_(owners), VoteRow.at <= now
    )
    shown = select(
        EditionItemRow.subscriber_id, EditionItemRow.paper_id, EditionItemRow.edition_id
    ).where(EditionItemRow.subscriber_id.in_(owners))
    votes = [voted.where(VoteRow.paper_id >= young)]
    votes += [voted.where(VoteRow.paper_id.in_(some)) for some in old]
    items = [shown.where(EditionItemRow.paper_id >= young)]
    items += [shown.where(EditionItemRow.paper_id.in_(some)) for some in old]
    for owner, paper_id in (row for query in votes for row in session.execute(query)):
        had[owner].update([paper_id, *copies[paper_id]])
    found = [row for query in items for row in session.execute(query)]
    # Asked by their numbers: joined, all editions there are might be read.
    editions = select(EditionRow.id).where(EditionRow.built_at < now, ~was_taken_back())
    came = {
        id_
        for some in parts(edition_id for _, _, edition_id in found)
        for id_ in session.scalars(editions.where(EditionRow.id.in_(some)))
    }
    for owner, paper_id, edition_id in found:
        if edition_id in came:
            had[owner].update([paper_id, *copies[paper_id]])
    last = last_of(session, owners, now)
    passed_over = _passed_over(session, {*last.values()}, new)
    for owner, one in last.items():
        had[owner] |= passed_over[one]
    return had


def last_of(session: Session, subscriber_ids: Sequence[int], now: datetime) -> dict[int, Last]:
    """Each subscriber's last edition that showed them papers."""
    # Backwards in an index to the first that did: however many came before.
    last = (
        select(EditionRow.id)
        .where(
            EditionRow.subscriber_id == Subscriber.id,
            EditionRow.built_at < now,
            has_papers(),
            ~was_taken_back(),
        )
        .order_by(EditionRow.local_date.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = session.scalars(select(last).where(Subscriber.id.in_(subscriber_ids)))
    query = select(EditionRow.subscriber_id, EditionRow.built_at, EditionRow.look)
    return {
        who: Last(at, look)
        for some in parts(id_ for id_ in ids if id_ is not None)
        for who, at, look in session.execute(query.where(EditionRow.id.in_(some)))
    }


def look_at(session: Session, paper_ids: Sequence[int], now: datetime) -> str | None:
    """Remember that editions had these papers before them; by which id, None for no papers."""
    if not paper_ids:
        return None
    id_ = sha256(" ".join(map(str, paper_ids)).encode()).hexdigest()
    row = {"id": id_, "at": now, "paper_ids": list(paper_ids)}
    session.execute(insert(session, Look).values(row).on_conflict_do_nothing())
    return id_


def _passed_over(session: Session, last: Collection[Last], new: News) -> dict[Last, set[int]]:
    ids = {one.look for one in last if one.look}
    query = select(Look.id, Look.paper_ids).where(Look.id.in_(ids))
    looks: dict[str | None, list[int]] = dict(session.execute(query).all())
    return {
        one: {id_ for id_ in looks.get(one.look, ()) if id_ in new.at and new.at[id_] <= one.at}
        for one in last
    }


def has_papers() -> Exists:
    """Of an `EditionRow`: there is something in it."""
    return exists().where(EditionItemRow.edition_id == EditionRow.id)


def was_taken_back() -> Exists:
    """Of an `EditionRow`: its mail never left, so what is in it has not been shown."""
    return exists().where(Delivery.edition_id == EditionRow.id, Delivery.state == "cancelled")


def thin_because(session: Session, local_date: date) -> str:
    """Which sources brought nothing for a date though it was their day, or not all; in words.

    Empty where all did. The mail says it where it holds few papers.
    """
    last: dict[str, SourceDay] = {}
    for day in day_of_sources(session, local_date - timedelta(days=1), local_date):
        last[day.name] = day
    said = [one for day in last.values() if (one := _said_of(day))]
    return reduce(
        lambda one, other: msgid("%(one)s; %(other)s", one=one, other=other), said or [""]
    )


def _said_of(day: SourceDay) -> str:
    # The other details name addresses and errors, which are for the operator.
    match day.verdict:
        case "quiet":
            why = Message(day.detail)
            return msgid("%(source)s was quiet (%(why)s)", source=day.name, why=why)
        case "stale":
            return msgid("%(source)s had nothing new yet", source=day.name)
        case "partial":
            return msgid("%(source)s came only in part", source=day.name)
        case "unreadable":
            return msgid("%(source)s could not be read", source=day.name)
        case "unreachable":
            return msgid("%(source)s could not be reached", source=day.name)
        case "fresh":
            return ""


def count_new(order: Order, new: News, had: set[int]) -> int:
    """How many papers are new to a subscriber."""
    return sum(at > order.since and id_ not in had for id_, at in new.at.items())
