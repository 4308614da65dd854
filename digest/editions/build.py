"""Building editions: what is new for each subscriber, ranked and frozen, a shard at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Exists, Select, delete, exists, func, select, union
from sqlalchemy.orm import Session

from digest.editions.edition import Edition, EditionItem, Reason, freeze
from digest.editions.outcomes import calibration_of
from digest.editions.schedule import last_due, local_date_of, next_due
from digest.papers.embedding import vectors_of
from digest.papers.identity import text_of
from digest.papers.momentum import Momentum, momenta
from digest.papers.summary import summarise
from digest.profiles.ground import Ground, ground_of
from digest.profiles.signals import signals_of
from digest.ranking.profile import fit_profiles
from digest.ranking.rank import rank
from digest.ranking.types import Candidates, RankedPaper, Ranking, RunnerUp, Share, Wishes
from digest.store import Sessions, insert
from digest.store.deliveries import LIFE, queue
from digest.store.tables import (
    EditionItemRow,
    EditionRow,
    Interest,
    ListingRow,
    Paper,
    Subscriber,
    VoteRow,
)

# How far back a first edition looks.
FIRST_WINDOW = timedelta(days=7)
# A page may be committed by another process while an edition is built: look back a little further.
OVERLAP = timedelta(minutes=10)
# Subscribers whose editions are ranked together, and stored in one transaction.
RANKED_AT_ONCE, STORED_AT_ONCE = 200, 50
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
class _Wish:
    """How long an edition a subscriber asked for, how personal, and how surely theirs."""

    length: int
    mix: float
    min_probability: float


@dataclass(frozen=True, slots=True)
class _Order:
    """One edition to make: for whom, for which date, from what time on papers are new.

    `last` is when they last had papers. What came in between `since` and `last` may have been
    missed then, so it is looked at again, but is not counted as new.
    """

    subscriber_id: int
    local_date: date
    last: datetime | None
    since: datetime
    wish: _Wish


@dataclass(frozen=True, slots=True)
class _New:
    """The papers that are new to somebody in the shard; `at` and `momenta` by paper id."""

    candidates: Candidates
    at: Mapping[int, datetime]
    momenta: Mapping[int, Momentum]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What items show and ranking does not know, for a whole shard.

    `papers`, `summaries` and `sources` by paper id, `names` of interests and papers by
    (is an interest, id).
    """

    papers: Mapping[int, Paper]
    summaries: Mapping[int, str]
    sources: Mapping[int, Sequence[str]]
    names: Mapping[tuple[bool, int], str]


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
    report = BuildReport()
    for start in range(0, len(subscriber_ids), RANKED_AT_ONCE):
        shard = subscriber_ids[start : start + RANKED_AT_ONCE]
        with sessions.reading() as session:
            orders = _orders(session, shard, now)
            made = list(zip(orders, _previews(session, orders, encoder, now=now), strict=True))
        report += BuildReport(skipped=len(shard) - len(orders))
        for first in range(0, len(made), STORED_AT_ONCE):
            with sessions() as session:
                for order, one in made[first : first + STORED_AT_ONCE]:
                    report += _store(session, order, one, encoder, now)
    return report


def preview(
    session: Session, subscriber_id: int, encoder: str, *, local_date: date, now: datetime
) -> Preview:
    """The edition that a subscriber would get for `local_date` from what is known at `now`."""
    row = session.get_one(Subscriber, subscriber_id)
    last = _last_with_papers(session, [subscriber_id], now).get(subscriber_id)
    return _previews(session, [_order(row, local_date, last, now)], encoder, now=now)[0]


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
    last = _last_with_papers(session, [row.id for row in rows], now)
    return [_order(row, _date_of(row, now), last.get(row.id), now) for row in rows]


def _order(row: Subscriber, local_date: date, last: datetime | None, now: datetime) -> _Order:
    since = last - OVERLAP if last else now - FIRST_WINDOW
    return _Order(row.id, local_date, last, since, _Wish(row.length, row.mix, 0.0))


def _date_of(row: Subscriber, now: datetime) -> date:
    """The local date that the due edition is for; after an outage, the last one missed."""
    at, day = last_due(row.timezone, row.hour, row.frequency, now)
    asked_at = row.next_due_at or at
    # A first edition is due when its reader confirms, whatever their hour.
    return local_date_of(row.timezone, asked_at) if asked_at > at else day


def _last_with_papers(
    session: Session, subscriber_ids: Sequence[int], now: datetime
) -> dict[int, datetime]:
    """When each subscriber's last edition with papers was built; others have shown nothing."""
    query = (
        select(EditionRow.subscriber_id, func.max(EditionRow.built_at))
        .where(
            EditionRow.subscriber_id.in_(subscriber_ids), EditionRow.built_at < now, _has_papers()
        )
        .group_by(EditionRow.subscriber_id)
    )
    return dict(session.execute(query).all())


