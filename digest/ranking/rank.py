"""Profiles and candidates to ranked papers, with the terms that carried each score."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from digest.ranking.calibrate import Calibration
from digest.ranking.momentum import NOTICED
from digest.ranking.profile import (
    NOISE,
    add_to_diagonal,
    finite_rows,
    in_batches,
    noise_of,
    products,
    scores,
    shrink,
)
from digest.ranking.select import (
    EXPLORED,
    EXPLORES_FROM,
    Choice,
    Offer,
    choose,
    explore,
)
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
# A score that chance reaches, and one from which on five times as many papers are liked as by
# chance; much the same for interests and for any number of likes. On the benchmark's tuning part.
LEAST_SCORE, CLOSE_SCORE = 0.05, 0.12
# Signals that carried less of a score than this are no reason for it.
LEAST_SHARE = 0.15
REASONS = 2
# A paper is near a signal if this is, of what the signal says of its own point, what it says of it.
# Of what readers of CiteULike keep 56 % is so near to their interest, of other papers 7 %.
NEAR = 0.2
# It is close to a paper that it is this part as like as that is to itself, and to words that it is
# so like for their length; coordinates shrunk alike for everybody. On the tuning part of CiteULike
# what is so near to a liked paper is liked 14 to 18 times as often; of what is so near to a tag, or
# to two or three together, a fifth to a quarter has one of them (of all papers 0.5 to 1.5 %). That
# is so in the background and beyond it, whether something was learned from readers or not.
CLOSE, CLOSE_TO_WORDS, CLOSE_LEVEL = 0.11, 0.18, 0.03


@dataclass(frozen=True, slots=True)
class Rankings:
    """The rankings of u subscribers as arrays; `of` gives one as values.

    `scores` and `probabilities` (u, k) go with the choice; `reasons` (u, k, r) are places of
    signals, -1 for none, with `parts` (u, k, r) of the score, and `is_close` (u, k, r) tells
    whether the paper is close to them; `runners_up` (u, s) are places of
    candidates, -1 for none, with their scores.
    """

    candidates: Candidates
    profiles: Profiles
    choice: Choice
    scores: Floats
    probabilities: Floats
    reasons: Ints
    parts: Floats
    is_close: NDArray[np.bool_]
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
                Share(
                    KINDS[signals.kinds[signal]],
                    int(signals.refs[signal]),
                    float(part),
                    is_close=bool(is_close),
                )
                for signal, part, is_close in zip(
                    self.reasons[i, place],
                    self.parts[i, place],
                    self.is_close[i, place],
                    strict=True,
                )
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

    The share `mix` of the places goes to the best personal scores, the rest to momentum, or to
    personal scores where little trends; one place of a longer edition explores, by `draws` (u,),
    uniform between 0 and 1. What a profile says no more of than chance would has no place by it. A
    subscriber who told us of nothing that they like gets the trending papers. Equal scores keep the
    candidates' order. What is not finite counts as nothing known of that paper. The ranker is that
    of the profiles.
    """
    offered = offer_to(profiles, candidates, wishes, free=free, calibration=calibration)
    choice = choose(
        offered.offer, int(wishes.n.max(initial=0)), diversity=profiles.ranker.diversity
    )
    return complete(offered, choice, draws)


@dataclass(frozen=True, slots=True)
class Offered:
    """What u subscribers can be given, as their profiles see it.

    `liking` and `chances` (u, n) are scores and probabilities of an up-vote, NaN where not known;
    `explores` (u,) tells who gets a paper to learn from.
    """

    profiles: Profiles
    candidates: Candidates
    liking: Floats
    chances: Floats
    explores: NDArray[np.bool_]
    offer: Offer


