"""Building editions: what is new for each subscriber, ranked and frozen, a shard at a time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
from sqlalchemy import Exists, delete, exists, func, select
from sqlalchemy.orm import Session

from digest.editions.edition import Edition, EditionItem, freeze
from digest.editions.items import facts_of, item_of
from digest.editions.news import (
    Order,
    Wish,
    count_new,
    free_for,
    had_by,
    news_of,
    was_taken_back,
)
from digest.editions.outcomes import calibration_of
from digest.editions.schedule import last_due, local_date_of, next_due
from digest.profiles.ground import ground_of
from digest.profiles.signals import signals_of
from digest.ranking.profile import fit_profiles
from digest.ranking.rank import rank
from digest.ranking.types import Ranking, RunnerUp, Wishes
from digest.store import Sessions, insert
from digest.store.deliveries import queue
from digest.store.tables import (
    EditionItemRow,
    EditionRow,
    Subscriber,
)

# How far back a first edition looks.
FIRST_WINDOW = timedelta(days=7)
# A page may be committed by another process while an edition is built: look back a little further.
OVERLAP = timedelta(minutes=10)
# Subscribers whose editions are ranked together, and stored in one transaction.
RANKED_AT_ONCE, STORED_AT_ONCE = 200, 50


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
    order = _ordered(session, [row], [local_date], now)
    return _previews(session, order, encoder, now=now)[0]


def _orders(session: Session, subscriber_ids: Sequence[int], now: datetime) -> list[Order]:
    rows = session.scalars(
        select(Subscriber)
        .where(
            Subscriber.id.in_(subscriber_ids),
            Subscriber.state == "active",
            Subscriber.next_due_at <= now,
        )
        .order_by(Subscriber.id)
    ).all()
    return _ordered(session, rows, [_date_of(row, now) for row in rows], now)


def _ordered(
    session: Session, rows: Sequence[Subscriber], dates: Sequence[date], now: datetime
) -> list[Order]:
    last = _last_with_papers(session, [row.id for row in rows], now)
    first = _first_window(session, [row.id for row in rows if row.id not in last])
    return [
        Order(
            row.id,
            local_date,
            last.get(row.id),
            last[row.id] - OVERLAP
            if row.id in last
            else min(now - FIRST_WINDOW, first.get(row.id, now)),
            Wish(row.length, row.mix, row.min_probability or 0.0),
        )
        for row, local_date in zip(rows, dates, strict=True)
    ]


def _date_of(row: Subscriber, now: datetime) -> date:
    """The local date that the due edition is for; after an outage, the last one missed."""
    at, day = last_due(row.timezone, row.hour, row.frequency, now)
    asked_at = row.next_due_at or at
    # A first edition is due when its reader confirms, whatever their hour.
    return local_date_of(row.timezone, asked_at) if asked_at > at else day


def _last_with_papers(
    session: Session, subscriber_ids: Sequence[int], now: datetime
) -> dict[int, datetime]:
    """When each subscriber's last edition that showed them papers was built."""
    query = (
        select(EditionRow.subscriber_id, func.max(EditionRow.built_at))
        .where(
            EditionRow.subscriber_id.in_(subscriber_ids),
            EditionRow.built_at < now,
            _has_papers(),
            ~was_taken_back(),
        )
        .group_by(EditionRow.subscriber_id)
    )
    return dict(session.execute(query).all())


def _first_window(session: Session, subscriber_ids: Sequence[int]) -> dict[int, datetime]:
    """How far back the first edition looked of those whom none has reached yet."""
    query = (
        select(EditionRow.subscriber_id, func.min(EditionRow.since))
        .where(EditionRow.subscriber_id.in_(subscriber_ids))
        .group_by(EditionRow.subscriber_id)
    )
    return dict(session.execute(query).all()) if subscriber_ids else {}


def _has_papers() -> Exists:
    return exists().where(EditionItemRow.edition_id == EditionRow.id)


def _previews(
    session: Session, orders: Sequence[Order], encoder: str, *, now: datetime
) -> list[Preview]:
    ground = ground_of(session, encoder, now=now) if orders else None
    if ground is None:
        return [_preview(order, Ranking((), ()), (), 0, known=False, now=now) for order in orders]
    owners = [order.subscriber_id for order in orders]
    since = min(order.since for order in orders)
    new = news_of(session, since, encoder, ground, now=now)
    had = had_by(session, owners, since, now)
    profiles = fit_profiles(signals_of(session, owners, encoder, ground, now=now), ground.space)
    ranked = rank(
        profiles,
        new.candidates,
        _wishes(orders),
        free=free_for(session, orders, new, had),
        draws=np.array([_draw(order) for order in orders], np.float32),
        calibration=calibration_of(session, now=now),
    )
    rankings = [ranked.of(i) for i in range(len(orders))]
    facts = facts_of(session, rankings)
    return [
        _preview(
            order,
            ranking,
            tuple(
                item_of(ranked, position, facts, new)
                for position, ranked in enumerate(ranking.chosen, 1)
            ),
            count_new(order, new, had[order.subscriber_id]),
            known=bool(known),
            now=now,
        )
        for order, ranking, known in zip(orders, rankings, profiles.known, strict=True)
    ]


def _wishes(orders: Sequence[Order]) -> Wishes:
    return Wishes(
        n=np.array([order.wish.length for order in orders], np.int64),
        mix=np.array([order.wish.mix for order in orders], np.float32),
        min_probability=np.array([order.wish.min_probability for order in orders], np.float32),
    )


def _draw(order: Order) -> float:
    """A number from 0 to 1 that is a subscriber's for the day, in whatever shard they stand."""
    drawn = blake2b(f"{order.subscriber_id} {order.local_date}".encode(), digest_size=4)
    return int.from_bytes(drawn.digest()) / 2**32


def _preview(
    order: Order,
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


def _note(order: Order, *, n_items: int, n_candidates: int, known: bool) -> str:
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


def _store(
    session: Session, order: Order, made: Preview, encoder: str, now: datetime
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
        # From then on it would only stand in the way of the next one.
        expires_at=row.next_due_at,
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
