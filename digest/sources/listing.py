"""What a page says of a paper: the value that every reader gives and `papers` takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Listing:
    """One appearance of a paper on one page, as the page worded it.

    `position` counts from 1. `page_date` is None where the page shows no date. `abstract` is
    empty where the page gives none; its paragraphs are parted by a blank line. `is_news` is False
    where the page tells of a later version of a paper, not of a new one. Text has its white
    space folded and is free of control characters, and is otherwise the page's own: LaTeX and
    entities are for `papers.clean`.
    """

    title: str
    abstract: str
    position: int
    page_date: date | None = None
    arxiv_id: str | None = None
    doi: str | None = None
    url: str | None = None
    authors: tuple[str, ...] = ()
    published_on: date | None = None
    upvotes: int | None = None
    is_news: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


class Reader(Protocol):
    """Turns one source's bytes into listings; pure, so that any past page can be read again."""

    @property
    def name(self) -> str:
        """A short constant name, stored with every listing."""

    def recognises(self, page: bytes) -> bool:
        """Whether the bytes look like this reader's format; cheap, never raises."""

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the listings in page order; `seen_on` settles a date without a year.

        Raises UnreadablePage where the page cannot be read with confidence.
        """


@runtime_checkable
class Forgiving(Protocol):
    """What a reader has besides, that reads a page of which a few parts are broken."""

    def broken(self, page: bytes) -> list[str]:
        """These parts of a page that `read` has read: where each stands, and why or what of it."""


@runtime_checkable
class Paged(Protocol):
    """What a reader has besides, whose source is fetched in several pages."""

    def next_url(self, page: bytes, url: str) -> str | None:
        """Where the page goes on that was fetched from `url`, on the same host; never raises.

        None where it is the last, or none that can be read.
        """

    def count(self, page: bytes, url: str) -> tuple[int, int | None]:
        """How many entries a page holds, and how many its source announces from it on.

        Broken and deleted ones are counted, since they are announced. None where nothing is
        announced, or the page cannot be read; never raises.
        """
