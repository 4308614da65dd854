"""How much a paper is trending: its listings of the last days, and our readers' votes, in numbers.

What they add up to is for `ranking.momentum`; this reads them from the store, and keeps what a
mail says of them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.orm import Session

from digest.papers.ingest import is_news
from digest.ranking.momentum import Floats, Standing, above_page, momentum, records
from digest.sources import RANKING
from digest.store import parts
from digest.store.tables import ListingRow, Page, Paper, VoteRow

# A page older than this says nothing of today.
WINDOW = timedelta(days=3)
OLD = timedelta(days=30)
# How far back it counts how somebody's papers did, and how readers vote.
RECORD = timedelta(days=60)
# Votes that tell how readers vote at all, the newest.
VOTES = 20_000
# Pages are not read at the same minute each day.
_YESTERDAY = timedelta(hours=20)

_Row = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Momentum:
    """What the pages of the last days say of one paper. `score` is between 0 and 1.

    `pages` counts a source's page of a day once, however often it was read, and a source that ranks
    nothing once. `place` is the best on a page that ranks, among `of` papers, and `growth` the
    upvotes since yesterday, each None where no page tells; `votes` the up-votes and saves of our
    own readers.
    """

    score: float
    pages: int
    upvotes: int | None
    resurfaced: bool
    place: int | None = None
    of: int = 0
    sources: int = 0
    growth: int | None = None
    votes: int = 0


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the listings of one paper come to; `hours` from its page's day to its highest count."""

    pages: int
    sources: int
    place: int | None
    of: int
    upvotes: int | None
    hours: float | None
    before: int | None
    stars: float | None
    comments: float | None
    submitter: str | None


_NOTHING = Momentum(0.0, 0, None, resurfaced=False)


def momenta(session: Session, paper_ids: Sequence[int], now: datetime) -> dict[int, Momentum]:
    """The momentum of each paper; one that no page showed lately has the score 0."""
    listed = _listed(session, now)
    wanted = [id_ for id_ in dict.fromkeys(paper_ids) if id_ in listed]
    if not wanted:
        return dict.fromkeys(paper_ids, _NOTHING)
    papers = _papers(session, now)
    ups, downs = _votes(session, wanted, now)
    seen = [listed[id_] for id_ in wanted]
    known = [papers[id_] for id_ in wanted]
    up, down = ([votes.get(id_, 0) for id_ in wanted] for votes in (ups, downs))
    standing = Standing(
        pages=_numbers(one.pages for one in seen),
        sources=_numbers(one.sources for one in seen),
        upvotes=_numbers(one.upvotes for one in seen),
        hours=_numbers(one.hours for one in seen),
        before=_numbers(one.before for one in seen),
        place=_numbers(one.place for one in seen),
        of=_numbers(one.of or None for one in seen),
        authors=_numbers(len(paper.authors) or None for paper in known),
        record=_record(
            session,
            [_people(paper.authors, one.submitter) for paper, one in zip(known, seen, strict=True)],
            listed,
            now,
        ),
        stars=_numbers(one.stars for one in seen),
        comments=_numbers(one.comments for one in seen),
        ups=_numbers(up),
        downs=_numbers(down),
    )
    scores = momentum(standing, approval=_approval(session, now))
    found = {
        id_: Momentum(
            score=score,
            pages=one.pages,
            upvotes=one.upvotes or None,
            resurfaced=_is_old(paper, now),
            place=one.place,
            of=one.of,
            sources=one.sources,
            growth=None if one.before is None else (one.upvotes or 0) - one.before,
            votes=votes,
        )
        for id_, score, one, paper, votes in zip(
            wanted, scores.tolist(), seen, known, up, strict=True
        )
    }
    return {id_: found.get(id_, _NOTHING) for id_ in paper_ids}


# --- listings ---------------------------------------------------------------------------------


def _listed(session: Session, now: datetime) -> dict[int, _Listed]:
    """What the pages of the last days say of each paper that they list."""
    rows = session.execute(
        select(
            ListingRow.paper_id,
            ListingRow.page_id,
            ListingRow.source,
            ListingRow.page_date,
            ListingRow.seen_at,
            ListingRow.position,
            ListingRow.upvotes,
            ListingRow.facts,
            Page.reader.in_(RANKING).label("is_ranked"),
        )
        .join(Page, Page.id == ListingRow.page_id)
        .where(*_seen(now - WINDOW, now))
        .order_by(ListingRow.seen_at, ListingRow.id)
    ).all()
    size: dict[int, int] = defaultdict(int)
    of: dict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        size[row.page_id] += 1
        of[row.paper_id].append(row)
    return {id_: _summed(listings, size) for id_, listings in of.items()}


def _summed(rows: Sequence[_Row], size: Mapping[int, int]) -> _Listed:
    """Sum up one paper's listings, which come in the order in which they were seen."""
    # A page that was read again says where the paper stands now; one that ranks nothing may repeat
    # itself for days.
    pages = {
        (row.source, row.is_ranked and (row.page_date or row.seen_at.date())): row for row in rows
    }
    ranked = [row for row in pages.values() if row.is_ranked]
    best = min(ranked, key=lambda row: (row.position, -size[row.page_id]), default=None)
    counted = [row for row in rows if row.upvotes is not None]
    top = max(counted, key=lambda row: (row.upvotes, row.seen_at), default=None)
    facts: dict[str, Any] = {}
    for row in rows:
        facts |= row.facts
    return _Listed(
        pages=len(pages),
        sources=len({row.source for row in rows}),
        place=best.position if best else None,
        of=size[best.page_id] if best else 0,
        upvotes=top.upvotes if top else None,
        hours=_hours(top, rows) if top else None,
        before=_before(top, counted) if top else None,
        stars=_count(facts.get("github_stars")),
        comments=_count(facts.get("comments")),
        submitter=_name(facts.get("submitter")),
    )


