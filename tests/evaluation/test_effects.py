from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from digest.evaluation.effects import (
    EXPLORERS,
    N_DAYS,
    STRENGTHS,
    Effects,
    calibration,
    diversity,
    down_votes,
    expected_calibration_error,
    exploration,
    play_calibration,
    play_diversity,
    play_down_votes,
    selected,
)
from digest.evaluation.ours import Ours
from digest.evaluation.peers import MeanEmbedding, Random
from digest.evaluation.protocol import DEPTH, Case, Fold, Round, random_folds
from tests.evaluation.libraries import EMBED, World


@pytest.fixture(scope="module")
def fold(world: World) -> Fold:
    return random_folds(world.collection, world.vectors)[0]


@pytest.fixture(scope="module")
def few(world: World, fold: Fold) -> Round:
    return world.rounds(fold, ["k3"])[0]


@pytest.fixture(scope="module")
def whole(world: World, fold: Fold) -> Round:
    return world.rounds(fold, ["all"])[0]


class Spy(MeanEmbedding):
    """A MeanEmbedding that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Fold, tuple[Case, ...]]] = []

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float32]:
        self.asked.append((fold, tuple(cases)))
        return super().scores(fold, cases)


# Down-votes


def test_down_votes_are_known_papers_that_the_reader_does_not_keep(few: Round) -> None:
    spy = Spy()
    play_down_votes(spy, few, spy.scores(few.fold, few.cases))
    assert len(spy.asked) == 3
    for fold, cases in spy.asked[1:]:
        for case, reader in zip(cases, few.readers, strict=True):
            assert len(set(case.dislikes.tolist())) == 3
            assert np.isin(case.dislikes, fold.known).all()
            assert not np.isin(case.dislikes, fold.libraries[reader]).any()


def test_far_down_votes_are_of_one_reader_with_another_taste(few: Round) -> None:
    spy = Spy()
    play_down_votes(spy, few, spy.scores(few.fold, few.cases))
    fold, cases = spy.asked[1]
    for case in cases:
        keeps_all = [np.isin(case.dislikes, library).all() for library in fold.libraries]
        strangers = [
            library for library, all_ in zip(fold.libraries, keeps_all, strict=True) if all_
        ]
        assert any(not np.isin(case.likes, library).any() for library in strangers)


def test_near_down_votes_are_kept_by_nobody_of_the_same_taste(few: Round) -> None:
    spy = Spy()
    play_down_votes(spy, few, spy.scores(few.fold, few.cases))
    fold, cases = spy.asked[2]
    for case in cases:
        for library in fold.libraries:
            if np.isin(case.likes, library).any():
                assert not np.isin(case.dislikes, library).any()


def test_down_votes_push_down_what_is_like_them(few: Round) -> None:
    method = MeanEmbedding()
    rows = down_votes([play_down_votes(method, few, method.scores(few.fold, few.cases))])
    assert [row["down_votes"] for row in rows] == ["none", "far", "near"]
    assert rows[0]["change"] == 0
    assert all(row["place"] > row["place_before"] for row in rows[1:])


# Diversity


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=60), st.floats(0, 0.9))
def test_of_papers_that_are_nothing_alike_the_best_are_selected(
    scores: list[int], strength: float
) -> None:
    rows, unit = np.array([scores], np.float32), np.eye(len(scores), dtype=np.float32)
    (chosen,) = selected(rows, unit, strength)
    chosen = chosen[chosen >= 0]
    assert len(set(chosen.tolist())) == len(chosen)
    assert rows[0, chosen].tolist() == sorted(scores, reverse=True)[:DEPTH]


def test_of_two_like_papers_a_diverse_list_shows_one_first() -> None:
    unit = np.array([[1, 0], [0.9, 0.19**0.5], [0, 1]], np.float32)
    scores = np.array([[1.0, 0.9, 0.8]], np.float32)
    assert selected(scores, unit, 0.0)[0, :3].tolist() == [0, 1, 2]
    assert selected(scores, unit, 0.5)[0, :3].tolist() == [0, 2, 1]


def test_of_two_copies_a_list_shows_one() -> None:
    unit = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert selected(np.array([[1.0, 0.9, 0.5]]), unit, 0.0)[0, :3].tolist() == [0, 2, -1]


def test_more_diversity_means_less_alike_lists(whole: Round) -> None:
    scores = MeanEmbedding().scores(whole.fold, whole.cases)
    rows = diversity([play_diversity(whole, scores)])
    assert [row["strength"] for row in rows] == list(STRENGTHS)
    alike = [row["intra_list_similarity"] for row in rows]
    assert alike == sorted(alike, reverse=True)
    assert rows[0]["change"] == 0
    assert rows[-1]["change"] < 0


# Exploration


def test_a_replay_shows_each_day_once_and_learns_from_the_past_alone(whole: Round) -> None:
    spy = Spy()
    exploration(spy, whole)
    asked = spy.asked[: N_DAYS + 1]
    shown = np.concatenate([fold.cold for fold, _ in asked[:-1]])
    assert len(set(shown.tolist())) == len(shown)
    for (fold, cases), (later, _) in pairwise(asked):
        assert not np.isin(fold.cold, fold.known).any()
        assert set(fold.known) < set(later.known)
        assert np.isin(np.concatenate([case.likes for case in cases]), fold.known).all()
        assert np.isin(np.concatenate(fold.libraries), fold.known).all()
    assert set(asked[-1][0].known) == set(whole.fold.known)
    assert asked[-1][0].cold.tolist() == whole.fold.cold.tolist()


def test_a_reader_keeps_only_what_is_theirs(whole: Round) -> None:
    spy = Spy()
    exploration(spy, whole)
    libraries = {
        case.user: whole.fold.libraries[reader]
        for case, reader in zip(whole.cases, whole.readers, strict=True)
    }
    for _, cases in spy.asked:
        for case in cases:
            assert np.isin(case.likes, libraries[case.user]).all()
            assert len(set(case.likes.tolist())) == len(case.likes)


def test_what_is_found_is_shared_out_between_ranking_and_slot(whole: Round) -> None:
    rows = exploration(MeanEmbedding(), whole)
    assert [row["explorer"] for row in rows] == ["none", *EXPLORERS]
    assert rows[0]["found_by_slot"] == 0
    assert all(0 <= row["found_by_slot"] <= row["found"] <= 1 for row in rows)
    by_luck = exploration(Random(), whole)
    assert by_luck[0]["found"] < rows[0]["found"]


class Editions(MeanEmbedding):
    """Shows the day's first papers, all of them explored."""

    name = "first_come"

    def shown(self, _fold, cases, k, draws):
        assert draws.shape == (len(cases),)
        columns = np.tile(np.append(np.arange(k - 1), -1), (len(cases), 1))
        return columns, columns >= 0


