"""What an edition is once it is frozen, and the words for its reasons."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import Unknown
from digest.ranking.types import Lane
from digest.store.tables import EditionItemRow, EditionRow, Paper


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a paper is in an edition: one term of its score, and how much of it that term carried.

    `kind` is one of `interest` (name), `liked`, `saved` and `disliked` (title of that paper),
    `trending` (upvotes and their growth since yesterday, its best place on a page of how many, on
    how many pages; None where no page tells), `resurfaced` (the same, for an old paper) and
    `exploration`. `share` is the part of the score, 0 to 1.
    """

    kind: str
    share: float
    name: str = ""
    title: str = ""
    upvotes: int | None = None
    pages: int = 0
    place: int | None = None
    of: int = 0
    growth: int | None = None


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
    propensity: float
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
        case "trending":
            known = list(_standing(reason))
            return ", ".join(["Trending", *known]) if known else "Trending on today's page"
        case "resurfaced":
            return ", ".join(["An older paper, trending again", *_standing(reason)])
        case "exploration":
            return "New territory; tell us whether you want more like it"
        case "disliked":
            return f"Unlike “{reason.title}”, which you did not want"
        case _:
            raise AssertionError(f"no reason is {reason.kind!r}")


def _standing(reason: Reason) -> Iterator[str]:
    """What is worth saying of a paper's standing: a good place, upvotes, many pages."""
    if reason.place and reason.of > 1 and reason.place <= max(10, reason.of // 4):
        yield f"{_ordinal(reason.place)} of {reason.of} on its page"
    if reason.upvotes:
        growth = f" ({reason.growth:+} since yesterday)" if reason.growth else ""
        yield f"{reason.upvotes} upvote{'s' * (reason.upvotes != 1)}{growth}"
    if reason.pages > 1:
        yield f"on {reason.pages} pages"


def _ordinal(n: int) -> str:
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def freeze(item: EditionItem) -> dict[str, Any]:
    """What a page or mail shows of an item, as JSON; the abstract stays with the paper."""
    shown = asdict(item)
    for elsewhere in (
        "position",
        "paper_id",
        "abstract",
        "lane",
        "score",
        "probability",
        "propensity",
        "reasons",
    ):
        del shown[elsewhere]
    shown["published_on"] = item.published_on.isoformat() if item.published_on else None
    return shown


def read_edition(session: Session, edition_id: int) -> Edition:
    """An edition as it was frozen. Raises Unknown."""
    row = session.get(EditionRow, edition_id)
    if row is None:
        raise Unknown(f"there is no edition {edition_id}")
    items = session.execute(
        select(EditionItemRow, Paper.abstract)
        .join(Paper, Paper.id == EditionItemRow.paper_id)
        .where(EditionItemRow.edition_id == edition_id)
        .order_by(EditionItemRow.position)
    )
    return Edition(
        edition_id=row.id,
        subscriber_id=row.subscriber_id,
        local_date=row.local_date,
        built_at=row.built_at,
        n_candidates=row.n_candidates,
        note=row.note,
        items=tuple(_item(item, abstract) for item, abstract in items),
    )


def edition_of(session: Session, subscriber_id: int, local_date: date | None = None) -> Edition:
    """A subscriber's edition of a date; their last one if none is given. Raises Unknown."""
    query = select(EditionRow.id).where(EditionRow.subscriber_id == subscriber_id)
    if local_date is not None:
        query = query.where(EditionRow.local_date == local_date)
    found = session.scalar(query.order_by(EditionRow.local_date.desc()).limit(1))
    if found is None:
        which = f"of {local_date}: digest why tells the reason" if local_date else "yet"
        raise Unknown(f"they have no edition {which}")
    return read_edition(session, found)


def _item(row: EditionItemRow, abstract: str) -> EditionItem:
    card = dict(row.card)
    day = card.pop("published_on")
    return EditionItem(
        position=row.position,
        paper_id=row.paper_id,
        abstract=abstract,
        lane=row.lane,
        score=row.score,
        probability=row.probability,
        propensity=row.propensity,
        published_on=date.fromisoformat(day) if day else None,
        authors=tuple(card.pop("authors")),
        sources=tuple(card.pop("sources")),
        reasons=tuple(Reason(**reason) for reason in row.reasons),
        **card,
    )
