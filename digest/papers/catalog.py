"""Looking papers up: the newest, one by any of its names, those nearest to some words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from rapidfuzz import fuzz, process, utils
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from digest.errors import Unknown
from digest.papers.embedding import vectors_of
from digest.papers.encoder import Encoder
from digest.papers.identity import arxiv_id, doi, title_key
from digest.store.tables import ListingRow, Paper, PaperKey

# What a title's words, found in a paper, add to the nearness of its meaning.
WORDS_WEIGH = 0.5


@dataclass(frozen=True, slots=True)
class PaperView:
    """A paper as it is stored, and how often it has been listed."""

    id: int
    title: str
    abstract: str
    authors: tuple[str, ...]
    arxiv_id: str | None
    doi: str | None
    url: str | None
    code_url: str | None
    published_on: date | None
    first_seen_at: datetime
    embedded: bool
    listings: int
    upvotes: int | None


@dataclass(frozen=True, slots=True)
class ListingView:
    """One appearance of a paper."""

    source: str
    page_date: date | None
    seen_at: datetime
    position: int
    upvotes: int | None


def list_papers(
    session: Session, *, source: str | None = None, limit: int | None = None
) -> list[PaperView]:
    """Papers, newest first; of one `source` if it is given."""
    query = _views().order_by(Paper.first_seen_at.desc(), Paper.id.desc()).limit(limit)
    if source is not None:
        listed = select(ListingRow.paper_id).where(ListingRow.source == source)
        query = query.where(Paper.id.in_(listed))
    return [_view(row) for row in session.execute(query)]


def read_papers(session: Session, ids: Sequence[int]) -> list[PaperView]:
    """The papers of these ids, in their order; those that are gone are left out."""
    found = {row.Paper.id: _view(row) for row in session.execute(_views(Paper.id.in_(ids)))}
    return [found[id_] for id_ in ids if id_ in found]


def find_paper(session: Session, name: str) -> PaperView:
    """A paper by its number, arXiv id, DOI or title, or links of these.

    Raises Unknown, naming the paper with the nearest title.
    """
    keys = [f"title:{title_key(name)}"]
    keys += [f"arxiv:{id_}"] if (id_ := arxiv_id(name)) else []
    keys += [f"doi:{doi_}"] if (doi_ := doi(name)) else []
    found = session.scalar(select(PaperKey.paper_id).where(PaperKey.key.in_(keys)).limit(1))
    if found is None and name.isdecimal() and len(name) < 16:
        found = int(name)
    if found is not None and (views := read_papers(session, [found])):
        return views[0]
    titles = session.scalars(select(Paper.title)).all()
    near = process.extractOne(
        name, titles, scorer=fuzz.WRatio, processor=utils.default_process, score_cutoff=60
    )
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise Unknown(f"no paper is known as {name!r} (a number, arXiv id, DOI or title){hint}")


def listings_of(session: Session, paper_id: int) -> list[ListingView]:
    """Every appearance of a paper, oldest first."""
    query = (
        select(ListingRow)
        .where(ListingRow.paper_id == paper_id)
        .order_by(ListingRow.seen_at, ListingRow.id)
    )
    return [
        ListingView(row.source, row.page_date, row.seen_at, row.position, row.upvotes)
        for row in session.scalars(query)
    ]


def search_papers(
    session: Session, encoder: Encoder, words: str, *, limit: int
) -> list[tuple[float, PaperView]]:
    """The papers nearest to `words` in meaning, and with more of the words in them, best first."""
    papers = session.execute(select(Paper.id, Paper.text_hash, Paper.title, Paper.abstract)).all()
    if not papers:
        return []
    vectors = vectors_of(session, encoder.identity, (paper.text_hash for paper in papers))
    query = encoder.encode([words])[0]
    nothing = np.zeros_like(query)
    near = np.stack([vectors.get(paper.text_hash, nothing) for paper in papers]) @ query
    wanted = set(utils.default_process(words).split())
    held = [
        len(wanted & set(utils.default_process(f"{paper.title} {paper.abstract}").split()))
        for paper in papers
    ]
    scores = near + WORDS_WEIGH * np.array(held) / max(1, len(wanted))
    best = np.argsort(-scores, kind="stable")[:limit]
    views = read_papers(session, [papers[i].id for i in best])
    return list(zip(scores[best].tolist(), views, strict=True))


def _views(*where: Any) -> Select[Any]:
    counted = (
        select(
            ListingRow.paper_id,
            func.count().label("listings"),
            func.max(ListingRow.upvotes).label("upvotes"),
        )
        .group_by(ListingRow.paper_id)
        .subquery()
    )
    return (
        select(Paper, counted.c.listings, counted.c.upvotes)
        .outerjoin(counted, counted.c.paper_id == Paper.id)
        .where(*where)
    )


def _view(row: Any) -> PaperView:
    paper: Paper = row.Paper
    return PaperView(
        id=paper.id,
        title=paper.title,
        abstract=paper.abstract,
        authors=tuple(paper.authors),
        arxiv_id=paper.arxiv_id,
        doi=paper.doi,
        url=paper.url,
        code_url=paper.code_url,
        published_on=paper.published_on,
        first_seen_at=paper.first_seen_at,
        embedded=paper.ready_at is not None,
        listings=row.listings or 0,
        upvotes=row.upvotes,
    )
