"""When an edition is due: a subscriber's hour on their own clock, on the days they chose."""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count
from zoneinfo import ZoneInfo

from digest.settings import Frequency

log = logging.getLogger(__name__)

# A weekly edition is for the week ahead.
WEEKLY_DAY = 0


@cache
def zone_of(timezone: str) -> ZoneInfo:
    """A stored time zone; UTC, and a line in the log, where this machine does not know it.

    It may have been stored by another machine, and one reader's must not stop the others.
    """
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        log.warning("the time zone %r is not known here and counts as UTC", timezone)
        return ZoneInfo("UTC")


def next_due(
    timezone: str, hour: int, frequency: Frequency, after: datetime, *, beyond: date | None = None
) -> datetime:
    """The first instant strictly after `after` at which an edition is due, in UTC.

    An hour that the clock skips in spring is due when a clock that had not jumped would show it,
    one that it shows twice in autumn the first time (RFC 5545, 3.3.5). With `beyond`, the edition
    is for a later date than that.
    """
    start = local_date_of(timezone, after)
    days = (start + timedelta(days=n) for n in count(-1))
    later = (day for day in days if beyond is None or day > beyond)
    return next(at for at, _ in _due(later, timezone, hour, frequency) if at > after)


def last_due(
    timezone: str, hour: int, frequency: Frequency, now: datetime
) -> tuple[datetime, date]:
    """The last instant not after `now` at which an edition was due, in UTC, and for which date.

    The clock may jump from 23:00 into the next day, so the date cannot be told from the instant.
    """
    start = local_date_of(timezone, now)
    days = (start - timedelta(days=n) for n in count(-1))
    return next((at, day) for at, day in _due(days, timezone, hour, frequency) if at <= now)


def due_on(timezone: str, hour: int, frequency: Frequency, day: date) -> datetime | None:
    """When the edition for a local date is due, in UTC; None on a day that was not chosen."""
    return next((at for at, _ in _due([day], timezone, hour, frequency)), None)


def local_date_of(timezone: str, now: datetime) -> date:
    """The date on a subscriber's own calendar."""
    return now.astimezone(zone_of(timezone)).date()


def _due(
    days: Iterable[date], timezone: str, hour: int, frequency: Frequency
) -> Iterator[tuple[datetime, date]]:
    zone = zone_of(timezone)
    for day in days:
        if frequency == "daily" or (
            day.weekday() < 5 if frequency == "weekdays" else day.weekday() == WEEKLY_DAY
        ):
            # fold=0 takes a skipped time by the offset before the jump, so not before it.
            yield datetime.combine(day, time(hour), zone).astimezone(UTC), day