def _has_papers() -> Exists:
    return exists().where(EditionItemRow.edition_id == EditionRow.id)


def _previews(
    session: Session, orders: Sequence[_Order], encoder: str, *, now: datetime
) -> list[Preview]:
    ground = ground_of(session, encoder, now=now) if orders else None
    if ground is None:
        return [_preview(order, Ranking((), ()), (), 0, known=False, now=now) for order in orders]
    owners = [order.subscriber_id for order in orders]
    since = min(order.since for order in orders)
    new = _new_papers(session, since, encoder, ground, now=now)
    had = _had(session, owners, since, now)
    profiles = fit_profiles(signals_of(session, owners, encoder, ground, now=now), ground.space)
    ranked = rank(
        profiles,
        new.candidates,
        _wishes(orders),
        free=_free(orders, new, had),
        draws=np.array([_draw(order) for order in orders], np.float32),
        calibration=calibration_of(session, now=now),
    )
    rankings = [ranked.of(i) for i in range(len(orders))]
    facts = _facts(session, rankings)
    return [
        _preview(
            order,
            ranking,
            tuple(
                _item(ranked, position, facts, new)
                for position, ranked in enumerate(ranking.chosen, 1)
            ),
            _count(order, new, had[order.subscriber_id]),
            known=bool(known),
            now=now,
        )
        for order, ranking, known in zip(orders, rankings, profiles.known, strict=True)
    ]


def _wishes(orders: Sequence[_Order]) -> Wishes:
    return Wishes(
        n=np.array([order.wish.length for order in orders], np.int64),
        mix=np.array([order.wish.mix for order in orders], np.float32),
        min_probability=np.array([order.wish.min_probability for order in orders], np.float32),
    )


def _draw(order: _Order) -> float:
    """A number from 0 to 1 that is a subscriber's for the day, in whatever shard they stand."""
    drawn = blake2b(f"{order.subscriber_id} {order.local_date}".encode(), digest_size=4)
    return int.from_bytes(drawn.digest()) / 2**32


def _free(orders: Sequence[_Order], new: _New, had: Mapping[int, set[int]]) -> NDArray[np.bool_]:
    """What may be shown to whom, shape (orders, candidates): new to them, and not muted."""
    ids = new.candidates.ids.tolist()
    at = np.array([new.at[id_].timestamp() for id_ in ids])
    since = np.array([order.since.timestamp() for order in orders])
    free: NDArray[np.bool_] = at[None, :] > since[:, None]
    place = {id_: i for i, id_ in enumerate(ids)}
    for row, order in enumerate(orders):
        free[row, [place[id_] for id_ in had[order.subscriber_id] if id_ in place]] = False
    return free


def _new_papers(
    session: Session, since: datetime, encoder: str, ground: Ground, *, now: datetime
) -> _New:
    rows = session.execute(_ready(since, now)).all()
    texts = {row.text_hash: text_of(row.title, row.abstract) for row in rows}
    vectors = vectors_of(session, encoder, texts)
    points = ground.points(vectors, texts)
    rows = [row for row in rows if row.text_hash in points]
    ids = [row.id for row in rows]
    moving = momenta(session, ids, now)
    d = len(ground.space.spectrum)
    return _New(
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


def _ready(since: datetime, now: datetime) -> Select[Any]:
    """Papers that became ready, or were on a page again, after `since` and up to `now`."""
    listed = (
        select(ListingRow.paper_id, func.max(ListingRow.seen_at).label("at"))
        .where(ListingRow.seen_at > since, ListingRow.seen_at <= now)
        .group_by(ListingRow.paper_id)
        .subquery()
    )
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
        .where(Paper.ready_at <= now, (Paper.ready_at > since) | listed.c.at.is_not(None))
        .order_by(Paper.id)
    )


def _had(
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
        )
    )
    voted = select(VoteRow.subscriber_id, VoteRow.paper_id).where(
        VoteRow.subscriber_id.in_(owners), VoteRow.paper_id.in_(ready), VoteRow.at <= now
    )
    had: dict[int, set[int]] = {owner: set() for owner in owners}
    for owner, paper_id in session.execute(union(shown, voted)):
        had[owner].add(paper_id)
    return had


def _count(order: _Order, new: _New, had: set[int]) -> int:
    """How many papers are new to a subscriber."""
    since = order.last or order.since
    return sum(at > since and id_ not in had for id_, at in new.at.items())


