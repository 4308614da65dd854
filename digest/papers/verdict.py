"""What a run of a source, or a day of it, is called: what tells a quiet day from a broken one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.languages import msgid
from digest.papers.ingest import IngestReport
from digest.sources.calendars import calendar_of
from digest.store.tables import SourceDayRow, Verdict

# A source that tells no calendar has probably stopped where it brought nothing for so long.
STALE = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class SourceDay:
    """How a source did on one day of its own zone, all runs together; `detail` says why."""

    name: str
    day: date
    verdict: Verdict
    detail: str
    n_listings: int


def judge(
    pages: Sequence[IngestReport],
    problems: Sequence[str],
    *,
    news_at: datetime | None,
    at: datetime,
) -> tuple[Verdict, str]:
    """The verdict on a run at `at` and why, in words; `news_at` is when one last brought news.

    `problems` are why pages were not taken, or not whole, or that fewer came than announced.
    """
    if problems:
        return ("partial" if pages else "unreadable"), "; ".join(problems)
    if n_news := sum(page.n_listings - page.n_again for page in pages if not page.known):
        return "fresh", f"{n_news:,} new listing{'s' * (n_news != 1)}"
    calendars = {calendar_of(page.reader) for page in pages}
    calendar = calendars.pop() if len(calendars) == 1 else None
    if calendar is None:
        if news_at and at - news_at > STALE:
            return "stale", f"nothing new since {news_at:%-d %B}"
        return "quiet", msgid("nothing new")
    if why := calendar.why_none(at):
        return "quiet", why
    due = calendar.last_due(at)
    if news_at and calendar.day_of(news_at) >= due:
        return "quiet", msgid("nothing new since the run before")
    found = "the same papers again" if any(page.n_listings for page in pages) else "an empty page"
    return "stale", f"{found}, where those of {due:%A, %-d %B} were due"


def of_the_day(so_far: Verdict | None, now: Verdict) -> Verdict:
    """The verdict on a day with several runs: what came has come, else the last one knows best."""
    better: tuple[Verdict, ...] = ("fresh", "partial")
    return next((one for one in better if one in (so_far, now)), now)


def day_of_sources(session: Session, since: date, until: date) -> tuple[SourceDay, ...]:
    """How each source did on each day from `since` to `until`, both included, that it was run on.

    By day, then by name; also of sources that are no longer in the settings.
    """
    query = (
        select(SourceDayRow)
        .where(SourceDayRow.day >= since, SourceDayRow.day <= until)
        .order_by(SourceDayRow.day, SourceDayRow.source)
    )
    return tuple(
        SourceDay(row.source, row.day, row.verdict, row.detail, row.n_listings)
        for row in session.scalars(query)
    )
