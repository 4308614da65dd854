"""What a profile has learned, for a person to read: its signals, its words, its nearest papers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from digest.papers.catalog import PaperView, nearest_papers
from digest.papers.embedding import vectors_of
from digest.papers.filed import is_filed
from digest.papers.identity import text_of
from digest.papers.news import was_withdrawn
from digest.profiles.ground import ground_of
from digest.profiles.interests import InterestView, interests_of
from digest.profiles.mutes import hidden_from
from digest.profiles.signals import signals_of
from digest.ranking.profile import fit_profiles
from digest.ranking.profile import scores as profile_scores
from digest.ranking.rank import LEAST_SCORE
from digest.ranking.types import KINDS
from digest.store.rankers import in_force
from digest.store.tables import EditionItemRow, Paper, VoteRow, VoteValue

# Papers that the nearest ones and the words are looked for in, the newest first.
RECENT = 2000
# Papers whose words stand for the profile.
READ = 20
# Votes that are the last ones, and the new papers that they are tried on.
LAST = 6
_NEW, _TOP, _A_WEEK = 500, 20, timedelta(days=7)
# Papers near another that are looked at for each that is shown.
_LOOKED_AT = 10
# A pair of words takes the place of one of them from this part of its score on.
PAIR = 0.7
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class VoteView:
    """A vote and the paper it was on; nothing is learned from one that is held."""

    paper_id: int
    title: str
    value: VoteValue
    at: datetime
    held: bool = False


@dataclass(frozen=True, slots=True)
class NearPaper:
    """A paper and its score by the profile; what a reader likes is near 1."""

    paper_id: int
    title: str
    score: float


@dataclass(frozen=True, slots=True)
class Learned:
    """A profile in words; `words` and `nearest` are empty while there is nothing to go by."""

    interests: tuple[InterestView, ...]
    votes: tuple[VoteView, ...]
    words: tuple[str, ...]
    nearest: tuple[NearPaper, ...]


@dataclass(frozen=True, slots=True)
class MovedPaper:
    """A paper and its place among the new ones, 1 the best, without some votes and with them.

    `before` is None where without them nothing was known.
    """

    paper_id: int
    title: str
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What the newest `n_votes` votes moved up among `n_papers` papers, the largest step first."""

    n_votes: int
    n_papers: int
    up: tuple[MovedPaper, ...]


def votes_of(session: Session, subscriber_id: int) -> list[VoteView]:
    """A subscriber's votes, newest first."""
    query = (
        select(
            VoteRow.paper_id,
            Paper.title,
            VoteRow.value,
            VoteRow.at,
            VoteRow.held_at.is_not(None),
        )
        .join(Paper, Paper.id == VoteRow.paper_id)
        .where(VoteRow.subscriber_id == subscriber_id)
        .order_by(VoteRow.at.desc(), VoteRow.paper_id)
    )
    return [VoteView(*row) for row in session.execute(query)]


def moved_by_votes(
    session: Session, subscriber_id: int, encoder: str, *, now: datetime, n: int = 3
) -> Moved:
    """What a subscriber's newest votes, at most `LAST`, changed among the papers of the last week.

    Two profiles are fitted, with these votes and without them, and score the same papers: those
    that the subscriber has neither been shown nor voted on. Votes that are held do not count.
    """
    ground = ground_of(session, encoder, now=now)
    if ground is None:
        return Moved(0, 0, ())
    signals = signals_of(session, [subscriber_id], encoder, ground, now=now)
    n_votes = min(LAST, int(np.count_nonzero(signals.kinds != KINDS.index("interest"))))
    papers = _unseen(session, subscriber_id, now) if n_votes else []
    known = {paper.text_hash: text_of(paper.title, paper.abstract) for paper in papers}
    points = ground.points(vectors_of(session, encoder, known), known)
    papers = [paper for paper in papers if paper.text_hash in points]
    if not papers:
        return Moved(n_votes, 0, ())
    # Signals go by age: the last ones are the newest votes.
    m = len(signals.kinds)
    chosen = np.concatenate([np.arange(m), np.arange(m - n_votes)])
    both = replace(
        signals,
        starts=np.array([0, m, len(chosen)], np.int64),
        kinds=signals.kinds[chosen],
        refs=signals.refs[chosen],
        ages=signals.ages[chosen],
        rows=signals.rows[chosen],
    )
    matrix = np.stack([points[paper.text_hash] for paper in papers])
    profiles = fit_profiles(both, ground.space, in_force(session).live)
    liking = profile_scores(profiles, matrix)
    after, before = (_places(row) for row in liking)
    nothing_before = m == n_votes
    best = np.argsort(after) if profiles.known[0] else ()
    top = [int(i) for i in best if after[i] <= _TOP and liking[0, i] >= LEAST_SCORE]
    if not nothing_before:
        top = sorted((i for i in top if before[i] > after[i]), key=lambda i: after[i] - before[i])
    return Moved(
        n_votes,
        len(papers),
        tuple(
            MovedPaper(
                papers[i].id,
                papers[i].title,
                None if nothing_before else int(before[i]),
                int(after[i]),
            )
            for i in top[:n]
        ),
    )


