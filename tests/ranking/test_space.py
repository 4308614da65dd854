"""Texts to points: products of points are the kernel, and nothing breaks it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from digest.ranking.space import DIMENSIONS, FEW, READERS, SHARPNESS, fit_space
from digest.ranking.types import Floats, Texts, Votes
from tests.ranking.world import TOPICS, make_texts, topic_of

BACKGROUND = make_texts([topic_of(i) for i in range(60)], 0)


def kernel(one: Texts, other: Texts, mean: Floats) -> Floats:
    """What the module's docstring says, without votes, written plainly."""

    def unit(vectors: Floats) -> Floats:
        moved = vectors - mean
        found: Floats = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        return found

    cosine = (unit(one.vectors) @ unit(other.vectors).T + one.terms @ other.terms.T) / 2
    found: Floats = 2 * np.expm1(SHARPNESS * cosine) / np.expm1(SHARPNESS)
    return found


def mean_of(texts: Texts) -> Floats:
    mean: Floats = texts.vectors.sum(axis=0) / (len(texts) + FEW)
    return mean


def votes_of(n_readers: int, seed: int = 5) -> Votes:
    """Readers who like what the space cannot see: even papers together, and odd ones."""
    rng = np.random.default_rng(seed)
    papers = np.array(
        [rng.choice(np.arange(i % 2, 60, 2), 6, replace=False) for i in range(n_readers)]
    )
    rows = np.repeat(np.arange(n_readers), 6)
    ones = np.ones(rows.size, np.float32)
    return Votes(BACKGROUND, csr_array((ones, (rows, papers.ravel())), shape=(n_readers, 60)))


def test_products_of_the_backgrounds_points_are_the_kernel() -> None:
    points = fit_space(BACKGROUND).points(BACKGROUND)
    exact = kernel(BACKGROUND, BACKGROUND, mean_of(BACKGROUND))
    np.testing.assert_allclose(points @ points.T, exact, atol=2e-3)


def test_new_texts_get_nystroems_approximation() -> None:
    new = make_texts([0, 1, 2, 3], 9)
    space = fit_space(BACKGROUND)
    mean = mean_of(BACKGROUND)
    inner = np.linalg.pinv(kernel(BACKGROUND, BACKGROUND, mean), rcond=1e-6)
    cross = kernel(new, BACKGROUND, mean)
    at = space.points(new)
    np.testing.assert_allclose(at @ at.T, cross @ inner @ cross.T, atol=1e-2)
    np.testing.assert_allclose(at @ space.points(BACKGROUND).T, cross, atol=1e-2)


def test_fewer_dimensions_are_the_first_of_more() -> None:
    few, many = fit_space(BACKGROUND, d=5), fit_space(BACKGROUND)
    assert few.points(BACKGROUND).shape == (60, 5)
    np.testing.assert_allclose(few.points(BACKGROUND), many.points(BACKGROUND)[:, :5], atol=1e-4)
    assert list(many.spectrum) == sorted(many.spectrum, reverse=True)
    assert len(many.spectrum) <= min(DIMENSIONS, 60)


def test_fitting_twice_gives_the_same() -> None:
    one, two = fit_space(BACKGROUND), fit_space(BACKGROUND)
    assert np.array_equal(one.basis, two.basis)


def test_the_points_of_a_text_do_not_depend_on_the_texts_beside_it() -> None:
    space = fit_space(BACKGROUND)
    new = make_texts([0, 1, 2, 3, 0], 9)
    alone = Texts(new.vectors[2:3], new.terms[2:3])
    np.testing.assert_allclose(space.points(alone), space.points(new)[2:3], atol=1e-5)


@given(data=st.data(), n=st.integers(0, 8))
def test_any_texts_have_finite_points(data: st.DataObject, n: int) -> None:
    """Empty, equal, zero and non-finite ones, in the background and after it."""
    row = st.sampled_from([0.0, 1.0, -1.0, 3.5, np.nan, np.inf, -np.inf])
    vectors = data.draw(st.lists(st.lists(row, min_size=3, max_size=3), min_size=n, max_size=n))
    words = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    terms = np.eye(4, dtype=np.float32)[words][:, :3].reshape(n, 3)
    texts = Texts(np.array(vectors, np.float32).reshape(n, 3), csr_array(terms))
    space = fit_space(texts)
    points = space.points(texts)
    assert points.shape == (n, len(space.spectrum))
    assert np.isfinite(points).all()
    assert np.isfinite(space.interests(texts)).all()
    nothing = ~np.isfinite(texts.vectors).all(axis=1) | ~texts.vectors.any(axis=1)
    assert not points[nothing & ~terms.any(axis=1)].any()