def _hours(top: _Row, rows: Sequence[_Row]) -> float | None:
    """The hours from the start of the paper's first day on that source to its highest count."""
    days = [row.page_date for row in rows if row.source == top.source and row.page_date]
    if not days:
        return None
    start = datetime.combine(min(days), time(tzinfo=UTC))
    hours: float = (top.seen_at - start) / timedelta(hours=1)
    return hours


def _before(top: _Row, counted: Sequence[_Row]) -> int | None:
    """The count that the same source gave a day before the highest one."""
    earlier = [
        int(row.upvotes)
        for row in counted
        if row.source == top.source and top.seen_at - row.seen_at >= _YESTERDAY
    ]
    return max(earlier, default=None)


# --- papers, people, votes --------------------------------------------------------------------


def _papers(session: Session, now: datetime) -> dict[int, _Row]:
    shown = select(ListingRow.paper_id).where(*_seen(now - WINDOW, now))
    rows = session.execute(
        select(Paper.id, Paper.authors, Paper.first_seen_at, Paper.published_on).where(
            Paper.id.in_(shown)
        )
    )
    return {row.id: row for row in rows}


def _is_old(paper: _Row, now: datetime) -> bool:
    published: date | None = paper.published_on
    return now - paper.first_seen_at > OLD or (
        published is not None and now.date() - published > OLD
    )


def _record(
    session: Session, people: Sequence[Collection[str]], listed: Collection[int], now: datetime
) -> Floats:
    """How the people of papers did before, with papers that are no longer on any page."""
    counts = (
        select(
            ListingRow.paper_id,
            ListingRow.source,
            ListingRow.page_date,
            func.max(ListingRow.upvotes).label("upvotes"),
            func.max(ListingRow.facts["submitter"].as_string()).label("submitter"),
        )
        .where(*_seen(now - RECORD, now - WINDOW), ListingRow.upvotes.is_not(None))
        .group_by(ListingRow.paper_id, ListingRow.source, ListingRow.page_date)
        .subquery()
    )
    past = [
        row
        for row in session.execute(
            select(counts, Paper.authors)
            .join(Paper, Paper.id == counts.c.paper_id)
            .order_by(counts.c.paper_id, counts.c.source, counts.c.page_date)
        )
        if row.paper_id not in listed
    ]
    numbers: dict[tuple[str, date | None], int] = {}
    page = [numbers.setdefault((row.source, row.page_date), len(numbers)) for row in past]
    heat = above_page(_numbers(row.upvotes for row in past), np.array(page, dtype=np.int64))
    return records(people, [_people(row.authors, row.submitter) for row in past], heat)


def _people(authors: Sequence[str], submitter: str | None) -> Collection[str]:
    return {*authors, submitter} if submitter else set(authors)


def _votes(
    session: Session, paper_ids: Collection[int], now: datetime
) -> tuple[dict[int, int], dict[int, int]]:
    """How many of our readers lately voted each of these up or saved it, and how many down."""
    ups: dict[int, int] = defaultdict(int)
    downs: dict[int, int] = defaultdict(int)
    for ids in parts(paper_ids):
        for row in session.execute(
            select(VoteRow.paper_id, VoteRow.value, func.count().label("n"))
            .where(VoteRow.paper_id.in_(ids), *_lately(now))
            .group_by(VoteRow.paper_id, VoteRow.value)
        ):
            (downs if row.value == "down" else ups)[row.paper_id] += row.n
    return ups, downs


def _approval(session: Session, now: datetime) -> float:
    """How likely a vote is to be up, by the newest ones; Laplace's rule keeps it inside (0, 1)."""
    newest = select(VoteRow.value).where(*_lately(now)).order_by(VoteRow.at.desc()).limit(VOTES)
    counted = newest.subquery()
    query = select(counted.c.value, func.count()).group_by(counted.c.value)
    n: dict[str, int] = dict(session.execute(query).all())
    return float((n.get("up", 0) + n.get("saved", 0) + 1) / (sum(n.values()) + 2))


def _lately(now: datetime) -> tuple[ColumnElement[bool], ...]:
    # An import is what somebody kept over years, not what they made of a digest.
    return (
        VoteRow.at > now - RECORD,
        VoteRow.at <= now,
        VoteRow.via != "import",
        VoteRow.held_at.is_(None),
    )


def _seen(since: datetime, until: datetime) -> tuple[Any, ...]:
    return ListingRow.seen_at > since, ListingRow.seen_at <= until, is_news()


def _count(fact: Any) -> float | None:
    """A number that a page gave, if it is one."""
    is_count = isinstance(fact, int | float) and not isinstance(fact, bool) and fact >= 0
    return float(fact) if is_count else None


def _name(fact: Any) -> str | None:
    return fact if isinstance(fact, str) else None


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
