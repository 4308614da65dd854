"""Building editions: what is new for each subscriber, ranked and frozen, a shard at a time."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from digest.editions.edition import Edition, EditionItem, PaperNote, Receipt, as_plain, freeze
from digest.editions.items import facts_of, item_of
from digest.editions.news import (
    OVERLAP,
    Order,
    Wish,
    count_new,
    has_papers,
    last_of,
    look_at,
    thin_because,
)
from digest.editions.notes import notes_for
from digest.editions.receipts import receipts_of
from digest.editions.schedule import last_due, local_date_of, next_due
from digest.editions.shard import shard_of
from digest.errors import DigestError
from digest.languages import Message, msgid
from digest.ranking.types import Ranking, RunnerUp
from digest.store import Sessions, insert
from digest.store.deliveries import queue_editions
from digest.store.rankers import in_force
from digest.store.tables import (
    EditionItemRow,
    EditionRow,
    Page,
    Subscriber,
)

log = logging.getLogger(__name__)

# How far back a first edition looks.
FIRST_WINDOW = timedelta(days=7)
# Subscribers whose editions are ranked together, and stored in one transaction.
RANKED_AT_ONCE, STORED_AT_ONCE = 200, 50
_A_DAY = timedelta(days=1)
_NOTHING_TOLD = msgid(
    "We do not know your interests yet, so these are the trending papers. "
    "Your votes will change that."
)
_ONLY_DISLIKES = msgid(
    "We know only what you do not like, so these are the trending papers "
    "without the nearest to it. Vote for what you do like, and you get papers of your own."
)
# What the frozen columns are made of.
_EDITIONS, _ITEMS = EditionRow.__table__, EditionItemRow.__table__


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
    """An edition as it would be frozen, the papers that lost, and the change that it was ranked by.

    `ranker_change` is its number, None before the first; `just_in` are papers that were as new as
    could be, whether or not they were free for this subscriber.
    """

    edition: Edition
    runners_up: tuple[RunnerUp, ...]
    ranker_change: int | None
    just_in: tuple[int, ...] = ()


def due_subscribers(
    session: Session,
    now: datetime,
    *,
    limit: int | None = None,
    shard: int = 1,
    less: Collection[int] = (),
) -> list[int]:
    """The subscribers whose edition is due, by their numbers, those who wait longest first.

    At most `limit`, and none in the ranges of `shard` numbers that `less` names.
    """
    query = (
        select(Subscriber.id)
        .where(Subscriber.state == "active", Subscriber.next_due_at <= now)
        .order_by(Subscriber.next_due_at, Subscriber.id)
        .limit(limit)
    )
    if less:
        query = query.where((Subscriber.id // shard).not_in(less))
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
        try:
            report += _build_together(sessions, shard, encoder, now)
        except DigestError:
            raise
        except Exception:
            log.exception("editions could not be built together, and are one by one")
            report += _build_one_by_one(sessions, shard, encoder, now)
    return report


def _build_together(
    sessions: Sessions, subscriber_ids: Sequence[int], encoder: str, now: datetime
) -> BuildReport:
    with sessions.reading() as session:
        orders = _orders(session, subscriber_ids, now)
        made = list(zip(orders, _previews(session, orders, encoder, now=now), strict=True))
        pages = _pages(session, orders, now)
    report = BuildReport(skipped=len(subscriber_ids) - len(orders))
    for first in range(0, len(made), STORED_AT_ONCE):
        with sessions() as session:
            some = made[first : first + STORED_AT_ONCE]
            report += _store(session, some, encoder, pages, now)
    return report


def _build_one_by_one(
    sessions: Sessions, subscriber_ids: Sequence[int], encoder: str, now: datetime
) -> BuildReport:
    """Build what can be; who cannot be built for waits a day, and keeps nobody else from theirs.

    Raises the fault where it is everybody's: then it is no subscriber's, but ours.
    """
    report, failed = BuildReport(), list[int]()
    for id_ in subscriber_ids:
        try:
            report += _build_together(sessions, [id_], encoder, now)
        except DigestError:
            raise
        except Exception as error:
            if len(failed) + 1 == len(subscriber_ids):
                raise
            log.error("no edition can be built for subscriber %d", id_, exc_info=error)  # noqa: TRY400
            failed.append(id_)
    with sessions() as session:
        theirs = update(Subscriber).where(Subscriber.id.in_(failed), Subscriber.state == "active")
        session.execute(theirs.values(next_due_at=now + _A_DAY))
    return report + BuildReport(skipped=len(failed))


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
    last = last_of(session, [row.id for row in rows], now)
    first = _first_window(session, [row.id for row in rows if row.id not in last])
    return [
        Order(
            row.id,
            local_date,
            last[row.id].at if row.id in last else None,
            last[row.id].at - OVERLAP
            if row.id in last
            else min(now - FIRST_WINDOW, first.get(row.id, now)),
            Wish(row.length, row.mix, row.min_probability or 0.0),
            row.language,
        )
        for row, local_date in zip(rows, dates, strict=True)
    ]


def _date_of(row: Subscriber, now: datetime) -> date:
    """The local date that the due edition is for; after an outage, the last one missed."""
    at, day = last_due(row.timezone, row.hour, row.frequency, now)
    asked_at = row.next_due_at or at
    # A first edition is due when its reader confirms, whatever their hour.
    return local_date_of(row.timezone, asked_at) if asked_at > at else day


def _first_window(session: Session, subscriber_ids: Sequence[int]) -> dict[int, datetime]:
    """How far back the first edition looked of those whom none has reached yet."""
    query = (
        select(EditionRow.subscriber_id, func.min(EditionRow.since))
        .where(EditionRow.subscriber_id.in_(subscriber_ids))
        .group_by(EditionRow.subscriber_id)
    )
    return dict(session.execute(query).all()) if subscriber_ids else {}


def _previews(
    session: Session, orders: Sequence[Order], encoder: str, *, now: datetime
) -> list[Preview]:
    shard = shard_of(session, orders, encoder, now=now)
    thin = {day: thin_because(session, day) for day in {order.local_date for order in orders}}
    notes = notes_for(session, orders, now)
    if shard is None:
        nothing = Ranking((), ())
        return [
            _preview(order, nothing, (), (), 0, about="", thin=thin[order.local_date], now=now)
            for order in orders
        ]
    ruling = in_force(session)
    first, *others = [shard.fit(ranker) for ranker in ruling.trial or (ruling.live,)]
    ranked = shard.interleave(first, *others) if others else shard.rank(first)
    rankings = [ranked.of(i) for i in range(len(orders))]
    facts = facts_of(session, rankings)
    receipts = receipts_of(session, orders, shard.ground, first, now=now)
    just_in = tuple(id_ for id_, at in shard.new.at.items() if at > now - OVERLAP)
    return [
        _preview(
            order,
            ranking,
            tuple(
                item_of(ranked, position, facts, shard.new)
                for position, ranked in enumerate(ranking.chosen, 1)
            ),
            notes.get(order.subscriber_id, ()),
            count_new(order, shard.new, shard.had[order.subscriber_id]),
            about="" if known else _ONLY_DISLIKES if n_signals else _NOTHING_TOLD,
            thin=thin[order.local_date],
            receipt=receipts.get(order.subscriber_id),
            ranker_change=ruling.number,
            just_in=just_in,
            now=now,
        )
        for order, ranking, known, n_signals in zip(
            orders, rankings, first.known, first.signals.sizes, strict=True
        )
    ]


def _preview(
    order: Order,
    ranking: Ranking,
    items: tuple[EditionItem, ...],
    notes: tuple[PaperNote, ...],
    n_candidates: int,
    *,
    about: str,
    thin: str,
    receipt: Receipt | None = None,
    ranker_change: int | None = None,
    just_in: tuple[int, ...] = (),
    now: datetime,
) -> Preview:
    edition = Edition(
        edition_id=0,
        subscriber_id=order.subscriber_id,
        local_date=order.local_date,
        built_at=now,
        n_candidates=n_candidates,
        note=_note(order, n_items=len(items), n_candidates=n_candidates, about=about, thin=thin),
        items=items,
        paper_notes=notes,
        is_first=order.last is None,
        language=order.language,
        receipt=receipt,
    )
    return Preview(edition, ranking.runners_up, ranker_change, just_in)


def _pages(session: Session, orders: Sequence[Order], now: datetime) -> dict[datetime, str]:
    """By the time from which papers are new: a SHA-256 over the pages that came in since."""
    times = {order.since for order in orders}
    rows = session.execute(
        select(Page.seen_at, Page.sha256)
        .where(Page.seen_at > min(times, default=now), Page.seen_at <= now)
        .order_by(Page.sha256)
    ).all()
    return {
        since: sha256("".join(page for at, page in rows if at > since).encode()).hexdigest()
        for since in times
    }


def _note(order: Order, *, n_items: int, n_candidates: int, about: str, thin: str) -> str:
    """What is to be said of an edition; `about` is that of what we know of its reader."""
    if n_items:
        said = about
    elif n_candidates:
        said = msgid("Nothing new came close to your interests.")
    elif order.last:
        said = msgid("Nothing new has come in since your last digest.")
    else:
        said = msgid("No papers have come in yet.")
    if not thin or n_items >= order.wish.length:
        return said
    # What is no sentence of its own goes on with the line on the day.
    if not said:
        return thin
    return msgid("%(said)s Of our sources, %(thin)s.", said=Message(said), thin=thin)


def _store(
    session: Session,
    made: Sequence[tuple[Order, Preview]],
    encoder: str,
    pages: Mapping[datetime, str],
    now: datetime,
) -> BuildReport:
    """Freeze editions, queue their mails and move the subscribers on, all or nothing."""
    rows = _held(session, [order.subscriber_id for order, _ in made], now)
    wanted = [(order, one) for order, one in made if order.subscriber_id in rows]
    # A day that began with nothing is not over: papers may come in before their hour.
    dates = [(order.subscriber_id, order.local_date) for order, one in wanted if one.edition.items]
    this_date = tuple_(EditionRow.subscriber_id, EditionRow.local_date).in_(dates)
    session.execute(
        delete(EditionRow).where(this_date, ~has_papers()),
        execution_options={"synchronize_session": False},
    )
    looks = {papers: look_at(session, papers, now) for papers in {one.just_in for _, one in wanted}}
    new = dict(
        session.execute(
            insert(session, _EDITIONS)
            .on_conflict_do_nothing()
            .returning(_EDITIONS.c.subscriber_id, _EDITIONS.c.id),
            [
                _edition_row(order, one, encoder, pages[order.since], looks[one.just_in], now)
                for order, one in wanted
            ],
        ).all()
        if wanted
        else ()
    )
    next_due_at = {
        order.subscriber_id: _next_due_after(rows[order.subscriber_id], order, one, now)
        for order, one in wanted
    }
    _move_on(session, next_due_at)
    shown = [
        (new[one.edition.subscriber_id], one.edition)
        for _, one in wanted
        if one.edition.items and one.edition.subscriber_id in new
    ]
    items = [
        _item_row(id_, edition.subscriber_id, item)
        for id_, edition in shown
        for item in edition.items
    ]
    if items:
        session.execute(insert(session, _ITEMS), items)
    queue_editions(
        session,
        # From then on it would only stand in the way of the next one.
        (
            (edition.subscriber_id, id_, next_due_at[edition.subscriber_id])
            for id_, edition in shown
        ),
        now,
    )
    return BuildReport(len(shown), len(new) - len(shown), len(made) - len(new))


def _held(session: Session, subscriber_ids: Sequence[int], now: datetime) -> dict[int, Any]:
    """Those whose edition is still due, held against others who would build it or change them."""
    # Somebody else may have built it, or its reader have gone, since the order was read.
    query = (
        select(Subscriber.id, Subscriber.timezone, Subscriber.hour, Subscriber.frequency)
        .where(
            Subscriber.id.in_(subscriber_ids),
            Subscriber.state == "active",
            Subscriber.next_due_at <= now,
        )
        .order_by(Subscriber.id)
        .with_for_update()
    )
    return {row.id: row for row in session.execute(query)}


def _next_due_after(row: Any, order: Order, made: Preview, now: datetime) -> datetime:
    done = order.local_date if made.edition.items else None
    return next_due(row.timezone, row.hour, row.frequency, now, beyond=done)


def _move_on(session: Session, next_due_at: Mapping[int, datetime]) -> None:
    """Set when the next edition is due; of those who are due together, most are so again."""
    together: dict[datetime, list[int]] = {}
    for id_, at in next_due_at.items():
        together.setdefault(at, []).append(id_)
    for at, ids in together.items():
        session.execute(
            update(Subscriber).where(Subscriber.id.in_(ids)).values(next_due_at=at),
            execution_options={"synchronize_session": False},
        )


def _edition_row(
    order: Order, made: Preview, encoder: str, pages: str, look: str | None, now: datetime
) -> dict[str, Any]:
    edition = made.edition
    return {
        "subscriber_id": order.subscriber_id,
        "local_date": order.local_date,
        "built_at": now,
        "since": order.since,
        "encoder": encoder,
        "n_candidates": edition.n_candidates,
        "note": str(edition.note),
        "note_said": edition.note.frozen() if isinstance(edition.note, Message) else None,
        "runners_up": [as_plain(runner_up) for runner_up in made.runners_up],
        "notes": [as_plain(note) for note in edition.paper_notes if edition.items],
        "is_first": edition.is_first,
        "language": edition.language,
        "receipt": edition.receipt and as_plain(edition.receipt),
        "pages": pages,
        "ranker_change": made.ranker_change,
        "look": look,
    }


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
        "reasons": [as_plain(reason) for reason in item.reasons],
        "team": item.team,
    }
