"""Scores to a choice, for a batch of subscribers at once.

Places for personal and for trending papers, diversity, a floor for every interest, and one paper to
learn from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digest.ranking.types import LANES, Floats, Ints

# Two papers this close say the same thing to a reader; the better one stands for both.
NEAR_COPY = 0.95
# How much being like what was chosen before costs (Carbonell and Goldstein 1998, MMR): at 1 - .8
# nDCG falls by .002 and the list's likeness from .245 to .232 (RANKING.md).
DIVERSITY = 0.2
# An edition this long has room for one paper of which we want to learn.
EXPLORES_FROM = 5
# The best papers that were not chosen, of which one is explored.
EXPLORED = 12
# How sharply exploration prefers what is least known.
EXPLORATION_HEAT = 0.05
# An interest has its place where its best paper is at least this part of its reader's best.
FLOOR = 0.3
_NONE = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for u subscribers: `papers` (u, k) places among the candidates, -1 for none.

    `lanes` int8 (u, k) are places in LANES, `propensity` (u, k) the probability of the choice,
    `copy_of` (u, n) the chosen paper that a paper says the same as, -1 for none.
    """

    papers: Ints
    lanes: NDArray[np.int8]
    propensity: Floats
    copy_of: Ints


@dataclass(slots=True)
class _Draft:
    """A choice in the making; `free` (u, n) is what may still be chosen."""

    papers: Ints
    lanes: NDArray[np.int8]
    taken: Ints
    free: NDArray[np.bool_]
    likeness: Floats
    copy_of: Ints

    def take(self, who: Ints, what: Ints, lane: int, alike: Floats) -> None:
        """Give subscribers `who` (b,) the papers `what` (b,); their near-copies go."""
        self.papers[who, self.taken[who]] = what
        self.lanes[who, self.taken[who]] = lane
        self.taken[who] += 1
        near = alike[what]
        copies = self.free[who] & (near > NEAR_COPY)
        rows, places = np.nonzero(copies)
        self.copy_of[who[rows], places] = what[rows]
        self.copy_of[who, what] = -1
        self.free[who] &= ~copies
        self.free[who, what] = False
        self.likeness[who] = np.maximum(self.likeness[who], near)


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from, for u subscribers and n papers.

    `scores` (u, n), `momentum` (n,), `alike` (n, n) cosines of papers, `free` (u, n) whether a
    paper may be shown, `n_personal` and `n_all` (u,) places. `belongs` int16 (u, n) is the interest
    that a paper belongs to, -1 for none, of `n_interests` (u,).
    """

    scores: Floats
    momentum: Floats
    alike: Floats
    free: NDArray[np.bool_]
    n_personal: Ints
    n_all: Ints
    belongs: NDArray[np.int16]
    n_interests: Ints


def choose(offer: Offer, k: int) -> Choice:
    """Fill the personal places by score and the others by momentum; deterministic.

    A place of which nothing worth showing is left stays empty. `k` is the width of the choice.
    """
    n_subscribers, n = offer.scores.shape
    draft = _Draft(
        papers=np.full((n_subscribers, k), -1, np.int64),
        lanes=np.zeros((n_subscribers, k), np.int8),
        taken=np.zeros(n_subscribers, np.int64),
        free=offer.free.copy(),
        likeness=np.zeros((n_subscribers, n), np.float32),
        copy_of=np.full((n_subscribers, n), -1, np.int64),
    )
    if n:
        _choose_personal(offer, draft)
        _choose_trending(offer, draft)
    propensity = np.ones((n_subscribers, k), np.float32)
    return Choice(draft.papers, draft.lanes, propensity, draft.copy_of)


def _choose_personal(offer: Offer, draft: _Draft) -> None:
    best = np.where(offer.free, offer.scores, 0.0).max(axis=1, initial=0.0)
    has_place = _interests_with_a_place(offer, best)
    for place in range(int(offer.n_personal.max(initial=0))):
        worth = np.where(draft.free & (offer.scores > 0), offer.scores, _NONE)
        worth = worth - DIVERSITY * best[:, None] * draft.likeness
        # While as many places are left as interests without a paper, only theirs are open.
        left = offer.n_personal - place
        owed = (left <= has_place.sum(axis=1)) & (has_place.any(axis=1))
        theirs = np.take_along_axis(has_place, np.maximum(offer.belongs, 0), axis=1)
        theirs &= (offer.belongs >= 0) & np.isfinite(worth)
        only = owed & theirs.any(axis=1)
        worth[only[:, None] & ~theirs] = _NONE
        what = worth.argmax(axis=1)
        who = np.flatnonzero(
            (place < offer.n_personal) & np.isfinite(worth[np.arange(len(what)), what])
        )
        draft.take(who, what[who], LANES.index("personal"), offer.alike)
        mine = offer.belongs[who, what[who]]
        has_place[who[mine >= 0], mine[mine >= 0]] = False


def _interests_with_a_place(offer: Offer, best: Floats) -> NDArray[np.bool_]:
    """Of each subscriber's interests, those with a paper good enough for a place of its own."""
    n_interests = max(1, int(offer.n_interests.max(initial=0)))
    found = np.zeros((len(best), n_interests), np.bool_)
    worthy = offer.free & (offer.belongs >= 0) & (offer.scores > FLOOR * best[:, None])
    rows, places = np.nonzero(worthy)
    found[rows, offer.belongs[rows, places]] = True
    return found


def _choose_trending(offer: Offer, draft: _Draft) -> None:
    # What is close to a dislike is not shown for being popular.
    floor = -0.5 * np.abs(offer.scores).max(axis=1, initial=0.0)
    unwanted = (offer.scores < floor[:, None]) & (offer.scores < 0)
    for _ in range(int(offer.n_all.max(initial=0))):
        worth = np.where(draft.free & ~unwanted & (offer.momentum > 0), offer.momentum, _NONE)
        worth = worth - DIVERSITY * draft.likeness
        what = worth.argmax(axis=1)
        open_ = (draft.taken < offer.n_all) & np.isfinite(worth[np.arange(len(what)), what])
        if not open_.any():
            break
        who = np.flatnonzero(open_)
        draft.take(who, what[who], LANES.index("trending"), offer.alike)


def explore(choice: Choice, wanted: Ints, options: Ints, unknown: Floats, draws: Floats) -> None:
    """Give subscribers `wanted` (b,) one more paper, drawn from `options` (b, e), -1 for none.

    What is least known, by `unknown` (b, e), is likeliest; `draws` (b,) decide; the probability is kept, so that past
    editions can be evaluated (Horvitz and Thompson 1952). Changes `choice`.
    """
    heat = np.where(options >= 0, unknown / EXPLORATION_HEAT, -np.inf)
    some = np.isfinite(heat).any(axis=1)
    wanted, options, heat = wanted[some], options[some], heat[some]
    chances = np.exp(heat - heat.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    drawn = (chances.cumsum(axis=1) < draws[some, None]).sum(axis=1)
    drawn = np.minimum(drawn, options.shape[1] - 1)
    rows = np.arange(len(wanted))
    place = (choice.papers[wanted] >= 0).sum(axis=1)
    choice.papers[wanted, place] = options[rows, drawn]
    choice.lanes[wanted, place] = LANES.index("exploration")
    choice.propensity[wanted, place] = chances[rows, drawn]
