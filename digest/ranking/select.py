"""Scores to a choice, for a batch of subscribers at once.

Places for personal and for trending papers, diversity, a floor for every interest, and one paper to
learn from.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digest.ranking.ranker import STANDARD
from digest.ranking.types import LANES, Floats, Ints

# Two papers this close say the same thing to a reader; the better one stands for both. (On
# CiteULike two tutorials of one title lie at .993, and papers on one subject at up to .932.)
NEAR_COPY = 0.95
DIVERSITY = STANDARD.diversity
# An edition this long has room for one paper of which we want to learn.
EXPLORES_FROM = 5
# The best papers that were not chosen, of which one is explored.
EXPLORED = 8
_NONE = np.float32(-np.inf)
# Numbers of a table of scores that are worked on at once: they stay in the cache.
_AT_ONCE = 2**18


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for u subscribers: `papers` (u, k) places among the candidates, -1 for none.

    `lanes` int8 (u, k) are places in LANES, `propensity` (u, k) the probability of the choice,
    `copy_of` (u, n) the chosen paper that a paper says the same as, -1 for none.
    """

    papers: Ints
    lanes: NDArray[np.int8]
    propensity: Floats
    copy_of: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from, for u subscribers and n papers.

    `scores` (u, n), `momentum` (n,), `vectors` (n, d) whose products say how alike papers are,
    `free` (u, n) whether a paper may be shown, `unwanted` (u, n) whether it may not be for being
    popular or new, `n_personal` and `n_all` (u,) places. A personal place is for a score above
    `least_score`, or for a paper of an interest, `belongs` int16 (u, n), -1 for none; one of
    the others is for momentum above zero, and of at least `least_momentum` (u,).
    """

    scores: Floats
    momentum: Floats
    vectors: Floats
    free: NDArray[np.bool_]
    unwanted: NDArray[np.bool_]
    n_personal: Ints
    n_all: Ints
    least_score: float
    least_momentum: Floats
    belongs: NDArray[np.int16]

    def part(self, rows: slice) -> "Offer":
        """The offer to some of the subscribers."""
        return replace(
            self,
            scores=self.scores[rows],
            free=self.free[rows],
            unwanted=self.unwanted[rows],
            n_personal=self.n_personal[rows],
            n_all=self.n_all[rows],
            least_momentum=self.least_momentum[rows],
            belongs=self.belongs[rows],
        )


class _Alike:
    """How alike papers are, a row a paper; only what is chosen is ever compared with the rest."""

    def __init__(self, vectors: Floats) -> None:
        n = len(vectors)
        self._vectors = vectors
        self._place = np.full(n, -1, np.int64)
        self._rows = np.zeros((0, n), np.float32)

    def __getitem__(self, papers: Ints) -> Floats:
        new = np.unique(papers[self._place[papers] < 0])
        if len(new):
            self._place[new] = len(self._rows) + np.arange(len(new))
            self._rows = np.concatenate([self._rows, self._vectors[new] @ self._vectors.T])
        found: Floats = self._rows[self._place[papers]]
        return found


@dataclass(slots=True)
class _Draft:
    """A choice in the making; `free` (u, n) is what may still be chosen."""

    papers: Ints
    lanes: NDArray[np.int8]
    taken: Ints
    free: NDArray[np.bool_]
    likeness: Floats
    copy_of: NDArray[np.int32]

    def take(self, who: Ints, what: Ints, lane: int, alike: _Alike) -> None:
        """Give subscribers `who` (b,) the papers `what` (b,); their near-copies go."""
        self.papers[who, self.taken[who]] = what
        self.lanes[who, self.taken[who]] = lane
        self.taken[who] += 1
        self.free[who, what] = False
        near = alike[what]
        rows, places = np.nonzero(near > NEAR_COPY)
        free = self.free[who[rows], places]
        rows, places = rows[free], places[free]
        self.copy_of[who[rows], places] = what[rows]
        self.free[who[rows], places] = False
        self.likeness[who] = np.maximum(self.likeness[who], near)


def choose(
    offer: Offer, k: int, *, diversity: float = DIVERSITY, personal: Ints | None = None
) -> Choice:
    """Fill the personal places by score and the others by momentum; deterministic.

    A place of which nothing worth showing is left stays empty. `k` is the width of the choice.
    To be just like a chosen paper costs `diversity` of the best score. Where `personal` (u, p) is
    given, places of candidates and -1 for none, these are the personal papers.
    """
    n_subscribers, n = offer.scores.shape
    papers = np.full((n_subscribers, k), -1, np.int64)
    lanes = np.zeros((n_subscribers, k), np.int8)
    copy_of = np.full((n_subscribers, n), -1, np.int32)
    alike = _Alike(offer.vectors)
    step = max(1, _AT_ONCE // max(1, n))
    for first in range(0, n_subscribers if n else 0, step):
        rows = slice(first, first + step)
        part = offer.part(rows)
        draft = _Draft(
            papers[rows],
            lanes[rows],
            taken=np.zeros(len(part.scores), np.int64),
            free=part.free.copy(),
            likeness=np.zeros(part.scores.shape, np.float32),
            copy_of=copy_of[rows],
        )
        if personal is None:
            _choose_personal(part, draft, alike, diversity)
        else:
            _take_personal(personal[rows], draft, alike)
        _choose_trending(part, draft, alike, diversity)
    return Choice(papers, lanes, np.ones((n_subscribers, k), np.float32), copy_of)


def _choose_personal(offer: Offer, draft: _Draft, alike: _Alike, diversity: float) -> None:
    best = np.where(offer.free, offer.scores, 0.0).max(axis=1, initial=0.0)
    price = (diversity * best)[:, None]
    # Papers for the place that each interest has, and the interests that are still without.
    worthy = (offer.belongs >= 0) & (offer.scores > 0)
    enough = worthy | (offer.scores > max(offer.least_score, 0.0))
    without = _interests(offer.belongs, worthy & draft.free)
    everyone = np.arange(len(best))
    for place in range(int(offer.n_personal.max(initial=0))):
        worth = np.where(draft.free & enough, offer.scores, _NONE)
        worth -= price * draft.likeness
        if without.any():
            # While as many places are left as interests without a paper, only theirs are open.
            owed = offer.n_personal - place <= without.sum(axis=1)
            theirs = worthy & draft.free
            theirs &= np.take_along_axis(without, np.maximum(offer.belongs, 0), axis=1)
            owed &= theirs.any(axis=1)
            worth[owed[:, None] & ~theirs] = _NONE
        what = worth.argmax(axis=1)
        who = np.flatnonzero((place < offer.n_personal) & (worth[everyone, what] > _NONE))
        if not len(who):
            break
        what = what[who]
        draft.take(who, what, LANES.index("personal"), alike)
        mine = np.where(worthy[who, what], offer.belongs[who, what], -1)
        without[who[mine >= 0], mine[mine >= 0]] = False


def _take_personal(personal: Ints, draft: _Draft, alike: _Alike) -> None:
    for papers in personal.T:
        who = np.flatnonzero(papers >= 0)
        draft.take(who, papers[who], LANES.index("personal"), alike)


def _interests(belongs: NDArray[np.int16], papers: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which interests (u, i) some of each subscriber's `papers` (u, n) belong to."""
    found = np.zeros((len(belongs), max(1, int(belongs.max(initial=0)) + 1)), np.bool_)
    rows, places = np.nonzero(papers)
    found[rows, belongs[rows, places]] = True
    return found


