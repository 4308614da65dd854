from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from digest.errors import BadInput
from digest.evaluation.peers import (
    ArxivSanity,
    MeanEmbedding,
    Random,
    ScholarInbox,
    ZoteroArxivDaily,
    fit_logistic,
    peers,
)
from digest.evaluation.protocol import Case, Fold, Interest, Method, marks, random_folds
from tests.evaluation.libraries import EMBED, TOPICS, World, topic_of

KNOWING = [ArxivSanity(), ZoteroArxivDaily(), ScholarInbox(), MeanEmbedding()]


@pytest.fixture(scope="module")
def fold(world: World) -> Fold:
    return random_folds(world.collection, world.vectors)[0]


def of_topic(fold: Fold, topic: int, n: int = 3) -> np.ndarray:
    """The first known papers of a topic."""
    return np.array([i for i in fold.known if topic_of(int(i)) == topic][:n])


def reader(*likes: np.ndarray, **more: object) -> Case:
    return Case(1, 0, np.concatenate(likes), **more)  # type: ignore[arg-type] # as the test says


def topics_of_best(method: Method, fold: Fold, case: Case, n: int) -> list[int]:
    best = np.argsort(-method.scores(fold, [case])[0])[:n]
    return [topic_of(int(i)) for i in fold.cold[best]]


def test_they_have_the_names_that_tables_and_json_use() -> None:
    assert [peer.name for peer in peers()] == [
        "arxiv_sanity",
        "zotero_arxiv_daily",
        "scholar_inbox",
        "mean_embedding",
        "random",
    ]


@pytest.mark.parametrize("method", KNOWING, ids=lambda method: method.name)
@pytest.mark.parametrize("topic", range(0, 12, 5))
def test_a_reader_of_one_topic_gets_its_papers_first(
    method: Method, topic: int, fold: Fold
) -> None:
    assert set(topics_of_best(method, fold, reader(of_topic(fold, topic)), 2)) == {topic}


@pytest.mark.parametrize("method", KNOWING, ids=lambda method: method.name)
def test_all_likes_rank_nearly_perfectly_here(method: Method, fold: Fold, world: World) -> None:
    (one,) = world.rounds(fold, ["all"])
    given_ = marks(method.scores(fold, one.cases), one.wanted, np.random.default_rng(0))
    assert given_.mean(axis=0)[0] > 0.85
    assert given_.mean(axis=0)[3] > 0.95


def test_chance_is_chance(fold: Fold, world: World) -> None:
    (one,) = world.rounds(fold, ["all"])
    given_ = marks(Random().scores(fold, one.cases), one.wanted, np.random.default_rng(0))
    assert given_.mean(axis=0)[3] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("method", peers(), ids=lambda method: method.name)
def test_an_answer_is_the_same_each_time_and_whoever_else_asks(method: Method, fold: Fold) -> None:
    cases = [reader(of_topic(fold, topic, n)) for topic, n in ((0, 1), (3, 8), (7, 3))]
    together = method.scores(fold, cases)
    assert together.shape == (3, len(fold.cold))
    assert np.isfinite(together).all()
    for case, scores in zip(cases, together, strict=True):
        np.testing.assert_allclose(method.scores(fold, [case])[0], scores, atol=2e-3)


