"""Profiles and candidates to ranked papers: scores, the choice between them, and its reasons."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digest.ranking.profile import centred
from digest.ranking.types import (
    Candidates,
    Profile,
    Profiles,
    RankedPaper,
    Ranking,
    RunnerUp,
    Share,
    Wish,
)

# Two papers this close say the same thing to a reader; the better one stands for both.
NEAR_COPY = 0.95
RUNNERS_UP = 25
# Signals that carried less of a score than this are no reason for it.
LEAST_SHARE = 0.15


def rank(
    profiles: Profiles,
    candidates: Candidates,
    wishes: Sequence[Wish],
    *,
    seen: Sequence[AbstractSet[int]],
) -> list[Ranking]:
    """Choose and order papers for each subscriber; `wishes` and `seen` go with `profiles`.

    The share `mix` of the places goes to the best personal scores, the rest to momentum; a
    subscriber without a profile gets the trending papers. Papers in `seen` are never chosen.
    Equal scores keep the candidates' order.
    """
    if not profiles.profiles:
        return []
    matrix = centred(candidates.vectors.matrix, profiles.background)
    scores = np.stack([profile.direction for profile in profiles.profiles]) @ matrix.T
    return [
        _choose(_Row(profile, row, candidates, matrix), wish, shown)
        for profile, row, wish, shown in zip(profiles.profiles, scores, wishes, seen, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Row:
    """One subscriber's side of the ranking; `scores` float32 (n,), `matrix` float32 (n, d)."""

    profile: Profile
    scores: NDArray[np.float32]
    candidates: Candidates
    matrix: NDArray[np.float32]


def _choose(row: _Row, wish: Wish, shown: AbstractSet[int]) -> Ranking:
    ids = row.candidates.vectors.ids
    is_open = np.array([int(id_) not in shown for id_ in ids], dtype=bool)
    n_personal = round(wish.n * wish.mix) if row.profile.signals else 0
    taken: list[int] = []
    copies: dict[int, int] = {}
    personal = _best(row, row.scores, is_open & (row.scores > 0), n_personal, taken, copies)
    momentum = row.candidates.momentum
    trending = _best(row, momentum, is_open & (momentum > 0), wish.n - len(personal), taken, copies)
    chosen = [_ranked(row, i, "personal") for i in personal]
    chosen += [_ranked(row, i, "trending") for i in trending]
    order = np.argsort(-(row.scores if row.profile.signals else momentum), kind="stable")
    left = [int(i) for i in order if is_open[i] and i not in taken][:RUNNERS_UP]
    runners_up = tuple(
        RunnerUp(
            int(ids[i]),
            float(row.scores[i]),
            int(ids[copies[i]]) if i in copies else None,
        )
        for i in left
    )
    return Ranking(tuple(chosen), runners_up)


def _best(
    row: _Row,
    by: NDArray[np.float32] | NDArray[np.float64],
    allowed: NDArray[np.bool_],
    n: int,
    taken: list[int],
    copies: dict[int, int],
) -> list[int]:
    """The `n` best allowed rows that are no near-copies of one taken; both are noted."""
    found: list[int] = []
    for i in np.argsort(-by, kind="stable"):
        if len(found) >= n:
            break
        if not allowed[i] or i in taken or i in copies:
            continue
        raw = row.candidates.vectors.matrix
        close = raw[taken] @ raw[i] if taken else np.zeros(0)
        if close.size and close.max() > NEAR_COPY:
            copies[int(i)] = taken[int(close.argmax())]
            continue
        taken.append(int(i))
        found.append(int(i))
    return found


def _ranked(row: _Row, i: int, lane: str) -> RankedPaper:
    momentum = float(row.candidates.momentum[i])
    if lane == "trending":
        shares: tuple[Share, ...] = (Share("trending", 0, 1.0),)
        score = momentum
    else:
        parts = row.profile.terms @ row.matrix[i]
        score, total = float(row.scores[i]), float(parts[parts > 0].sum())
        shares = tuple(
            Share(signal.kind, signal.ref, float(parts[j]) / total)
            for place, j in enumerate(np.argsort(-parts, kind="stable")[:2])
            if parts[j] > (LEAST_SHARE * total if place else 0.0)
            and (signal := row.profile.signals[j])
        )
    return RankedPaper(
        paper_id=int(row.candidates.vectors.ids[i]),
        lane="trending" if lane == "trending" else "personal",
        score=score,
        probability=None,
        propensity=1.0,
        shares=shares,
    )
