"""How fast it is: profiles and rankings of many made-up subscribers, and embedding."""

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from digest.papers.embedding import Encode, paper_vectors
from digest.papers.encoder import Encoder, SentenceEncoder
from digest.ranking.calibrate import Calibration
from digest.ranking.profile import fit_profiles, products
from digest.ranking.rank import rank
from digest.ranking.space import Space, fit_space
from digest.ranking.types import KINDS, Candidates, Floats, Signals, Texts, Wishes

# Subscribers that are fitted and ranked at once: what bounds the memory.
SHARD = 2000
VOTES = 20
_LIKED, _BACKGROUND = 5000, 1500
_VECTOR, _TOPICS, _WORDS = 384, 60, 20
_CALIBRATION = Calibration(np.array([-2.0, 4.0, 0.5, 0.1, 0.1], np.float32))


@dataclass(frozen=True, slots=True)
class Scale:
    """What `measure_scale` measured; `ratio` is to the bare matrix products of the same sizes."""

    subscribers: int
    papers: int
    seconds: float
    gemm_seconds: float
    ratio: float
    space_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class EmbeddingSpeed:
    """Texts a second, ours and plain, and by cosine how far the two agree.

    `papers_per_second` has the title of each encoded once more; `paper_cosine` is how far on
    average that moves a paper.
    """

    texts: int
    per_second: float
    plain_per_second: float
    ratio: float
    least_cosine: float
    papers_per_second: float
    papers_ratio: float
    paper_cosine: float


@dataclass(frozen=True, slots=True)
class _World:
    """Made-up papers by topic, and who votes on which."""

    space: Space
    points: NDArray[np.float32]
    candidates: Candidates
    topics: NDArray[np.int64]


def measure_scale(
    subscribers: int,
    papers: int,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _n: None,
) -> Scale:
    """Refit every profile (20 signals each on average) and rank `papers`, shard after shard.

    With selection, exploration, reasons and probabilities, as an edition needs them; the matrix
    products that nobody can do without are timed between the shards, in the same minute.
    `progress` is told how many subscribers were done.
    """
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    world = _world(papers, rng)
    space_seconds = time.perf_counter() - start
    seconds = gemm_seconds = 0.0
    for first in range(0, subscribers, SHARD):
        n = min(SHARD, subscribers - first)
        signals, wishes, free = _shard(world, n, papers, rng)
        draws = rng.random(n).astype(np.float32)
        start = time.perf_counter()
        profiles = fit_profiles(signals, world.space)
        rank(
            profiles,
            world.candidates,
            wishes,
            free=free,
            draws=draws,
            calibration=_CALIBRATION,
        )
        seconds += time.perf_counter() - start
        gemm_seconds += _bare(signals, world)
        progress(n)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Scale(
        subscribers,
        papers,
        round(seconds, 3),
        round(gemm_seconds, 3),
        round(seconds / max(gemm_seconds, 1e-9), 2),
        round(space_seconds, 3),
        round(peak, 1),
    )


def plain_encode(encoder: SentenceEncoder) -> Encode:
    """The model's own way to encode, with what it does by default."""

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = encoder.loaded.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)

    return encode


def measure_embedding(
    encoder: Encoder, plain: Encode, titles: Sequence[str], texts: Sequence[str]
) -> EmbeddingSpeed:
    """How we embed, against `plain`, the model's own way to encode the same texts."""
    encoder.encode(texts[:1])
    plain(texts[:1])
    plain_seconds, expected = _timed(lambda: plain(texts))
    seconds, ours = _timed(lambda: encoder.encode(texts))
    papers_seconds, papers = _timed(lambda: paper_vectors(encoder.encode, titles, texts))
    return EmbeddingSpeed(
        texts=len(texts),
        per_second=round(len(texts) / seconds, 1),
        plain_per_second=round(len(texts) / plain_seconds, 1),
        ratio=round(plain_seconds / seconds, 2),
        least_cosine=round(float((expected * ours).sum(axis=1).min()), 5),
        papers_per_second=round(len(texts) / papers_seconds, 1),
        papers_ratio=round(plain_seconds / papers_seconds, 2),
        paper_cosine=round(float((expected * papers).sum(axis=1).mean()), 4),
    )


