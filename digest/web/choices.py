"""What forms offer, with the words for it: the same on every page."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from digest.languages import Language, msgid
from digest.settings import Frequency

HOURS = {str(hour): f"{hour:02}:00" for hour in range(24)}
FREQUENCIES: Mapping[Frequency, str] = {
    "daily": msgid("every day"),
    "weekdays": msgid("Monday to Friday"),
    "weekly": msgid("every Monday"),
}
MIXES = {
    "1.0": msgid("only my interests"),
    "0.75": msgid("mostly my interests"),
    "0.5": msgid("half and half"),
    "0.25": msgid("mostly what is trending"),
    "0.0": msgid("only what is trending"),
}
_REGIONS = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)


def in_words(choices: Mapping[Any, str], spoken: Language) -> dict[str, str]:
    """What there is to choose, in the visitor's language."""
    return {value: spoken.gettext(words) for value, words in choices.items()}


def mixes_with(mix: str, spoken: Language) -> Mapping[str, str]:
    """The mixes to choose from, and the one that somebody has."""
    mixes = in_words(MIXES, spoken)
    if mix in mixes:
        return mixes
    return {
        mix: spoken.gettext("%(share)s my interests", share=spoken.percent(float(mix))),
        **mixes,
    }


@cache
def zones() -> tuple[str, ...]:
    """The zones that a person would choose from; others that IANA names can be typed."""
    named = (name for name in available_timezones() if name.startswith(_REGIONS) and "/" in name)
    return ("UTC", *sorted(named))
