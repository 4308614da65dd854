"""JSON from outside: parsed, or refused in a line."""

import json
from typing import Any

from digest.errors import UnreadablePage

# Ten megabytes of nothing but brackets would take 300 MB; a page of papers has a tenth of this.
MOST_BRACKETS = 500_000


def parse_json(page: bytes, expected: str) -> Any:
    """What the page says. Raises UnreadablePage, saying that `expected` was expected."""
    if (n := page.count(b"[") + page.count(b"{")) > MOST_BRACKETS:
        raise UnreadablePage(expected, f"JSON of {n:,} brackets")
    try:
        return json.loads(page)
    except json.JSONDecodeError as error:
        found = f"JSON broken at line {error.lineno} ({error.msg})"
        raise UnreadablePage(expected, found) from None
    except UnicodeDecodeError as error:
        raise UnreadablePage(expected, f"bytes that are not {error.encoding.upper()}") from None
    except (ValueError, RecursionError):
        raise UnreadablePage(expected, "JSON too deep or with too long a number") from None
