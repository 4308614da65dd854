"""The reader for tables of papers: CSV as people and reference managers write it."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.records import Record, field_of, listings_of, record_of
from digest.sources.text import decoded, start_of

EXPECTED = "CSV with a heading `title` and at least one of abstract, authors, doi, url, date"
MOST_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Reads rows under headings in any order and case; columns that it does not know are let be."""

    name: str = "csv"

    def recognises(self, page: bytes) -> bool:
        """Whether the first line is of headings that we know."""
        lines = start_of(page, 65536).lstrip().splitlines()
        return bool(lines) and _delimiter(lines[0]) is not None

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the rows in order; the few that have no title, or are broken, are left out."""
        text = decoded(page, EXPECTED).lstrip()
        delimiter = _delimiter(text.split("\n", 1)[0])
        if delimiter is None:
            raise UnreadablePage(EXPECTED, "a first line without these headings")
        try:
            read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            headings, *rows = (
                row for row in islice(read, MOST_ROWS + 2) if any(map(str.strip, row))
            )
        except csv.Error as error:
            raise UnreadablePage(EXPECTED, f"broken CSV ({error})") from None
        if len(rows) > MOST_ROWS:
            raise UnreadablePage(EXPECTED, f"more than {MOST_ROWS:,} rows")
        records = [record for row in rows if (record := _record(headings, row))]
        if (n_broken := len(rows) - len(records)) * 3 > len(rows):
            found = f"{n_broken} of {len(rows)} rows without a title, or with fields too many"
            raise UnreadablePage(EXPECTED, found)
        return listings_of(records, seen_on)

    def broken(self, page: bytes) -> list[str]:
        """The rows that `read` leaves out, by the line on which they end, and why."""
        return list(_broken(page))


def _broken(page: bytes) -> Iterator[str]:
    text = decoded(page, EXPECTED).lstrip()
    delimiter = _delimiter(text.split("\n", 1)[0]) or ","
    read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    headings = next(read, [])
    for row in read:
        if any(map(str.strip, row)) and _record(headings, row) is None:
            why = "of too many fields" if _has_more(row, headings) else "without a title"
            yield f"line {read.line_num}: a row {why}"


def _delimiter(line: str) -> str | None:
    """What parts the headings, if they are those of papers."""
    for delimiter in ",;\t|":
        cells = [cell.strip(' "\ufeff') for cell in line.split(delimiter)]
        known = {field_of(cell) for cell in cells} - {None}
        if "title" in known and len(known) > 1:
            return delimiter
    return None


def _has_more(row: list[str], headings: list[str]) -> bool:
    """Whether a row says something beyond its last heading; programs add empty cells."""
    return any(map(str.strip, row[len(headings) :]))


def _record(headings: list[str], row: list[str]) -> Record | None:
    if _has_more(row, headings):
        return None
    try:
        return record_of(dict(zip(headings, row, strict=False)))
    except ValueError:
        return None
