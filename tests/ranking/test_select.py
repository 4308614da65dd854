"""Scores to a choice: places, diversity, near-copies, floors, and the one paper explored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.ranking.select import (
    DIVERSITY,
    NEAR_COPY,
    Choice,
    Offer,
    choose,
    explore,
)
from digest.ranking.types import LANES, Floats

PERSONAL, TRENDING, EXPLORATION = range(3)


def offer(
    scores: list[list[float]],
    *,
    momentum: list[float] | None = None,
    vectors: Floats | None = None,
    free: list[list[bool]] | None = None,
    n_personal: int = 0,
    n_all: int | None = None,
    unwanted: list[list[bool]] | None = None,
    belongs: list[list[int]] | None = None,
    least_score: float = 0.0,
    least_momentum: float = 0.0,
) -> Offer:
    """An offer of papers that have nothing in common, if not said otherwise."""
    u, n = len(scores), len(scores[0])
    return Offer(
        scores=np.array(scores, np.float32),
        momentum=np.array(momentum or [0.0] * n, np.float32),
        vectors=np.eye(n, dtype=np.float32) if vectors is None else vectors,
        free=np.ones((u, n), np.bool_) if free is None else np.array(free, np.bool_),
        unwanted=np.zeros((u, n), np.bool_) if unwanted is None else np.array(unwanted, np.bool_),
        n_personal=np.full(u, n_personal, np.int64),
        n_all=np.full(u, n_personal if n_all is None else n_all, np.int64),
        least_score=least_score,
        least_momentum=np.full(u, least_momentum, np.float32),
        belongs=np.full((u, n), -1, np.int16) if belongs is None else np.array(belongs, np.int16),
    )


def papers(choice: Choice, lane: int | None = None) -> list[list[int]]:
    return [
        [int(p) for p, at in zip(mine, lanes, strict=True) if p >= 0 and lane in (None, at)]
        for mine, lanes in zip(choice.papers, choice.lanes, strict=True)
    ]


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    """Any offer: copies of papers, ties, several interests, nothing free for some."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    u, n = draw(st.integers(1, 5)), draw(st.integers(0, 14))
    vectors = rng.standard_normal((n, 6))
    for i in range(1, n):
        if rng.random() < 0.3:
            vectors[i] = vectors[rng.integers(i)] + 0.02 * rng.standard_normal(6)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    n_all = rng.integers(0, 12, u)
    return Offer(
        scores=rng.standard_normal((u, n)).round(1).astype(np.float32),
        momentum=np.maximum(rng.standard_normal(n), 0).round(1).astype(np.float32),
        vectors=vectors.astype(np.float32),
        free=rng.random((u, n)) < rng.choice([0.0, 0.5, 1.0], (u, 1)),
        unwanted=rng.random((u, n)) < 0.2,
        n_personal=np.minimum(rng.integers(0, 12, u), n_all),
        n_all=n_all,
        least_score=max(0.0, float(rng.standard_normal())),
        least_momentum=np.maximum(rng.standard_normal(u), 0).astype(np.float32),
        belongs=rng.integers(-1, 4, (u, n)).astype(np.int16),
    )


@given(offers())
@settings(max_examples=150)
def test_what_is_chosen_is_free_once_only_and_no_near_copy(given_: Offer) -> None:
    choice = choose(given_, 12)
    alike = given_.vectors @ given_.vectors.T
    for i, mine in enumerate(papers(choice)):
        assert len(mine) <= given_.n_all[i]
        assert len(papers(choice, PERSONAL)[i]) <= given_.n_personal[i]
        assert len(set(mine)) == len(mine)
        assert given_.free[i, mine].all()
        assert (alike[np.ix_(mine, mine)] - np.eye(len(mine)) <= NEAR_COPY).all()
        copies = np.flatnonzero(choice.copy_of[i] >= 0)
        assert given_.free[i, copies].all()
        assert set(choice.copy_of[i, copies]) <= set(mine)
        assert not set(copies) & set(mine)
        assert (alike[copies, choice.copy_of[i, copies]] > NEAR_COPY).all()


