"""Ranked papers to what an edition shows of them: the words of their reasons included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.editions.edition import EditionItem, Reason
from digest.editions.news import News
from digest.papers.momentum import Momentum
from digest.papers.summaries import summaries_of
from digest.ranking.types import RankedPaper, Ranking, Share
from digest.store.tables import Interest, ListingRow, Paper

WORDS = {"up": "liked", "saved": "saved", "down": "disliked"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What items show and ranking does not know, for a whole shard.

    `papers`, `summaries` and `sources` by paper id, `names` of interests and papers by
    (is an interest, id).
    """

    papers: Mapping[int, Paper]
    summaries: Mapping[int, str]
    sources: Mapping[int, Sequence[str]]
    names: Mapping[tuple[bool, int], str]


def facts_of(session: Session, rankings: Sequence[Ranking]) -> Facts:
    """What a shard's rankings need to be shown, in a few queries."""
    chosen = [ranked for ranking in rankings for ranked in ranking.chosen]
    shares = [share for ranked in chosen for share in ranked.shares]
    ids = {ranked.paper_id for ranked in chosen}
    voted = {share.ref for share in shares if share.kind in WORDS}
    papers = {row.id: row for row in session.scalars(select(Paper).where(Paper.id.in_(ids)))}
    sources: dict[int, list[str]] = {}
    for paper_id, source in session.execute(
        select(ListingRow.paper_id, ListingRow.source)
        .where(ListingRow.paper_id.in_(ids))
        .distinct()
        .order_by(ListingRow.source)
    ):
        sources.setdefault(paper_id, []).append(source)
    interests = {share.ref for share in shares if share.kind == "interest"}
    named = select(Interest.id, Interest.name).where(Interest.id.in_(interests))
    titled = select(Paper.id, Paper.title).where(Paper.id.in_(voted))
    names = {(True, id_): name for id_, name in session.execute(named)}
    names |= {(False, id_): title for id_, title in session.execute(titled)}
    return Facts(papers, summaries_of(session, papers.values()), sources, names)


def item_of(ranked: RankedPaper, position: int, facts: Facts, new: News) -> EditionItem:
    """A ranked paper as it is shown at `position`."""
    paper = facts.papers[ranked.paper_id]
    momentum = new.momenta[paper.id]
    return EditionItem(
        position=position,
        paper_id=paper.id,
        title=paper.title,
        abstract=paper.abstract,
        summary=facts.summaries[paper.id],
        authors=tuple(paper.authors),
        published_on=paper.published_on,
        arxiv_id=paper.arxiv_id,
        doi=paper.doi,
        url=paper.url,
        code_url=paper.code_url,
        sources=tuple(facts.sources.get(paper.id, ())),
        upvotes=momentum.upvotes,
        lane=ranked.lane,
        score=ranked.score,
        probability=ranked.probability,
        propensity=ranked.propensity,
        reasons=tuple(
            reason for share in ranked.shares if (reason := _reason(share, facts.names, momentum))
        ),
        team=ranked.team,
    )


def _reason(
    share: Share, names: Mapping[tuple[bool, int], str], momentum: Momentum
) -> Reason | None:
    """What a share says to its reader; None where they took the interest back a moment ago."""
    if share.kind == "exploration":
        return Reason("exploration", share.part)
    if share.kind == "trending":
        kind = "resurfaced" if momentum.resurfaced else "trending"
        return Reason(
            kind,
            share.part,
            upvotes=momentum.upvotes,
            pages=momentum.pages,
            place=momentum.place,
            of=momentum.of,
            growth=momentum.growth,
        )
    name = names.get((share.kind == "interest", share.ref))
    if name is None:
        return None
    if share.kind == "interest":
        return Reason("interest", share.part, name=name, is_close=share.is_close)
    return Reason(WORDS[share.kind], share.part, title=name, is_close=share.is_close)
