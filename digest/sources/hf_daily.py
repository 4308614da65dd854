"""The reader for one JSON response of the daily-papers API: bytes -> entries -> listings.

Some archives keep each entry as the text of a Python value, or all of them under `data`; both are
read. The abstract's LaTeX and the paper's identity are left to `papers`.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    WrapValidator,
)

from digest.errors import UnreadablePage
from digest.sources.json_page import parse_json
from digest.sources.listing import Listing
from digest.sources.text import folded, paragraphs

EXPECTED = "a response of the daily-papers API"
# How many entries the API gives where nobody says.
USUAL = "50"
# A real entry has some 5,000 characters; reading Python text takes 250 times its size in memory.
MAX_ENTRY = 300_000
_AN_ENTRY = re.compile(r"""["']paper["']\s*:\s*\{""")
_EMPTY = re.compile(r"\[\s*\]\s*|\{\s*\"data\"\s*:\s*\[\s*\]\s*\}\s*")


@dataclass(frozen=True, slots=True)
class HuggingFaceDaily:
    """Reads what `/api/daily_papers` answers, of a `date` or by `sort`; it may be an empty list."""

    name: str = "hf-daily"

    def recognises(self, page: bytes) -> bool:
        """Whether the bytes look like JSON that holds a paper, or like an empty list."""
        text = page.decode(json.detect_encoding(page), errors="ignore").lstrip()
        if not text.startswith(("[", "{")):
            return False
        return bool(_AN_ENTRY.search(text) or _EMPTY.fullmatch(text))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - years are given
        """Read the entries in order; a few broken ones are left out."""
        return listings_of(_raw_entries(page), EXPECTED)

    def broken(self, page: bytes) -> list[str]:
        """The entries that `read` leaves out, and why."""
        return broken_of(_raw_entries(page))

    def next_url(self, page: bytes, url: str) -> str | None:
        """The address of a day's next page, where this one is full; other lists end as asked."""
        asked = parse_qs(urlsplit(url).query)
        try:
            n, limit = len(_raw_entries(page)), int(asked.get("limit", [USUAL])[0])
            following = int(asked.get("p", ["0"])[0]) + 1
        except (UnreadablePage, ValueError):
            return None
        if "date" not in asked or not 0 < limit <= n:
            return None
        query = urlencode(asked | {"p": [str(following)]}, doseq=True)
        return urlsplit(url)._replace(query=query).geturl()

    def count(self, page: bytes, url: str) -> tuple[int, int | None]:  # noqa: ARG002 - it says none
        """The entries of the page; the API does not tell how many there are."""
        try:
            return len(_raw_entries(page)), None
        except UnreadablePage:
            return 0, None


def listings_of(
    raw: Sequence[Any], expected: str, *, page_date: date | None = None
) -> list[Listing]:
    """The listings of the API's entries; a few broken ones are left out.

    The day is the one that most entries were submitted on, the newest one where they are of many
    days, and `page_date` where they do not say. Raises UnreadablePage, saying that `expected` was.
    """
    entries, complaints = _parted(raw)
    if len(complaints) * 3 > len(raw):
        raise UnreadablePage(
            expected, f"{len(complaints)} of {len(raw)} entries broken ({complaints[0]})"
        )
    shown = Counter(day for entry in entries if (day := entry.shown_on()))
    if shown:
        day, n_shown = shown.most_common(1)[0]
        page_date = day if 2 * n_shown > shown.total() else max(shown)
    return [entry.listing(n, page_date) for n, entry in enumerate(entries, start=1)]


def broken_of(raw: Sequence[Any]) -> list[str]:
    """The entries that `listings_of` leaves out, by their number, and why."""
    return _parted(raw)[1]


def _parted(raw: Sequence[Any]) -> tuple[list["_Entry"], list[str]]:
    entries: list[_Entry] = []
    complaints: list[str] = []
    for n, value in enumerate(raw, start=1):
        try:
            entries.append(_Entry.model_validate(_value(value)))
        except ValueError as error:
            complaints.append(f"entry {n}: {_complaint(error)}")
    return entries, complaints


# --- bytes -> raw entries ---------------------------------------------------------------------


def _raw_entries(page: bytes) -> Sequence[Any]:
    said = parse_json(page, EXPECTED)
    if isinstance(said, dict):
        said = said.get("data")
    if not isinstance(said, list):
        raise UnreadablePage(EXPECTED, "JSON without a list of entries")
    return said


def _value(entry: Any) -> Any:
    """The entry itself, also where it was kept as the text of a Python value; else ValueError."""
    if not isinstance(entry, str):
        return entry
    if len(entry) > MAX_ENTRY:
        raise ValueError(f"{len(entry):,} characters of text")
    try:
        return ast.literal_eval(entry)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise ValueError("text that is no Python value") from None


def _complaint(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]])


