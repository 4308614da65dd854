"""The ground that profiles stand on: the space of recent papers, and texts' places in it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array
from sqlalchemy import Connection, Engine, Select, func, select
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.papers.filed import is_filed
from digest.papers.identity import text_of
from digest.ranking.meanings import LEAST_LIKES, with_meanings
from digest.ranking.space import READERS, Space, fit_space
from digest.ranking.types import Floats, Texts, Told, Votes
from digest.store.tables import Interest, Paper, VectorRow, VoteRow

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

# Papers that span the space, the newest; the cost grows with their third power.
BACKGROUND = 1500
# Papers of the last day are candidates, and no candidate should count against itself; but a space
# of fewer than this many papers is worse than one with the candidates in it.
ENOUGH = 500
# Papers that the part learned from all readers is learned on, the most liked.
LIKED = 2000
# Likes that it is learned from, the newest.
LIKES = 200_000
# Interests that it is learned from what readers mean by such words, of those who like the most; the
# cost grows with their third power.
TOLD = 2000
# Points that a ground keeps for who asks again, 3 kB each: not those of everybody's interests.
REMEMBERED = 20_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text is: its point (D,) in the space, and its vector (d,)."""

    point: Floats
    vector: Floats


@dataclass(frozen=True, slots=True)
class Ground:
    """A space, the words that it knows, and the places of texts that were asked for before.

    `readers` tells by subscriber whose interests the space knows, and as which of their owners.
    """

    space: Space
    words: "TfidfVectorizer | None"
    d: int
    readers: Mapping[int, int] = field(default_factory=dict, repr=False)
    # By whether it is an interest's, and by hash: the same text means another point then.
    _points: dict[tuple[bool, str], Place] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def points(self, vectors: Mapping[str, Floats], texts: Mapping[str, str]) -> dict[str, Floats]:
        """The points (D,) of papers by hash; those without a usable vector are left out."""
        return {hash_: place.point for hash_, place in self.places(vectors, texts).items()}

    def places(self, vectors: Mapping[str, Floats], texts: Mapping[str, str]) -> dict[str, Place]:
        """The places of papers by hash, likewise."""
        return self._at(vectors, texts, typed=False)

    def remembered(self, hashes: Iterable[str]) -> dict[str, Place]:
        """The places of those papers that were asked for before, by hash."""
        kept = {hash_: self._points.get((False, hash_)) for hash_ in hashes}
        return {hash_: place for hash_, place in kept.items() if place is not None}

    def interests(
        self, vectors: Mapping[str, Floats], texts: Mapping[str, str]
    ) -> dict[str, Floats]:
        """The points (D,) of what readers typed, likewise."""
        at = self._at(vectors, texts, typed=True)
        return {hash_: place.point for hash_, place in at.items()}

    def own_interests(
        self,
        vectors: Mapping[str, Floats],
        texts: Mapping[str, str],
        told: Iterable[tuple[int, str]],
    ) -> dict[tuple[int, str], Floats]:
        """The same of those `told`, by subscriber and hash, whose votes the space has learned from.

        A reader's own votes must not come back as what his words mean: they are as for one who has
        not voted.
        """
        mine = [
            (id_, hash_)
            for id_, hash_ in dict.fromkeys(told)
            if id_ in self.readers and hash_ in vectors and _usable(vectors[hash_], self.d)
        ]
        if not mine:
            return {}
        matrix = np.stack([vectors[hash_] for _, hash_ in mine])
        read = Texts(matrix, terms_of(self.words, [texts[hash_] for _, hash_ in mine]))
        readers = np.array([self.readers[id_] for id_, _ in mine], np.int64)
        return dict(zip(mine, self.space.interests(read, readers), strict=True))

    def _at(
        self, vectors: Mapping[str, Floats], texts: Mapping[str, str], *, typed: bool
    ) -> dict[str, Place]:
        usable = {hash_: vector for hash_, vector in vectors.items() if _usable(vector, self.d)}
        kept = {hash_: self._points.get((typed, hash_)) for hash_ in texts}
        found = {hash_: point for hash_, point in kept.items() if point is not None}
        new = [hash_ for hash_ in texts if hash_ in usable and hash_ not in found]
        if new:
            matrix = np.stack([usable[hash_] for hash_ in new])
            read = Texts(matrix, terms_of(self.words, [texts[hash_] for hash_ in new]))
            points = self.space.interests(read) if typed else self.space.points(read)
            made = {
                hash_: Place(point, usable[hash_]) for hash_, point in zip(new, points, strict=True)
            }
            found |= made
            with self._lock:
                if len(self._points) + len(made) > REMEMBERED:
                    self._points.clear()
                self._points.update({(typed, hash_): place for hash_, place in made.items()})
        return {hash_: found[hash_] for hash_ in texts if hash_ in usable}


