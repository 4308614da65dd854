"""What readers mean by what they type: others' likes tell, a reader's own do not come back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, vstack

from digest.ranking.meanings import LEAST_TOLD, with_meanings
from digest.ranking.profile import fit_profiles, scores
from digest.ranking.space import Space, fit_space
from digest.ranking.types import KINDS, Floats, Ints, Signals, Texts, Told, Votes
from tests.ranking.world import TOPICS, make_texts, topic_of

PAPERS = make_texts([topic_of(i) for i in range(80)], 0)
SPACE = fit_space(PAPERS)
# What is typed of topic 0 is meant of topic 1, and so on around the board.
READERS = 40


def likes_of(topics: Ints | list[int], seed: int = 3) -> csr_array:
    """Six papers of each reader's topic."""
    rng = np.random.default_rng(seed)
    likes = np.zeros((len(topics), len(PAPERS)), np.float32)
    for row, topic in zip(likes, topics, strict=True):
        row[rng.choice(np.arange(topic, len(PAPERS), TOPICS), 6, replace=False)] = 1
    return csr_array(likes)


TYPED = [i % TOPICS for i in range(READERS)]
VOTES = Votes(PAPERS, likes_of([(topic + 1) % TOPICS for topic in TYPED]))
TOLD = Told(make_texts(TYPED, 7, noise=0.8), np.arange(READERS))
TAUGHT = with_meanings(SPACE, VOTES, TOLD)


def some(texts: Texts, rows: Ints | list[int]) -> Texts:
    return Texts(texts.vectors[rows], texts.terms[rows])


def by_topic(points: Floats) -> Floats:
    """How much profiles of one interest each like the topics, (n, TOPICS)."""
    n = len(points)
    signals = Signals(
        starts=np.arange(n + 1),
        kinds=np.full(n, KINDS.index("interest"), np.int8),
        refs=np.arange(n),
        ages=np.zeros(n, np.float32),
        rows=np.arange(n),
        points=points,
    )
    liked = scores(fit_profiles(signals, SPACE), SPACE.places)
    means: Floats = liked.reshape(n, -1, TOPICS).mean(axis=1)
    return means


def test_what_readers_of_such_words_turned_out_to_like_rises_for_a_new_one() -> None:
    new = make_texts(list(range(TOPICS)), 9, noise=0.8)
    before, after = by_topic(SPACE.interests(new)), by_topic(TAUGHT.interests(new))
    assert before.argmax(axis=1).tolist() == [0, 1, 2, 3]
    meant = (np.arange(TOPICS) + 1) % TOPICS
    rises = after - before
    assert (rises[np.arange(TOPICS), meant] > 0.05).all()
    assert rises.argmax(axis=1).tolist() == meant.tolist()


def test_who_likes_what_he_typed_changes_little() -> None:
    plain = with_meanings(SPACE, Votes(PAPERS, likes_of(TYPED)), TOLD)
    new = make_texts(list(range(TOPICS)), 9, noise=0.8)
    assert by_topic(plain.interests(new)).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_papers_stay_where_they_are() -> None:
    assert np.array_equal(TAUGHT.points(PAPERS), SPACE.points(PAPERS))


@pytest.mark.parametrize("n", [0, 1, LEAST_TOLD - 1])
def test_too_few_readers_change_nothing(n: int) -> None:
    few = Told(some(TOLD.texts, np.arange(n)), np.arange(n))
    space = with_meanings(SPACE, VOTES, few)
    assert space.meanings is None
    assert np.array_equal(space.interests(TOLD.texts), SPACE.interests(TOLD.texts))


def test_one_like_does_not_tell_what_was_meant() -> None:
    rows = np.arange(READERS)
    ones = csr_array((np.ones(READERS, np.float32), (rows, rows)), shape=VOTES.likes.shape)
    assert with_meanings(SPACE, Votes(PAPERS, ones), TOLD).meanings is None


def test_teaching_twice_gives_the_same_and_one_space_may_be_taught_again() -> None:
    for again in (with_meanings(SPACE, VOTES, TOLD), with_meanings(TAUGHT, VOTES, TOLD)):
        assert np.array_equal(again.interests(TOLD.texts), TAUGHT.interests(TOLD.texts))


