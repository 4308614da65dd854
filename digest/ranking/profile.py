"""Signals to profiles: a small Gaussian process a subscriber, in batches of like size.

Every signal says of one point how much it is liked. The background of recent papers, of which
nearly all are not, counts as shared negatives: it shrinks the coordinates in which papers differ
anyway. The mean of the process is linear in the signals, so that each has its part of a score.
"""

import numpy as np

from digest.ranking.space import Space
from digest.ranking.types import KINDS, Floats, Ints, Profiles, Signals

# What each kind says of its paper, and how uncertainly: a dislike is weak evidence, for people
# dislike near what they like (RANKING.md; silence is no signal at all).
LIKING = {"interest": 1.0, "up": 1.0, "saved": 1.0, "down": -0.3}
NOISE = {"interest": 1.0, "up": 1.0, "saved": 0.7, "down": 10.0}
# A vote of this age counts half: tastes drift, slowly. An interest holds until it is changed.
HALF_LIFE_DAYS = 540.0
# More signals than this say nothing new: interests stay, and the newest votes.
MOST = 256
# How strongly the background counts against a profile of m signals; chosen on the tuning part.
LEAST_LEVEL, GREATEST_LEVEL, LEVEL_POWER = 0.005, 0.06, 0.75
# Numbers that a batch may hold at once: what is larger is slower, for memory that is new to it.
_AT_ONCE = 2**21


def fit_profiles(signals: Signals, space: Space) -> Profiles:
    """Fit every subscriber's profile; cost linear in subscribers, memory bounded by batches.

    A subscriber without signals gets the direction zero.
    """
    n_subscribers, d = len(signals.sizes), len(space.spectrum)
    sizes = np.minimum(signals.sizes, MOST)
    levels = np.clip(
        LEAST_LEVEL * np.maximum(sizes, 1) ** LEVEL_POWER, LEAST_LEVEL, GREATEST_LEVEL
    ).astype(np.float32)
    weights = np.zeros(len(signals.kinds), np.float32)
    directions = np.zeros((n_subscribers, d), np.float32)
    liking = np.array([LIKING[kind] for kind in KINDS], np.float32)[signals.kinds]
    noise = np.array([NOISE[kind] for kind in KINDS], np.float32)[signals.kinds]
    fading = np.where(signals.kinds == KINDS.index("interest"), 0.0, signals.ages)
    noise = noise * np.exp2(np.clip(fading / HALF_LIFE_DAYS, 0.0, 20.0)).astype(np.float32)
    for batch, places in _batches(signals, sizes, d):
        there = places >= 0
        points = signals.points[signals.rows[np.where(there, places, 0)]]
        points *= (there / 1.0)[:, :, None].astype(np.float32)
        shrink = 1.0 / (1.0 + levels[batch, None] * space.spectrum)
        gram = np.matmul(points * shrink[:, None, :], points.transpose(0, 2, 1))
        own = np.where(there, noise[np.where(there, places, 0)], 1.0)
        gram[:, np.arange(places.shape[1]), np.arange(places.shape[1])] += own
        wanted = np.where(there, liking[np.where(there, places, 0)], 0.0)
        solved = np.linalg.solve(gram, wanted[:, :, None].astype(np.float32))[:, :, 0]
        weights[places[there]] = solved[there]
        directions[batch] = np.matmul(solved[:, None, :], points)[:, 0, :] * shrink
    return Profiles(signals, weights, levels, directions, space.spectrum)


def _batches(signals: Signals, sizes: Ints, d: int) -> list[tuple[Ints, Ints]]:
    """Subscribers of like size, (b,), with the places of their signals, (b, m), -1 for none."""
    found = []
    width = 1
    while width // 2 < max(sizes.max(initial=0), 1):
        members = np.flatnonzero((sizes > width // 2) & (sizes <= width))
        step = max(1, _AT_ONCE // (width * (d + width)))
        for first in range(0, len(members), step):
            batch = members[first : first + step]
            places = signals.starts[batch, None] + np.arange(width)
            places[np.arange(width) >= sizes[batch, None]] = -1
            for i in np.flatnonzero(signals.sizes[batch] > MOST):
                places[i] = _newest(signals, int(batch[i]))
            found.append((batch, places))
        width *= 2
    return found


def _newest(signals: Signals, subscriber: int) -> Ints:
    places = np.arange(signals.starts[subscriber], signals.starts[subscriber + 1])
    is_vote = signals.kinds[places] != KINDS.index("interest")
    return np.sort(places[np.lexsort((signals.ages[places], is_vote))[:MOST]])


def scores(profiles: Profiles, points: Floats) -> Floats:
    """How much each profile (u) likes each point (n): float32 (u, n)."""
    return profiles.directions @ points.T
