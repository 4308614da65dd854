"""What ranking takes and gives; no other room's types appear here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Lane = Literal["personal", "trending", "exploration"]
SignalKind = Literal["interest", "up", "saved", "down"]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit vectors of one encoder: `ids` int64 (n,), `matrix` float32 (n, d)."""

    ids: NDArray[np.int64]
    matrix: NDArray[np.float32]
    encoder: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a subscriber told us: an interest, or a vote on a paper.

    `ref` is the interest's or the paper's id, `vector` its unit vector (d,).
    """

    kind: SignalKind
    ref: int
    vector: NDArray[np.float32]
    at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """What a subscriber's signals add up to.

    `terms` float32 (m, d): one row a signal, already weighted, so that their sum is the direction
    that papers are scored against, and a row's product with a paper is that signal's part of the
    score. With no signals m is 0.
    """

    signals: tuple[Signal, ...]
    terms: NDArray[np.float32]

    @property
    def direction(self) -> NDArray[np.float32]:
        """The sum of the terms, shape (d,)."""
        total: NDArray[np.float32] = self.terms.sum(axis=0, dtype=np.float32)
        return total


@dataclass(frozen=True, slots=True)
class Profiles:
    """The fitted profiles of a batch of subscribers, with the background they were centred on."""

    profiles: tuple[Profile, ...]
    background: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The papers that are new: their vectors, and the momentum of each, float (n,) in 0 to 1."""

    vectors: Vectors
    momentum: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one subscriber asked of their editions: how many papers, how much of it personal."""

    n: int
    mix: float


@dataclass(frozen=True, slots=True)
class Share:
    """One term of a score: the signal or `trending` that it came from, and its part, 0 to 1."""

    kind: SignalKind | Literal["trending"]
    ref: int
    part: float


@dataclass(frozen=True, slots=True)
class RankedPaper:
    """A paper that was chosen, why, and with what probability it had been (`propensity`).

    `probability` is that of an up-vote, None while it is not known.
    """

    paper_id: int
    lane: Lane
    score: float
    probability: float | None
    propensity: float
    shares: tuple[Share, ...]


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
