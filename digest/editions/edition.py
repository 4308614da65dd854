"""What an edition is once it is frozen, and the words for its reasons."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, cast, exists, select
from sqlalchemy.orm import Session

from digest.errors import Unknown
from digest.languages import ENGLISH, Language, Message, msgid
from digest.ranking.types import Lane
from digest.store.tables import EditionItemRow, EditionRow, Paper, PaperNewsKind


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a paper is in an edition: one term of its score, and how much of it that term carried.

    `kind` is one of `interest` (name), `liked`, `saved` and `disliked` (title of that paper),
    `trending` (upvotes and their growth since yesterday, its best place on a page of how many, on
    how many pages; None where no page tells), `resurfaced` (the same, for an old paper) and
    `exploration`. `share` is the part of the score, 0 to 1; `is_close` is False where the paper is
    only somewhat like what was told.
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
    is_close: bool = True


@dataclass(frozen=True, slots=True)
class EditionItem:
    """One ranked paper of an edition, with all that a mail or a page shows of it.

    `team` is the ranker that chose it, where two shared the list; nobody is shown that.
    """

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
    team: str | None = None


@dataclass(frozen=True, slots=True)
class PaperNote:
    """What became of a paper that a subscriber liked; `detail` says which version, or where."""

    paper_id: int
    title: str
    kind: PaperNewsKind
    detail: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a reader's votes since their last edition have changed in their profile.

    `more` and `less` are the topics that gained and lost by them, in words of the papers that they
    voted on; `yesterday` is whether all of the votes are of the day before.
    """

    n_votes: int
    yesterday: bool
    more: tuple[str, ...]
    less: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """One subscriber's digest for one of their local dates, frozen as it was built.

    `note` is a word on the day, for `Language.said`; `language` is the reader's of that day, None
    for the operator's.
    """

    edition_id: int
    subscriber_id: int
    local_date: date
    built_at: datetime
    n_candidates: int
    note: str
    items: tuple[EditionItem, ...]
    paper_notes: tuple[PaperNote, ...] = ()
    is_first: bool = False
    language: str | None = None
    receipt: Receipt | None = None


# A part of a score below this is not spoken of.
_WORTH_TELLING = 0.05
_BY_LANE: Mapping[Lane, str] = {
    "personal": msgid("By your profile it scores %(score)s; what you like is near 1."),
    "trending": msgid("It is here for its momentum, %(score)s, whatever your interests."),
}

# What has a column of its own, or is read from the paper, is not frozen with the rest.
_ELSEWHERE = {
    "position", "paper_id", "abstract", "lane", "score", "probability", "propensity", "reasons",
    "team",
}  # fmt: skip
_SHOWN = tuple(field.name for field in fields(EditionItem) if field.name not in _ELSEWHERE)


def in_words(reason: Reason, spoken: Language = ENGLISH) -> str:
    """Say a reason in a sentence for the reader; plain text, not escaped."""
    match reason.kind:
        case "interest" if not reason.is_close:
            return spoken.gettext("At the edge of your interest “%(name)s”", name=reason.name)
        case "liked" | "saved" if not reason.is_close:
            return spoken.gettext("Somewhat like “%(title)s”", title=reason.title)
        case "interest":
            return spoken.gettext("Matches your interest “%(name)s”", name=reason.name)
        case "liked":
            return spoken.gettext("Close to “%(title)s”, which you liked", title=reason.title)
        case "saved":
            return spoken.gettext("Close to “%(title)s”, which you saved", title=reason.title)
        case "trending":
            if known := list(standing(reason, spoken)):
                return ", ".join([spoken.gettext("Trending"), *known])
            if reason.place:
                return spoken.gettext("Trending on today's page")
            return spoken.gettext("New, and nobody has said yet what to think of it")
        case "resurfaced":
            older = spoken.gettext("An older paper, newly trending")
            return ", ".join([older, *standing(reason, spoken)])
        case "exploration":
            return spoken.gettext("New territory; tell us whether you want more like it")
        case "disliked":
            return spoken.gettext("Unlike “%(title)s”, which you did not want", title=reason.title)
        case _:
            raise AssertionError(f"no reason is {reason.kind!r}")


def note_in_words(note: PaperNote, spoken: Language = ENGLISH) -> str:
    """Say a note in a sentence for the reader; plain text, not escaped."""
    match note.kind:
        case "withdrawn":
            return spoken.gettext("Withdrawn: %(detail)s", detail=note.detail)
        case "published":
            return spoken.gettext("Published: %(detail)s", detail=note.detail)
        case "code":
            return spoken.gettext("Code is available")
        case "version":
            return spoken.gettext("There is a new version: %(detail)s", detail=note.detail)


def terms_in_words(item: EditionItem, spoken: Language = ENGLISH) -> tuple[str, ...]:
    """Say all that is known of why a paper is in an edition: its score's terms, its chances."""
    terms = [
        spoken.gettext(
            "%(share)s of its score: %(reason)s.",
            share=spoken.percent(reason.share),
            reason=in_words(reason, spoken),
        )
        for reason in item.reasons
    ]
    rest = 1 - sum(reason.share for reason in item.reasons)
    if item.reasons and rest >= _WORTH_TELLING:
        other = spoken.gettext(
            "The rest, %(share)s, comes from other things that you told us.",
            share=spoken.percent(rest),
        )
        terms.append(other)
    if item.lane in _BY_LANE:
        terms.append(spoken.gettext(_BY_LANE[item.lane], score=spoken.decimal(item.score)))
    if item.probability is not None:
        liked = spoken.gettext(
            "Of papers with such a score, readers liked %(share)s in the last months.",
            share=spoken.percent(item.probability),
        )
        terms.append(liked)
    if item.propensity < 1:
        lot = spoken.gettext(
            "One place is drawn by lot among papers near the edge of what we know of you; "
            "the chance of this one was %(share)s.",
            share=spoken.percent(item.propensity),
        )
        terms.append(lot)
    return tuple(terms)


