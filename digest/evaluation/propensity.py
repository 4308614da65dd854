"""What readers would have done with another choice, from choices that were drawn by lot.

Everything is averaged a reader first: one's days are not independent of each other, readers are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its standard error; None for what too few tell."""

    value: float | None
    error: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """A self-normalised estimate, its standard error, and how many equal draws it is worth."""

    value: float | None
    error: float | None
    effective: float


def mean_of(values: Floats | Sequence[float]) -> Mean:
    """The mean of independent values, shape (n,), NaN for none."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Mean(None, None)
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return Mean(float(known.mean()), error)


def self_normalised(weights: Floats, weighted: Floats, squares: Floats) -> Rate:
    """The sum of weight * outcome by the sum of weights, over n readers.

    `weights` are inverse propensities, `weighted` these times the outcome, `squares` their squares,
    each (n,) summed over a reader's draws. The estimate is that of Swaminathan and Joachims (2015,
    "The self-normalized estimator for counterfactual learning"), its error the linearised one of a
    ratio, readers being the clusters. The effective number of draws is the squared sum of weights
    by the sum of squares (Kish 1965).
    """
    total = weights.sum()
    if not total:
        return Rate(None, None, 0.0)
    value = float(weighted.sum() / total)
    of_readers = (weighted - value * weights)[weights > 0]
    n = len(of_readers)
    spread = (of_readers**2).sum() * n / max(1, n - 1)
    error = float(np.sqrt(spread) / total) if n > 1 else None
    return Rate(value, error, float(total**2 / squares.sum()))
