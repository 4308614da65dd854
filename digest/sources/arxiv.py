"""What all of arXiv's formats have in common: ids with versions, days, and facts of a paper."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.text import folded, instant

T = TypeVar("T")

# arXiv's days begin and end in New York.
EASTERN = ZoneInfo("America/New_York")
# A paper may be held for days before it is announced; what is older has been announced before.
NEWS = timedelta(days=14)
# As many are announced in a month; the query API gives 2,000 at once, OAI-PMH about 1,000.
MOST_ENTRIES = 30_000
# arXiv takes abstracts of 1,920 characters; a tenth of this is for a title.
LONGEST = 50_000

_ID = re.compile(
    r"(?:^|[/:])(\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[a-z]{2})?/\d{7})(?:v(\d{1,3}))?$",
    re.IGNORECASE | re.ASCII,
)
_CATEGORY = re.compile(r"[a-z][a-z-]{1,20}(?:\.[A-Za-z-]{2,20})?")
_REPOSITORY = re.compile(
    r"(?<![\w.-])(?:www\.)?(github\.com|gitlab\.com|codeberg\.org)/"
    r"([a-z0-9][\w.-]{0,99}/[\w.-]{0,99}\w)",
    re.IGNORECASE | re.ASCII,
)
_SHARED = re.compile(
    r"\b(?:code|implementation|released?|available|open-?sourced?)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper as one of arXiv's pages tells of it; `announce_type` is a feed's."""

    id: str
    version: int | None
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    announce_type: str | None = None
    is_news: bool = True
    published_on: date | None = None
    updated_on: date | None = None
    doi: str | None = None
    comment: str | None = None
    journal_ref: str | None = None
    pdf_url: str | None = None

    def listing(self, position: int, page_date: date | None) -> Listing:
        """The value that leaves this room."""
        facts: dict[str, Any] = {
            "categories": list(self.categories),
            "version": self.version,
            "announce_type": self.announce_type,
            "updated_on": self._updated(),
            "comment": self.comment,
            "journal_ref": self.journal_ref,
            "pdf_url": self.pdf_url,
            "code_url": code_url(self.comment or "", self.abstract),
        }
        return Listing(
            title=self.title,
            abstract=self.abstract,
            position=position,
            page_date=page_date,
            arxiv_id=self.id,
            doi=self.doi,
            url=f"https://arxiv.org/abs/{self.id}",
            authors=self.authors,
            published_on=self.published_on,
            is_news=self.is_news,
            facts={name: fact for name, fact in facts.items() if fact},
        )

    def _updated(self) -> str | None:
        on = self.updated_on
        return on.isoformat() if on and on != self.published_on else None


def entries_of(
    expected: str, said: Sequence[T], read: Callable[[T], Entry], *, of: str = "entry"
) -> list[Entry]:
    """Read each of what a page `said`; the few that raise ValueError are left out.

    Raises UnreadablePage where they are more than a third, naming the first `of` them.
    """
    if len(said) > MOST_ENTRIES:
        raise UnreadablePage(expected, f"{len(said):,} entries")
    entries, complaints = _parted(said, read, of)
    if len(complaints) * 3 > len(said):
        broken = f"{len(complaints)} of {len(said)} broken ({complaints[0]})"
        raise UnreadablePage(expected, broken)
    return entries


def broken_of(said: Sequence[T], read: Callable[[T], Entry], *, of: str = "entry") -> list[str]:
    """Those that `entries_of` leaves out, by their number, and why."""
    return _parted(said, read, of)[1]


def _parted(
    said: Sequence[T], read: Callable[[T], Entry], of: str
) -> tuple[list[Entry], list[str]]:
    entries, complaints = [], []
    for n, one in enumerate(said, start=1):
        try:
            entries.append(_of_usual_size(read(one)))
        except ValueError as error:
            complaints.append(f"{of} {n}: {error}")
    return entries, complaints


def _of_usual_size(entry: Entry) -> Entry:
    if max(len(entry.title) * 10, len(entry.abstract)) > LONGEST:
        raise ValueError(f"{len(entry.title) + len(entry.abstract):,} characters of text")
    return entry


def listings_of(entries: Iterable[Entry], page_date: date | None) -> list[Listing]:
    """The entries in their order, each paper once, where it first stands, as its best is told."""
    once: dict[str, Entry] = {}
    for entry in entries:
        first = once.setdefault(entry.id, entry)
        if first is not entry:
            categories = tuple(dict.fromkeys(first.categories + entry.categories))
            best = max(first, entry, key=lambda e: (e.is_news, e.announce_type == "new"))
            once[entry.id] = replace(best, categories=categories)
    return [entry.listing(n, page_date) for n, entry in enumerate(once.values(), start=1)]


def id_of(text: str) -> tuple[str, int | None]:
    """The id and version in an id, an address or an OAI identifier; ValueError without one."""
    match = _ID.search(text.strip())
    if match is None:
        raise ValueError(f"no arXiv id in {folded(text)[:60]!r}")
    return match[1], int(match[2]) if match[2] else None


def title_of(text: str) -> str:
    """The title on one line; ValueError where there is none."""
    if title := folded(text):
        return title
    raise ValueError("no title")


def categories_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The arXiv categories among `texts`, each once; MSC and ACM classes are not ours."""
    return tuple(dict.fromkeys(text for text in texts if _CATEGORY.fullmatch(text)))


def code_url(comment: str, abstract: str) -> str | None:
    """The one repository that the authors point to, in their comment or else in the abstract."""
    for text in (comment, abstract):
        found = {
            f"https://{host.lower()}/{path.removesuffix('.git')}"
            for host, path in _REPOSITORY.findall(text)
        }
        if len(found) == 1 and (text is comment or _SHARED.search(text)):
            return found.pop()
    return None


def announcement_day(text: str) -> date | None:
    """The day in New York of an instant."""
    at = instant(text)
    return at.astimezone(EASTERN).date() if at else None