@pytest.mark.parametrize("method", peers(), ids=lambda method: method.name)
def test_likes_of_others_change_nothing(method: Method, fold: Fold) -> None:
    case = reader(of_topic(fold, 2))
    alone = replace(fold, libraries=tuple(likes[:0] for likes in fold.libraries))
    np.testing.assert_allclose(
        method.scores(fold, [case]), method.scores(alone, [case]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("method", peers(), ids=lambda method: method.name)
def test_who_needs_likes_says_so(method: Method, fold: Fold) -> None:
    if method.needs_likes:
        return
    text = " ".join([TOPICS[4], *(f"{TOPICS[4]}{i}" for i in range(6))])
    case = reader(np.zeros(0, np.int64), interest=Interest(text, EMBED([text])[0]))
    assert np.isfinite(method.scores(fold, [case])).all()
    if method.name != "random":
        assert topics_of_best(method, fold, case, 1) == [4]


def test_zotero_arxiv_daily_trusts_the_newest_like_most(fold: Fold) -> None:
    one, other = of_topic(fold, 1), of_topic(fold, 6)
    days, means = fold.days.copy(), []
    for newer, older in ((one, other), (other, one)):
        days[newer], days[older] = np.datetime64("2021-01-01"), np.datetime64("2020-01-01")
        scores = ZoteroArxivDaily().scores(replace(fold, days=days), [reader(one, other)])[0]
        means.append(
            np.mean([s for s, i in zip(scores, fold.cold, strict=True) if topic_of(int(i)) == 1])
        )
    assert means[0] > means[1]


def test_zotero_arxiv_daily_weighs_as_published(fold: Fold) -> None:
    likes = of_topic(fold, 1, 3)
    newest_first = likes[np.argsort(fold.days[likes])[::-1]]
    weights = np.array([1, 1 / (1 + np.log10(2)), 1 / (1 + np.log10(3))])
    cosines = fold.embeddings[fold.cold] @ fold.embeddings[newest_first].T
    expected = cosines @ (weights / weights.sum())
    scores = ZoteroArxivDaily().scores(fold, [reader(likes)])[0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize(
    "method", [peer for peer in peers() if peer.reads_dislikes], ids=lambda method: method.name
)
def test_a_down_vote_lowers_what_is_like_it(method: Method, fold: Fold) -> None:
    likes, downs = of_topic(fold, 1), of_topic(fold, 2)
    is_like_them = np.array([topic_of(int(i)) == 2 for i in fold.cold])
    plain, told = (
        method.scores(fold, [case])[0] for case in (reader(likes), reader(likes, dislikes=downs))
    )
    places = [np.argsort(np.argsort(-scores))[is_like_them].mean() for scores in (plain, told)]
    assert places[1] > places[0]
    assert topics_of_best(method, fold, reader(likes, dislikes=downs), 2) == [1, 1]


def test_scholar_inbox_is_scikit_learns_logistic_regression(fold: Fold) -> None:
    likes, downs = of_topic(fold, 3, 2), of_topic(fold, 5, 2)
    papers = fold.known
    is_like, is_down = np.isin(papers, likes), np.isin(papers, downs)
    n_random = len(papers) - 4
    negative = 5 * len(papers) / (0.9 * 2 + 0.1 * n_random)
    weight = np.where(is_like, len(papers) / 2, np.where(is_down, 0.9, 0.1) * negative)
    model = LogisticRegression(C=0.1, tol=1e-8, max_iter=10_000)
    model.fit(fold.embeddings[papers], is_like, sample_weight=weight)
    scores = ScholarInbox().scores(fold, [reader(likes, dislikes=downs)])[0]
    expected = model.decision_function(fold.embeddings[fold.cold])
    np.testing.assert_allclose(scores, expected, atol=5e-3)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(4, 40), st.floats(0.01, 10))
def test_many_regressions_at_once_are_each_at_their_optimum(
    seed: int, m: int, n: int, inverse_ridge: float
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    is_like = rng.random((m, n)) < 0.5
    is_like[:, :2] = [True, False]
    weight = rng.uniform(0.1, 5, (m, n)).astype(np.float32)
    slopes, biases = fit_logistic(x, is_like, weight, inverse_ridge)
    for liked, weights, slope, bias in zip(is_like, weight, slopes, biases, strict=True):
        model = LogisticRegression(C=inverse_ridge, tol=1e-8, max_iter=10_000)
        model.fit(x, liked, sample_weight=weights)
        np.testing.assert_allclose(x @ slope + bias, model.decision_function(x), atol=0.02)


def test_arxiv_sanity_cannot_learn_from_texts_without_common_words(fold: Fold) -> None:
    strange = replace(fold, texts=tuple(f"word{i}x" for i in range(len(fold.texts))))
    with pytest.raises(BadInput, match="at least 5 papers"):
        ArxivSanity().scores(strange, [reader(of_topic(fold, 0))])