@pytest.mark.parametrize("n", [1, 5])
def test_equal_texts_are_at_one_point(n: int) -> None:
    texts = Texts(
        np.tile(np.array([[0.6, 0.8]], np.float32), (n, 1)), csr_array(np.eye(1)[[0] * n])
    )
    points = fit_space(texts).points(texts)
    np.testing.assert_allclose(points @ points.T, np.full((n, n), 2.0), atol=1e-4)


def test_a_text_of_which_only_the_words_are_known_is_near_those_of_its_words() -> None:
    space = fit_space(BACKGROUND)
    terms = make_texts([2], 11).terms
    lost = space.points(Texts(np.full((1, BACKGROUND.vectors.shape[1]), np.nan, np.float32), terms))
    near = (space.points(BACKGROUND) @ lost[0]).reshape(-1, TOPICS).mean(axis=0)
    assert near.argmax() == 2


# What readers typed


def test_an_interest_is_moved_towards_the_papers_most_like_it() -> None:
    space = fit_space(BACKGROUND)
    typed = make_texts([0, 1, 2, 3], 9, noise=1.5)
    at, moved = space.points(typed), space.interests(typed)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(at, axis=1), rtol=1e-4)
    nearest = (at @ space.places.T).argmax(axis=1)
    assert ((moved * space.places[nearest]).sum(1) > (at * space.places[nearest]).sum(1)).all()
    topics = (moved @ space.places.T).reshape(4, -1, TOPICS).mean(axis=1)
    assert topics.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_an_interest_of_which_nothing_is_known_stays_at_zero() -> None:
    nothing = Texts(
        np.zeros((1, BACKGROUND.vectors.shape[1]), np.float32), BACKGROUND.terms[:1] * 0
    )
    for space in (fit_space(BACKGROUND), fit_space(Texts(nothing.vectors[:0], nothing.terms[:0]))):
        assert not space.interests(nothing).any()


# What readers like together


def test_too_few_readers_change_nothing() -> None:
    alone, beside = fit_space(BACKGROUND), fit_space(BACKGROUND, votes_of(READERS[0]))
    assert np.array_equal(alone.basis, beside.basis)


def test_readers_of_one_like_do_not_count() -> None:
    many = votes_of(READERS[1])
    ones = csr_array((np.ones(5000, np.float32), (np.arange(5000), np.arange(5000) % 60)))
    assert fit_space(BACKGROUND, Votes(BACKGROUND, ones)).liked is None
    assert fit_space(BACKGROUND, many).liked is not None


def test_papers_that_the_same_readers_like_move_together_the_more_readers_the_more() -> None:
    def gap(votes: Votes | None) -> float:
        points = fit_space(BACKGROUND, votes).points(BACKGROUND)
        products = points @ points.T / (points**2).sum(axis=1).mean()
        alike = np.add.outer(np.arange(60), np.arange(60)) % 2 == 0
        # The board's topics are even or odd, too: look within papers of different topics.
        topic = np.subtract.outer(np.arange(60), np.arange(60)) % TOPICS == 0
        return float(products[alike & ~topic].mean() - products[~alike].mean())

    some = gap(votes_of(sum(READERS) // 2))
    assert gap(None) < some < gap(votes_of(READERS[1])) + 1e-3
    assert some > gap(None) + 0.02


def test_what_readers_typed_finds_its_topic_whatever_others_like_together() -> None:
    space = fit_space(BACKGROUND, votes_of(READERS[1]))
    typed = space.interests(make_texts([0, 1, 2, 3], 9, noise=1.5))
    topics = (typed @ space.places.T).reshape(4, -1, TOPICS).mean(axis=1)
    assert topics.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_text_of_which_nothing_is_known_lies_at_zero_with_votes_too() -> None:
    space = fit_space(BACKGROUND, votes_of(READERS[1]))
    nothing = Texts(
        np.zeros((1, BACKGROUND.vectors.shape[1]), np.float32),
        csr_array((1, BACKGROUND.terms.shape[1]), dtype=np.float32),
    )
    assert not space.points(nothing).any()