def offer_to(
    profiles: Profiles,
    candidates: Candidates,
    wishes: Wishes,
    *,
    free: NDArray[np.bool_],
    calibration: Calibration | None,
) -> Offered:
    """Score the candidates; the arguments are those of `rank`."""
    candidates = replace(
        candidates,
        points=finite_rows(candidates.points),
        vectors=finite_rows(candidates.vectors),
        momentum=np.nan_to_num(candidates.momentum, posinf=0.0, neginf=0.0),
    )
    liking = scores(profiles, candidates.points)
    chances = np.full(liking.shape, np.nan, np.float32)
    if calibration is not None:
        chances = calibration.probability(liking, profiles.signals.sizes[:, None])
        chances[~profiles.known] = np.nan
        free = free & ~(chances < wishes.min_probability[:, None])
    explores = profiles.known & (wishes.n >= EXPLORES_FROM) & (wishes.mix > 0)
    n_all = wishes.n - explores
    # What nobody has noticed trends for those alone of whom nothing is known.
    n_noticed = (free & (candidates.momentum >= NOTICED)).sum(axis=1)
    wanted = np.where(wishes.mix > 0, np.maximum(np.rint(n_all * wishes.mix), n_all - n_noticed), 0)
    n_personal = np.where(profiles.known, wanted, 0).astype(np.int64)
    against, unwanted = _against(profiles, candidates, liking)
    helped = _helped(liking, candidates.momentum, profiles.ranker.momentum)
    likes = liking - against
    offer = Offer(
        # To be unlike what somebody dislikes is no reason to be shown.
        scores=np.where(likes > 0, helped, np.minimum(liking, likes)),
        momentum=candidates.momentum,
        vectors=candidates.vectors,
        free=free,
        unwanted=unwanted,
        n_personal=n_personal,
        n_all=n_all,
        least_score=LEAST_SCORE,
        least_momentum=np.where(profiles.known, np.float32(NOTICED), np.float32(0.0)),
        belongs=_belongs(profiles, candidates, liking),
    )
    return Offered(profiles, candidates, liking, chances, explores, offer)


def complete(offered: Offered, choice: Choice, draws: Floats) -> Rankings:
    """Add to a choice, in place, what is explored, and say what carried it and what lost."""
    profiles, candidates, offer = offered.profiles, offered.candidates, offered.offer
    order, runner_scores = _runners_up(offer, choice, profiles.known)
    options = _options(offer, choice, offered.explores)
    reasons, parts, is_close, unknown = _weigh(profiles, candidates, choice, options)
    who = np.flatnonzero(offered.explores)
    heat = profiles.ranker.exploration_heat
    explore(choice, who, options[who], unknown[who], draws[who], heat=heat)
    explored = (choice.papers[:, :, None] == order[:, None, :]).any(axis=1)
    return Rankings(
        candidates=candidates,
        profiles=profiles,
        choice=choice,
        scores=_at(offered.liking, choice.papers),
        probabilities=_at(offered.chances, choice.papers),
        reasons=reasons,
        parts=parts,
        is_close=is_close,
        runners_up=np.where(explored, -1, order),
        runner_scores=runner_scores,
    )


def _helped(liking: Floats, momentum: Floats, by: float) -> Floats:
    """Scores (u, n) by which personal places are filled; what speaks against a paper stays."""
    if not by:
        return liking
    helped: Floats = np.where(liking > 0, liking * (1 + by * momentum), liking)
    return helped


def _at(values: Floats, papers: Ints) -> Floats:
    """The values (u, n) of papers (u, k); what stands where there is no paper says nothing."""
    if not values.shape[1]:
        return np.zeros(papers.shape, np.float32)
    return np.take_along_axis(values, np.maximum(papers, 0), axis=1)


