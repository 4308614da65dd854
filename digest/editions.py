"""Editions: who is due, what is new for them, rank, freeze."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Lane = Literal["personal", "trending", "exploration"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a paper is in an edition: one term of its score, and how much of it that term carried.

    `kind` is one of `interest` (name), `liked` and `saved` (title of that paper), `trending`
    (upvotes or None, pages), `resurfaced` (the same, for an old paper), `exploration`, `unranked`
    (nothing is known of the reader yet). `share` is the part of the score, 0 to 1.
    """

    kind: str
    share: float
    name: str = ""
    title: str = ""
    upvotes: int | None = None
    pages: int = 0


@dataclass(frozen=True, slots=True)
class EditionItem:
    """One ranked paper of an edition, with all that a mail or a page shows of it."""

    position: int
    paper_id: int
    title: str
    abstract: str
    summary: str
    authors: tuple[str, ...]
    published_on: date | None
    arxiv_id: str | None
    doi: str | None
    url: str | None
    code_url: str | None
    sources: tuple[str, ...]
    upvotes: int | None
    lane: Lane
    score: float
    probability: float | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """One subscriber's digest for one of their local dates, frozen as it was built."""

    edition_id: int
    subscriber_id: int
    local_date: date
    built_at: datetime
    n_candidates: int
    note: str
    items: tuple[EditionItem, ...]


def in_words(reason: Reason) -> str:
    """Say a reason in a sentence for the reader; plain text, not escaped."""
    match reason.kind:
        case "interest":
            return f"Matches your interest “{reason.name}”"
        case "liked":
            return f"Close to “{reason.title}”, which you liked"
        case "saved":
            return f"Close to “{reason.title}”, which you saved"
        case "trending" | "resurfaced":
            seen = f"on {reason.pages} pages" if reason.pages > 1 else "on today’s page"
            votes = f", {reason.upvotes} upvotes" if reason.upvotes else ""
            old = "An older paper, newly trending: " if reason.kind == "resurfaced" else "Trending: "
            return f"{old}{seen}{votes}"
        case "exploration":
            return "New territory: tell us whether you want more like it"
        case _:
            return "New today; vote, and the next mail knows you better"
