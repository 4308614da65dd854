from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.editions import due_on, last_due, next_due
from digest.settings import Frequency

ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Nuuk", "Asia/Kathmandu"),
    *("UTC", "Africa/Casablanca", "Pacific/Chatham", "America/Havana"),
)
zones = st.sampled_from(ZONES)
hours = st.integers(0, 23)
frequencies: st.SearchStrategy[Frequency] = st.sampled_from(("daily", "weekdays", "weekly"))
instants = st.integers(0, 6 * 365 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
days = st.dates(date(2024, 1, 1), date(2030, 1, 1))


def exists(day: date, hour: int, zone: ZoneInfo) -> bool:
    local = datetime.combine(day, time(hour), zone)
    return local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)


# Day, zone, hour, and the instant in UTC. Each clock change, and the hours around it.
SPRING_AND_AUTUMN = [
    ("2026-03-29", "Europe/Berlin", 1, "2026-03-29T00:00"),
    ("2026-03-29", "Europe/Berlin", 2, "2026-03-29T01:00"),  # skipped: when the clock has jumped
    ("2026-03-29", "Europe/Berlin", 3, "2026-03-29T01:00"),
    ("2026-03-29", "Europe/Berlin", 7, "2026-03-29T05:00"),
    ("2026-10-25", "Europe/Berlin", 2, "2026-10-25T00:00"),  # twice: the first
    ("2026-10-25", "Europe/Berlin", 3, "2026-10-25T02:00"),
    ("2026-10-25", "Europe/Berlin", 7, "2026-10-25T06:00"),
    ("2026-03-08", "America/New_York", 2, "2026-03-08T07:00"),
    ("2026-03-08", "America/New_York", 7, "2026-03-08T11:00"),
    ("2026-11-01", "America/New_York", 1, "2026-11-01T05:00"),
    ("2026-11-01", "America/New_York", 7, "2026-11-01T12:00"),
    ("2026-10-04", "Australia/Lord_Howe", 2, "2026-10-03T15:30"),  # half an hour is skipped
    ("2026-10-04", "Australia/Lord_Howe", 7, "2026-10-03T20:00"),
    ("2026-04-05", "Australia/Lord_Howe", 1, "2026-04-04T14:00"),
    ("2026-04-05", "Australia/Lord_Howe", 2, "2026-04-04T15:30"),
    ("2026-03-28", "America/Nuuk", 23, "2026-03-29T01:00"),  # skipped: it is the 29th by then
]


@pytest.mark.parametrize(("day", "zone", "hour", "instant"), SPRING_AND_AUTUMN)
def test_over_both_clock_changes_the_mail_comes_at_the_readers_own_hour(
    day: str, zone: str, hour: int, instant: str
) -> None:
    expected = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert due_on(zone, hour, "daily", date.fromisoformat(day)) == expected
    assert next_due(zone, hour, "daily", expected - timedelta(seconds=1)) == expected
    assert last_due(zone, hour, "daily", expected) == (expected, date.fromisoformat(day))


@given(zones, hours, frequencies, instants)
def test_the_next_is_strictly_later_and_nothing_lies_between(
    zone: str, hour: int, frequency: Frequency, now: datetime
) -> None:
    coming = next_due(zone, hour, frequency, now)
    assert coming > now
    assert last_due(zone, hour, frequency, coming - timedelta(microseconds=1))[0] <= now
    assert last_due(zone, hour, frequency, coming)[0] == coming


@given(zones, hours, instants)
def test_every_local_date_has_exactly_one_due_instant(zone: str, hour: int, now: datetime) -> None:
    dates = []
    for _ in range(9):
        now = next_due(zone, hour, "daily", now)
        dates.append(last_due(zone, hour, "daily", now)[1])
    assert dates == [dates[0] + timedelta(days=n) for n in range(9)]


@given(zones, hours, days)
def test_the_local_hour_is_right_wherever_the_clock_shows_it(
    zone: str, hour: int, day: date
) -> None:
    due = due_on(zone, hour, "daily", day)
    assert due is not None
    local = due.astimezone(ZoneInfo(zone))
    if exists(day, hour, ZoneInfo(zone)):
        assert (local.date(), local.time(), local.fold) == (day, time(hour), 0)
    else:
        gap = local.replace(tzinfo=None) - datetime.combine(day, time(hour))
        assert timedelta(0) < gap <= timedelta(hours=1)


@given(zones, hours, frequencies, days)
def test_only_chosen_days_have_an_edition(
    zone: str, hour: int, frequency: Frequency, day: date
) -> None:
    chosen = {"daily": range(7), "weekdays": range(5), "weekly": range(1)}[frequency]
    assert (due_on(zone, hour, frequency, day) is not None) == (day.weekday() in chosen)


@given(zones, hours, frequencies, instants)
def test_a_date_that_is_done_is_not_due_again(
    zone: str, hour: int, frequency: Frequency, now: datetime
) -> None:
    today = now.astimezone(ZoneInfo(zone)).date()
    coming = next_due(zone, hour, frequency, now, beyond=today)
    assert coming > now
    assert last_due(zone, hour, frequency, coming)[1] > today


def test_a_date_that_a_country_skipped_shares_its_instant_with_the_next() -> None:
    """Samoa crossed the date line: 30 December 2011 never was."""
    before = datetime(2011, 12, 29, 20, tzinfo=UTC)
    dues = []
    for _ in range(2):
        before = next_due("Pacific/Apia", 7, "daily", before)
        dues.append(last_due("Pacific/Apia", 7, "daily", before)[1])
    assert dues == [date(2011, 12, 31), date(2012, 1, 1)]
