"""What down-votes, diversity, exploration and calibration do, measured on one method.

The libraries hold likes alone, so what a reader would have voted down, or been shown, is played
with rules that are written at each function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from digest.evaluation.protocol import (
    DEPTH,
    Case,
    Fold,
    Ids,
    Method,
    Round,
    marks,
    mean_and_error,
    narrowed,
)
from digest.ranking.select import Offer, choose

F32 = NDArray[np.float32]
Kept = NDArray[np.bool_]
Rows = list[dict[str, Any]]
# Scores (n,), unit vectors (n, d), those of what was rated (r, d), columns that may be taken.
Explore = Callable[[NDArray[np.floating], F32, F32, Ids, np.random.Generator], int]

# Down-votes are tried on these kinds of rounds, so many of them.
FEW = ("k3", "k10")
N_DOWN = 3
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5)
# The replay: days, likes that a reader starts with, and those that must still be found.
N_DAYS, N_START, N_TO_FIND = 6, 3, 3


class Effects:
    """Watches one method's answers on the random folds, and asks it a little more about each.

    It asks while the method still has the fold at hand: learning one costs more than many answers.
    """

    def __init__(self, method: Method) -> None:
        """Watch `method`."""
        self.method = method
        self._downs: list[Played] = []
        self._lists: list[Lists] = []
        self._stated: list[Stated] = []
        self._whole: Round | None = None

    def learn(self, outcomes: Sequence[Round]) -> None:
        """Let a method that states probabilities learn from readers who are not measured."""
        if isinstance(self.method, Calibrated):
            self.method.learn(outcomes)

    def see(self, one: Round, scores: NDArray[np.floating]) -> None:
        """Take in a round and the method's answer to it."""
        if one.kind in FEW:
            self._downs.append(play_down_votes(self.method, one, scores))
        if one.kind == "all":
            self._whole = self._whole or one
            self._lists.append(play_diversity(one, scores))
        if isinstance(self.method, Calibrated):
            self._stated.append(play_calibration(self.method, one))

    def tables(self) -> dict[str, Rows]:
        """All tables, after the last round; a replay of days is made now."""
        found = {"down_votes": down_votes(self._downs), "diversity": diversity(self._lists)}
        found["exploration"] = exploration(self.method, self._whole) if self._whole else []
        if self._stated:
            found["calibration"] = calibration(self._stated)
        return found


def down_votes(played: Sequence["Played"]) -> Rows:
    """What three explicit down-votes do to a reader with few likes.

    `far`: known papers of a random reader with whom they share none. `near`: what they would be
    shown and refuse: of the known papers that neither they nor anyone who shares a known like with
    them keeps, the nearest to their likes. `place` is where the three unwanted cold papers nearest
    to what was voted down stand, 0 first and 1 last, and `place_before` where they stood without
    the down-votes: obedience. The cold likes are looked at by the marks alone.
    """
    rows: Rows = []
    for kind in dict.fromkeys(one.kind for one in played):
        some = [one for one in played if one.kind == kind]
        users = np.concatenate([one.users for one in some])
        before = np.concatenate([one.marks["none"] for one in some])
        for which in ("none", "far", "near"):
            values = np.concatenate([one.marks[which] for one in some])
            row = _row({"likes": kind, "down_votes": which}, users, values, before)
            if which != "none":
                places = np.concatenate([one.places[which] for one in some])
                row["place_before"], row["place"] = places.mean(axis=0).tolist()
            rows.append(row)
    return rows


def diversity(lists: Sequence["Lists"]) -> Rows:
    """What diversity costs and brings: nDCG@10 and intra-list similarity of the ten selected.

    They are selected as for an edition, whose strength is `ranking.select.DIVERSITY`. The
    similarity is the mean cosine between two of them, centred on the known papers.
    """
    if not lists:
        return []
    users = np.concatenate([users for users, _ in lists])
    values = np.concatenate([values for _, values in lists])
    rows = []
    for i, strength in enumerate(STRENGTHS):
        row = _row({"strength": strength}, users, values[:, i, :1], values[:, 0, :1])
        rows.append(row | {"intra_list_similarity": float(values[:, i, 1].mean())})
    return rows


