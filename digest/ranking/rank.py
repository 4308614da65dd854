"""Profiles and candidates to ranked papers, with the terms that carried each score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digest.ranking.calibrate import Calibration
from digest.ranking.profile import scores
from digest.ranking.select import EXPLORED, EXPLORES_FROM, Choice, Offer, choose, explore
from digest.ranking.types import (
    KINDS,
    LANES,
    Candidates,
    Floats,
    Ints,
    Profiles,
    RankedPaper,
    Ranking,
    RunnerUp,
    Share,
    Wishes,
)

RUNNERS_UP = 25
# Signals that carried less of a score than this are no reason for it.
LEAST_SHARE = 0.15
REASONS = 2


@dataclass(frozen=True, slots=True)
class Rankings:
    """The rankings of u subscribers as arrays; `of` gives one as values.

    `scores` and `probabilities` (u, k) go with the choice; `reasons` (u, k, r) are places of
    signals, -1 for none, with `parts` (u, k, r) of the score; `runners_up` (u, s) are places of
    candidates, -1 for none, with their scores.
    """

    candidates: Candidates
    profiles: Profiles
    choice: Choice
    scores: Floats
    probabilities: Floats
    reasons: Ints
    parts: Floats
    runners_up: Ints
    runner_scores: Floats

    def of(self, i: int) -> Ranking:
        """The ranking of subscriber `i` of the batch."""
        places = np.flatnonzero(self.choice.papers[i] >= 0)
        ids = self.candidates.ids
        copies = self.choice.copy_of[i]
        return Ranking(
            tuple(self._ranked(i, int(place)) for place in places),
            tuple(
                RunnerUp(
                    int(ids[paper]),
                    float(score),
                    int(ids[copies[paper]]) if copies[paper] >= 0 else None,
                )
                for paper, score in zip(self.runners_up[i], self.runner_scores[i], strict=True)
                if paper >= 0
            ),
        )

    def _ranked(self, i: int, place: int) -> RankedPaper:
        paper = int(self.choice.papers[i, place])
        lane = LANES[self.choice.lanes[i, place]]
        probability = float(self.probabilities[i, place])
        signals = self.profiles.signals
        shares: tuple[Share, ...] = (Share(lane, 0, 1.0),) if lane != "personal" else ()
        if lane == "personal":
            shares = tuple(
                Share(KINDS[signals.kinds[signal]], int(signals.refs[signal]), float(part))
                for signal, part in zip(self.reasons[i, place], self.parts[i, place], strict=True)
                if signal >= 0
            )
        return RankedPaper(
            paper_id=int(self.candidates.ids[paper]),
            lane=lane,
            score=float(
                self.candidates.momentum[paper] if lane == "trending" else self.scores[i, place]
            ),
            probability=None if np.isnan(probability) else probability,
            propensity=float(self.choice.propensity[i, place]),
            shares=shares,
        )


def rank(
    profiles: Profiles,
    candidates: Candidates,
    wishes: Wishes,
    *,
    free: NDArray[np.bool_],
    draws: Floats,
    calibration: Calibration | None = None,
) -> Rankings:
    """Choose and order papers for each subscriber; `free` (u, n) says what may be shown.

    The share `mix` of the places goes to the best personal scores, the rest to momentum; one
    place of a longer edition explores, by `draws` (u,), uniform between 0 and 1. A subscriber
    without a profile gets the trending papers. Equal scores keep the candidates' order.
    """
    liking = np.nan_to_num(scores(profiles, candidates.points))
    sizes = profiles.signals.sizes
    chances = np.full(liking.shape, np.nan, np.float32)
    if calibration is not None:
        chances = calibration.probability(liking, sizes[:, None])
        chances[~profiles.known] = np.nan
        free = free & ~(chances < wishes.min_probability[:, None])
    alike = candidates.vectors @ candidates.vectors.T
    explores = profiles.known & (wishes.n >= EXPLORES_FROM) & (wishes.mix > 0)
    n_all = wishes.n - explores
    n_personal = np.where(profiles.known, np.rint(n_all * wishes.mix), 0).astype(np.int64)
    belongs, n_interests = _belongs(profiles, candidates)
    momentum = np.nan_to_num(candidates.momentum)
    offer = Offer(liking, momentum, alike, free, n_personal, n_all, belongs, n_interests)
    choice = choose(offer, int(wishes.n.max(initial=0)))
    order, runner_scores = _runners_up(choice, liking, profiles.known, momentum, free)
    _explore(profiles, candidates, choice, np.flatnonzero(explores), order, draws)
    at = np.maximum(choice.papers, 0)
    chosen = np.take_along_axis(liking, at, axis=1) if len(candidates) else at.astype(np.float32)
    probable = np.take_along_axis(chances, at, axis=1) if len(candidates) else chosen * np.nan
    reasons, parts = _reasons(profiles, candidates, choice)
    explored = (choice.papers[:, :, None] == order[:, None, :]).any(axis=1)
    return Rankings(
        candidates=candidates,
        profiles=profiles,
        choice=choice,
        scores=chosen,
        probabilities=probable,
        reasons=reasons,
        parts=parts,
        runners_up=np.where(explored, -1, order),
        runner_scores=runner_scores,
    )


def _runners_up(
    choice: Choice,
    liking: Floats,
    known: NDArray[np.bool_],
    momentum: Floats,
    free: NDArray[np.bool_],
) -> tuple[Ints, Floats]:
    """The best that were not chosen: places (u, s), -1 for none, and scores (u, s)."""
    n_subscribers, n = liking.shape
    by = np.where(free, np.where(known[:, None], liking, momentum[None, :]), -np.inf)
    rows, places = np.nonzero(choice.papers >= 0)
    by[rows, choice.papers[rows, places]] = -np.inf
    s = min(RUNNERS_UP, n)
    if s == 0:
        return np.zeros((n_subscribers, 0), np.int64), np.zeros((n_subscribers, 0), np.float32)
    best = np.sort(np.argpartition(-by, s - 1, axis=1)[:, :s], axis=1)
    worth = np.take_along_axis(by, best, axis=1)
    order = np.argsort(-worth, axis=1, kind="stable")
    best, worth = np.take_along_axis(best, order, axis=1), np.take_along_axis(worth, order, axis=1)
    return np.where(np.isfinite(worth), best, -1), worth.astype(np.float32)


def _explore(
    profiles: Profiles,
    candidates: Candidates,
    choice: Choice,
    who: Ints,
    runners_up: Ints,
    draws: Floats,
) -> None:
    """Draw one of the first runners-up for each of `who`, by the variance of its score."""
    options = runners_up[who][:, :EXPLORED]
    if options.size == 0:
        return
    copies = np.take_along_axis(choice.copy_of[who], np.maximum(options, 0), axis=1)
    options = np.where(copies >= 0, -1, options)
    chosen = choice.papers[who]
    unknown = np.zeros(options.shape, np.float32)
    shrink = 1.0 / (1.0 + profiles.levels[who, None] * profiles.spectrum)
    for first in range(0, len(who), 128):
        part = slice(first, first + 128)
        points = candidates.points[np.maximum(options[part], 0)] * np.sqrt(shrink[part, None, :])
        shown = candidates.points[np.maximum(chosen[part], 0)] * np.sqrt(shrink[part, None, :])
        shown *= (chosen[part] >= 0)[:, :, None]
        # What the papers beside it in the mail will tell anyway is not worth asking: the variance
        # that is left once they are known (a Gaussian process needs no answers for that).
        cross = np.matmul(shown, points.transpose(0, 2, 1))
        gram = np.matmul(shown, shown.transpose(0, 2, 1)) + np.eye(shown.shape[1])
        told = (cross * np.linalg.solve(gram, cross)).sum(axis=1)
        unknown[part] = (points**2).sum(axis=2) - told
    explore(choice, who, options, unknown, draws[who])


def _belongs(profiles: Profiles, candidates: Candidates) -> tuple[NDArray[np.int16], Ints]:
    """The interest that carries most of each score: (u, n), -1 for none; and how many there are."""
    signals = profiles.signals
    n_subscribers = len(signals.sizes)
    belongs = np.full((n_subscribers, len(candidates)), -1, np.int16)
    places = np.flatnonzero(signals.kinds == KINDS.index("interest"))
    owners = np.searchsorted(signals.starts, places, side="right") - 1
    n_interests = np.bincount(owners, minlength=n_subscribers)
    ordinal = np.arange(len(places)) - np.repeat(
        np.concatenate([[0], np.cumsum(n_interests)[:-1]]), n_interests
    )
    # Only who has several interests needs a floor for each.
    several = n_interests[owners] > 1
    if not several.any():
        return belongs, n_interests
    strongest = np.zeros(belongs.shape, np.float32)
    for nth in range(int(n_interests.max())):
        now = several & (ordinal == nth)
        who, what = owners[now], places[now]
        shrink = 1.0 / (1.0 + profiles.levels[who, None] * profiles.spectrum)
        directions = signals.points[signals.rows[what]] * shrink * profiles.weights[what, None]
        carried = directions @ candidates.points.T
        better = carried > strongest[who]
        strongest[who] = np.where(better, carried, strongest[who])
        belongs[who] = np.where(better, np.int16(nth), belongs[who])
    return belongs, n_interests


def _reasons(profiles: Profiles, candidates: Candidates, choice: Choice) -> tuple[Ints, Floats]:
    """The signals that carried each personal score most, and their parts of what spoke for it."""
    n_subscribers, k = choice.papers.shape
    reasons = np.full((n_subscribers, k, REASONS), -1, np.int64)
    parts = np.zeros((n_subscribers, k, REASONS), np.float32)
    signals, sizes = profiles.signals, profiles.signals.sizes
    personal = (choice.papers >= 0) & (choice.lanes == LANES.index("personal"))
    order = np.argsort(sizes, kind="stable")
    order = order[personal[order].any(axis=1)]
    first = 0
    while first < len(order):
        width = int(sizes[order[first]])
        last = first
        # Batches of like size, within the memory that one may take.
        while (
            last < len(order)
            and sizes[order[last]] <= max(2 * width, 8)
            and (last - first + 1) * sizes[order[last]] * candidates.points.shape[1] < 2**21
        ):
            last += 1
        who = order[first : max(last, first + 1)]
        first += len(who)
        width = int(sizes[who].max())
        places = signals.starts[who, None] + np.arange(width)
        there = np.arange(width) < sizes[who, None]
        places = np.where(there, places, 0)
        weights = np.where(there, profiles.weights[places], 0.0)
        shrink = 1.0 / (1.0 + profiles.levels[who, None] * profiles.spectrum)
        told = signals.points[signals.rows[places]] * weights[:, :, None]
        papers = candidates.points[np.maximum(choice.papers[who], 0)] * shrink[:, None, :]
        carried = np.matmul(papers, told.transpose(0, 2, 1))
        positive = np.maximum(carried, 0.0)
        part = positive / np.maximum(positive.sum(axis=2, keepdims=True), 1e-9)
        best = np.argsort(-part, axis=2, kind="stable")[:, :, :REASONS]
        share = np.take_along_axis(part, best, axis=2)
        carries = (share > LEAST_SHARE) & personal[who][:, :, None]
        carries[:, :, 0] = (share[:, :, 0] > 0) & personal[who]
        n = best.shape[2]
        signal = np.take_along_axis(np.broadcast_to(places[:, None, :], part.shape), best, axis=2)
        reasons[who, :, :n] = np.where(carries, signal, -1)
        parts[who, :, :n] = np.where(carries, share, 0.0)
    return reasons, parts
