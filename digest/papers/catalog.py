"""Looking papers up: the newest, one by any of its names, those nearest to some words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process, utils
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from digest.errors import Unknown
from digest.papers.embedding import vectors_of
from digest.papers.encoder import Encoder
from digest.papers.filed import APART, is_filed
from digest.papers.identity import arxiv_id, doi, title_key
from digest.papers.momentum import WINDOW, momenta
from digest.papers.news import was_withdrawn
from digest.papers.summaries import summaries_of
from digest.store.tables import ListingRow, Page, Paper, PaperKey

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# What a title's words, found in a paper, add to the nearness of its meaning.
WORDS_WEIGH = 0.5
# Papers that the nearest to another are looked for in, the newest.
NEWEST = 2000
# The newest, for a search holds their vectors and words in memory: 2 kB each.
MOST_SEARCHED = 50_000


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
    published_in: str | None
    version: int | None
    language: str | None
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
    """Papers, newest first; of one `source` if it is given. Raises Unknown where it has no page."""
    query = _views().order_by(Paper.first_seen_at.desc(), Paper.id.desc()).limit(limit)
    if source is not None:
        known = sorted(session.scalars(select(Page.source).distinct()))
        if source not in known:
            there = ", ".join(known) or "none"
            raise Unknown(f"no page of {source!r} was read; there are pages of: {there}")
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
    keys += [APART + key for key in keys]
    query = select(PaperKey.paper_id).where(PaperKey.key.in_(keys))
    found = session.scalar(query.order_by(PaperKey.key.startswith(APART)).limit(1))
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


def summary_of(session: Session, paper_id: int) -> str:
    """What an edition would show of a paper now; empty where it has no abstract."""
    papers = session.scalars(select(Paper).where(Paper.id == paper_id)).all()
    return summaries_of(session, papers).get(paper_id, "")


@dataclass(frozen=True, slots=True, eq=False)
class PaperIndex:
    """What is searched: n papers, newest first, their vectors (n, d) and the words in each (n, v).

    `state` tells whether it is still that of the database.
    """

    state: tuple[Any, ...]
    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    holds: "csr_array"
    words: Mapping[str, int]

    def nearest(
        self, vector: NDArray[np.float32] | None, words: str, *, limit: int
    ) -> list[tuple[float, int]]:
        """Scores and numbers of the papers nearest in meaning, with more of the words in them.

        Without a `vector` (d,) of the words, by the words alone, and only papers that have some.
        """
        wanted = set(utils.default_process(words).split())
        columns = [self.words[word] for word in wanted if word in self.words]
        held = np.asarray(self.holds[:, columns].sum(axis=1)).ravel() / max(1, len(wanted))
        scores = WORDS_WEIGH * held
        if vector is not None and len(vector) == self.vectors.shape[1]:
            scores = scores + self.vectors @ vector
        elif not columns:
            return []
        best = np.argsort(-scores, kind="stable")[:limit]
        if vector is None:
            best = best[scores[best] > 0]
        return list(zip(scores[best].tolist(), self.ids[best].tolist(), strict=True))


def index_papers(session: Session, encoder: str, before: PaperIndex | None = None) -> PaperIndex:
    """The index of the newest `MOST_SEARCHED` papers; `before` if nothing came in since it."""
    state: tuple[Any, ...] = (
        encoder,
        *session.execute(select(func.count(Paper.id), func.max(Paper.id))).one(),
    )
    state += tuple(
        session.execute(select(func.count(Paper.ready_at), func.max(Paper.ready_at))).one()
    )
    if before is not None and before.state == state:
        return before
    from scipy.sparse import csr_array

    papers = session.execute(
        select(Paper.id, Paper.text_hash, Paper.title, Paper.abstract)
        .where(~is_filed(), ~was_withdrawn())
        .order_by(Paper.first_seen_at.desc(), Paper.id.desc())
        .limit(MOST_SEARCHED)
    ).all()
    vectors = vectors_of(session, encoder, (paper.text_hash for paper in papers))
    d = len(next(iter(vectors.values()))) if vectors else 0
    nothing = np.zeros(d, np.float32)
    found = [vectors.get(paper.text_hash, nothing) for paper in papers]
    words: dict[str, int] = {}
    columns: list[int] = []
    starts = [0]
    for paper in papers:
        text = set(utils.default_process(f"{paper.title} {paper.abstract}").split())
        columns += [words.setdefault(word, len(words)) for word in sorted(text)]
        starts.append(len(columns))
    shape = (len(papers), max(1, len(words)))
    holds = csr_array((np.ones(len(columns), np.float32), columns, starts), shape=shape)
    matrix = np.array(
        [v if len(v) == d and np.isfinite(v).all() else nothing for v in found], np.float32
    ).reshape(len(papers), d)
    ids = np.array([paper.id for paper in papers], np.int64)
    return PaperIndex(state, ids, matrix, holds, words)


def search_papers(
    session: Session, encoder: Encoder, words: str, *, limit: int
) -> list[tuple[float, PaperView]]:
    """The papers nearest to `words` in meaning, and with more of the words in them, best first."""
    index = index_papers(session, encoder.identity)
    if not len(index.ids):
        return []
    found = index.nearest(encoder.encode([words])[0], words, limit=limit)
    views = read_papers(session, [id_ for _, id_ in found])
    return list(zip((score for score, _ in found), views, strict=True))


def trending_papers(session: Session, now: datetime, *, limit: int) -> list[PaperView]:
    """The papers of the last days' pages by their momentum, the highest first."""
    listed = (
        select(ListingRow.paper_id)
        .join(Paper, Paper.id == ListingRow.paper_id)
        .where(ListingRow.seen_at > now - WINDOW, ListingRow.seen_at <= now, ~was_withdrawn())
    )
    ids = sorted(session.scalars(listed.distinct()), reverse=True)
    scores = {id_: one.score for id_, one in momenta(session, ids, now).items()}
    best = sorted((id_ for id_ in ids if scores[id_]), key=lambda id_: -scores[id_])
    return read_papers(session, best[:limit])


def nearest_papers(
    session: Session, paper_id: int, encoder: str, *, limit: int
) -> list[tuple[float, PaperView]]:
    """The papers nearest in meaning to one of them among the newest, best first, with the cosine.

    Empty where it has no vector of `encoder`.
    """
    paper = session.get(Paper, paper_id)
    newest = session.execute(
        select(Paper.id, Paper.text_hash)
        .where(Paper.ready_at.is_not(None), Paper.id != paper_id, ~is_filed(), ~was_withdrawn())
        .order_by(Paper.ready_at.desc(), Paper.id.desc())
        .limit(NEWEST)
    ).all()
    hashes = [row.text_hash for row in newest]
    vectors = vectors_of(session, encoder, [*hashes, paper.text_hash] if paper else [])
    own = vectors.get(paper.text_hash) if paper else None
    others = [row for row in newest if row.text_hash in vectors]
    if own is None or not others:
        return []
    near = np.stack([vectors[row.text_hash] for row in others]) @ own
    best = np.argsort(-near, kind="stable")[:limit]
    views = read_papers(session, [others[i].id for i in best])
    return list(zip(near[best].tolist(), views, strict=True))


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
        published_in=paper.published_in,
        version=paper.version,
        language=paper.language,
        first_seen_at=paper.first_seen_at,
        embedded=paper.ready_at is not None,
        listings=row.listings or 0,
        upvotes=row.upvotes,
    )
