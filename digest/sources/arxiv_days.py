"""The reader for a day of arXiv as one JSON object a line, as archives of its metadata keep it."""

import json
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from digest.errors import UnreadablePage
from digest.sources.arxiv import (
    Entry,
    broken_of,
    categories_of,
    entries_of,
    id_of,
    listings_of,
    title_of,
)
from digest.sources.listing import Listing
from digest.sources.names import names_of
from digest.sources.text import folded, paragraphs

EXPECTED = "arXiv papers, one JSON object a line"
# A real line has some 3,000 characters; an author list of a thousand names makes it 50,000.
MAX_LINE = 1_000_000

_LINE = re.compile(
    rb'(?:\xef\xbb\xbf)?(?=.*"id"\s*:)(?=.*"categories"\s*:)(?=.*"(?:summary|abstract)"\s*:)\s*\{'
)
_PDF = re.compile(r"https?://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class ArxivDays:
    """Reads the lines of a day; its date is the file's name, so the page shows none."""

    name: str = "arxiv-days"

    def recognises(self, page: bytes) -> bool:
        """Whether one of the first lines is an object with an id, categories and an abstract."""
        return any(map(_LINE.match, page[:65536].splitlines()[:5]))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - no date is shown
        """Read the lines in order, each paper once; a few broken ones are left out."""
        return listings_of(entries_of(EXPECTED, _lines(page), _entry, of="line"), None)

    def broken(self, page: bytes) -> list[str]:
        """The lines that `read` leaves out, and why."""
        return broken_of(_lines(page), _entry, of="line")


def _lines(page: bytes) -> list[str]:
    try:
        text = page.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadablePage(EXPECTED, f"a byte at {error.start} that is not UTF-8") from None
    if lines := [line for line in text.split("\n") if line.strip()]:
        return lines
    raise UnreadablePage(EXPECTED, "no lines")


def _entry(line: str) -> Entry:
    if len(line) > MAX_LINE:
        raise ValueError(f"{len(line):,} characters")
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    if not isinstance(said, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - what entries_of counts
    id_, version = id_of(_text(said, "id"))
    authors, categories = said.get("authors"), said.get("categories")
    return Entry(
        id=id_,
        version=version,
        title=title_of(_text(said, "title")),
        abstract=paragraphs(_text(said, "summary") or _text(said, "abstract")),
        authors=names_of(authors) if isinstance(authors, str) else _texts(authors),
        categories=categories_of(
            categories.split() if isinstance(categories, str) else _texts(categories)
        ),
        doi=folded(_text(said, "doi")) or None,
        comment=folded(_text(said, "comment") or _text(said, "comments")) or None,
        journal_ref=folded(_text(said, "journal_ref") or _text(said, "journal-ref")) or None,
        pdf_url=_text(said, "pdf") if _PDF.fullmatch(_text(said, "pdf")) else None,
    )


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else []
    return tuple(text for one in texts if isinstance(one, str) and (text := folded(one)))
