"""Methods against the protocol: how well each ranks, who is better by how much, and how surely.

`digest bench ranking` shows what `run` returns; what is measured of one method is in `effects`.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digest.errors import BadInput
from digest.evaluation import effects
from digest.evaluation.peers import peers
from digest.evaluation.protocol import (
    KINDS,
    METRICS,
    Collection,
    Embed,
    Ids,
    Method,
    Part,
    Round,
    marks,
    mean_and_error,
    random_folds,
    rounds,
    time_fold,
)

OURS = "digest"
# What comes, and of how many steps; gives what is to be told how many were done.
Begin = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """One method's marks on one kind: a row for each user and fold; `values` float (r, METRICS)."""

    users: Ids
    values: NDArray[np.float64]


# Of each method, of each kind that it has an answer for. Rows of one kind go together.
Table = dict[str, dict[str, Marked]]


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run measured.

    `effects` are tables of one method, `subject`; `users` counts those ranked for at least once.
    """

    random: Table
    time: Table
    effects: Mapping[str, Sequence[Mapping[str, Any]]]
    subject: str | None
    users: int
    seconds: float
    seconds_by_method: Mapping[str, float]


def all_methods(embed: Embed) -> list[Method]:
    """Our own ranker, which may have more embedded, where it is installed; and its peers."""
    try:
        ours: Method = import_module("digest.evaluation.ours").Ours(embed)
    except ModuleNotFoundError as error:
        if error.name != "digest.evaluation.ours":
            raise
        return peers()
    return [ours, *peers()]


def run(
    collection: Collection,
    vectors: NDArray[np.float32],
    embed: Embed,
    methods: Sequence[Method],
    *,
    part: Part = "report",
    begin: Begin = lambda _what, _n: lambda _done: None,
) -> Report:
    """Measure `methods` on both splits and, of the first that reads down-votes, the effects.

    `vectors` float32 (n, d) are of the collection's papers, `embed` gives those of interests.
    Raises BadInput where no reader of `part` has likes enough for any case.
    """
    started = time.perf_counter()
    splits = [random_folds(collection, vectors), [time_fold(collection, vectors)]]
    asked = [
        [one for fold in folds for one in rounds(collection, fold, embed, part=part)]
        for folds in splits
    ]
    if not asked[0]:
        raise BadInput(f"no user of the part {part!r} has likes enough to be ranked for")
    seconds = dict.fromkeys((method.name for method in methods), 0.0)
    subject = next((method for method in methods if method.reads_dislikes), None)
    watcher = effects.Effects(subject) if subject else None
    if watcher:
        # One fold of the tuning part: what is measured below is of other readers.
        watcher.learn(list(rounds(collection, splits[0][0], embed, part="tune")))
    random = _measure("Five folds", methods, asked[0], seconds, begin, watcher)
    time_split = _measure("The last fifth", methods, asked[1], seconds, begin)
    step = begin("Effects", 1)
    found = watcher.tables() if watcher else {}
    step(1)
    users = {case.user for one in asked[0] for case in one.cases}
    took = time.perf_counter() - started
    name = subject.name if subject else None
    return Report(random, time_split, found, name, len(users), took, seconds)


def _measure(
    what: str,
    methods: Iterable[Method],
    asked: Sequence[Round],
    seconds: dict[str, float],
    begin: Begin,
    watcher: effects.Effects | None = None,
) -> Table:
    table: Table = {}
    for method in methods:
        rows: dict[str, list[tuple[Ids, NDArray[np.float64]]]] = {}
        step = begin(f"{what}, {method.name}", len(asked))
        for one in asked:
            if not (one.kind == "k0" and method.needs_likes):
                began = time.perf_counter()
                scores = method.scores(one.fold, one.cases)
                seconds[method.name] += time.perf_counter() - began
                if watcher is not None and watcher.method is method:
                    watcher.see(one, scores)
                users = np.array([case.user for case in one.cases], np.int64)
                # The same seed for every method: ties fall alike, and differences are paired.
                given = marks(scores, one.wanted, np.random.default_rng(one.fold.number))
                rows.setdefault(one.kind, []).append((users, given))
            step(1)
        table[method.name] = {
            kind: Marked(
                np.concatenate([users for users, _ in rows[kind]]),
                np.concatenate([values for _, values in rows[kind]]),
            )
            for kind in KINDS
            if kind in rows
        }
    return table


def summary(marked: Marked) -> dict[str, float | int | None]:
    """Means by metric; `se` is the standard error of nDCG@10, `<metric>_se` that of another."""
    means, errors = mean_and_error(marked.users, marked.values)
    said: dict[str, float | int | None] = {}
    for name, mean, error in zip(METRICS, means, errors, strict=True):
        said[name] = float(mean)
        said["se" if name == METRICS[0] else f"{name}_se"] = _number(error)
    return said | {"users": len(np.unique(marked.users)), "rows": len(marked.users)}


def difference(one: Marked, other: Marked) -> tuple[float, float | None]:
    """By how much `one` has the better nDCG@10, and the standard error of that, paired."""
    means, errors = mean_and_error(one.users, one.values - other.values)
    return float(means[0]), _number(errors[0])


def rows_of(table: Table, kind: str) -> list[dict[str, Any]]:
    """A table of one kind: a row a method, with our lead over it where we were measured."""
    ours = table.get(OURS, {}).get(kind)
    rows = []
    for name, kinds in table.items():
        if kind not in kinds:
            continue
        row: dict[str, Any] = {"method": name} | summary(kinds[kind])
        if ours is not None and name != OURS:
            row["lead"], row["lead_se"] = difference(ours, kinds[kind])
        rows.append(row)
    return rows


def as_json(report: Report) -> dict[str, Any]:
    """One object: `methods` and `time` by method and kind, the effects, `users` and `seconds`.

    A method that was measured beside ours has in each kind `lead`: ours less its nDCG@10.
    """
    return {
        "methods": _by_method(report.random),
        "time": _by_method(report.time),
        **report.effects,
        "effects_of": report.subject,
        "users": report.users,
        "seconds": report.seconds,
        "seconds_by_method": dict(report.seconds_by_method),
    }


def _by_method(table: Table) -> dict[str, dict[str, dict[str, Any]]]:
    said: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in table}
    for kind in KINDS:
        for row in rows_of(table, kind):
            said[row.pop("method")][kind] = row
    return said


def _number(value: np.floating) -> float | None:
    return None if math.isnan(value) else float(value)
