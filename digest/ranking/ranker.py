"""Rankers: the choices of ranking that an operator may weigh against others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ranker:
    """One way to rank, by name; what is not given is as `standard` has it.

    `diversity`, from 0 to 1, is how much being like what was chosen before costs (Carbonell and
    Goldstein 1998, MMR). On CiteULike the list's likeness falls from .266 to .256 by .2, and nDCG
    stays; at .5 it is .236, and .004 is lost.

    `dislike`, from 0 to 1, is how much a dislike says against its paper, where a like says 1 for
    its own: it is weak evidence, for people dislike near what they like.

    `half_life_days` is the age at which a vote counts half: tastes drift, slowly.

    `momentum`, 0 or more, is how much the trend of a paper helps it to a personal place: a paper
    of momentum m has its score, as far as that speaks for it, multiplied by 1 + momentum * m.

    `exploration_heat`, above 0, is how little exploration prefers what is least known: its options
    are drawn by exp(variance / heat).
    """

    name: str = "standard"
    diversity: float = 0.2
    dislike: float = 0.3
    half_life_days: float = 540.0
    momentum: float = 0.0
    exploration_heat: float = 0.05


STANDARD = Ranker()