def _runners_up(offer: Offer, choice: Choice, known: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """The best that were not chosen: places (u, s), -1 for none, and scores (u, s)."""
    by = np.where(known[:, None], offer.scores, offer.momentum)
    by[~offer.free] = -np.inf
    rows, places = np.nonzero(choice.papers >= 0)
    by[rows, choice.papers[rows, places]] = -np.inf
    return _best(by, RUNNERS_UP)


def _best(worth: Floats, n: int) -> tuple[Ints, Floats]:
    """The `n` greatest of each row, or all, in order: their places, -1 for -inf, and values."""
    n = min(n, worth.shape[1])
    best = (
        np.sort(np.argpartition(-worth, max(0, n - 1), axis=1)[:, :n], 1) if n else worth.argsort()
    )
    values = np.take_along_axis(worth, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best, values = (
        np.take_along_axis(best, order, axis=1),
        np.take_along_axis(values, order, axis=1),
    )
    return np.where(np.isfinite(values), best, -1), values


def _options(offer: Offer, choice: Choice, explores: NDArray[np.bool_]) -> Ints:
    """What each subscriber may explore, (u, e), -1 for none: the best of what is not close."""
    options = np.full((len(explores), EXPLORED), -1, np.int64)
    who = np.flatnonzero(explores)
    open_ = offer.free[who] & (choice.copy_of[who] < 0) & ~offer.unwanted[who]
    # What is close is no new territory.
    open_ &= offer.scores[who] < CLOSE_SCORE
    rows, places = np.nonzero(choice.papers[who] >= 0)
    open_[rows, choice.papers[who[rows], places]] = False
    best, _ = _best(np.where(open_, offer.scores[who], np.float32(-np.inf)), EXPLORED)
    options[who, : best.shape[1]] = best
    return options


def _belongs(profiles: Profiles, candidates: Candidates, liking: Floats) -> NDArray[np.int16]:
    """The interest that carries most of each score, (u, n); -1 where none is near."""
    signals = profiles.signals
    belongs = np.full(liking.shape, -1, np.int16)
    is_interest = (signals.kinds == KINDS.index("interest")) & (profiles.weights > 0)
    places = np.flatnonzero(is_interest)
    owners = signals.owners[places]
    nth = np.arange(len(places)) - np.searchsorted(owners, owners)
    # Whoever told one thing only needs no floor for it.
    several = signals.sizes[owners] > 1
    if not several.any():
        return belongs
    strongest = np.zeros_like(liking)
    for n in range(int(nth[several].max()) + 1):
        now = several & (nth == n)
        who, what = owners[now], places[now]
        points = signals.points[signals.rows[what]]
        directions = points * shrink(profiles, who) * profiles.weights[what, None]
        carried = directions @ candidates.points.T
        own = (directions * points).sum(axis=1, keepdims=True)
        better = (carried > np.maximum(NEAR * own, LEAST_SCORE)) & (carried > strongest[who])
        belongs[who] = np.where(better, np.int16(n), belongs[who])
        strongest[who] = np.where(better, carried, strongest[who])
    return belongs


def _against(
    profiles: Profiles, candidates: Candidates, liking: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """What dislikes carry of each score, (u, n).

    And what is near a dislike, and not liked for anything else, (u, n).
    """
    signals = profiles.signals
    against, unwanted = np.zeros_like(liking), np.zeros(liking.shape, np.bool_)
    places = np.flatnonzero((signals.kinds == KINDS.index("down")) & (profiles.weights < 0))
    if not len(places) or not len(candidates):
        return against, unwanted
    who, owners = np.unique(signals.owners[places], return_inverse=True)
    rows, weights = signals.rows[places], profiles.weights[places]
    shape = len(who), len(signals.points)
    told = csr_array((weights, (owners, rows)), shape=shape) @ signals.points
    carried = (told * shrink(profiles, who)) @ candidates.points.T
    greatest = np.zeros(len(who), np.float32)
    np.maximum.at(greatest, owners, -weights)
    own = shrink(profiles, who) @ _likeness_to_itself(candidates)
    against[who] = carried
    unwanted[who] = (carried < -NEAR * (greatest * own)[:, None]) & (liking[who] < 0)
    return against, unwanted


def _likeness_to_itself(candidates: Candidates) -> Floats:
    """How like a paper is to itself by each coordinate, (D,): about this, whatever the paper."""
    like: Floats = (candidates.points**2).mean(axis=0)
    return like


def _weigh(
    profiles: Profiles, candidates: Candidates, choice: Choice, options: Ints
) -> tuple[Ints, Floats, NDArray[np.bool_], Floats]:
    """What carried each personal score, and how little is known of each option.

    The places of the signals that carried most, -1 for none, their parts of what spoke for the
    paper, and whether it is close to them, (u, k, r); and the variance (u, e) that is left of each
    option's score once the signals and the papers beside it in the mail are known (a Gaussian
    process needs no answers for that).
    """
    signals, k = profiles.signals, choice.papers.shape[1]
    reasons = np.full((*choice.papers.shape, REASONS), -1, np.int64)
    parts = np.zeros(reasons.shape, np.float32)
    is_close = np.zeros(reasons.shape, np.bool_)
    unknown = np.zeros(options.shape, np.float32)
    if not len(candidates):
        return reasons, parts, is_close, unknown
    noise = noise_of(signals, profiles.ranker.half_life_days)
    alike = np.reciprocal(1.0 + np.float32(CLOSE_LEVEL) * profiles.spectrum)
    asked = np.concatenate([choice.papers, options], axis=1)

    def weigh(batch: Ints, places: Ints) -> None:
        m = places.shape[1]
        told = m + k  # the signals and the papers in the mail; behind them stand the options
        there = np.concatenate([places, asked[batch]], axis=1) >= 0
        points = np.concatenate(
            [signals.points[signals.rows[places]], candidates.points[asked[batch]]], axis=1
        )
        shrunk = points * shrink(profiles, batch)[:, None, :]
        gram = products(shrunk, points[:, :told])
        gram *= there[:, :, None] & there[:, None, :told]
        reasons[batch], parts[batch] = _reasons(
            profiles, choice, batch, places, gram[:, m:told, :m]
        )
        of = signals.points[signals.rows[reasons[batch]]]
        like = np.einsum("bkrd,bkd->bkr", of, points[:, m:told] * alike)
        length = np.linalg.norm(of, axis=3)
        is_typed = signals.kinds[reasons[batch]] == KINDS.index("interest")
        close = np.where(is_typed, CLOSE_TO_WORDS * length, CLOSE * length**2)
        is_close[batch] = (reasons[batch] >= 0) & (like >= close)
        if options.shape[1]:
            noises = np.full((len(batch), told), np.float32(NOISE["up"]))
            noises[:, :m] = np.where(there[:, :m], noise[places], 1.0)
            known, cross = gram[:, :told], gram[:, told:].transpose(0, 2, 1)
            add_to_diagonal(known, noises)
            prior = np.einsum("bed,bed->be", shrunk[:, told:], points[:, told:])
            unknown[batch] = prior - (cross * np.linalg.solve(known, cross)).sum(axis=1)

    in_batches(weigh, signals, beside=asked.shape[1])
    return reasons, parts, is_close, unknown


def _reasons(
    profiles: Profiles,
    choice: Choice,
    batch: Ints,
    places: Ints,
    likeness: Floats,
) -> tuple[Ints, Floats]:
    """The signals (b, k, r) that carried the personal scores of a batch, and their parts.

    `likeness` (b, k, m) is that of papers to signals.
    """
    signals = profiles.signals
    is_personal = (choice.papers[batch] >= 0) & (choice.lanes[batch] == LANES.index("personal"))
    weights = np.where(places >= 0, profiles.weights[places], 0.0)
    carried = np.maximum(likeness * weights[:, None, :], 0.0)
    total = np.maximum(carried.sum(axis=2, keepdims=True), 1e-9)
    # To be unlike something speaks for a paper, too, but makes no sentence.
    likes = (signals.kinds[places] != KINDS.index("down"))[:, None, :] & (likeness > 0)
    part = np.where(likes, carried, 0.0) / total
    best = np.argsort(-part, axis=2, kind="stable")[:, :, :REASONS]
    share = np.take_along_axis(part, best, axis=2)
    least = np.array([0.0] + [LEAST_SHARE] * (REASONS - 1))[: best.shape[2]]
    carries = is_personal[:, :, None] & (share > least)
    signal = np.take_along_axis(np.broadcast_to(places[:, None, :], part.shape), best, axis=2)
    reasons = np.full((*is_personal.shape, REASONS), -1, np.int64)
    parts = np.zeros(reasons.shape, np.float32)
    reasons[:, :, : best.shape[2]] = np.where(carries, signal, -1)
    parts[:, :, : best.shape[2]] = np.where(carries, share, 0.0)
    return reasons, parts
