"""What became of papers that subscribers liked, to be told once, with an edition."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.editions.edition import PaperNote
from digest.editions.news import Order, was_taken_back
from digest.store.tables import EditionRow, Paper, PaperNews, PaperNewsKind, VoteRow

# What matters most to somebody who relies on a paper; of many notes the first are told.
_FIRST: tuple[PaperNewsKind, ...] = ("withdrawn", "published", "code", "version")
MOST_NOTES = 12


def notes_for(
    session: Session, orders: Sequence[Order], now: datetime
) -> dict[int, tuple[PaperNote, ...]]:
    """The notes of each order's subscriber since their last edition, most important first.

    They voted the paper up, or saved it, before. What an edition told that reached them is not
    told again; of several versions the last is told.
    """
    owners = [order.subscriber_id for order in orders]
    since = {order.subscriber_id: order.since for order in orders}
    if not owners:
        return {}
    told = _told(session, owners, min(since.values()), now)
    noted: defaultdict[int, dict[tuple[int, str], PaperNote]] = defaultdict(dict)
    for owner, title, news in session.execute(
        select(VoteRow.subscriber_id, Paper.title, PaperNews)
        .join(PaperNews, PaperNews.paper_id == VoteRow.paper_id)
        .join(Paper, Paper.id == VoteRow.paper_id)
        .where(
            VoteRow.subscriber_id.in_(owners),
            VoteRow.value.in_(("up", "saved")),
            VoteRow.at <= PaperNews.noticed_at,
            PaperNews.noticed_at > min(since.values()),
            PaperNews.noticed_at <= now,
        )
        .order_by(PaperNews.noticed_at, PaperNews.detail)
    ):
        one = PaperNote(news.paper_id, title, news.kind, news.detail, news.url)
        if (
            news.noticed_at > since[owner]
            and (owner, one.paper_id, one.kind, one.detail) not in told
        ):
            noted[owner][one.paper_id, one.kind] = one
    return {
        owner: tuple(sorted(notes.values(), key=lambda n: _FIRST.index(n.kind))[:MOST_NOTES])
        for owner, notes in noted.items()
    }


def _told(
    session: Session, owners: Sequence[int], since: datetime, now: datetime
) -> set[tuple[int, int, str, str]]:
    """Subscriber, paper, kind and detail of what their editions after `since` told."""
    query = select(EditionRow.subscriber_id, EditionRow.notes).where(
        EditionRow.subscriber_id.in_(owners),
        EditionRow.built_at >= since,
        EditionRow.built_at < now,
        EditionRow.notes.is_not(None),
        ~was_taken_back(),
    )
    return {
        (owner, note["paper_id"], note["kind"], note["detail"])
        for owner, notes in session.execute(query)
        for note in notes or ()
    }
