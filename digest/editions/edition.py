"""What an edition is once it is frozen, and the words for its reasons."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
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
    """An edition as it was frozen, with the abstracts as they are now. Raises Unknown."""
    edition = read_editions(session, [edition_id]).get(edition_id)
    if edition is None:
        raise Unknown(f"there is no edition {edition_id}")
    query = select(Paper.id, Paper.abstract).where(
        Paper.id.in_([item.paper_id for item in edition.items])
    )
    abstracts = dict(session.execute(query).all())
    items = (replace(item, abstract=abstracts[item.paper_id]) for item in edition.items)
    return replace(edition, items=tuple(items))


def read_editions(session: Session, edition_ids: Collection[int]) -> dict[int, Edition]:
    """Editions by id, as they were frozen, in two queries; one that is not there is left out.

    Abstracts, which no mail shows, are not read: they are empty.
    """
    rows = session.execute(
        select(
            EditionItemRow.edition_id,
            EditionItemRow.position,
            EditionItemRow.paper_id,
            EditionItemRow.lane,
            EditionItemRow.score,
            EditionItemRow.probability,
            EditionItemRow.propensity,
            EditionItemRow.reasons,
            EditionItemRow.card,
        )
        .where(EditionItemRow.edition_id.in_(edition_ids))
        .order_by(EditionItemRow.edition_id, EditionItemRow.position)
    )
    items: dict[int, list[EditionItem]] = {}
    for edition_id, *item in rows:
        items.setdefault(edition_id, []).append(_item(*item))
    editions = session.execute(
        select(
            EditionRow.id,
            EditionRow.subscriber_id,
            EditionRow.local_date,
            EditionRow.built_at,
            EditionRow.n_candidates,
            EditionRow.note,
        ).where(EditionRow.id.in_(edition_ids))
    )
    return {row.id: Edition(*row, tuple(items.get(row.id, ()))) for row in editions}


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


def _item(
    position: int,
    paper_id: int,
    lane: Lane,
    score: float,
    probability: float | None,
    propensity: float,
    reasons: list[dict[str, Any]],
    card: dict[str, Any],
) -> EditionItem:
    shown = dict(card)
    day = shown.pop("published_on")
    return EditionItem(
        position=position,
        paper_id=paper_id,
        abstract="",
        lane=lane,
        score=score,
        probability=probability,
        propensity=propensity,
        published_on=date.fromisoformat(day) if day else None,
        authors=tuple(shown.pop("authors")),
        sources=tuple(shown.pop("sources")),
        reasons=tuple(Reason(**reason) for reason in reasons),
        **shown,
    )
