"""Signals to profiles: each profile is its own Gaussian process, whoever is fitted beside it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.ranking.profile import MOST, NOISE, fit_profiles, products, scores
from digest.ranking.types import KINDS, Floats, Profiles, SignalKind
from tests.ranking.world import Told, board, likes, signals_of, topic_of

BOARD = board()
tellings = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 159), st.floats(0, 2000, width=32)),
    max_size=40,
)


def fit(*told: list[Told]) -> Profiles:
    return fit_profiles(signals_of(told, BOARD.known), BOARD.space)


def liking(*told: list[Told]) -> Floats:
    return scores(fit(*told), BOARD.candidates.points)


def one(kind: SignalKind, age: float = 0.0, paper: int = 0) -> list[Told]:
    return [(kind, paper, age)]


@given(st.lists(tellings, min_size=1, max_size=6))
@settings(max_examples=40)
def test_a_profile_is_the_mean_of_its_gaussian_process(told: list[list[Told]]) -> None:
    """Solved plainly, in double precision, a reader at a time."""
    profiles = fit(*told)
    for i, mine in enumerate(told):
        shrink = 1 / (1 + profiles.levels[i] * BOARD.space.spectrum.astype(np.float64))
        at = BOARD.known[[paper for _, paper, _ in mine]].astype(np.float64)
        noise = [
            NOISE[kind] * (1.0 if kind == "interest" else 2 ** (age / 540)) for kind, _, age in mine
        ]
        wanted = [-0.3 if kind == "down" else 1.0 for kind, _, _ in mine]
        weights: Any = (
            np.linalg.solve((at * shrink) @ at.T + np.diag(noise), wanted) if mine else []
        )
        first = profiles.signals.starts[i]
        np.testing.assert_allclose(profiles.weights[first : first + len(mine)], weights, atol=2e-3)
        direction = np.array(weights) @ at * shrink if mine else np.zeros(len(shrink))
        np.testing.assert_allclose(profiles.directions[i], direction, atol=2e-3)


@given(st.lists(tellings, min_size=1, max_size=5))
@settings(max_examples=40)
def test_the_signals_parts_add_up_to_the_score(told: list[list[Told]]) -> None:
    profiles = fit(*told)
    signals = profiles.signals
    owners = np.repeat(np.arange(len(told)), signals.sizes)
    shrink = 1 / (1 + profiles.levels[owners, None] * profiles.spectrum)
    parts = (signals.points[signals.rows] * shrink * profiles.weights[:, None]) @ (
        BOARD.candidates.points.T
    )
    sums = np.zeros((len(told), len(BOARD.candidates)))
    np.add.at(sums, owners, parts)
    np.testing.assert_allclose(scores(profiles, BOARD.candidates.points), sums, atol=1e-3)


def test_a_reader_alone_is_as_among_three_hundred_of_all_sizes() -> None:
    rng = np.random.default_rng(0)
    told: list[list[Told]] = [
        [
            (KINDS[rng.integers(4)], int(rng.integers(160)), float(rng.integers(400)))
            for _ in range(n)
        ]
        for n in rng.integers(0, 60, 300)
    ]
    together = liking(*told)
    for i in range(0, 300, 23):
        np.testing.assert_allclose(liking(told[i])[0], together[i], atol=1e-4)


@pytest.mark.parametrize("k", [*range(1, 9), 20, 40])
@pytest.mark.parametrize("kind", ["up", "saved", "interest"])
def test_whoever_likes_a_topic_likes_its_papers_most(kind: SignalKind, k: int) -> None:
    told = [likes(topic, k, kind) for topic in range(4)]
    for topic, mine in enumerate(liking(*told)):
        best = np.argsort(-mine)[:8]
        assert {topic_of(int(paper)) for paper in best} == {topic}


def test_opposite_tastes_have_opposite_orders() -> None:
    one, other = liking(likes(0, 3) + likes(1, 3, "down"), likes(1, 3) + likes(0, 3, "down"))
    topics = np.arange(32) % 4
    assert one[topics == 0].min() > one[topics == 1].max()
    assert other[topics == 1].min() > other[topics == 0].max()


def test_only_dislikes_put_their_topic_last() -> None:
    (mine,) = liking(likes(2, 3, "down"))
    topics = np.arange(32) % 4
    assert mine[topics == 2].max() < mine[topics != 2].min()
    assert mine[topics == 2].max() < 0


def test_a_dislike_lowers_its_neighbours_more_than_others() -> None:
    before, after = liking(likes(0, 5)), liking(likes(0, 5) + one("down", paper=80))
    fall = (before - after)[0]
    topics = np.arange(32) % 4
    assert fall[topics == 0].min() > 0
    assert fall[topics == 0].min() > fall[topics != 0].max()


def test_contradictory_votes_cancel_and_break_nothing() -> None:
    both, one = liking(likes(0, 4) + likes(0, 4, "down")), liking(likes(0, 4))
    assert np.isfinite(both).all()
    assert both[0, 0] < one[0, 0]


def test_older_votes_count_less_and_interests_do_not_fade() -> None:
    ages = [0.0, 200.0, 1000.0, 1e6]
    votes = liking(*(one("up", age) for age in ages))[:, 0]
    assert list(votes) == sorted(votes, reverse=True)
    assert votes[-1] < 0.01 * votes[0]
    interests = liking(*(one("interest", age) for age in ages))[:, 0]
    assert np.ptp(interests) < 1e-5


def test_ten_thousand_votes_are_fitted_by_the_interests_and_the_newest() -> None:
    old: list[Told] = [("up", 1 + 4 * (i % 40), 900.0) for i in range(10_000)]
    new: list[Told] = [("up", 4 * (i % 40), 1.0) for i in range(MOST - 1)]
    profiles = fit(one("interest", 5000.0, paper=2) + old + new)
    assert np.flatnonzero(profiles.weights).tolist() == [0, *range(10_001, 10_000 + MOST)]
    (mine,) = scores(profiles, BOARD.candidates.points)
    assert mine[0] > mine[2] > mine[1]


def test_nobody_and_whoever_told_nothing_have_the_direction_zero() -> None:
    assert fit().directions.shape == (0, len(BOARD.space.spectrum))
    profiles = fit([], likes(0, 2), [], likes(1, 2, "down"), [])
    assert profiles.known.tolist() == [False, True, False, False, False]
    assert not profiles.directions[[0, 2, 4]].any()
    assert profiles.directions[1].any()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_point_that_is_not_finite_poisons_nobody(broken: float) -> None:
    points = BOARD.known.copy()
    points[0, 3] = broken
    told = [likes(1, 2), one("up"), one("up") + likes(1, 2)]
    profiles = fit_profiles(signals_of(told, points), BOARD.space)
    assert np.isfinite(profiles.directions).all()
    assert not profiles.directions[1].any()
    alone = fit(likes(1, 2))
    np.testing.assert_allclose(profiles.directions[0], alone.directions[0], atol=1e-6)


def test_fitting_twice_gives_the_same() -> None:
    told = [likes(i % 4, 1 + i % 7) for i in range(50)]
    assert np.array_equal(fit(*told).directions, fit(*told).directions)


@given(
    st.integers(0, 3), st.integers(1, 80), st.integers(1, 80), st.sampled_from([0, 1, 63, 100, 300])
)
@settings(max_examples=30)
def test_products_are_those_of_the_rows(b: int, m: int, k: int, d: int) -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((b, m, d)).astype(np.float32)
    other = rng.standard_normal((b, k, d)).astype(np.float32)
    np.testing.assert_allclose(
        products(one, other), np.einsum("bmd,bkd->bmk", one, other), atol=1e-3
    )