@given(offers())
@settings(max_examples=100)
def test_a_place_is_empty_only_when_nothing_worth_showing_is_left(given_: Offer) -> None:
    choice = choose(given_, 12)
    for i, mine in enumerate(papers(choice)):
        left = given_.free[i] & (choice.copy_of[i] < 0)
        left[mine] = False
        if len(papers(choice, PERSONAL)[i]) < given_.n_personal[i]:
            enough = (given_.belongs[i] >= 0) | (given_.scores[i] > given_.least_score)
            assert not (left & enough & (given_.scores[i] > 0)).any()
        if given_.n_personal[i] == given_.n_all[i]:
            assert mine == papers(choice, PERSONAL)[i]
        elif len(mine) < given_.n_all[i]:
            trends = (given_.momentum > 0) & (given_.momentum >= given_.least_momentum[i])
            assert not (left & ~given_.unwanted[i] & trends).any()


@given(offers())
@settings(max_examples=60)
def test_a_reader_alone_is_given_the_same_as_among_others(given_: Offer) -> None:
    together = choose(given_, 12)
    for i in range(len(given_.scores)):
        alone = choose(given_.part(slice(i, i + 1)), 12)
        assert np.array_equal(alone.papers[0], together.papers[i])
        assert np.array_equal(alone.copy_of[0], together.copy_of[i])


def test_personal_places_go_by_score_and_the_others_by_momentum() -> None:
    choice = choose(
        offer([[0.1, 0.9, 0.5, 0]], momentum=[0.2, 0.9, 0.1, 0.8], n_personal=2, n_all=4), 4
    )
    assert papers(choice, PERSONAL) == [[1, 2]]
    assert papers(choice, TRENDING) == [[3, 0]]


def test_equal_scores_keep_the_papers_order() -> None:
    assert papers(choose(offer([[0.5] * 5], n_personal=3), 3)) == [[0, 1, 2]]


def test_what_nobody_likes_is_nobodys_personal_paper() -> None:
    assert papers(choose(offer([[0.0, -0.1, 0.2]], n_personal=3), 3)) == [[2]]


def test_what_is_unwanted_does_not_come_for_being_popular() -> None:
    choice = choose(
        offer(
            [[-0.4, -0.05, 0.5]],
            momentum=[1.0, 0.5, 0.1],
            n_all=3,
            unwanted=[[True, False, False]],
        ),
        3,
    )
    assert papers(choice) == [[1, 2]]


def test_a_paper_that_is_slightly_better_gives_way_to_one_that_is_new() -> None:
    close = np.array([[1, 0], [0.9, 0.19**0.5], [0, 1]], np.float32)
    assert papers(
        choose(offer([[1, 0.9, 0.9 - DIVERSITY / 2]], vectors=close, n_personal=2), 2)
    ) == [[0, 2]]
    assert papers(choose(offer([[1, 0.9, 0.9 - DIVERSITY]], vectors=close, n_personal=2), 2)) == [
        [0, 1]
    ]


def test_of_near_copies_the_best_stands_for_all() -> None:
    vectors = np.array([[1, 0], [0.999, 0.0447], [0, 1]], np.float32)
    choice = choose(offer([[0.8, 0.9, 0.1]], vectors=vectors, n_personal=3), 3)
    assert papers(choice) == [[1, 2]]
    assert choice.copy_of.tolist() == [[1, -1, -1]]


# The floor of interests


def test_a_niche_interest_has_a_place_beside_a_popular_one() -> None:
    scores = [[0.9, 0.8, 0.7, 0.6, 0.4]]
    popular = [[0, 0, 0, 0, 1]]
    assert papers(choose(offer(scores, n_personal=3), 3)) == [[0, 1, 2]]
    assert papers(choose(offer(scores, n_personal=3, belongs=popular), 3)) == [[0, 1, 4]]


