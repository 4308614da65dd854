"""What forms offer, with the words for it: the same on every page."""

from collections.abc import Mapping
from functools import cache
from zoneinfo import available_timezones

from digest.settings import Frequency

HOURS = {str(hour): f"{hour:02}:00" for hour in range(24)}
FREQUENCIES: Mapping[Frequency, str] = {
    "daily": "every day",
    "weekdays": "Monday to Friday",
    "weekly": "every Monday",
}
MIXES = {
    "1.0": "only my interests",
    "0.75": "mostly my interests",
    "0.5": "half and half",
    "0.25": "mostly what is trending",
    "0.0": "only what is trending",
}
_REGIONS = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)


def mixes_with(mix: str) -> Mapping[str, str]:
    """The mixes to choose from, and the one that somebody has."""
    return MIXES if mix in MIXES else {mix: f"{float(mix):.0%} my interests", **MIXES}


@cache
def zones() -> tuple[str, ...]:
    """The zones that a person would choose from; others that IANA names can be typed."""
    named = (name for name in available_timezones() if name.startswith(_REGIONS) and "/" in name)
    return ("UTC", *sorted(named))