# A reader's own votes


def without(reader: int, told: Told = TOLD, votes: Votes = VOTES) -> Space:
    """The space, taught by all the others."""
    rest = np.flatnonzero(told.owners != reader)
    return with_meanings(SPACE, votes, Told(some(told.texts, rest), told.owners[rest]))


@pytest.mark.parametrize("reader", [0, 17, READERS - 1])
def test_for_a_reader_it_is_as_if_he_had_not_voted(reader: int) -> None:
    asked = some(TOLD.texts, [reader, reader, (reader + 1) % READERS])
    # As one that has told nothing; as himself; as himself, of another's words.
    readers = np.array([-1, reader, reader])
    found = TAUGHT.interests(asked, readers)
    expected = without(reader).interests(asked)
    np.testing.assert_allclose(found[1:], expected[1:], atol=2e-4)
    assert np.abs(found[0] - expected[0]).max() > 1e-2
    np.testing.assert_allclose(TAUGHT.interests(asked), TAUGHT.interests(asked, -np.ones(3, int)))


def test_others_of_the_same_words_still_count_for_him() -> None:
    """Ten typed the same, and are more to each of them than to nobody's words."""
    words = [0 if topic == 0 else i for i, topic in enumerate(TYPED)]
    space = with_meanings(SPACE, VOTES, Told(some(TOLD.texts, words), np.arange(READERS)))
    asked = some(TOLD.texts, [0])
    rises = by_topic(space.interests(asked, np.array([0]))) - by_topic(SPACE.interests(asked))
    assert rises.argmax() == 1
    assert rises[0, 1] > 0.05


def test_a_reader_of_several_interests_is_left_out_with_all_of_them() -> None:
    owners = np.arange(READERS) // 2
    likes = csr_array(vstack([VOTES.likes[2 * i] + VOTES.likes[2 * i + 1] for i in range(20)]))
    likes.data[:] = 1
    votes, told = Votes(PAPERS, likes), replace(TOLD, owners=owners)
    space = with_meanings(SPACE, votes, told)
    assert space.meanings is not None
    found = space.interests(TOLD.texts, owners)
    for reader in (0, 7):
        mine = np.flatnonzero(owners == reader)
        expected = without(reader, told, votes).interests(some(TOLD.texts, mine))
        np.testing.assert_allclose(found[mine], expected, atol=2e-4)


def test_a_like_tells_of_the_interest_that_it_is_nearest_to() -> None:
    """Readers of topics 0 and 1, each loyal to both: nobody's 0 is said to mean 1."""
    topics = [i % 2 for i in range(2 * READERS)]
    texts = make_texts(topics, 8, noise=0.3)
    likes = likes_of([0] * READERS) + likes_of([1] * READERS)
    owners = np.arange(2 * READERS) // 2
    space = with_meanings(SPACE, Votes(PAPERS, csr_array(likes)), Told(texts, owners))
    new = make_texts([0, 1], 9)
    after = by_topic(space.interests(new)) - by_topic(SPACE.interests(new))
    assert (np.diag(after[:, :2]) > after[[0, 1], [1, 0]]).all()


# Bad ones


@given(data=st.data())
def test_any_texts_have_finite_points(data: st.DataObject) -> None:
    """Empty, equal, zero and non-finite ones, among what was told and what is asked."""
    vectors, terms = TOLD.texts.vectors.copy(), TOLD.texts.terms.toarray()
    for row in data.draw(st.lists(st.integers(0, READERS - 1), max_size=30)):
        vectors[row] = data.draw(st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf]))
        terms[row] *= data.draw(st.sampled_from([0.0, 1.0]))
    texts = Texts(vectors, csr_array(terms))
    owners = np.array(data.draw(st.lists(st.integers(0, 39), min_size=READERS, max_size=READERS)))
    space = with_meanings(SPACE, VOTES, Told(texts, owners))
    for readers in (None, owners):
        points = space.interests(texts, readers)
        assert np.isfinite(points).all()
        nothing = ~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1)
        assert not points[nothing & ~terms.any(axis=1)].any()
    assert space.interests(some(texts, []), np.zeros(0, np.int64)).shape == (
        0,
        SPACE.places.shape[1],
    )
