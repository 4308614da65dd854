"""The ground that profiles stand on: the space of recent papers, and texts' places in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.papers.identity import text_of
from digest.ranking.space import READERS, Space, fit_space
from digest.ranking.types import Floats, Texts, Votes
from digest.store.tables import Paper, VoteRow

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

# Papers that span the space, the newest; the cost grows with their third power.
BACKGROUND = 1500
# Papers of the last day are candidates, and no candidate should count against itself; but a space
# of fewer than this many papers is worse than one with the candidates in it.
ENOUGH = 500
# Papers that the part learned from all readers is learned on, the most liked.
LIKED = 2000
# Points that a ground keeps for who asks again, 3 kB each: not those of everybody's interests.
REMEMBERED = 20_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ground:
    """A space, the words that it knows, and the points of texts that were asked for before."""

    space: Space
    words: "TfidfVectorizer | None"
    d: int
    # By whether it is an interest's, and by hash: the same text means another point then.
    _points: dict[tuple[bool, str], Floats] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def points(self, vectors: Mapping[str, Floats], texts: Mapping[str, str]) -> dict[str, Floats]:
        """The points (D,) of papers by hash; those without a usable vector are left out."""
        return self._at(vectors, texts, typed=False)

    def interests(
        self, vectors: Mapping[str, Floats], texts: Mapping[str, str]
    ) -> dict[str, Floats]:
        """The points (D,) of what readers typed, likewise."""
        return self._at(vectors, texts, typed=True)

    def _at(
        self, vectors: Mapping[str, Floats], texts: Mapping[str, str], *, typed: bool
    ) -> dict[str, Floats]:
        usable = {hash_: vector for hash_, vector in vectors.items() if _usable(vector, self.d)}
        kept = {hash_: self._points.get((typed, hash_)) for hash_ in texts}
        found = {hash_: point for hash_, point in kept.items() if point is not None}
        new = [hash_ for hash_ in texts if hash_ in usable and hash_ not in found]
        if new:
            matrix = np.stack([usable[hash_] for hash_ in new])
            read = Texts(matrix, terms_of(self.words, [texts[hash_] for hash_ in new]))
            points = self.space.interests(read) if typed else self.space.points(read)
            made = dict(zip(new, points, strict=True))
            found |= made
            with self._lock:
                if len(self._points) + len(made) > REMEMBERED:
                    self._points.clear()
                self._points.update({(typed, hash_): point for hash_, point in made.items()})
        return {hash_: found[hash_] for hash_ in texts if hash_ in usable}


class _Kept:
    """The last ground that was made: every shard of a day stands on the same."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.key = ""
        self.ground: Ground | None = None


_KEPT = _Kept()


def ground_of(session: Session, encoder: str, *, now: datetime) -> Ground | None:
    """The ground at `now`; None while no paper has a vector. Deterministic in what is stored."""
    rows = _background(session, encoder, now)
    if not rows:
        return None
    n_readers, newest_vote = _readers(session, now)
    # A vote alone changes little; a day's votes are taken in with the day's papers.
    voted = (
        f"{n_readers // 100}:{newest_vote:%F}" if n_readers >= READERS[0] and newest_vote else ""
    )
    key = sha256("\n".join([encoder, voted, *(row.text_hash for row in rows)]).encode()).hexdigest()
    with _KEPT.lock:
        if _KEPT.key != key:
            _KEPT.ground = _make(session, encoder, rows, with_votes=bool(voted), now=now)
            _KEPT.key = key
        return _KEPT.ground


@dataclass(frozen=True, slots=True)
class _Row:
    text_hash: str
    text: str
    vector: Floats


def _background(session: Session, encoder: str, now: datetime) -> list[_Row]:
    query = (
        select(Paper.text_hash, Paper.title, Paper.abstract, Paper.ready_at)
        .where(Paper.ready_at <= now)
        .order_by(Paper.ready_at.desc(), Paper.id.desc())
    )
    older = session.execute(query.where(Paper.ready_at <= now - _DAY).limit(BACKGROUND)).all()
    papers = older if len(older) >= ENOUGH else session.execute(query.limit(BACKGROUND)).all()
    vectors = vectors_of(session, encoder, (paper.text_hash for paper in papers))
    d = _common_length(vectors)
    return [
        _Row(paper.text_hash, text_of(paper.title, paper.abstract), vectors[paper.text_hash])
        for paper in papers
        if paper.text_hash in vectors and _usable(vectors[paper.text_hash], d)
    ]