def exploration(method: Method, one: Round, explorers: Mapping[str, Explore] | None = None) -> Rows:
    """What one exploration slot a day brings: days replayed on the known papers of a fold.

    Half of the known papers is the past; the rest come on N_DAYS days, in random order. A reader
    starts with three likes of the past, is shown ten papers a day and keeps those of their
    library. With an explorer the tenth is its choice; a method that makes editions shows them as
    the product would, under its own name. `found` is how much of what they could have
    kept they did, `found_by_slot` the slot's part of it; nDCG@10 and AUC are then on the cold
    papers, from all that was kept.
    """
    explorers = EXPLORERS if explorers is None else explorers
    replay = _Replay.of(one)
    if not replay.cases:
        return []
    users = np.array([case.user for case in replay.cases])
    played = replay.play(method, {"none": None, **explorers})
    rows = []
    for name, values in played.items():
        row = _row(
            {"explorer": name, "readers": len(users)}, users, values[:, :4], played["none"][:, :4]
        )
        found, by_slot = values[:, 4:].mean(axis=0).tolist()
        rows.append(row | {"found": found, "found_by_slot": by_slot})
    return rows


@runtime_checkable
class Shows(Protocol):
    """A method that makes editions of its own, with a place to explore."""

    name: str

    def shown(
        self, fold: Fold, cases: Sequence[Case], k: int, draws: NDArray[np.floating]
    ) -> tuple[Ids, Kept]:
        """Columns (len(cases), k), -1 for none, and which of them were explored."""


@runtime_checkable
class Calibrated(Protocol):
    """A method that says how probable a like is, once it has learned from outcomes."""

    def learn(self, outcomes: Sequence[Round]) -> None:
        """Take in rounds with what was wanted in them, of readers who are not measured."""

    def probabilities(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.floating]:
        """Probabilities of a like, shape (len(cases), len(fold.cold)); nan: not sure yet."""


def calibration(stated: Sequence["Stated"]) -> Rows:
    """Whether stated probabilities are honest, kind by kind.

    The Brier score stands beside that of a constant: the share of likes among what was asked.
    `sure` is the share of papers with a probability; the others are left out.
    """
    rows: Rows = []
    for kind in dict.fromkeys(kind for kind, _, _ in stated):
        p = np.concatenate([p for which, p, _ in stated if which == kind])
        y = np.concatenate([y for which, _, y in stated if which == kind])
        sure = np.isfinite(p)
        row: dict[str, Any] = {"likes": kind, "sure": float(sure.mean())}
        if sure.any():
            p, y = p[sure], y[sure]
            row |= {
                "ece": expected_calibration_error(p, y),
                "brier": float(((p - y) ** 2).mean()),
                "brier_of_constant": float(y.mean() * (1 - y.mean())),
            }
        rows.append(row)
    return rows


def expected_calibration_error(
    p: NDArray[np.floating], y: NDArray[np.floating], n_bins: int = 15
) -> float:
    """Mean distance between stated and true share, over bins with equally many papers.

    Bins of equal width would put nearly all papers in the first: likes are rare.
    """
    bins = np.array_split(np.argsort(p, kind="stable"), n_bins)
    return float(sum(abs(p[b].mean() - y[b].mean()) * len(b) for b in bins if len(b)) / len(p))


