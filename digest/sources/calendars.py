"""When sources announce papers: what tells a quiet day from one whose papers did not come."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from digest.languages import msgid
from digest.sources.arxiv import EASTERN

_DAY = timedelta(days=1)
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of a source in its own zone; `rests` says why it has no papers on one, or None."""

    zone: ZoneInfo
    rests: Callable[[date], str | None]
    # How long after midnight the papers of a day may still come.
    late: timedelta = timedelta(0)

    def day_of(self, at: datetime) -> date:
        """The source's own day at an instant."""
        return at.astimezone(self.zone).date()

    def why_none(self, at: datetime) -> str | None:
        """Why there need not be papers at an instant; None where there should be."""
        return self.rests(self.day_of(at)) or self.rests(self.day_of(at - self.late))

    def last_due(self, at: datetime) -> date:
        """The last day whose papers should be out at an instant."""
        day = self.day_of(at - self.late)
        while self.rests(day):
            day -= _DAY
        return day


def calendar_of(reader: str) -> Calendar | None:
    """The calendar of the source whose format a reader reads; None where a format tells none."""
    return _CALENDARS.get(reader)


def weekend(day: date) -> str | None:
    """Whether it is one, in words."""
    return msgid("a weekend") if day.weekday() in (_SATURDAY, _SUNDAY) else None


def arxiv_rests(day: date) -> str | None:
    """Why arXiv has nothing on a day: what is announced in an evening is the next day's.

    There is no announcement on Friday and Saturday evenings; a holiday has none on its own, and
    that of a Friday none on Sunday (arXiv help, "Availability of submissions").
    """
    if said := weekend(day):
        return said
    evening = day - (3 * _DAY if day.weekday() == _MONDAY else _DAY)
    return _holiday(evening)


def _holiday(day: date) -> str | None:
    """The holiday of arXiv's offices that a day is, as they were kept from 2022 to 2026.

    In the last week of a year arXiv leaves out some days, other ones each year.
    """
    fixed = {
        (1, 1): msgid("a holiday of arXiv, New Year"),
        (6, 19): msgid("a holiday of arXiv, Juneteenth"),
        (7, 4): msgid("a holiday of arXiv, Independence Day"),
    }
    for (month, number), said in fixed.items():
        if day == _observed(date(day.year, month, number)):
            return said
    moving = {
        (1, _MONDAY, 3): msgid("a holiday of arXiv, Martin Luther King Day"),
        (9, _MONDAY, 1): msgid("a holiday of arXiv, Labor Day"),
        (11, _THURSDAY, 4): msgid("a holiday of arXiv, Thanksgiving"),
    }
    for (month, weekday, nth), said in moving.items():
        if (day.month, day.weekday(), (day.day + 6) // 7) == (month, weekday, nth):
            return said
    return msgid("the winter break of arXiv") if (day.month, day.day) >= (12, 24) else None


def _observed(day: date) -> date:
    """A holiday on a weekend is kept on the nearest working day."""
    return day + {_SATURDAY: -_DAY, _SUNDAY: _DAY}.get(day.weekday(), timedelta(0))


_ARXIV = Calendar(EASTERN, arxiv_rests, late=timedelta(hours=2))
_WEEKDAYS = Calendar(ZoneInfo("UTC"), weekend)
_CALENDARS = {
    **dict.fromkeys(("arxiv-feed", "arxiv-api", "arxiv-oai", "arxiv-days"), _ARXIV),
    **dict.fromkeys(("hf-daily", "hf-page", "trending-page", "biorxiv"), _WEEKDAYS),
}