def _common_length(vectors: Mapping[str, Floats]) -> int:
    """The length that most vectors have: one that went wrong must not count."""
    lengths = [len(vector) for vector in vectors.values()]
    return max(set(lengths), key=lambda n: (lengths.count(n), n)) if lengths else 0


def _usable(vector: Floats, d: int) -> bool:
    return vector.shape == (d,) and bool(np.isfinite(vector).all())


def _readers(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """How many subscribers like something, and when the last one said so."""
    query = select(func.count(VoteRow.subscriber_id.distinct()), func.max(VoteRow.at)).where(
        VoteRow.value != "down", VoteRow.at <= now
    )
    n, newest = session.execute(query).one()
    return n, newest


def _make(
    session: Session, encoder: str, rows: Sequence[_Row], *, with_votes: bool, now: datetime
) -> Ground:
    words = fit_words([row.text for row in rows])
    d = len(rows[0].vector)
    background = Texts(
        np.stack([row.vector for row in rows]), terms_of(words, [r.text for r in rows])
    )
    votes = _votes(session, encoder, words, d, now) if with_votes else None
    return Ground(fit_space(background, votes), words, d)


def _votes(
    session: Session, encoder: str, words: "TfidfVectorizer | None", d: int, now: datetime
) -> Votes | None:
    likes = (VoteRow.value != "down", VoteRow.at <= now)
    popular = (
        select(VoteRow.paper_id)
        .where(*likes)
        .group_by(VoteRow.paper_id)
        .order_by(func.count().desc(), VoteRow.paper_id.desc())
        .limit(LIKED)
    )
    papers = session.execute(
        select(Paper.id, Paper.text_hash, Paper.title, Paper.abstract)
        .where(Paper.id.in_(popular))
        .order_by(Paper.id)
    ).all()
    vectors = vectors_of(session, encoder, (paper.text_hash for paper in papers))
    papers = [
        paper
        for paper in papers
        if paper.text_hash in vectors and _usable(vectors[paper.text_hash], d)
    ]
    if not papers:
        return None
    texts = Texts(
        np.stack([vectors[paper.text_hash] for paper in papers]),
        terms_of(words, [text_of(paper.title, paper.abstract) for paper in papers]),
    )
    column = {paper.id: i for i, paper in enumerate(papers)}
    pairs = session.execute(
        select(VoteRow.subscriber_id, VoteRow.paper_id)
        .where(*likes, VoteRow.paper_id.in_(popular))
        .order_by(VoteRow.subscriber_id, VoteRow.paper_id)
    ).all()
    pairs = [pair for pair in pairs if pair.paper_id in column]
    _, rows = np.unique([pair.subscriber_id for pair in pairs], return_inverse=True)
    columns = [column[pair.paper_id] for pair in pairs]
    ones = np.ones(len(pairs), np.float32)
    shape = (int(rows.max(initial=-1)) + 1, len(papers))
    return Votes(texts, csr_array((ones, (rows, columns)), shape=shape))


def fit_words(texts: Sequence[str]) -> "TfidfVectorizer | None":
    """The words that tell these texts apart; None where there are none."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    few = len(texts) < 50
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=1 if few else 2,
        max_df=1.0 if few else 0.3,
        sublinear_tf=True,
        stop_words="english",
        dtype=np.float32,
    )
    try:
        vectorizer.fit(texts)
    except ValueError:  # nothing but stop words
        return None
    return vectorizer


def terms_of(words: "TfidfVectorizer | None", texts: Sequence[str]) -> csr_array:
    """TF-IDF rows of texts at unit length, float32 (n, v); a text of unknown words is zero."""
    if words is None:
        return csr_array((len(texts), 1), dtype=np.float32)
    return csr_array(words.transform(texts))
