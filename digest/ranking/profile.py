"""Signals to profiles: the weighted mean of what was liked, centred on the background."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from digest.ranking.types import Profile, Profiles, Signal

# A down-vote weighs half of an up-vote: Scholar Inbox found .5 best on its readers' ratings.
WEIGHT = {"interest": 2.0, "up": 1.0, "saved": 1.5, "down": -0.5}
# Tastes drift slowly: a signal of this age counts half.
HALF_LIFE_DAYS = 180.0


def fit_profiles(
    signals: Sequence[Sequence[Signal]], background: NDArray[np.float32], *, now: datetime
) -> Profiles:
    """Fit one profile for each subscriber's signals.

    `background` (d,) is the mean vector of recent papers: taken off every vector, it leaves what
    tells papers apart (nDCG@10 .338 against .318 without, RANKING.md). Signals whose vector is
    not finite or has another dimension are left out.
    """
    return Profiles(tuple(_fit(some, background, now) for some in signals), background)


def centred(matrix: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows less the background, at unit length; shape (n, d). A row that is the mean gives 0."""
    moved = matrix - background
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (moved / np.maximum(length, 1e-6)).astype(np.float32)
    return unit


def _fit(signals: Sequence[Signal], background: NDArray[np.float32], now: datetime) -> Profile:
    usable = tuple(
        s for s in signals if s.vector.shape == background.shape and np.isfinite(s.vector).all()
    )
    if not usable:
        return Profile((), np.zeros((0, len(background)), np.float32))
    ages = np.array([max((now - s.at).total_seconds() / 86400, 0.0) for s in usable])
    # What was typed as an interest holds until it is changed; only votes fade.
    ages[[s.kind == "interest" for s in usable]] = 0.0
    weights = np.array([WEIGHT[s.kind] for s in usable]) * 0.5 ** (ages / HALF_LIFE_DAYS)
    weights /= np.abs(weights).sum()
    unit = centred(np.stack([s.vector for s in usable]), background)
    return Profile(usable, (unit * weights[:, None]).astype(np.float32))
