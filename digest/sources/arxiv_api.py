"""The reader for answers of arXiv's query API, which come in pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree.ElementTree import Element

from digest.errors import UnreadablePage
from digest.sources.arxiv import (
    NEWS,
    Entry,
    announcement_day,
    broken_of,
    categories_of,
    entries_of,
    id_of,
    listings_of,
    title_of,
)
from digest.sources.listing import Listing
from digest.sources.text import day, paragraphs
from digest.sources.xml import children, head_of, parse_xml, raw, said

EXPECTED = "an answer of the arXiv query API"
# How many the API gives where nobody says.
USUAL = 10

_ROOT = re.compile(rb"<feed\b")
_OURS = re.compile(rb"arxiv\.org/api/|arxiv query:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArxivApi:
    """Reads one page of what `/api/query` answers; what an address asks for may take several."""

    name: str = "arxiv-api"

    def recognises(self, page: bytes) -> bool:
        """Whether it is an Atom feed that says to be an arXiv query."""
        head = head_of(page)
        return bool(_ROOT.search(head) and _OURS.search(head))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - years are given
        """Read the results in order; a few broken ones are left out, and old ones are no news.

        An error is told in an entry, and too busy a server answers with none of many results;
        both are refused.
        """
        root = parse_xml(page, EXPECTED)
        found = list(children(root, "entry"))
        if len(found) == 1 and "/api/errors" in raw(found[0], "id"):
            complaint = said(found[0], "summary")[:200]
            raise UnreadablePage(EXPECTED, f"an error of arXiv ({complaint})")
        total, start, size = _counts(root)
        if not found and total > start and size:
            raise UnreadablePage(EXPECTED, f"none of the {total - start:,} results from {start} on")
        entries = entries_of(EXPECTED, found, _entry)
        return listings_of(entries, announcement_day(raw(root, "updated")))

    def broken(self, page: bytes) -> list[str]:
        """The results that `read` leaves out, and why."""
        return broken_of(list(children(parse_xml(page, EXPECTED), "entry")), _entry)

    def next_url(self, page: bytes, url: str) -> str | None:
        """The address of the results that `url` asked for and the page did not hold yet."""
        try:
            root = parse_xml(page, EXPECTED)
        except UnreadablePage:
            return None
        n, announced = _announced(root, url)
        if not 0 < n < announced:
            return None
        asked, start = _asked(url), _counts(root)[1]
        asked |= {"start": [str(start + n)], "max_results": [str(_wanted(asked) - n)]}
        return urlsplit(url)._replace(query=urlencode(asked, doseq=True)).geturl()

    def count(self, page: bytes, url: str) -> tuple[int, int | None]:
        """The results of the page, and how many of all there are `url` asks for."""
        try:
            return _announced(parse_xml(page, EXPECTED), url)
        except UnreadablePage:
            return 0, None


def _announced(root: Element, url: str) -> tuple[int, int]:
    total, start, _ = _counts(root)
    n = len(list(children(root, "entry")))
    return n, max(0, min(_wanted(_asked(url)), total - start))


def _asked(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


def _wanted(asked: Mapping[str, list[str]]) -> int:
    return _number(asked.get("max_results", [""])[0], USUAL)


def _counts(root: Element) -> tuple[int, int, int]:
    """How many results there are in all, which is the first of the page, and its size."""
    names = ("totalResults", 0), ("startIndex", 0), ("itemsPerPage", USUAL)
    total, start, size = (_number(said(root, name), default) for name, default in names)
    return total, start, size


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else default


def _entry(entry: Element) -> Entry:
    id_, version = id_of(raw(entry, "id"))
    published_on, updated_on = day(raw(entry, "published")), day(raw(entry, "updated"))
    is_revised = published_on and updated_on and updated_on - published_on > NEWS
    primary = [c.get("term", "") for c in children(entry, "primary_category")]
    return Entry(
        id=id_,
        version=version,
        title=title_of(said(entry, "title")),
        abstract=paragraphs(raw(entry, "summary")),
        authors=tuple(
            name for author in children(entry, "author") if (name := said(author, "name"))
        ),
        categories=categories_of(
            [*primary, *(c.get("term", "") for c in children(entry, "category"))]
        ),
        is_news=not is_revised,
        published_on=published_on,
        updated_on=updated_on,
        doi=said(entry, "doi") or None,
        comment=said(entry, "comment") or None,
        journal_ref=said(entry, "journal_ref") or None,
        pdf_url=next(
            (link.get("href") for link in children(entry, "link") if link.get("title") == "pdf"),
            None,
        ),
    )
