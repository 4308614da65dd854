"""Scores to probabilities of an up-vote, from what became of papers that were shown before."""

from dataclasses import dataclass

import numpy as np

from digest.ranking.types import Floats, Ints

# With fewer outcomes than this, or fewer of either kind, nobody knows: no probability is given.
ENOUGH, ENOUGH_OF_EACH = 200, 20
# A Gaussian prior on the coefficients of standardised features keeps few outcomes from shouting.
_PRIOR = 1.0
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression on score and number of signals (Platt 1999, with evidence added).

    `coefficients` (5,) belong to `_features` less `mean` (4,) over `scale` (4,), after a bias.
    """

    coefficients: Floats
    mean: Floats
    scale: Floats

    def probability(self, scores: Floats, sizes: Ints) -> Floats:
        """Of an up-vote, shape of `scores`; `sizes` signals broadcast against it."""
        x = (_features(scores, sizes) - self.mean) / self.scale
        logits = self.coefficients[0] + x @ self.coefficients[1:]
        probability: Floats = (1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
        return probability


def calibrate(scores: Floats, sizes: Ints, liked: Floats) -> Calibration | None:
    """Fit on n outcomes: score, signals of its profile, and whether it was liked, each (n,).

    None while there are too few to be honest.
    """
    liked = np.asarray(liked, np.float64)
    if len(liked) < ENOUGH or min(liked.sum(), len(liked) - liked.sum()) < ENOUGH_OF_EACH:
        return None
    features = _features(scores, sizes)
    mean = features.mean(axis=0)
    scale = np.maximum(features.std(axis=0), 1e-6)
    x = np.column_stack([np.ones(len(liked)), (features - mean) / scale])
    prior = np.diag([0.0, *[_PRIOR] * (x.shape[1] - 1)])
    beta = np.zeros(x.shape[1])
    for _ in range(_STEPS):  # Newton's method; the objective is convex
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + prior + 1e-9 * np.eye(len(beta))
        step = np.linalg.solve(hessian, x.T @ (liked - p) - prior @ beta)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return Calibration(beta.astype(np.float32), mean.astype(np.float32), scale.astype(np.float32))


def _features(scores: Floats, sizes: Ints) -> Floats:
    scores = np.asarray(scores, np.float32)
    evidence = np.broadcast_to(np.log1p(np.asarray(sizes, np.float32)), scores.shape)
    features: Floats = np.stack(
        [scores, np.sqrt(np.maximum(scores, 0)), evidence, scores * evidence], axis=-1
    )
    return features
