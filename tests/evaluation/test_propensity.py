import numpy as np
import pytest

from digest.evaluation.propensity import Mean, Rate, mean_of, self_normalised

READERS, OPTIONS, AGAIN = 1500, 8, 300


@pytest.fixture(scope="module")
def logs() -> tuple[np.ndarray, float, float]:
    """Weights and likes (AGAIN, READERS, 2) of a known policy's papers, and what it is worth.

    A paper a reader is drawn by lot with known propensities; readers like as they like.
    """
    rng = np.random.default_rng(3)
    chances = np.exp(rng.normal(size=(READERS, OPTIONS)))
    chances /= chances.sum(axis=1, keepdims=True)
    likes = rng.random((READERS, OPTIONS)) < rng.random((READERS, 1)) * 0.4
    listed = rng.random((READERS, OPTIONS)) < 0.3
    drawn = (chances.cumsum(axis=1)[None] <= rng.random((AGAIN, READERS, 1))).sum(axis=2)
    drawn = np.minimum(drawn, OPTIONS - 1)
    who = np.arange(READERS)
    weights = listed[who, drawn] / chances[who, drawn]
    log = np.stack([weights, weights * likes[who, drawn]], axis=2)
    return log, float((likes & listed).sum(axis=1).mean()), float(likes[listed].mean())


def test_the_estimate_of_a_known_policy_is_right_within_its_error(
    logs: tuple[np.ndarray, float, float],
) -> None:
    log, worth, rate = logs
    means = [mean_of(one[:, 1]) for one in log]
    rates = [self_normalised(one[:, 0], one[:, 1], one[:, 0] ** 2) for one in log]
    for found, truth in ((means, worth), (rates, rate)):
        values = np.array([one.value for one in found])
        errors = np.array([one.error for one in found])
        assert values.mean() == pytest.approx(truth, abs=4 * values.std() / AGAIN**0.5)
        # The error that is stated is the one that is made: 95 % lie within two of it.
        assert 0.91 <= (np.abs(values - truth) < 1.96 * errors).mean() <= 0.99


def test_equal_weights_are_worth_as_many_draws_as_there_are() -> None:
    ones = np.ones(4)
    assert self_normalised(ones, np.array([1.0, 0, 0, 0]), ones) == Rate(0.25, 0.25, 4.0)
    one_heavy = self_normalised(np.array([9.0, 1.0]), np.array([9.0, 0]), np.array([81.0, 1.0]))
    assert one_heavy.effective == pytest.approx(100 / 82)


def test_nothing_is_said_where_nobody_tells() -> None:
    nothing = np.zeros(3)
    assert self_normalised(nothing, nothing, nothing) == Rate(None, None, 0.0)
    assert mean_of([float("nan")]) == Mean(None, None)
    assert mean_of([2.0, float("nan")]) == Mean(2.0, None)