# --- entries -> listings ----------------------------------------------------------------------

T = TypeVar("T")


def _in_utc(at: datetime) -> datetime:
    if not 1900 < at.year < 3000:
        raise ValueError("a date between 1900 and 3000")
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _or_nothing(value: Any, validate: Callable[[Any], T]) -> T | None:
    try:
        return validate(value)
    except ValidationError:
        return None


# What a listing can do without is left out where it is broken.
_Maybe = Annotated[T | None, WrapValidator(_or_nothing)]
_Text = Annotated[str, AfterValidator(folded), Field(min_length=1)]
_Texts = Annotated[str, AfterValidator(paragraphs)]
_Time = Annotated[datetime, AfterValidator(_in_utc)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Link = Annotated[str, Field(pattern=r"^https?://[!-~]{1,2000}$")]


class _Author(BaseModel):
    name: _Text
    hidden: bool = False


class _Named(BaseModel):
    name: _Maybe[_Text] = None
    fullname: _Maybe[_Text] = None


class _Paper(BaseModel):
    id: _Maybe[_Text] = None
    title: _Text
    summary: _Maybe[_Texts] = None
    authors: _Maybe[list[_Maybe[_Author]]] = None
    publishedAt: _Maybe[_Time] = None  # noqa: N815 - the API's own names, to the end
    submittedOnDailyAt: _Maybe[_Time] = None  # noqa: N815
    upvotes: _Maybe[_Count] = None
    githubRepo: _Maybe[_Link] = None  # noqa: N815
    githubStars: _Maybe[_Count] = None  # noqa: N815
    projectPage: _Maybe[_Link] = None  # noqa: N815
    ai_summary: _Maybe[_Text] = None
    ai_keywords: _Maybe[list[_Maybe[_Text]]] = None
    organization: _Maybe[_Named] = None


class _Entry(BaseModel):
    paper: _Paper
    publishedAt: _Maybe[_Time] = None  # noqa: N815
    numComments: _Maybe[_Count] = None  # noqa: N815
    submittedBy: _Maybe[_Named] = None  # noqa: N815
    organization: _Maybe[_Named] = None

    def shown_on(self) -> date | None:
        """The day that showed the paper, in UTC."""
        at, published = self.paper.submittedOnDailyAt, self.paper.publishedAt
        # Until 2025 the entry's own date said it; now that is the paper's, some hours too early.
        if not at and self.publishedAt and published and self.publishedAt >= published:
            at = self.publishedAt
        return at.date() if at else None

    def listing(self, position: int, page_date: date | None) -> Listing:
        """The value that leaves this room."""
        paper, submitter = self.paper, self.submittedBy or _Named()
        organization = paper.organization or self.organization or _Named()
        facts = {
            "code_url": paper.githubRepo,
            "comments": self.numComments,
            "submitter": submitter.fullname or submitter.name,
            "ai_keywords": [word for word in paper.ai_keywords or [] if word] or None,
            "github_stars": paper.githubStars,
            "project_url": paper.projectPage,
            "ai_summary": paper.ai_summary,
            "organization": organization.fullname or organization.name,
        }
        return Listing(
            title=paper.title,
            abstract=paper.summary or "",
            position=position,
            page_date=page_date,
            arxiv_id=paper.id,
            authors=tuple(a.name for a in paper.authors or [] if a and not a.hidden),
            published_on=paper.publishedAt.date() if paper.publishedAt else None,
            upvotes=paper.upvotes,
            facts={name: fact for name, fact in facts.items() if fact is not None},
        )
