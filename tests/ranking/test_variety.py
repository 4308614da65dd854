"""A few papers that tell tastes apart."""

import numpy as np
import pytest

from digest.ranking.variety import varied


def topics(
    rng: np.random.Generator, sizes: list[int], d: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (n, d) around a direction a topic, and the topic of each."""
    centres = rng.normal(size=(len(sizes), d))
    of = np.repeat(np.arange(len(sizes)), sizes)
    # What all papers share is larger than what tells them apart, as with real embeddings.
    rows = 5 * np.ones(d) + centres[of] + 0.3 * rng.normal(size=(len(of), d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), of


@pytest.mark.parametrize("seed", range(5))
def test_each_topic_is_there_once_before_any_is_there_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, of = topics(rng, [60, 50, 40, 30, 20, 12])
    order = rng.permutation(len(rows))
    assert sorted(of[order][varied(rows[order], 6)].tolist()) == [0, 1, 2, 3, 4, 5]


def test_near_copies_are_not_both_chosen() -> None:
    rows, _ = topics(np.random.default_rng(0), [10, 10, 10])
    chosen = varied(np.concatenate([rows, rows]), 3)
    assert len({int(i) % len(rows) // 10 for i in chosen}) == 3


def test_there_are_no_more_than_there_are_and_none_twice() -> None:
    rows, _ = topics(np.random.default_rng(1), [3, 2])
    assert sorted(varied(rows, 99).tolist()) == [0, 1, 2, 3, 4]
    assert varied(rows[:0], 3).tolist() == []
    assert varied(rows, 0).tolist() == []


def test_what_is_not_finite_or_all_alike_comes_last_and_breaks_nothing() -> None:
    rows, _ = topics(np.random.default_rng(2), [4, 4])
    rows[0] = np.nan
    rows[1, 0] = np.inf
    assert set(varied(rows, 8).tolist()[-2:]) == {0, 1}
    assert varied(np.ones((5, 3), np.float32), 2).tolist() == [0, 1]


def test_the_same_papers_give_the_same_choice() -> None:
    rows, _ = topics(np.random.default_rng(3), [20, 20])
    assert varied(rows, 5).tolist() == varied(rows.copy(), 5).tolist()
