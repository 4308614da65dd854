"""Signals to profiles: a small Gaussian process a subscriber, in batches of like size.

Every signal says of one point how much it is liked. The background of recent papers, of which
nearly all are not, counts as shared negatives: it shrinks the coordinates in which papers differ
anyway. The mean of the process is linear in the signals, so that each has its part of a score.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from digest.ranking.ranker import STANDARD, Ranker
from digest.ranking.space import Space
from digest.ranking.types import KINDS, Floats, Ints, Profiles, Signals

# What each kind says of its paper, but for a dislike, which is for the ranker to say; and how
# uncertainly (RANKING.md; silence is no signal at all).
LIKING = {"interest": 1.0, "up": 1.0, "saved": 1.0}
NOISE = {"interest": 1.0, "up": 1.0, "saved": 0.7, "down": 10.0}
# More signals than this say nothing new: interests stay, and the newest votes.
MOST = 256
# How strongly the background counts against a profile of m signals; chosen on the tuning part.
LEAST_LEVEL, GREATEST_LEVEL, LEVEL_POWER = 0.005, 0.07, 1.0
# Numbers that a batch of points holds at most: what fits the cache is read from there again.
_AT_ONCE = 2**20
# From this many multiplications on, BLAS starts threads for a product: for the many small ones here
# that costs more than it saves, by far when the cores are busy.
_QUIET = 2**18
# Batches by length: each width is so much greater than the last, which bounds what is padding.
_WIDER = 1.25
_THREADS = min(4, os.cpu_count() or 1)


def fit_profiles(signals: Signals, space: Space, ranker: Ranker = STANDARD) -> Profiles:
    """Fit every subscriber's profile; cost linear in subscribers, memory bounded by batches.

    `ranker` says how much a dislike counts, and how fast votes fade. A subscriber without signals
    gets the direction zero; a point that is not finite lies at zero.
    """
    n_subscribers, d = len(signals.sizes), len(space.spectrum)
    signals = replace(signals, points=finite_rows(signals.points))
    sizes = np.clip(signals.sizes, 1, MOST)
    levels = np.clip(LEAST_LEVEL * sizes**LEVEL_POWER, LEAST_LEVEL, GREATEST_LEVEL)
    profiles = Profiles(
        signals,
        weights=np.zeros(len(signals.kinds), np.float32),
        levels=levels.astype(np.float32),
        directions=np.zeros((n_subscribers, d), np.float32),
        spectrum=space.spectrum,
        ranker=ranker,
    )
    said = {**LIKING, "down": -ranker.dislike}
    liking = np.array([said[kind] for kind in KINDS], np.float32)[signals.kinds]
    noise = noise_of(signals, ranker.half_life_days)

    def fit(batch: Ints, places: Ints) -> None:
        there = places >= 0
        points = signals.points[signals.rows[places]]
        told = points * shrink(profiles, batch)[:, None, :]
        gram = products(told, points)
        gram *= there[:, :, None] & there[:, None, :]
        add_to_diagonal(gram, np.where(there, noise[places], 1.0))
        wanted = np.where(there, liking[places], np.float32(0.0))
        solved = np.linalg.solve(gram, wanted[:, :, None])[:, :, 0]
        profiles.weights[places[there]] = solved[there]
        profiles.directions[batch] = np.matmul(solved[:, None, :], told)[:, 0, :]

    in_batches(fit, signals)
    return profiles


def scores(profiles: Profiles, points: Floats) -> Floats:
    """How much each profile (u) likes each point (n): float32 (u, n)."""
    found: Floats = profiles.directions @ points.T
    return found


def noise_of(signals: Signals, half_life: float) -> Floats:
    """How uncertain each signal is, by its kind, and a vote more so with its age; shape (m,).

    A vote of `half_life` days counts half. An interest holds until it is changed.
    """
    noise = np.array([NOISE[kind] for kind in KINDS], np.float32)[signals.kinds]
    fading = np.where(signals.kinds == KINDS.index("interest"), 0.0, signals.ages)
    faded: Floats = noise * np.exp2(np.clip(fading / half_life, 0.0, 20.0)).astype(np.float32)
    return faded


def shrink(profiles: Profiles, subscribers: Ints) -> Floats:
    """By how much the background shrinks each coordinate for these subscribers, (b, D)."""
    shrunk: Floats = np.reciprocal(1.0 + profiles.levels[subscribers, None] * profiles.spectrum)
    return shrunk


def in_batches(work: Callable[[Ints, Ints], None], signals: Signals, *, beside: int = 0) -> None:
    """Give `work` subscribers of like size, (b,), and places of their signals, (b, m), -1 for none.

    Each subscriber with signals is in one batch, of a size that the cache bears if `beside` more
    points go with each. Of a very long profile the newest signals stand for all. Batches run in
    threads, for numpy leaves the other cores idle.
    """
    parts = list(_batches(signals, beside))
    if len(parts) == 1:
        work(*parts[0])
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(work, *part) for part in parts]:
            done.result()


def _batches(signals: Signals, beside: int) -> Iterator[tuple[Ints, Ints]]:
    sizes = np.minimum(signals.sizes, MOST)
    d = max(1, signals.points.shape[1])
    narrower, width = 0, 1
    while narrower < sizes.max(initial=0):
        members = np.flatnonzero((sizes > narrower) & (sizes <= width))
        step = max(1, _AT_ONCE // ((width + beside) * d))
        for first in range(0, len(members), step):
            batch = members[first : first + step]
            places = signals.starts[batch, None] + np.arange(width)
            places[np.arange(width) >= sizes[batch, None]] = -1
            for i in np.flatnonzero(signals.sizes[batch] > MOST):
                places[i, :MOST] = _newest(signals, int(batch[i]))
            yield batch, places
        narrower, width = width, max(width + 1, int(width * _WIDER))


def products(one: Floats, other: Floats) -> Floats:
    """The products of rows, (b, m, D) and (b, k, D) to (b, m, k)."""
    d, outer = one.shape[2], one.shape[1] * other.shape[1]
    step = max(1, _QUIET // max(1, outer))
    if step < 64:  # a product this large is worth its threads
        step = max(1, d)
    made = np.zeros((len(one), one.shape[1], other.shape[1]), np.float32)
    for first in range(0, d, step):
        part = slice(first, first + step)
        made += np.matmul(one[:, :, part], other[:, :, part].transpose(0, 2, 1))
    return made


def add_to_diagonal(matrices: Floats, diagonals: Floats) -> None:
    """Add (b, m) to the diagonals of matrices (b, m, m), in place."""
    i = np.arange(matrices.shape[1])
    matrices[:, i, i] += diagonals


def finite_rows(points: Floats) -> Floats:
    """The points (n, D), with zero for those that are not finite."""
    finite = np.isfinite(points)
    if finite.all():
        return points
    cleaned: Floats = np.where(finite.all(axis=1, keepdims=True), points, np.float32(0.0))
    return cleaned


def _newest(signals: Signals, subscriber: int) -> Ints:
    places = np.arange(signals.starts[subscriber], signals.starts[subscriber + 1])
    is_vote = signals.kinds[places] != KINDS.index("interest")
    return np.sort(places[np.lexsort((signals.ages[places], is_vote))[:MOST]])