def _places(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The place of each, 1 for the highest score; the first of equals comes first."""
    places = np.empty(len(scores), np.int64)
    places[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return places


def _seen(subscriber_id: int) -> Any:
    """The numbers of the papers that a subscriber was shown or voted on, as a query."""
    shown = select(EditionItemRow.paper_id).where(EditionItemRow.subscriber_id == subscriber_id)
    voted = select(VoteRow.paper_id).where(VoteRow.subscriber_id == subscriber_id)
    return shown.union(voted)


def _unseen(session: Session, subscriber_id: int, now: datetime) -> Sequence[Any]:
    unseen = (Paper.ready_at > now - _A_WEEK, Paper.id.not_in(_seen(subscriber_id)))
    return _newest(session, subscriber_id, *unseen, now=now, n=_NEW)


def _newest(
    session: Session, subscriber_id: int, *where: ColumnElement[bool], now: datetime, n: int
) -> Sequence[Any]:
    """The newest papers that may be shown to a subscriber, of `n`."""
    papers = session.execute(
        select(Paper.id, Paper.title, Paper.abstract, Paper.text_hash)
        .where(Paper.ready_at <= now, ~is_filed(), ~was_withdrawn(), *where)
        .order_by(Paper.ready_at.desc(), Paper.id.desc())
        .limit(n)
    ).all()
    hidden = hidden_from(session, subscriber_id, [paper.id for paper in papers])
    return [paper for paper in papers if paper.id not in hidden]


def nearest_for(
    session: Session, subscriber_id: int, paper_id: int, encoder: str, *, n: int
) -> list[tuple[float, PaperView]]:
    """The `n` papers nearest to one of them that a subscriber may be shown, with the cosine."""
    found = nearest_papers(session, paper_id, encoder, limit=_LOOKED_AT * n)
    hidden = hidden_from(session, subscriber_id, [paper.id for _, paper in found])
    return [one for one in found if one[1].id not in hidden][:n]


def learned(
    session: Session, subscriber_id: int, encoder: str, *, now: datetime, n: int = 10
) -> Learned:
    """What is known of a subscriber, and the `n` recent papers and words nearest to it.

    The papers are those that the subscriber has neither been shown nor voted on, and that are
    nearer than chance would have it.
    """
    told = tuple(interests_of(session, subscriber_id)), tuple(votes_of(session, subscriber_id))
    ground = ground_of(session, encoder, now=now)
    if ground is None:
        return Learned(*told, (), ())
    signals = signals_of(session, [subscriber_id], encoder, ground, now=now)
    profile = fit_profiles(signals, ground.space, in_force(session).live)
    recent = _newest(session, subscriber_id, now=now, n=RECENT)
    known = {paper.text_hash: text_of(paper.title, paper.abstract) for paper in recent}
    points = ground.points(vectors_of(session, encoder, known), known)
    recent = [paper for paper in recent if paper.text_hash in points]
    if not profile.known[0] or not recent:
        return Learned(*told, (), ())
    scores = profile_scores(profile, np.stack([points[paper.text_hash] for paper in recent]))[0]
    order = np.argsort(-scores, kind="stable")
    likes = np.zeros(len(recent))
    likes[order[:READ]] = np.maximum(scores[order[:READ]], 0)
    texts = [f"{paper.title}. {paper.abstract}" for paper in recent]
    seen = set(session.scalars(_seen(subscriber_id)))
    near = [i for i in order if recent[i].id not in seen and scores[i] >= LEAST_SCORE]
    return Learned(
        *told,
        tuple(distinctive_words(texts, likes, n=n)),
        tuple(NearPaper(recent[i].id, recent[i].title, float(scores[i])) for i in near[:n]),
    )


def distinctive_words(texts: Sequence[str], likes: NDArray[np.float64], *, n: int) -> list[str]:
    """The `n` words and pairs of words that the liked texts hold more than all do, best first.

    `likes` (len(texts),) says by how much each text counts, 0 or more. By the difference of mean
    TF-IDF. A word is left out beside its plural, or beside a pair that holds it.
    """
    if not likes.any() or likes.all():
        return []
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        stop_words="english",
        sublinear_tf=True,
        token_pattern=r"(?u)\b[^\W\d_][\w-]{2,}\b",  # noqa: S106 - no password
    )
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:  # nothing but stop words
        return []
    liked = np.flatnonzero(likes)
    apart = weights.T @ (likes / likes.sum()) - np.asarray(weights.mean(axis=0)).ravel()
    # One paper's pet word says nothing of the reader.
    counts = np.asarray((weights[liked] > 0).sum(axis=0)).ravel()
    apart[counts < min(2, len(liked))] = 0.0
    names = vectorizer.get_feature_names_out()
    found: dict[str, float] = {}
    for i in np.argsort(-apart, kind="stable"):
        if len(found) == n or apart[i] <= 0:
            break
        word, parts = str(names[i]), {_stem(part) for part in str(names[i]).split()}
        akin = [other for other in found if parts & {_stem(part) for part in other.split()}]
        # A pair says more than its word, where the one is about as telling as the other.
        better = len(akin) == 1 and " " not in akin[0] and apart[i] > PAIR * found[akin[0]]
        if (akin and not better) or not written_in(word, (texts[j] for j in liked.tolist())):
            continue
        if not akin:
            found[word] = apart[i]
        else:
            found = {word if other == akin[0] else other: score for other, score in found.items()}
    return list(found)


def written_in(phrase: str, texts: Iterable[str]) -> str:
    """A phrase as the first of the texts has it, in small letters but abbreviations, or empty.

    A pair that a vectorizer made is of what is left without stop words: nobody may have written it.
    Nor is it one that is cut out of a longer word, as "aware search" is of "cost-aware search".
    """
    side_by_side = r"[\s-]+".join(map(re.escape, phrase.split()))
    wanted = re.compile(rf"(?<![\w-]){side_by_side}(?![\w-])", re.IGNORECASE)
    found = next(filter(None, map(wanted.search, texts)), None)
    return _WORD.sub(_lowered, found[0]) if found else ""


def _lowered(word: re.Match[str]) -> str:
    return word[0].lower() if word[0][1:].islower() else word[0]


def _stem(word: str) -> str:
    return word.removesuffix("s")
