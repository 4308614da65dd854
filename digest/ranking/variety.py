"""Choosing a few papers that tell tastes apart: what a newcomer is asked about."""

import numpy as np

from digest.ranking.types import Floats, Ints


def varied(vectors: Floats, n: int) -> Ints:
    """The rows (min(n, m),) of `vectors` (m, d) that together stand for all of them, best first.

    Each next row is the one that brings the others nearest to some chosen row: the greedy rule for
    facility location, which reaches 1 - 1/e of the best choice (Nemhauser, Wolsey and Fisher 1978,
    "An analysis of approximations for maximizing submodular set functions"). Nearness is the cosine
    of vectors less their mean, as what all papers share tells no tastes apart; farther than at a
    right angle is no farther. So each choice stands for a topic that none before it did, the
    largest topics come first, and no near-copy is chosen twice. Rows that are not finite, or are
    the mean itself, come last; ties go to the earlier row. Time and memory grow with m squared.
    """
    if not len(vectors):
        return np.zeros(0, np.int64)
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    rows = np.zeros(vectors.shape, np.float32)
    if len(known):
        rows[known] = vectors[known] - vectors[known].mean(axis=0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    near = np.maximum(rows @ rows.T, 0.0)
    chosen: list[int] = []
    reached = np.zeros(len(rows), np.float32)
    free = np.ones(len(rows), bool)
    for _ in range(min(n, len(rows))):
        gains = np.maximum(near - reached, 0.0).sum(axis=1)
        best = int(np.argmax(np.where(free, gains, -1.0)))
        chosen.append(best)
        free[best] = False
        reached = np.maximum(reached, near[best])
    return np.array(chosen, np.int64)
