"""A checkerboard of topics: papers of each, and readers whose taste is plain to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.sparse import csr_array

from digest.ranking.profile import fit_profiles
from digest.ranking.rank import Rankings, rank
from digest.ranking.space import Space, fit_space
from digest.ranking.types import (
    KINDS,
    Candidates,
    Floats,
    Ranking,
    SignalKind,
    Signals,
    Texts,
    Wishes,
)

TOPICS, EACH, D, WORDS = 4, 40, 24, 10
# What a reader told: a kind, the known paper that it is of, and its age in days.
Told = tuple[SignalKind, int, float]


def make_texts(topics: Sequence[int], seed: int, noise: float = 0.5) -> Texts:
    """A text of each topic: a vector near the topic's, and three of its ten words."""
    rng = np.random.default_rng(seed)
    centres = np.eye(TOPICS, D)
    vectors = centres[list(topics)] + noise * rng.standard_normal((len(topics), D)) / D**0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    terms = np.zeros((len(topics), TOPICS * WORDS), np.float32)
    for row, topic in zip(terms, topics, strict=True):
        row[topic * WORDS + rng.choice(WORDS, 3, replace=False)] = 3**-0.5
    return Texts(vectors.astype(np.float32), csr_array(terms))


def topic_of(paper: int) -> int:
    """Known papers and candidates are laid out alike: one topic after the other."""
    return paper % TOPICS


@dataclass(frozen=True, slots=True)
class Board:
    """A space, points of the known papers, and candidates, whose ids are 1000 and their place."""

    space: Space
    known: Floats
    candidates: Candidates


@cache
def board(n_candidates: int = 32, seed: int = 1) -> Board:
    """Known papers that span the space, and candidates of all topics; momentum falls."""
    background = make_texts([topic_of(i) for i in range(TOPICS * EACH)], 0)
    space = fit_space(background)
    new = make_texts([topic_of(i) for i in range(n_candidates)], seed)
    return Board(
        space,
        space.points(background),
        Candidates(
            ids=1000 + np.arange(n_candidates),
            points=space.points(new),
            vectors=new.vectors,
            momentum=np.linspace(0.9, 0.1, n_candidates, dtype=np.float32),
        ),
    )


def signals_of(told: Sequence[Sequence[Told]], points: Floats) -> Signals:
    """Each reader's signals; a signal's ref is its paper's place."""
    flat = [one for mine in told for one in mine]
    papers = np.array([paper for _, paper, _ in flat], np.int64)
    return Signals(
        starts=np.concatenate([[0], np.cumsum([len(mine) for mine in told])]).astype(np.int64),
        kinds=np.array([KINDS.index(kind) for kind, _, _ in flat], np.int8),
        refs=papers,
        ages=np.array([age for _, _, age in flat], np.float32),
        rows=papers,
        points=points,
    )


def wishes_of(u: int, n: int = 8, mix: float = 0.75, min_probability: float = 0.0) -> Wishes:
    """The same wishes for each of u readers."""
    return Wishes(
        n=np.full(u, n, np.int64),
        mix=np.full(u, mix, np.float32),
        min_probability=np.full(u, min_probability, np.float32),
    )


def ranked(
    told: Sequence[Sequence[Told]],
    *,
    on: Board | None = None,
    wishes: Wishes | None = None,
    free: Sequence[Sequence[bool]] | np.ndarray | None = None,
    draws: float | Floats = 0.5,
    **given: object,
) -> Rankings:
    """The rankings of readers who told this."""
    on, u = on or board(), len(told)
    everything = np.ones((u, len(on.candidates)), np.bool_)
    return rank(
        fit_profiles(signals_of(told, on.known), on.space),
        on.candidates,
        wishes or wishes_of(u),
        free=everything if free is None else np.asarray(free, np.bool_),
        draws=np.broadcast_to(np.asarray(draws, np.float32), (u,)),
        **given,  # type: ignore[arg-type]
    )


def every(rankings: Rankings) -> list[Ranking]:
    """All rankings as values."""
    return [rankings.of(i) for i in range(len(rankings.choice.papers))]


def likes(topic: int, k: int, kind: SignalKind = "up") -> list[Told]:
    """`k` fresh signals on different known papers of a topic."""
    return [(kind, topic + TOPICS * i, 0.0) for i in range(k)]


def places(ranking: Ranking, lane: str | None = None) -> list[int]:
    """The candidates that were chosen, in order."""
    return [one.paper_id - 1000 for one in ranking.chosen if lane in (None, one.lane)]