def _timed(work: Callable[[], Floats]) -> tuple[float, Floats]:
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def _world(papers: int, rng: np.random.Generator) -> _World:
    """Papers in topics: what is liked, what is new, and the background that spans the space."""
    n = _BACKGROUND + papers + _LIKED
    topics = rng.integers(0, _TOPICS, n)
    centres = rng.standard_normal((_TOPICS, _VECTOR))
    vectors = centres[topics] + 1.5 * rng.standard_normal((n, _VECTOR))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = topics[:, None] * 50 + rng.integers(0, 50, (n, _WORDS))
    terms = csr_array(
        (
            np.full(n * _WORDS, _WORDS**-0.5, np.float32),
            (np.repeat(np.arange(n), _WORDS), words.ravel()),
        ),
        shape=(n, _TOPICS * 50),
    )
    texts = Texts(vectors.astype(np.float32), terms)
    space = fit_space(_some(texts, 0, _BACKGROUND))
    new = _some(texts, _BACKGROUND, _BACKGROUND + papers)
    candidates = Candidates(
        ids=np.arange(papers),
        points=space.points(new),
        vectors=new.vectors,
        momentum=rng.random(papers).astype(np.float32),
    )
    liked = _some(texts, _BACKGROUND + papers, n)
    return _World(space, space.points(liked), candidates, topics[_BACKGROUND + papers :])


def _some(texts: Texts, first: int, last: int) -> Texts:
    return Texts(texts.vectors[first:last], texts.terms[first:last])


def _shard(
    world: _World, n: int, papers: int, rng: np.random.Generator
) -> tuple[Signals, Wishes, NDArray[np.bool_]]:
    """Readers of two topics each, with 1 to 2 * VOTES - 1 signals: an interest, then votes.

    One vote in ten is down.
    """
    sizes = rng.integers(1, 2 * VOTES, n)
    m = int(sizes.sum())
    tastes = rng.integers(0, _TOPICS, (n, 2))
    of = np.argsort(world.topics, kind="stable")
    first = np.searchsorted(world.topics[of], np.arange(_TOPICS + 1))
    wanted = tastes[np.repeat(np.arange(n), sizes), rng.integers(0, 2, m)]
    spread = np.maximum(first[wanted + 1] - first[wanted], 1)
    rows = of[np.minimum(first[wanted] + rng.integers(0, spread), len(of) - 1)]
    kinds = np.where(rng.random(m) < 0.1, KINDS.index("down"), KINDS.index("up"))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    kinds[starts[:-1]] = KINDS.index("interest")
    signals = Signals(
        starts=starts,
        kinds=kinds.astype(np.int8),
        refs=rows.astype(np.int64),
        ages=(rng.random(m) * 200).astype(np.float32),
        rows=rows.astype(np.int64),
        points=world.points,
    )
    wishes = Wishes(
        n=np.full(n, 8, np.int64),
        mix=np.full(n, 0.75, np.float32),
        min_probability=np.zeros(n, np.float32),
    )
    return signals, wishes, rng.random((n, papers)) < 0.95


def _bare(signals: Signals, world: _World) -> float:
    """Seconds of the products alone: every profile's Gram matrix, and its scores."""
    d = world.points.shape[1]
    n, width = len(signals.sizes), VOTES
    some = world.points[signals.rows[: 32 * width]]
    batch = np.resize(some, (min(n, 32), width, d))
    other, directions = batch.copy(), np.resize(some, (n, d))
    start = time.perf_counter()
    for _ in range(-(-n // len(batch))):
        products(batch, other)
    directions @ world.candidates.points.T
    return time.perf_counter() - start
