"""The reader for papers as JSON, one object a line."""

import json
from dataclasses import dataclass
from datetime import date

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.records import Record, field_of, listings_of, record_of
from digest.sources.text import decoded, start_of

EXPECTED = "papers as JSON, one object with a title a line"
# A thousand authors make a line of 50,000 characters.
MAX_LINE = 1_000_000
MOST_LINES = 50_000


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Reads objects that name their fields as papers' are commonly named."""

    name: str = "json-lines"

    def recognises(self, page: bytes) -> bool:
        """Whether the first line is an object with a title and something else of a paper."""
        line = start_of(page, MAX_LINE).lstrip().split("\n", 1)[0]
        return line.startswith("{") and _is_paper(line)

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the lines in order; a few broken ones are left out."""
        lines = _lines(page)
        if not 0 < len(lines) <= MOST_LINES:
            raise UnreadablePage(EXPECTED, f"{len(lines):,} lines")
        records = [record for line in lines if (record := _record(line))]
        if (n_broken := len(lines) - len(records)) * 3 > len(lines):
            raise UnreadablePage(EXPECTED, f"{n_broken} of {len(lines)} lines without a title")
        return listings_of(records, seen_on)

    def broken(self, page: bytes) -> list[str]:
        """The lines that `read` leaves out, and why."""
        lines = enumerate(_lines(page), start=1)
        return [f"line {n}: no title" for n, line in lines if _record(line) is None]


def _lines(page: bytes) -> list[str]:
    return [line for line in decoded(page, EXPECTED).split("\n") if line.strip()]


def _is_paper(line: str) -> bool:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return False
    fields = set(map(field_of, said)) - {None} if isinstance(said, dict) else set()
    return "title" in fields and len(fields) > 1


def _record(line: str) -> Record | None:
    try:
        said = json.loads(line) if len(line) <= MAX_LINE else None
        return record_of(said) if isinstance(said, dict) else None
    except (ValueError, RecursionError):
        return None
