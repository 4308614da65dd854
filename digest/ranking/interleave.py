"""Two rankers in one list: each chooses in its turn, and readers' votes tell which is better."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digest.ranking.calibrate import Calibration
from digest.ranking.rank import Offered, Rankings, complete, offer_to
from digest.ranking.select import NEAR_COPY, Choice, choose
from digest.ranking.types import Candidates, Floats, Ints, Profiles, Ranking, Wishes


@dataclass(frozen=True, slots=True)
class Interleaved:
    """The rankings of u subscribers by two rankers, who share the choice.

    `teams` int8 (u, k) tells who chose a paper, 0 the first and 1 the other, -1 where it was for
    neither of them alone.
    """

    rankings: tuple[Rankings, Rankings]
    teams: NDArray[np.int8]

    @property
    def choice(self) -> Choice:
        """What was chosen."""
        return self.rankings[0].choice

    def of(self, i: int) -> Ranking:
        """The ranking of subscriber `i`; each paper speaks with the reasons of who chose it."""
        told = [rankings.of(i) for rankings in self.rankings]
        chosen = []
        for place, paper in enumerate(told[0].chosen):
            if (team := int(self.teams[i, place])) >= 0:
                name = self.rankings[team].profiles.ranker.name
                paper = replace(told[team].chosen[place], team=name)
            chosen.append(paper)
        return Ranking(tuple(chosen), told[0].runners_up)


def interleave(
    first: Profiles,
    other: Profiles,
    candidates: Candidates,
    wishes: Wishes,
    *,
    free: NDArray[np.bool_],
    draws: Floats,
    coins: NDArray[np.bool_],
    calibration: Calibration | None = None,
) -> Interleaved:
    """Fill the personal places by team draft, one ranker for each set of profiles.

    The profiles are of the same signals, and the arguments those of `rank`; `coins` (u, c), true
    where the other begins, has one for each place of the longest list. What trends and what is
    explored is the first's choice, given the personal papers, and of no team. An interest that
    stands low in both lists may lose the place that either ranker alone had kept for it.
    """
    offered = [
        offer_to(profiles, candidates, wishes, free=free, calibration=calibration)
        for profiles in (first, other)
    ]
    k = int(wishes.n.max(initial=0))
    lists = np.stack([_personal(one, k) for one in offered])
    n = offered[0].offer.n_personal
    papers, teams = team_draft(lists, n, offered[0].candidates.vectors, coins)
    choice = choose(offered[0].offer, k, diversity=first.ranker.diversity, personal=papers)
    rankings = complete(offered[0], choice, draws)
    # What is explored is drawn once.
    nobody = np.zeros_like(offered[1].explores)
    reasons = complete(replace(offered[1], explores=nobody), choice, draws)
    return Interleaved((rankings, reasons), teams)


def _personal(offered: Offered, k: int) -> Ints:
    """What a ranker alone would fill the personal places with, (u, k), -1 for none."""
    offer = replace(offered.offer, n_all=offered.offer.n_personal)
    return choose(offer, k, diversity=offered.profiles.ranker.diversity).papers


def team_draft(
    lists: Ints, n: Ints, vectors: Floats, coins: NDArray[np.bool_]
) -> tuple[Ints, NDArray[np.int8]]:
    """Draw up lists of `n` (u,) papers from two lists a subscriber, `lists` (2, u, k), -1 for none.

    In every round each team takes the first paper of its list that is neither taken nor, by
    `vectors` (n_papers, d), a near-copy of one that is; a coin, of `coins` (u, c >= k), says who
    begins, true for the second (Radlinski, Kurup and Joachims 2008, "How does clickthrough data
    reflect retrieval quality?"). A team whose list is at its end lets the other go on. The papers
    (u, k), -1 for none, and the team of each, int8, -1 for none.
    """
    _, u, k = lists.shape
    both = np.concatenate(list(lists), axis=1)
    is_second = np.arange(2 * k) >= k
    near = vectors[np.maximum(both, 0)] if len(vectors) else np.zeros((u, 2 * k, 1), np.float32)
    gone_with = np.matmul(near, near.transpose(0, 2, 1)) > NEAR_COPY
    gone_with |= both[:, :, None] == both[:, None, :]
    left = both >= 0
    papers = np.full((u, k), -1, np.int64)
    teams = np.full((u, k), -1, np.int8)
    taken = np.zeros(u, np.int64)
    for turn in range(2 * k):
        team = coins[:, turn // 2] ^ bool(turn % 2)
        theirs = left & (is_second == team[:, None])
        who = np.flatnonzero(theirs.any(axis=1) & (taken < n))
        what = theirs[who].argmax(axis=1)
        papers[who, taken[who]] = both[who, what]
        teams[who, taken[who]] = team[who]
        taken[who] += 1
        left[who] &= ~gone_with[who, what]
    return papers, teams
