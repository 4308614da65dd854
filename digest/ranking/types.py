"""What ranking takes and gives; no other room's types appear here."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from digest.ranking.ranker import STANDARD, Ranker

Lane = Literal["personal", "trending", "exploration"]
SignalKind = Literal["interest", "up", "saved", "down"]
LANES: tuple[Lane, ...] = get_args(Lane)
# A signal's kind is stored as its place here.
KINDS: tuple[SignalKind, ...] = get_args(SignalKind)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """What is known of n texts: embeddings float32 (n, d), and TF-IDF rows at unit length (n, v).

    A row of zeros, or of `vectors` one that is not finite, counts as nothing known.
    """

    vectors: Floats
    terms: csr_array

    def __len__(self) -> int:
        """How many texts."""
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Votes:
    """What all subscribers like, to learn what goes together: `likes` (users, texts), 0 or 1."""

    texts: Texts
    likes: csr_array


@dataclass(frozen=True, slots=True)
class Told:
    """Interests of readers who voted: `texts` (m), and whose each is, a row of the likes, (m,)."""

    texts: Texts
    owners: Ints


@dataclass(frozen=True, slots=True)
class Signals:
    """What u subscribers told us: m signals, those of subscriber i in starts[i]:starts[i + 1].

    `kinds` int8 (m,) are places in KINDS, `refs` (m,) ids of interests or papers, `ages` (m,)
    days, and `rows` (m,) tell which of `points` float32 (p, D) each signal is.
    """

    starts: Ints
    kinds: NDArray[np.int8]
    refs: Ints
    ages: Floats
    rows: Ints
    points: Floats

    @property
    def sizes(self) -> Ints:
        """How many signals each subscriber has, shape (u,)."""
        sizes: Ints = np.diff(self.starts)
        return sizes

    @property
    def owners(self) -> Ints:
        """Whose each signal is, shape (m,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


@dataclass(frozen=True, slots=True)
class Profiles:
    """Fitted profiles: `directions` (u, D) to score papers against.

    `weights` float32 (m,) are the signals' shares in them, and `levels` (u,) how strongly the
    background counts against each: a signal's part of a score is
    weight * sum(its point * the paper's point / (1 + level * spectrum)). `ranker` says by which
    choices they were fitted, and are to be ranked.
    """

    signals: Signals
    weights: Floats
    levels: Floats
    directions: Floats
    spectrum: Floats
    ranker: Ranker = STANDARD

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a subscriber has told us of anything that they like, shape (u,)."""
        signals = self.signals
        likes = signals.owners[signals.kinds != KINDS.index("down")]
        known: NDArray[np.bool_] = np.isin(np.arange(len(signals.sizes)), likes)
        return known


@dataclass(frozen=True, slots=True)
class Candidates:
    """The papers to choose from: ids (n,), points (n, D), unit vectors (n, d), momentum (n,)."""

    ids: Ints
    points: Floats
    vectors: Floats
    momentum: Floats

    def __len__(self) -> int:
        """How many papers."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What subscribers asked of their editions, each shape (u,).

    `n` papers, `mix` of them personal (0 to 1), none of a lower probability than
    `min_probability` (0: any).
    """

    n: Ints
    mix: Floats
    min_probability: Floats


@dataclass(frozen=True, slots=True)
class Share:
    """One term of a score: the signal or `trending` that it came from, and its part, 0 to 1.

    `is_close` is False where the paper is only somewhat like what the signal says.
    """

    kind: SignalKind | Literal["trending", "exploration"]
    ref: int
    part: float
    is_close: bool = True


@dataclass(frozen=True, slots=True)
class RankedPaper:
    """A paper that was chosen, why, and with what probability it had been (`propensity`).

    `probability` is that of an up-vote, None while it is not known; `team` the ranker that chose
    it, where two shared the list.
    """

    paper_id: int
    lane: Lane
    score: float
    probability: float | None
    propensity: float
    shares: tuple[Share, ...]
    team: str | None = None


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """A paper that was considered and lost: to better ones, or to a near-copy."""

    paper_id: int
    score: float
    copy_of: int | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """One subscriber's choice: `chosen` in the order to show, and the best that were not."""

    chosen: tuple[RankedPaper, ...]
    runners_up: tuple[RunnerUp, ...]