def test_a_method_with_editions_of_its_own_is_replayed_with_them(whole: Round) -> None:
    *others, own = exploration(Editions(), whole)
    assert [row["explorer"] for row in others] == ["none", *EXPLORERS]
    assert own["explorer"] == "first_come"
    assert own["found"] == own["found_by_slot"] > 0
    assert others == exploration(MeanEmbedding(), whole)


def test_our_editions_explore_one_paper_a_day(world: World, fold: Fold, whole: Round) -> None:
    ours = Ours(EMBED)
    columns, explored = ours.shown(fold, whole.cases, DEPTH, np.full(len(whole.cases), 0.5))
    assert (explored.sum(axis=1) <= 1).all()
    assert explored.any()
    for row in columns:
        assert len(set(row[row >= 0].tolist())) == (row >= 0).sum()


@given(st.integers(2, 30), st.integers(0, 99))
def test_explorers_choose_among_what_is_free(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(n, 3)).astype(np.float32)
    free = np.sort(rng.permutation(n)[: n // 2 + 1])
    for explore in EXPLORERS.values():
        assert explore(rng.random(n), unit, unit[:1], free, rng) in free


def test_exploration_without_readers_is_an_empty_table(world: World, fold: Fold) -> None:
    (one,) = world.rounds(fold, ["all"])
    nobody = Round(fold, "all", (), one.readers[:0], ())
    assert exploration(MeanEmbedding(), nobody) == []


# Calibration


class Certain(MeanEmbedding):
    """Says with one probability for all, or with none."""

    def __init__(self, p: float) -> None:
        self.p = p

    def learn(self, outcomes: Sequence[Round]) -> None:
        self.learned = len(outcomes)

    def probabilities(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float64]:
        return np.full((len(cases), len(fold.cold)), self.p)


def test_the_constant_is_as_good_as_the_constant(whole: Round) -> None:
    liked = sum(map(len, whole.wanted)) / (len(whole.cases) * len(whole.fold.cold))
    (row,) = calibration([play_calibration(Certain(liked), whole)])
    assert row["brier"] == pytest.approx(row["brier_of_constant"])
    assert row["sure"] == 1
    (too_sure,) = calibration([play_calibration(Certain(0.9), whole)])
    assert too_sure["brier"] > row["brier"]
    assert too_sure["ece"] == pytest.approx(0.9 - liked)


def test_who_is_not_sure_is_left_out(whole: Round) -> None:
    assert calibration([play_calibration(Certain(np.nan), whole)]) == [
        {"likes": "all", "sure": 0.0}
    ]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_the_calibration_error_is_between_none_and_all(values: list[float]) -> None:
    p = np.array(values)
    assert expected_calibration_error(p, p) == pytest.approx(0, abs=1e-12)
    assert 0 <= expected_calibration_error(p, np.round(1 - p)) <= 1


def test_who_replays_days_is_never_learned_from(whole: Round) -> None:
    spy = Spy()
    exploration(spy, whole)
    for fold, cases in spy.asked:
        readers = {case.user for case in cases}
        others = [likes.tolist() for likes in fold.others(0)]
        assert {case.user_fold for case in cases} == {0}
        assert len(others) == len(fold.libraries) - len(readers)


def test_all_tables_come_from_one_watch(few: Round, whole: Round) -> None:
    method = Certain(0.1)
    watch = Effects(method)
    watch.learn([few])
    for one in (few, whole):
        watch.see(one, method.scores(one.fold, one.cases))
    found = watch.tables()
    assert method.learned == 1
    assert list(found) == ["down_votes", "diversity", "exploration", "calibration"]
    assert all(found.values())
    assert not any(Effects(method).tables().values())