def standing(reason: Reason, spoken: Language = ENGLISH) -> Iterator[str]:
    """What is worth saying of a paper's standing: a good place, upvotes, many pages."""
    if reason.place and reason.of > 1 and reason.place <= max(10, reason.of // 4):
        yield spoken.gettext(
            "%(place)s of %(of)s on its page",
            place=spoken.ordinal(reason.place),
            of=spoken.number(reason.of),
        )
    if n := reason.upvotes:
        upvotes = spoken.ngettext("%(n)s upvote", "%(n)s upvotes", n)
        if reason.growth:
            more = spoken.gettext("%(growth)s since yesterday", growth=f"{reason.growth:+}")
            upvotes = f"{upvotes} ({more})"
        yield upvotes
    if reason.pages > 1:
        yield spoken.ngettext("on %(n)s page", "on %(n)s pages", reason.pages)


def freeze(item: EditionItem) -> dict[str, Any]:
    """What a page or mail shows of an item, as JSON; the abstract stays with the paper."""
    shown = {name: getattr(item, name) for name in _SHOWN}
    shown["published_on"] = item.published_on.isoformat() if item.published_on else None
    return shown


def as_plain(flat: Any) -> dict[str, Any]:
    """A dataclass of plain values as a mapping; `asdict` copies, which takes ten times as long."""
    return {name: getattr(flat, name) for name in flat.__dataclass_fields__}


def read_edition(session: Session, edition_id: int) -> Edition:
    """An edition as it was frozen, with the abstracts as they are now. Raises Unknown."""
    edition = read_editions(session, [edition_id]).get(edition_id)
    if edition is None:
        raise Unknown(msgid("there is no edition %(n)s", n=edition_id))
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
    rows: Any = session.execute(
        select(
            EditionItemRow.edition_id,
            EditionItemRow.position,
            EditionItemRow.paper_id,
            EditionItemRow.lane,
            EditionItemRow.score,
            EditionItemRow.probability,
            EditionItemRow.propensity,
            cast(EditionItemRow.reasons, Text),
            cast(EditionItemRow.card, Text),
            EditionItemRow.team,
        )
        .where(EditionItemRow.edition_id.in_(edition_ids))
        .order_by(EditionItemRow.edition_id, EditionItemRow.position)
    )
    items: dict[int, list[EditionItem]] = {}
    for row in rows:
        item: tuple[Any, ...] = row[1:]
        items.setdefault(row.edition_id, []).append(_item(*item))
    editions = session.execute(
        select(
            EditionRow.id,
            EditionRow.subscriber_id,
            EditionRow.local_date,
            EditionRow.built_at,
            EditionRow.n_candidates,
            EditionRow.note,
            EditionRow.note_said,
            EditionRow.notes,
            EditionRow.is_first,
            EditionRow.language,
            EditionRow.receipt,
        ).where(EditionRow.id.in_(edition_ids))
    )
    return {
        row.id: Edition(
            row.id,
            row.subscriber_id,
            row.local_date,
            row.built_at,
            row.n_candidates,
            Message.thawed(row.note_said) if row.note_said else row.note,
            tuple(items.get(row.id, ())),
            tuple(PaperNote(**note) for note in row.notes or ()),
            bool(row.is_first),
            row.language,
            _receipt(row.receipt) if row.receipt else None,
        )
        for row in editions
    }


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


def _receipt(kept: dict[str, Any]) -> Receipt:
    return Receipt(kept["n_votes"], kept["yesterday"], tuple(kept["more"]), tuple(kept["less"]))


def recent_editions(session: Session, subscriber_id: int, *, limit: int) -> list[Edition]:
    """A subscriber's last editions that have papers, newest first, without abstracts."""
    has_papers = exists().where(EditionItemRow.edition_id == EditionRow.id)
    ids = session.scalars(
        select(EditionRow.id)
        .where(EditionRow.subscriber_id == subscriber_id, has_papers)
        .order_by(EditionRow.local_date.desc())
        .limit(limit)
    ).all()
    found = read_editions(session, ids)
    return [found[id_] for id_ in ids]


def _item(
    position: int,
    paper_id: int,
    lane: Lane,
    score: float,
    probability: float | None,
    propensity: float,
    reasons: str,
    card: str,
    team: str | None,
) -> EditionItem:
    return EditionItem(
        position=position,
        paper_id=paper_id,
        abstract="",
        lane=lane,
        score=score,
        probability=probability,
        propensity=propensity,
        reasons=_reasons(reasons),
        team=team,
        **_card(card),
    )


# A day's papers, and most of what is said for them, are the same for many readers.
@lru_cache(4096)
def _card(text: str) -> Mapping[str, Any]:
    """What `freeze` made, read back; shared, so not to be changed."""
    shown = json.loads(text)
    day = shown["published_on"]
    return {
        **shown,
        "published_on": date.fromisoformat(day) if day else None,
        "authors": tuple(shown["authors"]),
        "sources": tuple(shown["sources"]),
    }


@lru_cache(4096)
def _reasons(text: str) -> tuple[Reason, ...]:
    return tuple(Reason(**reason) for reason in json.loads(text))
