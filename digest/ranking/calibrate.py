"""Scores to probabilities of an up-vote, from what became of papers that were shown before."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from digest.ranking.types import Floats, Ints

# With fewer outcomes than this, or fewer of either kind, nobody knows: no probability is given.
ENOUGH, ENOUGH_OF_EACH = 200, 20
# A Gaussian prior on the coefficients of standardised features keeps few outcomes from shouting.
_PRIOR = 1.0
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression on score and number of signals (Platt 1999, with evidence added).

    `coefficients` (5,): a bias, and one for each of the score s, the root of its positive part,
    the evidence log(1 + signals), and s times the evidence. `habit` is by how much more freely
    than others its readers vote up, in logits; it broadcasts against scores.
    """

    coefficients: Floats
    habit: Floats | float = 0.0

    def probability(self, scores: Floats, sizes: Ints) -> Floats:
        """Of an up-vote, shape of `scores`; `sizes` signals broadcast against it."""
        probability: Floats = expit(self._logits(scores, sizes) + self.habit)
        return probability

    def habits(self, scores: Floats, sizes: Ints, liked: Floats, readers: Ints) -> Floats:
        """Each reader's habit by n outcomes of theirs, (readers.max() + 1,), drawn towards zero.

        `readers` (n,) tell whose each is, from 0 on.
        """
        finite = np.isfinite(scores)
        logits, y = self._logits(scores[finite], sizes[finite]), liked[finite]
        found = np.zeros(readers.max(initial=-1) + 1)
        of, n = readers[finite], len(found)
        for _ in range(_STEPS):
            p = expit(logits + found[of])
            slope = np.bincount(of, y - p, n) - _PRIOR * found
            found += np.clip(slope / (np.bincount(of, p * (1 - p), n) + _PRIOR), -1.0, 1.0)
        return found.astype(np.float32)

    def _logits(self, scores: Floats, sizes: Ints) -> Floats:
        bias, by_score, by_root, by_evidence, by_both = self.coefficients
        evidence = np.log1p(np.asarray(sizes, np.float32))
        logits: Floats = scores * (by_score + by_both * evidence) + (bias + by_evidence * evidence)
        logits += by_root * np.sqrt(np.maximum(scores, 0))
        return logits


def calibrate(scores: Floats, sizes: Ints, liked: Floats) -> Calibration | None:
    """Fit on n outcomes: score, signals of its profile, and whether it was liked, each (n,).

    None while there are too few to be honest. Scores that are not finite say nothing.
    """
    finite = np.isfinite(scores)
    score = np.asarray(scores, np.float64)[finite]
    evidence = np.log1p(np.asarray(sizes, np.float64)[finite])
    y = np.asarray(liked, np.float64)[finite]
    if len(y) < ENOUGH or min(y.sum(), len(y) - y.sum()) < ENOUGH_OF_EACH:
        return None
    features = np.column_stack([score, np.sqrt(np.maximum(score, 0)), evidence, score * evidence])
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    x = np.column_stack([np.ones(len(y)), (features - mean) / scale])
    prior = np.diag([1e-6, *[_PRIOR] * features.shape[1]])
    beta = np.zeros(x.shape[1])
    for _ in range(_STEPS):  # Newton's method; the objective is convex
        p = expit(x @ beta)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + prior
        step = np.linalg.solve(hessian, x.T @ (y - p) - prior @ beta)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    slopes = beta[1:] / scale
    return Calibration(np.array([beta[0] - slopes @ mean, *slopes], np.float32))
