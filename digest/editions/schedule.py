"""When an edition is due: a subscriber's hour on their own clock, on the days they chose."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from digest.settings import Frequency

# A weekly edition is for the week ahead.
WEEKLY_DAY = 0


def next_due(timezone: str, hour: int, frequency: Frequency, after: datetime) -> datetime:
    """The first instant strictly after `after` at which an edition is due, in UTC.

    An hour that the clock skips in spring is due when the clock has jumped, one that it shows
    twice in autumn the first time.
    """
    start = after.astimezone(ZoneInfo(timezone)).date()
    days = (start + timedelta(days=n) for n in range(-1, 9))
    return next(at for at in _due(days, timezone, hour, frequency) if at > after)


def last_due(timezone: str, hour: int, frequency: Frequency, now: datetime) -> datetime:
    """The last instant not after `now` at which an edition was due, in UTC."""
    start = now.astimezone(ZoneInfo(timezone)).date()
    days = (start - timedelta(days=n) for n in range(-1, 9))
    return next(at for at in _due(days, timezone, hour, frequency) if at <= now)


def local_date_of(timezone: str, now: datetime) -> date:
    """The date on a subscriber's own calendar."""
    return now.astimezone(ZoneInfo(timezone)).date()


def _due(
    days: Iterator[date], timezone: str, hour: int, frequency: Frequency
) -> Iterator[datetime]:
    zone = ZoneInfo(timezone)
    for day in days:
        if frequency == "daily" or (
            day.weekday() < 5 if frequency == "weekdays" else day.weekday() == WEEKLY_DAY
        ):
            # fold=0 takes a skipped time by the offset before the jump, so just behind it.
            yield datetime.combine(day, time(hour), zone).astimezone(UTC)
