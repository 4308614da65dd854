"""Building editions: what is new for each subscriber, ranked and frozen, a shard at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from digest.editions.edition import Edition, EditionItem, Reason, freeze
from digest.editions.schedule import last_due, next_due
from digest.papers.embedding import vectors_of
from digest.papers.momentum import Momentum, momenta
from digest.papers.summary import summarise
from digest.profiles.signals import background, signals_of
from digest.ranking.profile import fit_profiles
from digest.ranking.rank import rank
from digest.ranking.types import (
    Candidates,
    Profile,
    RankedPaper,
    Ranking,
    RunnerUp,
    Share,
    Signal,
    Vectors,
    Wish,
)
from digest.store import Sessions, insert
from digest.store.deliveries import queue
from digest.store.tables import EditionItemRow, EditionRow, Interest, ListingRow, Paper, Subscriber

# How far back a first edition looks.
FIRST_WINDOW = timedelta(days=7)
# A page may be committed by another process while an edition is built: look back a little further.
OVERLAP = timedelta(hours=1)
WORDS = {"up": "liked", "saved": "saved", "down": "disliked"}


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What came of one build: editions with papers, editions without, and none to build."""

    built: int = 0
    empty: int = 0
    skipped: int = 0

    def __add__(self, other: "BuildReport") -> "BuildReport":
        """The sum of two shards."""
        return BuildReport(
            self.built + other.built, self.empty + other.empty, self.skipped + other.skipped
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """An edition as it would be frozen, and the papers that lost."""

    edition: Edition
    runners_up: tuple[RunnerUp, ...]


@dataclass(frozen=True, slots=True)
class _Order:
    """One edition to make: for whom, for which date, from what time on papers are new."""

    subscriber_id: int
    local_date: date
    since: datetime
    wish: Wish


@dataclass(frozen=True, slots=True)
class _New:
    """The papers that are new to somebody in the shard; `new_at` and `rows` by paper id."""

    candidates: Candidates
    new_at: Mapping[int, datetime]
    momenta: Mapping[int, Momentum]


def due_subscribers(session: Session, now: datetime) -> list[int]:
    """The subscribers whose edition is due, by their numbers."""
    query = (
        select(Subscriber.id)
        .where(Subscriber.state == "active", Subscriber.next_due_at <= now)
        .order_by(Subscriber.id)
    )
    return list(session.scalars(query))


def build_editions(
    sessions: Sessions, subscriber_ids: Sequence[int], encoder: str, *, now: datetime
) -> BuildReport:
    """Build, freeze and queue the editions that are due among `subscriber_ids`.

    One that has been built before, or is not due, is skipped; so the call is safe to repeat.
    An edition without papers is stored as the record that there was nothing, and is not mailed.
    """
    with sessions.reading() as session:
        orders = _orders(session, subscriber_ids, now)
        previews = _previews(session, orders, encoder, now=now)
    report = BuildReport(skipped=len(subscriber_ids) - len(orders))
    for order, made in zip(orders, previews, strict=True):
        with sessions() as session:
            report += _store(session, order, made, encoder, now)
    return report


def preview(
    session: Session, subscriber_id: int, encoder: str, *, local_date: date, now: datetime
) -> Preview:
    """The edition that a subscriber would get for `local_date` from what is known at `now`."""
    row = session.get_one(Subscriber, subscriber_id)
    order = _order(
        row, local_date, _last_built(session, [subscriber_id], now).get(subscriber_id), now
    )
    return _previews(session, [order], encoder, now=now)[0]


def _orders(session: Session, subscriber_ids: Sequence[int], now: datetime) -> list[_Order]:
    rows = session.scalars(
        select(Subscriber)
        .where(
            Subscriber.id.in_(subscriber_ids),
            Subscriber.state == "active",
            Subscriber.next_due_at <= now,
        )
        .order_by(Subscriber.id)
    ).all()
    last = _last_built(session, [row.id for row in rows], now)
    return [_order(row, _date_of(row, now), last.get(row.id), now) for row in rows]


def _order(row: Subscriber, local_date: date, last: datetime | None, now: datetime) -> _Order:
    since = last - OVERLAP if last else now - FIRST_WINDOW
    return _Order(row.id, local_date, since, Wish(row.length, row.mix))


def _date_of(row: Subscriber, now: datetime) -> date:
    """The local date that the due edition is for; after an outage, the last one missed."""
    scheduled = last_due(row.timezone, row.hour, row.frequency, now)
    due = max(scheduled, row.next_due_at or scheduled)
    return due.astimezone(ZoneInfo(row.timezone)).date()


def _last_built(
    session: Session, subscriber_ids: Sequence[int], now: datetime
) -> dict[int, datetime]:
    query = (
        select(EditionRow.subscriber_id, func.max(EditionRow.built_at))
        .where(EditionRow.subscriber_id.in_(subscriber_ids), EditionRow.built_at < now)
        .group_by(EditionRow.subscriber_id)
    )
    return dict(session.execute(query).tuples().all())


def _previews(
    session: Session, orders: Sequence[_Order], encoder: str, *, now: datetime
) -> list[Preview]:
    if not orders:
        return []
    owners = [order.subscriber_id for order in orders]
    centre = background(session, encoder, now=now)
    if centre is None:
        return [_preview(session, order, Ranking((), ()), None, now) for order in orders]
    new = _new_papers(session, min(order.since for order in orders), encoder, now)
    shown = _shown(session, owners, now)
    signals: list[list[Signal]] = signals_of(session, owners, encoder, now=now)
    profiles = fit_profiles(signals, centre, now=now)
    rankings = rank(
        profiles,
        new.candidates,
        [order.wish for order in orders],
        seen=[
            shown.get(order.subscriber_id, set())
            | {id_ for id_, at in new.new_at.items() if at <= order.since}
            for order in orders
        ],
    )
    return [
        _preview(session, order, ranking, (new, profile), now)
        for order, ranking, profile in zip(orders, rankings, profiles.profiles, strict=True)
    ]


def _new_papers(session: Session, since: datetime, encoder: str, now: datetime) -> _New:
    """Papers that became ready, or were on a page, after `since` and up to `now`."""
    listed = (
        select(ListingRow.paper_id, func.max(ListingRow.seen_at).label("at"))
        .where(ListingRow.seen_at > since, ListingRow.seen_at <= now)
        .group_by(ListingRow.paper_id)
        .subquery()
    )
    papers = session.execute(
        select(Paper.id, Paper.text_hash, Paper.ready_at, listed.c.at)
        .outerjoin(listed, listed.c.paper_id == Paper.id)
        .where(
            Paper.ready_at <= now,
            (Paper.ready_at > since) | listed.c.at.is_not(None),
        )
        .order_by(Paper.id)
    ).all()
    vectors = vectors_of(session, encoder, (hash_ for _, hash_, _, _ in papers))
    papers = [row for row in papers if row.text_hash in vectors]
    ids = [row.id for row in papers]
    moving = momenta(session, ids, now)
    matrix: NDArray[np.float32] = (
        np.stack([vectors[row.text_hash] for row in papers])
        if papers
        else np.zeros((0, 0), np.float32)
    )
    return _New(
        candidates=Candidates(
            Vectors(np.array(ids, np.int64), matrix, encoder),
            np.array([moving[id_].score for id_ in ids]),
        ),
        new_at={row.id: max(filter(None, (row.ready_at, row.at))) for row in papers},
        momenta=moving,
    )


def _shown(session: Session, owners: Sequence[int], now: datetime) -> dict[int, set[int]]:
    """The papers that each subscriber has had in an edition, or has voted on."""
    query = (
        select(EditionItemRow.subscriber_id, EditionItemRow.paper_id)
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .where(EditionItemRow.subscriber_id.in_(owners), EditionRow.built_at < now)
    )
    shown: dict[int, set[int]] = {}
    for owner, paper_id in session.execute(query):
        shown.setdefault(owner, set()).add(paper_id)
    return shown


def _preview(
    session: Session,
    order: _Order,
    ranking: Ranking,
    known: tuple[_New, Profile] | None,
    now: datetime,
) -> Preview:
    n_candidates, note = 0, "Nothing new has come in since your last digest."
    items: tuple[EditionItem, ...] = ()
    if known is not None:
        new, profile = known
        n_candidates = sum(at > order.since for at in new.new_at.values())
        items = _items(session, ranking.chosen, profile, new)
        if items:
            note = (
                ""
                if profile.signals
                else (
                    "You have told us no interests and voted on nothing yet, "
                    "so these are the trending papers."
                )
            )
        elif n_candidates:
            note = "Nothing new came close to your interests."
    edition = Edition(
        edition_id=0,
        subscriber_id=order.subscriber_id,
        local_date=order.local_date,
        built_at=now,
        n_candidates=n_candidates,
        note=note,
        items=items,
    )
    return Preview(edition, ranking.runners_up)


def _items(
    session: Session, chosen: Sequence[RankedPaper], profile: Profile, new: _New
) -> tuple[EditionItem, ...]:
    ids = [ranked.paper_id for ranked in chosen]
    papers = {row.id: row for row in session.scalars(select(Paper).where(Paper.id.in_(ids)))}
    sources: dict[int, set[str]] = {}
    for paper_id, source in session.execute(
        select(ListingRow.paper_id, ListingRow.source)
        .where(ListingRow.paper_id.in_(ids))
        .distinct()
    ):
        sources.setdefault(paper_id, set()).add(source)
    names = _names(session, profile.signals)
    return tuple(
        EditionItem(
            position=position,
            paper_id=ranked.paper_id,
            title=(paper := papers[ranked.paper_id]).title,
            abstract=paper.abstract,
            summary=summarise(paper.abstract),
            authors=tuple(paper.authors),
            published_on=paper.published_on,
            arxiv_id=paper.arxiv_id,
            doi=paper.doi,
            url=paper.url,
            code_url=paper.code_url,
            sources=tuple(sorted(sources.get(paper.id, ()))),
            upvotes=new.momenta[paper.id].upvotes,
            lane=ranked.lane,
            score=ranked.score,
            probability=ranked.probability,
            propensity=ranked.propensity,
            reasons=tuple(_reason(s, names, new.momenta[paper.id]) for s in ranked.shares),
        )
        for position, ranked in enumerate(chosen, 1)
    )


def _names(session: Session, signals: Sequence[Signal]) -> dict[tuple[bool, int], str]:
    """Interests' names and voted papers' titles, by (is an interest, id)."""
    interests = [signal.ref for signal in signals if signal.kind == "interest"]
    papers = [signal.ref for signal in signals if signal.kind != "interest"]
    named: dict[tuple[bool, int], str] = {}
    for id_, name in session.execute(
        select(Interest.id, Interest.name).where(Interest.id.in_(interests))
    ):
        named[True, id_] = name
    for id_, title in session.execute(select(Paper.id, Paper.title).where(Paper.id.in_(papers))):
        named[False, id_] = title
    return named


def _reason(share: Share, names: Mapping[tuple[bool, int], str], momentum: Momentum) -> Reason:
    if share.kind == "trending":
        kind = "resurfaced" if momentum.resurfaced else "trending"
        return Reason(kind, share.part, upvotes=momentum.upvotes, pages=momentum.pages)
    if share.kind == "interest":
        return Reason("interest", share.part, name=names[True, share.ref])
    return Reason(WORDS[share.kind], share.part, title=names[False, share.ref])


def _store(
    session: Session, order: _Order, made: Preview, encoder: str, now: datetime
) -> BuildReport:
    """Freeze one edition, queue its mail and move the subscriber on: one transaction."""
    subscriber = session.get(Subscriber, order.subscriber_id)
    if subscriber is None or subscriber.state != "active":
        return BuildReport(skipped=1)
    upcoming = next_due(subscriber.timezone, subscriber.hour, subscriber.frequency, now)
    session.execute(
        update(Subscriber).where(Subscriber.id == subscriber.id).values(next_due_at=upcoming)
    )
    edition = made.edition
    edition_id = session.scalar(
        insert(session, EditionRow)
        .values(
            subscriber_id=order.subscriber_id,
            local_date=order.local_date,
            built_at=now,
            since=order.since,
            encoder=encoder,
            n_candidates=edition.n_candidates,
            note=edition.note,
            runners_up=[asdict(runner_up) for runner_up in made.runners_up],
        )
        .on_conflict_do_nothing()
        .returning(EditionRow.id)
    )
    if edition_id is None:
        return BuildReport(skipped=1)
    if not edition.items:
        return BuildReport(empty=1)
    session.execute(
        insert(session, EditionItemRow),
        [_item_row(edition_id, order.subscriber_id, item) for item in edition.items],
    )
    queue(
        session,
        kind="edition",
        subscriber_id=order.subscriber_id,
        edition_id=edition_id,
        now=now,
        expires_at=upcoming,
    )
    return BuildReport(built=1)


def _item_row(edition_id: int, subscriber_id: int, item: EditionItem) -> dict[str, Any]:
    return {
        "edition_id": edition_id,
        "paper_id": item.paper_id,
        "subscriber_id": subscriber_id,
        "position": item.position,
        "lane": item.lane,
        "score": item.score,
        "probability": item.probability,
        "propensity": item.propensity,
        "card": freeze(item),
        "reasons": [asdict(reason) for reason in item.reasons],
    }
