"""Probabilities: right where the truth is known, and none where nobody can know."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from digest.ranking.calibrate import ENOUGH, ENOUGH_OF_EACH, Calibration, calibrate
from digest.ranking.types import Floats, Ints


def outcomes(n: int, slope: float = 6.0, bias: float = -3.0) -> tuple[Floats, Ints, Floats, Floats]:
    """Scores, sizes, likes that follow a logistic of the score, and its true probabilities."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, n).astype(np.float32)
    truth = expit(slope * scores + bias).astype(np.float32)
    return scores, rng.integers(1, 60, n), (rng.random(n) < truth).astype(np.float32), truth


def fitted(n: int = 5000) -> Calibration:
    found = calibrate(*outcomes(n)[:3])
    assert found is not None
    return found


def test_a_known_logistic_is_recovered() -> None:
    scores, sizes, _, truth = outcomes(5000)
    assert np.abs(fitted().probability(scores, sizes) - truth).mean() < 0.02


def test_it_is_better_than_the_constant_from_the_first_hundreds() -> None:
    scores, sizes, _, truth = outcomes(5000)
    constant = ((truth.mean() - truth) ** 2).mean()
    few = fitted(300).probability(scores, sizes)
    assert ((few - truth) ** 2).mean() < 0.2 * constant


def test_a_better_score_is_likelier_to_be_liked() -> None:
    grid = np.linspace(0, 1, 11, dtype=np.float32)
    for size in (1, 10, 60):
        assert (np.diff(fitted().probability(grid, np.full(11, size))) > 0).all()


def test_evidence_counts() -> None:
    """The same score is worth more from a reader of whom more is known."""
    rng = np.random.default_rng(0)
    scores, sizes = rng.uniform(0, 1, 5000).astype(np.float32), rng.integers(1, 60, 5000)
    liked = rng.random(5000) < np.where(sizes > 10, scores, 0.5)
    found = calibrate(scores, sizes, liked.astype(np.float32))
    assert found is not None
    few, many = found.probability(np.full(2, 0.9, np.float32), np.array([1, 60]))
    assert many > few + 0.1


@pytest.mark.parametrize("n", [0, 1, ENOUGH - 1])
def test_with_few_outcomes_it_abstains(n: int) -> None:
    assert calibrate(*outcomes(n)[:3]) is None


@pytest.mark.parametrize("likes", [0, ENOUGH_OF_EACH - 1, 1000 - ENOUGH_OF_EACH + 1, 1000])
def test_with_hardly_any_of_one_kind_it_abstains(likes: int) -> None:
    scores, sizes, *_ = outcomes(1000)
    assert calibrate(scores, sizes, (np.arange(1000) < likes).astype(np.float32)) is None


def test_scores_that_are_not_finite_say_nothing() -> None:
    scores, sizes, liked, _ = outcomes(1000)
    broken = np.concatenate([scores, np.array([np.nan, np.inf, -np.inf], np.float32)])
    with_them = calibrate(broken, np.r_[sizes, 1, 1, 1], np.r_[liked, 1, 1, 1])
    without = calibrate(scores, sizes, liked)
    assert with_them is not None
    assert without is not None
    assert np.array_equal(with_them.coefficients, without.coefficients)


@given(
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    told=st.sampled_from(["random", "parted", "against"]),
    at=st.floats(-1e4, 1e4, width=32),
    size=st.integers(0, 10_000),
)
@settings(max_examples=60)
def test_a_probability_is_one_whatever_the_outcomes(
    seed: int, spread: float, told: str, at: float, size: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = (spread * rng.standard_normal(300)).astype(np.float32)
    kinds = {"random": rng.random(300) < 0.5, "parted": scores > 0, "against": scores < 0}
    found = calibrate(scores, rng.integers(0, 500, 300), kinds[told].astype(np.float32))
    if found is None:
        assert min(kinds[told].sum(), (~kinds[told]).sum()) < ENOUGH_OF_EACH
        return
    (probability,) = found.probability(np.array([at], np.float32), np.array([size]))
    assert 0 <= probability <= 1


def test_sizes_broadcast_over_a_table_of_scores() -> None:
    table = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    sizes = np.array([[3], [40]])
    found = fitted().probability(table, sizes)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found[1], fitted().probability(table[1], sizes[1]), atol=1e-6)


def test_habits_are_those_of_readers_and_few_outcomes_tell_little_of_one() -> None:
    """Three readers: one likes all, one likes as others do, one was seen twice."""
    scores, sizes, liked, _ = outcomes(1000)
    readers = np.array([0] * 400 + [1] * 598 + [2] * 2)
    liked[readers != 1] = 1.0
    generous, usual, new = fitted().habits(scores, sizes, liked, readers)
    assert generous > 3
    assert abs(usual) < 0.3
    assert 0 < new < 1.5


def test_an_outcome_that_is_not_finite_says_nothing_of_a_habit() -> None:
    scores = np.array([np.nan, np.inf], np.float32)
    habits = fitted().habits(scores, np.ones(2, np.int64), np.ones(2, np.float32), np.array([0, 1]))
    assert habits.tolist() == [0.0, 0.0]
