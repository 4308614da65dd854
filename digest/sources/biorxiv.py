"""The reader for answers of the details API of bioRxiv and medRxiv, which come in pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from digest.errors import UnreadablePage
from digest.sources.json_page import parse_json
from digest.sources.listing import Listing
from digest.sources.names import names_of_line
from digest.sources.text import folded, of_html, start_of

EXPECTED = "an answer of the bioRxiv details API"

_DOI = re.compile(r"10\.\d{4,9}/[!-~]{1,200}", re.ASCII)
# /details/SERVER/INTERVAL/CURSOR, with a format behind; an interval is two days, or a number.
_PATH = re.compile(
    r"(?P<asked>/details/\w+/(?:\d{4}-\d\d-\d\d/\d{4}-\d\d-\d\d|\d{1,6}d?))"
    r"(?:/\d+)?(?P<format>/[a-z]+)?/?$"
)


@dataclass(frozen=True, slots=True)
class Biorxiv:
    """Reads one page of what `/details/SERVER/FROM/TO/CURSOR` answers."""

    name: str = "biorxiv"

    def recognises(self, page: bytes) -> bool:
        """Whether it is JSON with messages and a collection."""
        is_json = start_of(page).lstrip().startswith("{")
        return is_json and b'"messages"' in page and b'"collection"' in page

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - years are given
        """Read the preprints in order, each once, in its latest version.

        A later version is no news. The page is of the last day that it holds. A few broken rows
        are left out.
        """
        message, rows = _answer(page)
        status = folded(str(message.get("status", "")))
        if not rows and status.lower() not in ("ok", "no posts found"):
            raise UnreadablePage(EXPECTED, f"an error of the API ({status[:200]})")
        posts = [post for row in rows if (post := _post(row))]
        if (n_broken := len(rows) - len(posts)) * 3 > len(rows):
            raise UnreadablePage(EXPECTED, f"{n_broken} of {len(rows)} rows without title or DOI")
        once: dict[str, _Post] = {}
        for post in posts:
            # What is set again keeps its place.
            once[post.doi] = max(post, once.get(post.doi, post), key=lambda one: one.version)
        page_date = max((post.day for post in posts if post.day), default=None)
        return [post.listing(n, page_date) for n, post in enumerate(once.values(), start=1)]

    def broken(self, page: bytes) -> list[str]:
        """The rows that `read` leaves out, and why."""
        rows = enumerate(_answer(page)[1], start=1)
        return [f"row {n}: no title or no DOI" for n, row in rows if _post(row) is None]

    def next_url(self, page: bytes, url: str) -> str | None:
        """Where the rows go on: the cursor moves by the rows that came, whatever their number."""
        match = _PATH.search(urlsplit(url).path)
        n, cursor, total = _counts(page)
        if match is None or not n or not 0 <= cursor < cursor + n < (total or 0):
            return None
        path = f"{match['asked']}/{cursor + n}{match['format'] or ''}"
        return urlsplit(url)._replace(path=path).geturl()

    def count(self, page: bytes, url: str) -> tuple[int, int | None]:  # noqa: ARG002 - the page says
        """The rows of the page, and the total that the API announces from its cursor on."""
        n, cursor, total = _counts(page)
        return n, None if total is None else max(0, total - cursor)


@dataclass(frozen=True, slots=True)
class _Post:
    doi: str
    version: int
    title: str
    day: date | None
    said: Mapping[str, Any]

    def listing(self, position: int, page_date: date | None) -> Listing:
        """The value that leaves this room."""
        server = self.text("server") or "bioRxiv"
        category = self.text("category")
        published = _DOI.fullmatch(self.text("published"))
        facts: dict[str, Any] = {
            "categories": [category] if category else None,
            "version": self.version,
            "updated_on": self.day.isoformat() if self.day and self.version > 1 else None,
            "server": server,
            "type": self.text("type"),
            "licence": self.text("license"),
            "journal_doi": published[0].lower() if published else None,
        }
        return Listing(
            title=self.title,
            abstract=of_html(_string(self.said.get("abstract"))),
            position=position,
            page_date=page_date,
            doi=self.doi,
            url=f"https://www.{'medrxiv' if server.lower() == 'medrxiv' else 'biorxiv'}.org"
            f"/content/{self.doi}v{self.version}",
            authors=names_of_line(_string(self.said.get("authors"))),
            published_on=self.day if self.version == 1 else None,
            is_news=self.version == 1,
            facts={name: fact for name, fact in facts.items() if fact},
        )

    def text(self, name: str) -> str:
        """What is said under a name; the API writes NA where there is nothing."""
        text = folded(_string(self.said.get(name)))
        return "" if text == "NA" else text


def _answer(page: bytes) -> tuple[Mapping[str, Any], list[Any]]:
    """The API's message and the rows. Raises UnreadablePage."""
    said = parse_json(page, EXPECTED)
    said = said if isinstance(said, dict) else {}
    messages, rows = said.get("messages"), said.get("collection")
    if not isinstance(messages, list) or not isinstance(rows, list):
        raise UnreadablePage(EXPECTED, "JSON without messages and a collection")
    return messages[0] if messages and isinstance(messages[0], dict) else {}, rows


def _counts(page: bytes) -> tuple[int, int, int | None]:
    """How many rows there are, behind how many others, and of how many in all."""
    try:
        message, rows = _answer(page)
        total = int(message["total"]) if "total" in message else None
        return len(rows), int(message.get("cursor", 0)), total
    except (UnreadablePage, ValueError, TypeError, OverflowError):
        return 0, 0, None


def _post(row: Any) -> _Post | None:
    if not isinstance(row, dict):
        return None
    title, doi = of_html(_string(row.get("title"))), _string(row.get("doi")).strip()
    if not title or not _DOI.fullmatch(doi):
        return None
    version = str(row.get("version") or 1)
    known = version.isascii() and version.isdecimal() and len(version) < 4
    return _Post(doi.lower(), int(version) if known else 1, folded(title), _day(row), row)


def _day(row: Mapping[str, Any]) -> date | None:
    try:
        return date.fromisoformat(_string(row.get("date"))[:10])
    except ValueError:
        return None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