def selected(scores: NDArray[np.floating], unit: F32, diversity: float) -> Ids:
    """The columns (m, DEPTH) that an edition would show of `scores` (m, n), in order, -1 for none.

    An edition shows what has a positive score; where too few have, the worst counts as just above
    zero, as zero is nothing special for every method.
    """
    worst = scores.min(axis=1, keepdims=True)
    few = (scores > 0).sum(axis=1, keepdims=True) < min(DEPTH, scores.shape[1])
    worth = np.where(few, scores - worst + 1e-6, scores).astype(np.float32)
    places = np.full(len(worth), DEPTH)
    offer = Offer(
        worth,
        momentum=np.zeros(worth.shape[1], np.float32),
        vectors=unit,
        free=np.ones(worth.shape, np.bool_),
        unwanted=np.zeros(worth.shape, np.bool_),
        n_personal=places,
        n_all=places,
        least_score=0.0,
        least_momentum=np.zeros(len(worth), np.float32),
        belongs=np.full(worth.shape, -1, np.int16),
    )
    return choose(offer, DEPTH, diversity=diversity).papers


def by_chance(
    _scores: NDArray[np.floating], _unit: F32, _rated: F32, free: Ids, rng: np.random.Generator
) -> int:
    """Any paper that is not shown yet: its propensity is 1 / len(free)."""
    return int(rng.choice(free))