def _facts(session: Session, rankings: Sequence[Ranking]) -> _Facts:
    chosen = [ranked for ranking in rankings for ranked in ranking.chosen]
    shares = [share for ranked in chosen for share in ranked.shares]
    ids = {ranked.paper_id for ranked in chosen}
    voted = {share.ref for share in shares if share.kind in WORDS}
    papers = {row.id: row for row in session.scalars(select(Paper).where(Paper.id.in_(ids)))}
    sources: dict[int, list[str]] = {}
    for paper_id, source in session.execute(
        select(ListingRow.paper_id, ListingRow.source)
        .where(ListingRow.paper_id.in_(ids))
        .distinct()
        .order_by(ListingRow.source)
    ):
        sources.setdefault(paper_id, []).append(source)
    interests = {share.ref for share in shares if share.kind == "interest"}
    named = select(Interest.id, Interest.name).where(Interest.id.in_(interests))
    titled = select(Paper.id, Paper.title).where(Paper.id.in_(voted))
    names = {(True, id_): name for id_, name in session.execute(named)}
    names |= {(False, id_): title for id_, title in session.execute(titled)}
    summaries = {id_: summarise(paper.abstract) for id_, paper in papers.items()}
    return _Facts(papers, summaries, sources, names)


def _preview(
    order: _Order,
    ranking: Ranking,
    items: tuple[EditionItem, ...],
    n_candidates: int,
    *,
    known: bool,
    now: datetime,
) -> Preview:
    edition = Edition(
        edition_id=0,
        subscriber_id=order.subscriber_id,
        local_date=order.local_date,
        built_at=now,
        n_candidates=n_candidates,
        note=_note(order, n_items=len(items), n_candidates=n_candidates, known=known),
        items=items,
    )
    return Preview(edition, ranking.runners_up)


def _note(order: _Order, *, n_items: int, n_candidates: int, known: bool) -> str:
    if n_items and not known:
        return (
            "We do not know your interests yet, so these are the trending papers. "
            "Your votes will change that."
        )
    if n_items:
        return ""
    if n_candidates:
        return "Nothing new came close to your interests."
    return (
        "Nothing new has come in since your last digest."
        if order.last
        else "No papers have come in yet."
    )


def _item(ranked: RankedPaper, position: int, facts: _Facts, new: _New) -> EditionItem:
    paper = facts.papers[ranked.paper_id]
    momentum = new.momenta[paper.id]
    return EditionItem(
        position=position,
        paper_id=paper.id,
        title=paper.title,
        abstract=paper.abstract,
        summary=facts.summaries[paper.id],
        authors=tuple(paper.authors),
        published_on=paper.published_on,
        arxiv_id=paper.arxiv_id,
        doi=paper.doi,
        url=paper.url,
        code_url=paper.code_url,
        sources=tuple(facts.sources.get(paper.id, ())),
        upvotes=momentum.upvotes,
        lane=ranked.lane,
        score=ranked.score,
        probability=ranked.probability,
        propensity=ranked.propensity,
        reasons=tuple(
            reason for share in ranked.shares if (reason := _reason(share, facts.names, momentum))
        ),
    )


def _reason(
    share: Share, names: Mapping[tuple[bool, int], str], momentum: Momentum
) -> Reason | None:
    """What a share says to its reader; None where they took the interest back a moment ago."""
    if share.kind == "exploration":
        return Reason("exploration", share.part)
    if share.kind == "trending":
        kind = "resurfaced" if momentum.resurfaced else "trending"
        return Reason(kind, share.part, upvotes=momentum.upvotes, pages=momentum.pages)
    name = names.get((share.kind == "interest", share.ref))
    if name is None:
        return None
    if share.kind == "interest":
        return Reason("interest", share.part, name=name)
    return Reason(WORDS[share.kind], share.part, title=name)


def _store(
    session: Session, order: _Order, made: Preview, encoder: str, now: datetime
) -> BuildReport:
    """Freeze one edition, queue its mail and move the subscriber on, all or nothing."""
    row = session.get(Subscriber, order.subscriber_id, with_for_update=True)
    # Somebody else may have built it, or its reader have gone, since the order was read.
    if row is None or row.state != "active" or not row.next_due_at or row.next_due_at > now:
        return BuildReport(skipped=1)
    edition = made.edition
    this_date = (
        EditionRow.subscriber_id == order.subscriber_id,
        EditionRow.local_date == order.local_date,
    )
    if edition.items:
        # A day that began with nothing is not over: papers may come in before their hour.
        session.execute(delete(EditionRow).where(*this_date, ~_has_papers()))
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
    done = order.local_date if edition.items else None
    row.next_due_at = next_due(row.timezone, row.hour, row.frequency, now, beyond=done)
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
        expires_at=max(row.next_due_at, now + LIFE),
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
