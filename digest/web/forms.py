"""A form's body to its fields."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

# A page of preferences with every interest, mute and vote has fewer.
_MOST_FIELDS = 1000


def lists_of(body: bytes) -> Mapping[str, Sequence[str]]:
    """The values of every field of a form as a browser sends them; what is no form has none."""
    found: dict[str, list[str]] = defaultdict(list)
    try:
        pairs = parse_qsl(
            body.decode("ascii", "replace"), max_num_fields=_MOST_FIELDS, keep_blank_values=True
        )
    except ValueError:
        return {}
    for name, value in pairs:
        found[name].append(value)
    return found


def numbers_in(values: Sequence[str]) -> list[int]:
    """Those of a field's values that are numbers, as rows have them."""
    return [int(text) for text in values if text.isdecimal() and len(text) < 16]


def fields_of(body: bytes) -> dict[str, str]:
    """The last value of every field."""
    return {name: values[-1] for name, values in lists_of(body).items()}
