"""A later version of a paper is kept, and makes nothing new: not the paper, not its momentum."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from digest.editions.news import _ready
from digest.papers.ingest import ingest_page
from digest.papers.momentum import momenta
from digest.sources.arxiv_feed import ArxivFeed
from digest.store import Sessions
from digest.store.tables import ListingRow, Paper
from tests.sources.arxiv_pages import BEES, RIVERS, rss, rss_item

MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def announce(sessions: Sessions, announced: str, at: datetime) -> None:
    """Take in a feed that announces the bees so, and embed what it brought."""
    page = rss(rss_item(BEES, announced), rss_item({**RIVERS, "id": f"26{at:%m.%d}001"}))
    ingest_page(sessions, "arxiv", ArxivFeed(), page, at=at)
    with sessions() as session:
        session.execute(update(Paper).where(Paper.ready_at.is_(None)).values(ready_at=at))


def new_after(sessions: Sessions, since: datetime) -> list[str]:
    with sessions.reading() as session:
        ids = [row.id for row in session.execute(_ready(since, since + 9 * DAY))]
        title = select(Paper.title).where(Paper.id.in_(ids), Paper.title == "Bees That Count")
        return list(session.scalars(title))


@pytest.mark.parametrize("announced", ["replace", "replace-cross"])
def test_a_replacement_of_a_paper_nobody_saw_is_kept_and_is_not_new(
    sessions: Sessions, announced: str
) -> None:
    announce(sessions, announced, MONDAY)
    assert new_after(sessions, MONDAY - DAY) == []
    with sessions.reading() as session:
        paper = session.scalars(select(Paper).where(Paper.arxiv_id == BEES["id"])).one()
        row = session.scalars(select(ListingRow).where(ListingRow.paper_id == paper.id)).one()
        assert (row.facts["announce_type"], row.is_news) == (announced, False)
        assert momenta(session, [paper.id], MONDAY + DAY)[paper.id].pages == 0


def test_a_replacement_does_not_bring_a_paper_back(sessions: Sessions) -> None:
    announce(sessions, "new", MONDAY)
    announce(sessions, "replace", MONDAY + 2 * DAY)
    assert new_after(sessions, MONDAY - DAY) == ["Bees That Count"]
    assert new_after(sessions, MONDAY + DAY) == []


def test_a_cross_list_of_another_day_does(sessions: Sessions) -> None:
    announce(sessions, "replace", MONDAY)
    announce(sessions, "cross", MONDAY + 2 * DAY)
    assert new_after(sessions, MONDAY + DAY) == ["Bees That Count"]


def test_a_listing_that_says_nothing_of_it_is_news(sessions: Sessions) -> None:
    announce(sessions, "new", MONDAY)
    with sessions.reading() as session:
        assert all(session.scalars(select(ListingRow.is_news)))
    assert new_after(sessions, MONDAY - DAY) == ["Bees That Count"]
