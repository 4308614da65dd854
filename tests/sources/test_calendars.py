from datetime import UTC, date, datetime, timedelta

import pytest

from digest.sources import READERS
from digest.sources.calendars import arxiv_rests, calendar_of


def quiet(reader: str, at: str) -> str | None:
    calendar = calendar_of(reader)
    assert calendar is not None
    return calendar.why_none(datetime.fromisoformat(at).replace(tzinfo=UTC))


def due(reader: str, at: str) -> date:
    calendar = calendar_of(reader)
    assert calendar is not None
    return calendar.last_due(datetime.fromisoformat(at).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-11-21", "a weekend"),
        ("2026-11-22", "a weekend"),
        # The evening of a holiday has no announcement, so the next day has no papers.
        ("2026-11-26", None),
        ("2026-11-27", "a holiday of arXiv, Thanksgiving"),
        ("2026-11-30", None),
        ("2026-01-01", "the winter break of arXiv"),
        ("2026-01-02", "a holiday of arXiv, New Year"),
        ("2026-01-20", "a holiday of arXiv, Martin Luther King Day"),
        # Juneteenth is a Friday in 2026: what would come on Sunday evening is Monday's.
        ("2026-06-19", None),
        ("2026-06-22", "a holiday of arXiv, Juneteenth"),
        # The fourth of July is a Saturday, kept on Friday.
        ("2026-07-06", "a holiday of arXiv, Independence Day"),
        ("2026-09-08", "a holiday of arXiv, Labor Day"),
        ("2026-12-30", "the winter break of arXiv"),
        ("2022-06-21", "a holiday of arXiv, Juneteenth"),
        ("2026-10-12", None),
    ],
)
def test_arxiv_rests_at_weekends_and_after_its_holidays(day: str, said: str | None) -> None:
    assert arxiv_rests(date.fromisoformat(day)) == said


def test_arxivs_day_is_that_of_new_york_and_begins_two_hours_late() -> None:
    # 05:00 UTC is midnight in New York: the feed of Monday may not be out yet.
    assert quiet("arxiv-feed", "2026-11-23T05:00") == "a weekend"
    assert quiet("arxiv-feed", "2026-11-23T07:00") is None
    assert due("arxiv-feed", "2026-11-23T05:00") == date(2026, 11, 20)
    assert due("arxiv-feed", "2026-11-23T07:00") == date(2026, 11, 23)
    assert quiet("arxiv-feed", "2026-11-21T05:00") == "a weekend"
    assert due("arxiv-feed", "2026-11-27T12:00") == date(2026, 11, 26)


def test_other_daily_lists_rest_at_weekends() -> None:
    assert quiet("hf-daily", "2026-11-21T00:00") == "a weekend"
    assert quiet("hf-daily", "2026-11-23T00:00") is None
    assert due("trending-page", "2026-11-22T23:59") == date(2026, 11, 20)


def test_every_calendar_is_of_a_reader_and_comes_to_a_day_with_papers() -> None:
    known = [reader.name for reader in READERS if calendar_of(reader.name)]
    assert len(known) == 8
    assert calendar_of("feed") is None
    for reader in known:
        for n in range(0, 400, 7):
            at = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=n)
            calendar = calendar_of(reader)
            assert calendar is not None
            assert at.date() - calendar.last_due(at) < timedelta(days=12)