def _choose_trending(offer: Offer, draft: _Draft, alike: _Alike, diversity: float) -> None:
    draft.free &= (offer.momentum > 0) & (offer.momentum >= offer.least_momentum[:, None])
    draft.free &= ~offer.unwanted
    # Who wants nothing but what is theirs gets a short edition on a thin day, or none.
    wants_some = offer.n_personal < offer.n_all
    while len(who := np.flatnonzero(wants_some & (draft.taken < offer.n_all))):
        worth = np.where(draft.free[who], offer.momentum, _NONE)
        worth -= diversity * draft.likeness[who]
        what = worth.argmax(axis=1)
        some = worth[np.arange(len(who)), what] > _NONE
        if not some.any():
            break
        draft.take(who[some], what[some], LANES.index("trending"), alike)


def explore(
    choice: Choice,
    wanted: Ints,
    options: Ints,
    unknown: Floats,
    draws: Floats,
    *,
    heat: float = STANDARD.exploration_heat,
) -> None:
    """Give subscribers `wanted` (b,) one more paper, drawn from `options` (b, e), -1 for none.

    What is least known, by `unknown` (b, e), is likeliest, by exp(unknown / heat); `draws` (b,)
    decide. The probability is kept, so that past editions can be evaluated (Horvitz and Thompson
    1952). Changes `choice`.
    """
    some = (options >= 0).any(axis=1)
    wanted, options = wanted[some], options[some]
    if not len(wanted):
        return
    wanting = np.where(options >= 0, unknown[some] / heat, _NONE)
    chances = np.exp(wanting - wanting.max(axis=1, keepdims=True), dtype=np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    drawn = (chances.cumsum(axis=1) <= draws[some, None]).sum(axis=1)
    # Rounding may leave a draw close to 1 above the sum.
    last = options.shape[1] - 1 - (chances[:, ::-1] > 0).argmax(axis=1)
    drawn = np.minimum(drawn, last)
    rows = np.arange(len(wanted))
    place = (choice.papers[wanted] >= 0).sum(axis=1)
    choice.papers[wanted, place] = options[rows, drawn]
    choice.lanes[wanted, place] = LANES.index("exploration")
    choice.propensity[wanted, place] = chances[rows, drawn]
