"""A quiet day is told from a broken one, run by run and over a day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from digest.papers.ingest import IngestReport
from digest.papers.verdict import day_of_sources, judge, of_the_day
from digest.store import Sessions
from digest.store.tables import SourceDayRow, Verdict

FRIDAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def page(
    n: int = 3, *, again: int = 0, known: bool = False, reader: str = "hf-daily"
) -> IngestReport:
    return IngestReport("s", reader, FRIDAY.date(), n, 0, known=known, n_again=again)


@pytest.mark.parametrize(
    ("pages", "problems", "news_at", "at", "verdict", "said"),
    [
        ([page()], [], None, FRIDAY, "fresh", "3 new listings"),
        ([page(again=2)], [], None, FRIDAY, "fresh", "1 new listing"),
        ([page(known=True), page(1)], [], None, FRIDAY, "fresh", "1 new listing"),
        # Yesterday's batch, in the same bytes or in others.
        ([page(known=True)], [], FRIDAY - DAY, FRIDAY, "stale", "the same papers again"),
        ([page(again=3)], [], FRIDAY - DAY, FRIDAY, "stale", "the same papers again, where"),
        ([page(0)], [], FRIDAY - DAY, FRIDAY, "stale", "an empty page, where"),
        # The same batch again after some hours is no wonder, nor is it on a Saturday.
        ([page(again=3)], [], FRIDAY, FRIDAY + DAY / 12,
         "quiet", "nothing new since the run before"),
        ([page(again=3)], [], FRIDAY, FRIDAY + DAY, "quiet", "a weekend"),
        ([page(0)], [], FRIDAY, FRIDAY + DAY, "quiet", "a weekend"),
        ([page(0, reader="arxiv-feed")], [], FRIDAY, FRIDAY + 7 * DAY,
         "quiet", "a holiday of arXiv, Thanksgiving"),
        # A feed tells no calendar.
        ([page(again=3, reader="feed")], [], FRIDAY, FRIDAY + 3 * DAY, "quiet", "nothing new"),
        ([page(again=3, reader="feed")], [], FRIDAY, FRIDAY + 5 * DAY,
         "stale", "nothing new since 20 November"),
        ([], [], None, FRIDAY, "quiet", "nothing new"),
        ([page()], ["2.json: broken"], None, FRIDAY, "partial", "2.json: broken"),
        ([], ["1.json: broken", "2.json: broken"], None, FRIDAY, "unreadable", "1.json: broken; 2"),
    ],
)  # fmt: skip
def test_a_run(
    pages: list[IngestReport],
    problems: list[str],
    news_at: datetime | None,
    at: datetime,
    verdict: Verdict,
    said: str,
) -> None:
    found, detail = judge(pages, problems, news_at=news_at, at=at)
    assert found == verdict
    assert detail.startswith(said)


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        (["fresh", "quiet", "unreachable"], "fresh"),
        (["unreachable", "stale", "fresh"], "fresh"),
        (["partial", "fresh"], "fresh"),
        (["partial", "unreachable"], "partial"),
        (["stale", "unreachable"], "unreachable"),
        (["unreachable", "quiet"], "quiet"),
    ],
)
def test_what_came_on_a_day_has_come(runs: list[Verdict], verdict: Verdict) -> None:
    so_far: Verdict | None = None
    for run in runs:
        so_far = of_the_day(so_far, run)
    assert so_far == verdict


def test_days_are_told_of_in_order_and_within_bounds(sessions: Sessions) -> None:
    first = date(2026, 11, 18)
    with sessions() as session:
        session.add_all(
            SourceDayRow(source=name, day=first + n * DAY, verdict="fresh", detail="", n_listings=n)
            for n in range(4)
            for name in ("b", "a")
        )
    with sessions.reading() as session:
        days = day_of_sources(session, first + DAY, first + 2 * DAY)
    assert [(day.name, day.day.day, day.n_listings) for day in days] == [
        ("a", 19, 1), ("b", 19, 1), ("a", 20, 2), ("b", 20, 2),
    ]  # fmt: skip