def least_known(
    scores: NDArray[np.floating], unit: F32, rated: F32, free: Ids, _rng: np.random.Generator
) -> int:
    """Of the better half, the paper that is least like all that the reader has rated."""
    half = free[np.argsort(-scores[free], kind="stable")[: max(len(free) // 2, 1)]]
    nearest = (unit[half] @ rated.T).max(axis=1)
    return int(half[nearest.argmin()])


EXPLORERS: Mapping[str, Explore] = {"by_chance": by_chance, "least_known": least_known}


# Users (m,), and of each list per strength nDCG@10 and similarity, (m, strengths, 2).
Lists = tuple[Ids, NDArray[np.float64]]
# The kind, stated probabilities (m * n_cold,), and whether each paper is liked, 0 or 1.
Stated = tuple[str, NDArray[np.floating], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One round with and without down-votes: marks (m, METRICS), places (m, before and after)."""

    kind: str
    users: Ids
    marks: dict[str, NDArray[np.float64]]
    places: dict[str, NDArray[np.float64]]


def play_down_votes(method: Method, one: Round, plain: NDArray[np.floating]) -> Played:
    """Ask again with down-votes, after the answer `plain` without; see `down_votes`."""
    fold, rng = one.fold, np.random.default_rng(3)
    unit = _centred(fold, np.arange(len(fold.texts)))
    kept = _kept(fold)
    marked = {"none": _marks(plain, one)}
    places = {}
    for which, dislike in (("far", _far), ("near", _near)):
        downs = [
            dislike(fold, kept, reader, case.likes, unit, rng)
            for reader, case in zip(one.readers, one.cases, strict=True)
        ]
        told = [replace(case, dislikes=down) for case, down in zip(one.cases, downs, strict=True)]
        scores = method.scores(fold, told)
        marked[which] = _marks(scores, one)
        like_them = [
            _nearest_unwanted(unit, fold, down, wanted)
            for down, wanted in zip(downs, one.wanted, strict=True)
        ]
        places[which] = np.stack([_places(plain, like_them), _places(scores, like_them)], axis=1)
    return Played(one.kind, np.array([case.user for case in one.cases]), marked, places)


def play_diversity(one: Round, scores: NDArray[np.floating]) -> Lists:
    """The lists of a round at each strength; see `diversity`."""
    unit = _unit(one.fold.embeddings[one.fold.cold])
    centred = _centred(one.fold, one.fold.cold)
    marked = [
        [
            _list_marks(row[row >= 0], wanted, centred)
            for row, wanted in zip(selected(scores, unit, strength), one.wanted, strict=True)
        ]
        for strength in STRENGTHS
    ]
    return np.array([case.user for case in one.cases]), np.array(marked).swapaxes(0, 1)


def play_calibration(method: Calibrated, one: Round) -> Stated:
    """What a method states, beside what is; see `calibration`."""
    is_liked = np.zeros((len(one.cases), len(one.fold.cold)))
    for row, wanted in zip(is_liked, one.wanted, strict=True):
        row[wanted] = 1
    return one.kind, np.asarray(method.probabilities(one.fold, one.cases)).ravel(), is_liked.ravel()


def _kept(fold: Fold) -> Kept:
    """Who keeps which known paper, shape (users, papers)."""
    kept = np.zeros((len(fold.libraries), len(fold.texts)), bool)
    for row, likes in zip(kept, fold.libraries, strict=True):
        row[likes] = True
    return kept


def _far(
    fold: Fold, kept: Kept, reader: int, _likes: Ids, _unit: F32, rng: np.random.Generator
) -> Ids:
    shares_none = ~(kept & kept[reader]).any(axis=1) & (kept.sum(axis=1) >= N_DOWN)
    strangers = np.flatnonzero(shares_none)
    if not len(strangers):
        return np.zeros(0, np.int64)
    library: Ids = fold.libraries[rng.choice(strangers)]
    return library[rng.permutation(len(library))[:N_DOWN]]


def _near(
    fold: Fold, kept: Kept, reader: int, likes: Ids, unit: F32, _rng: np.random.Generator
) -> Ids:
    kin = (kept & kept[reader]).any(axis=1)
    strange: Ids = fold.known[~kept[kin].any(axis=0)[fold.known]]
    cosines: F32 = unit[strange] @ unit[likes].mean(axis=0)
    return strange[np.argsort(-cosines, kind="stable")[:N_DOWN]]


def _nearest_unwanted(unit: F32, fold: Fold, downs: Ids, wanted: Ids) -> Ids:
    """Columns of the cold papers most like what was voted down."""
    if not len(downs):
        return np.zeros(0, np.int64)
    cosines: F32 = (unit[fold.cold] @ unit[downs].T).max(axis=1)
    cosines[wanted] = -np.inf
    return np.argsort(-cosines, kind="stable")[:N_DOWN]


def _places(scores: NDArray[np.floating], columns: Sequence[Ids]) -> NDArray[np.float64]:
    """Mean place of the columns in each row, 0 first and 1 last; .5 where there are none."""
    n = scores.shape[1]
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return np.array(
        [
            row[some].mean() / max(n - 1, 1) if len(some) else 0.5
            for row, some in zip(rank, columns, strict=True)
        ]
    )


def _list_marks(chosen: Ids, wanted: Ids, unit: F32) -> NDArray[np.float64]:
    """nDCG@10 and intra-list similarity of one list of columns."""
    discount = 1 / np.log2(np.arange(2, DEPTH + 2))
    gain = discount[: len(chosen)][np.isin(chosen, wanted)].sum()
    cosines = unit[chosen] @ unit[chosen].T
    n = len(chosen)
    similarity = (cosines.sum() - np.trace(cosines)) / max(n * (n - 1), 1)
    return np.array([gain / discount[: min(len(wanted), DEPTH)].sum(), similarity])


@dataclass(frozen=True, slots=True, eq=False)
class _Replay:
    """A fold's known papers as days; `kept` bool (cases, papers) is what each reader would keep.

    The readers are one user fold here, so that what learns from others learns once a day.
    """

    fold: Fold
    past: Ids
    days: tuple[Ids, ...]
    cases: tuple[Case, ...]
    wanted: tuple[Ids, ...]
    kept: Kept

    @classmethod
    def of(cls, one: Round) -> Self:
        shuffled = np.random.default_rng(2).permutation(one.fold.known)
        past, rest = np.split(shuffled, [len(shuffled) // 2])
        kept = _kept(one.fold)
        cases, wanted, rows = [], [], []
        user_folds = np.ones_like(one.fold.user_folds)
        for case, reader, wants in zip(one.cases, one.readers, one.wanted, strict=True):
            keeps = kept[reader]
            first = past[keeps[past]][:N_START]
            if len(first) == N_START and keeps[rest].sum() >= N_TO_FIND:
                cases.append(replace(case, likes=first, user_fold=0))
                user_folds[reader] = 0
                wanted.append(wants)
                rows.append(keeps)
        days = tuple(np.sort(day) for day in np.array_split(rest, N_DAYS) if len(day))
        fold = replace(one.fold, user_folds=user_folds)
        return cls(fold, np.sort(past), days, tuple(cases), tuple(wanted), np.array(rows))

    def play(
        self, method: Method, explorers: Mapping[str, Explore | None]
    ) -> dict[str, NDArray[np.float64]]:
        """By explorer the marks at the end, what was found, and what of it by the slot: (m, 6).

        All explorers' readers of a day are asked about in one go; those of the method's own
        editions, where it makes any, come last.
        """
        m = len(self.cases)
        names = [*explorers, *([method.name] if isinstance(method, Shows) else [])]
        rng, own_rng = np.random.default_rng(4), np.random.default_rng(5)
        unit = _centred(self.fold, np.arange(len(self.fold.texts)))
        # One row for each explorer and reader.
        tried = [explore for explore in explorers.values() for _ in range(m)]
        kept = np.tile(self.kept, (len(names), 1))
        cases, known = list(self.cases) * len(names), self.past
        rated = [case.likes for case in cases]
        by_slot = np.zeros(len(cases))
        for day in self.days:
            morning = narrowed(self.fold, known, day)
            scores = method.scores(morning, cases[: len(tried)])
            lists: list[Ids] = []
            for i, explore in enumerate(tried):
                shown = np.argsort(-scores[i], kind="stable")[:DEPTH]
                if explore is not None and len(day) > DEPTH:
                    free = np.setdiff1d(np.arange(len(day)), shown[:-1])
                    shown[-1] = explore(scores[i], unit[day], unit[rated[i]], free, rng)
                    by_slot[i] += kept[i, day[shown[-1]]]
                lists.append(shown)
            if isinstance(method, Shows):
                own = cases[len(tried) :]
                columns, explored = method.shown(morning, own, DEPTH, own_rng.random(m))
                for i, (row, slot) in enumerate(zip(columns, explored, strict=True), len(tried)):
                    by_slot[i] += kept[i, day[row[slot]]].sum()
                    lists.append(row[row >= 0])
            for i, (case, shown) in enumerate(zip(cases, lists, strict=True)):
                papers = day[shown]
                rated[i] = np.concatenate([rated[i], papers])
                likes = np.concatenate([case.likes, papers[kept[i, papers]]])
                cases[i] = replace(case, likes=likes)
            known = np.concatenate([known, day])
        end = method.scores(self.fold, cases)
        there = self.kept[:, np.concatenate(self.days)].sum(axis=1)
        played = {}
        for i, name in enumerate(names):
            rows = slice(i * m, (i + 1) * m)
            given = marks(end[rows], self.wanted, np.random.default_rng(0))
            found = np.array([len(case.likes) - N_START for case in cases[rows]]) / there
            played[name] = np.column_stack([given, found, by_slot[rows] / there])
        return played


def _centred(fold: Fold, ids: Ids) -> F32:
    moved = fold.embeddings - fold.embeddings[fold.known].mean(axis=0)
    return _unit(moved[ids])


def _unit(matrix: F32) -> F32:
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(length, 1e-9), np.float32)


def _marks(scores: NDArray[np.floating], one: Round) -> NDArray[np.float64]:
    return marks(scores, one.wanted, np.random.default_rng(one.fold.number))


def _row(
    head: dict[str, Any],
    users: Ids,
    values: NDArray[np.float64],
    plain: NDArray[np.float64],
) -> dict[str, Any]:
    """Means and errors of nDCG@10, the difference to `plain`, and AUC where it is there."""
    means, errors = mean_and_error(users, values)
    change, error = mean_and_error(users, values[:, :1] - plain[:, :1])
    row = head | {
        "ndcg@10": float(means[0]),
        "se": _number(errors[0]),
        "change": float(change[0]),
        "change_se": _number(error[0]),
    }
    return row | {"auc": float(means[-1])} if values.shape[1] > 1 else row


def _number(value: np.floating) -> float | None:
    return None if np.isnan(value) else float(value)