class _Kept:
    """The last ground that was made: every shard of a day stands on the same."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.key = ""
        self.ground: Ground | None = None


_KEPT = _Kept()
# The readers of each database, as they were counted last: for which hours, how many, and the last.
_COUNTED: WeakKeyDictionary[
    Engine | Connection,
    tuple[tuple[datetime | None, ...], tuple[int, datetime | None]],
] = WeakKeyDictionary()


def ground_of(session: Session, encoder: str, *, now: datetime) -> Ground | None:
    """The ground at `now`; None while no paper has a vector. Deterministic in what is stored."""
    hashes = _background(session, encoder, now)
    if not hashes:
        return None
    n_readers, newest = _readers(session, now)
    # A vote alone changes little; a day's votes are taken in with the day's papers.
    voted = f"{n_readers // 100}:{newest:%F}" if n_readers >= READERS[0] and newest else ""
    key = sha256("\n".join([encoder, voted, *hashes]).encode()).hexdigest()
    with _KEPT.lock:
        if _KEPT.key != key:
            _KEPT.ground = _make(session, encoder, hashes, with_votes=bool(voted), now=now)
            _KEPT.key = key
        return _KEPT.ground


@dataclass(frozen=True, slots=True)
class _Row:
    text_hash: str
    text: str
    vector: Floats


def _background(session: Session, encoder: str, now: datetime) -> list[str]:
    """The hashes of the papers that span the space, newest first."""
    query = (
        select(Paper.text_hash)
        .join(VectorRow, (VectorRow.encoder == encoder) & (VectorRow.text_hash == Paper.text_hash))
        .where(~is_filed())
        .order_by(Paper.ready_at.desc(), Paper.id.desc())
        .limit(BACKGROUND)
    )
    older = session.scalars(query.where(Paper.ready_at <= now - _DAY)).all()
    hashes = older if len(older) >= ENOUGH else session.scalars(query.where(Paper.ready_at <= now))
    return list(dict.fromkeys(hashes))


def _rows(session: Session, encoder: str, hashes: Sequence[str]) -> list[_Row]:
    """The texts of these papers with their vectors, in their order, as far as they are usable."""
    papers = session.execute(
        select(Paper.text_hash, Paper.title, Paper.abstract).where(Paper.text_hash.in_(hashes))
    )
    texts = {paper.text_hash: text_of(paper.title, paper.abstract) for paper in papers}
    vectors = vectors_of(session, encoder, hashes)
    d = _common_length(vectors)
    return [
        _Row(hash_, texts[hash_], vectors[hash_])
        for hash_ in hashes
        if hash_ in vectors and _usable(vectors[hash_], d)
    ]


def _common_length(vectors: Mapping[str, Floats]) -> int:
    """The length that most vectors have: one that went wrong must not count."""
    lengths = [len(vector) for vector in vectors.values()]
    return max(set(lengths), key=lambda n: (lengths.count(n), n)) if lengths else 0


def _usable(vector: Floats, d: int) -> bool:
    return vector.shape == (d,) and bool(np.isfinite(vector).all())


def _readers(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """How many subscribers lately liked something, and when the last one said so.

    Counted once an hour, and when votes come in after an hour without any.
    """
    newest = session.scalar(select(func.max(VoteRow.at)).where(VoteRow.at <= now))
    hours = tuple(at and at.replace(minute=0, second=0, microsecond=0) for at in (now, newest))
    database = session.get_bind()
    kept = _COUNTED.get(database)
    if kept is None or kept[0] != hours:
        likes = _likes(now).subquery()
        query = select(func.count(likes.c.subscriber_id.distinct()), func.max(likes.c.at))
        n, last = session.execute(query).one()
        kept = _COUNTED[database] = hours, (n, last)
    return kept[1]


def _likes(now: datetime) -> Select[int, int, datetime]:
    """The newest likes: what readers like together changes, and their number has to be bounded."""
    return (
        select(VoteRow.subscriber_id, VoteRow.paper_id, VoteRow.at)
        .where(VoteRow.value != "down", VoteRow.at <= now, VoteRow.held_at.is_(None))
        .order_by(VoteRow.at.desc())
        .limit(LIKES)
    )


def _make(
    session: Session, encoder: str, hashes: Sequence[str], *, with_votes: bool, now: datetime
) -> Ground | None:
    rows = _rows(session, encoder, hashes)
    if not rows:
        return None
    words = fit_words([row.text for row in rows])
    d = len(rows[0].vector)
    background = Texts(
        np.stack([row.vector for row in rows]), terms_of(words, [r.text for r in rows])
    )
    found = _votes(session, encoder, words, d, now) if with_votes else None
    if found is None:
        return Ground(fit_space(background), words, d)
    votes, readers = found
    space = fit_space(background, votes)
    told = _told(session, encoder, words, d, votes, readers, now)
    if told is not None:
        space = with_meanings(space, votes, told)
    owners = () if space.meanings is None else np.unique(space.meanings.owners)
    return Ground(space, words, d, {readers[i]: int(i) for i in owners})


def _votes(
    session: Session, encoder: str, words: "TfidfVectorizer | None", d: int, now: datetime
) -> tuple[Votes, list[int]] | None:
    """What readers like together, and whose each row of it is."""
    likes = session.execute(_likes(now)).all()
    times = Counter(like.paper_id for like in likes)
    popular = sorted(times, key=lambda id_: (-times[id_], -id_))[:LIKED]
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
    pairs = sorted(
        (like for like in likes if like.paper_id in column),
        key=lambda like: (like.subscriber_id, like.paper_id),
    )
    readers, rows = np.unique([pair.subscriber_id for pair in pairs], return_inverse=True)
    columns = [column[pair.paper_id] for pair in pairs]
    ones = np.ones(len(pairs), np.float32)
    shape = (int(rows.max(initial=-1)) + 1, len(papers))
    return Votes(texts, csr_array((ones, (rows, columns)), shape=shape)), readers.tolist()


def _told(
    session: Session,
    encoder: str,
    words: "TfidfVectorizer | None",
    d: int,
    votes: Votes,
    readers: Sequence[int],
    now: datetime,
) -> Told | None:
    """The interests of `readers`, whose the rows of `votes` are: those who like the most."""
    counts = np.diff(votes.likes.indptr)
    most = [i for i in np.argsort(-counts, kind="stable")[:TOLD] if counts[i] >= LEAST_LIKES]
    row = {readers[i]: int(i) for i in most}
    place = {id_: n for n, id_ in enumerate(row)}
    query = select(Interest.id, Interest.subscriber_id, Interest.text_hash).where(
        Interest.subscriber_id.in_(list(row)), Interest.created_at <= now, Interest.is_on
    )
    interests = sorted(session.execute(query), key=lambda one: (place[one.subscriber_id], one.id))[
        :TOLD
    ]
    vectors = vectors_of(session, encoder, (one.text_hash for one in interests))
    usable = [
        one for one in interests if one.text_hash in vectors and _usable(vectors[one.text_hash], d)
    ]
    if not usable:
        return None
    ids = [one.id for one in usable]
    texts = dict(
        session.execute(select(Interest.id, Interest.text).where(Interest.id.in_(ids))).all()
    )
    return Told(
        Texts(
            np.stack([vectors[one.text_hash] for one in usable]),
            terms_of(words, [texts[id_] for id_ in ids]),
        ),
        owners=np.array([row[one.subscriber_id] for one in usable], np.int64),
    )


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