def test_where_there_are_more_interests_than_places_the_best_have_them() -> None:
    choice = choose(offer([[0.9, 0.8, 0.7, 0.6]], n_personal=2, belongs=[[0, 0, 1, 2]]), 2)
    assert papers(choice) == [[0, 2]]


def test_an_interest_whose_papers_went_as_near_copies_closes_no_place() -> None:
    vectors = np.eye(5, dtype=np.float32)
    vectors[1] = vectors[0]
    choice = choose(
        offer(
            [[0.9, 0.8, 0.7, 0.1, 0.6]], vectors=vectors, n_personal=3, belongs=[[0, 1, 0, -1, 0]]
        ),
        3,
    )
    assert papers(choice) == [[0, 2, 4]]


# Exploration


def explored(
    options: list[int], unknown: list[float], draws: Floats
) -> tuple[list[int], list[float]]:
    """The paper that each draw gives, and its propensity, after two that were chosen."""
    b, e = len(draws), len(options)
    choice = Choice(
        papers=np.tile(np.array([[20, 21, -1, -1]], np.int64), (b, 1)),
        lanes=np.zeros((b, 4), np.int8),
        propensity=np.ones((b, 4), np.float32),
        copy_of=np.full((b, 30), -1, np.int32),
    )
    explore(
        choice,
        np.arange(b),
        np.tile(np.array(options, np.int64).reshape(1, e), (b, 1)),
        np.tile(np.array(unknown, np.float32).reshape(1, e), (b, 1)),
        draws,
    )
    assert (choice.papers[:, :2] == [20, 21]).all()
    assert (choice.papers[:, 3] == -1).all()
    is_new = choice.papers[:, 2] >= 0
    assert (choice.lanes[is_new, 2] == LANES.index("exploration")).all()
    return choice.papers[:, 2].tolist(), choice.propensity[:, 2].tolist()


GRID = ((np.arange(20_000) + 0.5) / 20_000).astype(np.float32)


@given(
    st.lists(
        st.tuples(st.integers(-1, 9), st.floats(-1, 3, width=16)),
        min_size=1,
        max_size=12,
        unique_by=lambda one: one[0] if one[0] >= 0 else object(),
    )
)
@settings(max_examples=60)
def test_the_propensity_is_the_probability_of_the_draw(asked: list[tuple[int, float]]) -> None:
    options, unknown = [one[0] for one in asked], [one[1] for one in asked]
    drawn, propensity = explored(options, unknown, GRID)
    assert set(drawn) <= set(options)
    if max(options) < 0:
        assert set(drawn) == {-1}
        return
    assert min(drawn) >= 0
    chances = dict(zip(drawn, propensity, strict=True))
    for paper, chance in chances.items():
        assert drawn.count(paper) / len(drawn) == pytest.approx(chance, abs=2e-4)
    assert sum(chances.values()) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("draw", [0.0, np.nextafter(np.float32(1), np.float32(0)), 1.0])
def test_the_ends_of_the_draw_give_a_paper_too(draw: float) -> None:
    drawn, (propensity,) = explored([-1, 3, 4, -1], [9, 0.1, 0.2, 9], np.array([draw], np.float32))
    assert drawn == [3 if draw == 0 else 4]
    assert propensity > 0


def test_what_is_least_known_is_likeliest() -> None:
    _, propensity = explored([1, 2, 3], [0.1, 0.3, 0.2], np.array([0.0, 0.3, 0.999], np.float32))
    drawn, _ = explored([1, 2, 3], [0.1, 0.3, 0.2], GRID)
    assert drawn.count(2) > drawn.count(3) > drawn.count(1)
    assert max(propensity) <= 1


def test_without_options_nothing_is_added() -> None:
    assert explored([], [], GRID[:3])[0] == [-1, -1, -1]
    assert explored([-1], [0.5], GRID[:3])[0] == [-1, -1, -1]
