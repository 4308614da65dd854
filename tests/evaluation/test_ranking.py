import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from digest.errors import BadInput
from digest.evaluation.peers import MeanEmbedding, Random, ZoteroArxivDaily, peers
from digest.evaluation.protocol import KINDS, METRICS, Case, Fold, Method, random_folds
from digest.evaluation.ranking import OURS, Report, all_methods, as_json, difference, rows_of, run
from tests.evaluation.libraries import EMBED, World


@dataclass
class Oracle:
    """Knows every library; counts the folds that it is asked about."""

    world: World
    name: str = OURS
    needs_likes: bool = False
    reads_dislikes: bool = False
    asked: list[int] = field(default_factory=list)

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float64]:
        self.asked.append(fold.number)
        collection = self.world.collection
        place = {int(user): i for i, user in enumerate(collection.users)}
        return np.array(
            [np.isin(fold.cold, collection.libraries[place[case.user]]) for case in cases], float
        )


@pytest.fixture(scope="module")
def report(world: World) -> Report:
    methods: list[Method] = [Oracle(world), ZoteroArxivDaily(), MeanEmbedding(), Random()]
    return run(world.collection, world.vectors, EMBED, methods, part="all")


def test_who_knows_all_has_full_marks_and_chance_has_not(report: Report) -> None:
    for table in (report.random, report.time):
        for marked in table[OURS].values():
            np.testing.assert_allclose(marked.values[:, [0, 2, 3]], 1)
        for marked in table["random"].values():
            assert marked.values[:, 0].mean() < 0.3


def test_every_kind_is_measured_and_an_interest_only_where_it_can_be_read(report: Report) -> None:
    assert list(report.random[OURS]) == list(KINDS)
    assert "k0" in report.random["mean_embedding"]
    assert "k0" not in report.random["zotero_arxiv_daily"]


def test_a_method_is_asked_fold_after_fold(world: World) -> None:
    oracle = Oracle(world)
    run(world.collection, world.vectors, EMBED, [oracle])
    assert oracle.asked == sorted(oracle.asked[: 5 * len(KINDS)]) + [0] * len(KINDS)


def test_all_rows_are_of_one_user_and_fold(report: Report, world: World) -> None:
    n = len(world.collection.users)
    marked = report.random["random"]["all"]
    assert len(np.unique(marked.users)) == n == report.users
    assert n < len(marked.users) <= 5 * n


def test_differences_are_paired(report: Report) -> None:
    ours, other = report.random[OURS]["all"], report.random["random"]["all"]
    mean, error = difference(ours, other)
    assert mean == pytest.approx((ours.values - other.values)[:, 0].mean())
    assert error is not None
    assert 0 < error < 0.05
    assert difference(ours, ours) == (0, 0)


def test_a_table_has_a_row_a_method_with_our_lead(report: Report) -> None:
    rows = rows_of(report.random, "k3")
    assert [row["method"] for row in rows] == [
        OURS,
        "zotero_arxiv_daily",
        "mean_embedding",
        "random",
    ]
    assert "lead" not in rows[0]
    assert rows[3]["lead"] == pytest.approx(1 - rows[3]["ndcg@10"])
    assert [row["method"] for row in rows_of(report.random, "k0")] == [
        OURS,
        "mean_embedding",
        "random",
    ]


def test_the_report_is_one_json_object(report: Report) -> None:
    said = json.loads(json.dumps(as_json(report), allow_nan=False))
    for key in ("methods", "time"):
        assert list(said[key]) == [OURS, "zotero_arxiv_daily", "mean_embedding", "random"]
    entry = said["methods"]["digest"]["k10"]
    assert {*METRICS, "se", "recall@10_se", "mrr_se", "auc_se", "users", "rows"} == set(entry)
    assert {"lead", "lead_se"} < set(said["methods"]["random"]["all"])
    assert said["users"] == 60
    assert said["seconds"] > 0
    assert set(said["seconds_by_method"]) == set(said["methods"])
    assert said["effects_of"] == "mean_embedding"
    assert {"down_votes", "diversity", "exploration"} <= set(said)


def test_steps_are_told_as_promised(world: World) -> None:
    promised: list[int] = []
    told: list[int] = []

    def begin(_what: str, total: int) -> Callable[[int], None]:
        promised.append(total)
        return told.append

    run(world.collection, world.vectors, EMBED, [MeanEmbedding(), Random()], begin=begin)
    assert sum(promised) == sum(told)
    assert len(promised) == 5


def test_nobody_to_rank_for_is_refused(world: World) -> None:
    few = type(world.collection)(
        world.collection.papers,
        world.collection.users[:1],
        tuple(library[:1] for library in world.collection.libraries[:1]),
    )
    with pytest.raises(BadInput, match="no user of the part 'report'"):
        run(few, world.vectors, EMBED, [Random()])


def test_our_ranker_comes_first_where_it_is_there_and_all_names_differ() -> None:
    names = [method.name for method in all_methods(EMBED)]
    assert names in ([OURS, *(p.name for p in peers())], [p.name for p in peers()])


def test_a_fold_has_what_a_method_needs(world: World) -> None:
    for fold in random_folds(world.collection, world.vectors):
        assert fold.embeddings.shape[0] == len(fold.texts) == len(fold.days) == 240
