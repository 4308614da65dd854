"""What files of named fields have in common, whatever they call them: CSV and JSON lines."""

import re
from calendar import month_name
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from digest.sources.listing import Listing
from digest.sources.names import name_said, names_of_line
from digest.sources.text import day, folded, of_html

# What people and programs call each field, in small letters and without spaces and punctuation.
_NAMES = {
    "title": ("title", "papertitle", "articletitle", "documenttitle"),
    "abstract": ("abstract", "abstractnote", "summary", "abstracttext", "description"),
    "authors": ("authors", "author", "creators", "authornames", "authorfullnames"),
    "doi": ("doi", "doiurl"),
    "arxiv_id": ("arxivid", "arxiv", "paperid", "externalid", "id"),
    "url": ("url", "link", "absurl", "paperurl", "entryurl", "pdfurl"),
    "date": (
        "date", "published", "publishedat", "publishedon", "publicationdate", "datepublished",
        "pubdate", "coverdate", "submitted", "submitteddate", "created",
    ),
    "year": ("year", "publicationyear"),
    "ids": ("externalids",),
    "categories": ("categories", "category", "subjects"),
}  # fmt: skip
_FIELDS = {name: field for field, names in _NAMES.items() for name in names}
_ARXIV = re.compile(
    r"(?:arxiv(?:\.org/(?:abs|pdf|html)/|:|\.)|^)\s*"
    r"(\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[a-z]{2})?/\d{7})(?:v\d{1,3})?(?:\.pdf)?(?:\s*\[[\w.-]{2,20}\])?$",
    re.IGNORECASE | re.ASCII,
)
_DOI = re.compile(r"(?a:10\.\d{4,9})/\S{1,300}+(?!\S)")
_BEHIND_DOI = ".,;\u3001\u3002\uff0c\uff1b\u2026\u2019\u201d\xbb"
# What stands between the words of a day.
_NO_WORD = re.compile(r"[,-]|(?<=\d)(?:st|nd|rd|th)\b|(?<=[A-Za-z])\.")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


@dataclass(frozen=True, slots=True)
class Record:
    """A paper as a file tells of it, before it has a place on a page."""

    title: str
    abstract: str = ""
    authors: tuple[str, ...] = ()
    doi: str | None = None
    arxiv_id: str | None = None
    url: str | None = None
    published_on: date | None = None
    year: int | None = None
    categories: tuple[str, ...] = ()

    def listing(self, position: int, page_date: date | None) -> Listing:
        """The value that leaves this room."""
        facts = {"categories": list(self.categories), "year": self.year}
        return Listing(
            title=self.title,
            abstract=self.abstract,
            position=position,
            page_date=page_date,
            arxiv_id=self.arxiv_id,
            doi=self.doi,
            url=self.url,
            authors=self.authors,
            published_on=self.published_on,
            facts={name: fact for name, fact in facts.items() if fact},
        )


def listings_of(records: list[Record], seen_on: date) -> list[Listing]:
    """The records in their order; a file is of the day of its newest paper, if they have days."""
    dates = [on for record in records if (on := record.published_on) and on <= seen_on]
    page_date = max(dates, default=None)
    return [record.listing(n, page_date) for n, record in enumerate(records, start=1)]


def field_of(name: str) -> str | None:
    """Which of our fields is meant by a heading or key; None for those that we do not know."""
    return _FIELDS.get("".join(c for c in name.lower() if c.isalnum()))


def record_of(said: Mapping[str, Any]) -> Record:
    """The paper that these fields tell of; values are text, or lists of text or of objects.

    Of several names of one field the first that says something counts, those of `externalIds`, as
    Semantic Scholar has them, before all. ValueError where there is no title.
    """
    fields: dict[str, Any] = {}
    ids = (value for name, value in said.items() if field_of(name) == "ids")
    for told in (*(one for one in ids if isinstance(one, Mapping)), said):
        for name, value in told.items():
            if value and (field := field_of(name)):
                fields.setdefault(field, value)
    if not (title := folded(of_html(_text(fields.get("title"))))):
        raise ValueError("no title")
    links = [_text(fields.get(name)) for name in ("url", "doi", "arxiv_id")]
    dated, year = _text(fields.get("date")), _text(fields.get("year"))
    return Record(
        title=title,
        abstract=of_html(_text(fields.get("abstract"))),
        authors=_names(fields.get("authors")),
        doi=doi_in(_text(fields.get("doi")), links[0]),
        arxiv_id=arxiv_id_in(_text(fields.get("arxiv_id")), *links),
        url=next((link for link in links if re.fullmatch(r"https?://[!-~]{1,2000}", link)), None),
        published_on=day_in(dated) or day_in(year),
        year=year_in(dated) or year_in(year),
        categories=_texts(fields.get("categories"), between=r"[;|]|,\s|\s+"),
    )


def arxiv_id_in(*texts: str) -> str | None:
    """The first arXiv id among texts that are one, or an address or a DOI of one."""
    found = (match[1] for text in texts if (match := _ARXIV.search(text.strip())))
    return next(found, None)


def doi_in(*texts: str) -> str | None:
    """The first DOI in the texts."""
    found = (match[0].rstrip(_BEHIND_DOI) for text in texts if (match := _DOI.search(text)))
    return next(found, None)


def day_in(text: str) -> date | None:
    """The day that a text says; a month or a year alone is none."""
    text = folded(text).replace("/", "-")
    match = re.match(r"(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)", text)
    if match is None:
        return (day(text) or _worded(text)) if text else None
    return _day(*map(int, match.groups()))


def _worded(text: str) -> date | None:
    """A day with its month by name, in any order, or between full stops.

    Which of 12/05/2020 is the month, nobody can tell.
    """
    words = _NO_WORD.sub(" ", text).lower().split()[:4]
    said = " ".join(sorted(words, key=lambda word: (word.isalpha(), len(word))))
    if match := re.fullmatch(r"(\d{1,2}) (\d{4}) ([a-z]{3,9})", said, re.ASCII):
        months = (n for n, name in enumerate(month_name) if name.lower().startswith(match[3]))
        return _day(int(match[2]), next(months, 0), int(match[1]))
    if match := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text, re.ASCII):
        return _day(int(match[3]), int(match[2]), int(match[1]))
    return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year > 1800 else None
    except ValueError:
        return None


def year_in(text: str) -> int | None:
    """The year that a text says."""
    match = _YEAR.search(text)
    return int(match[0]) if match else None


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, str)), "")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**6:
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return names_of_line(_text(value))
    named = (_name(one) for one in value)
    return tuple(said for name in named if (said := name_said(name)))


def _name(value: Any) -> str:
    """A name as text, or as an object as Semantic Scholar, CSL and Hugging Face have it."""
    if not isinstance(value, Mapping):
        return _text(value)
    whole = _text(value.get("name")) or _text(value.get("literal"))
    parts = (_text(value.get("given")), _text(value.get("family")))
    return whole or " ".join(filter(None, parts))


def _texts(value: Any, *, between: str) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else re.split(between, _text(value))
    return tuple(dict.fromkeys(said for text in texts if (said := folded(_text(text)))))
