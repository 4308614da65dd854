"""What people use today, rebuilt from its published descriptions, to be measured beside ours.

All read the same texts or vectors of the papers (DESIGN.md's encoder, or the one asked for). A
setting is the published one; where that leaves a choice, the docstring tells which was made.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from digest.errors import BadInput
from digest.evaluation.protocol import Case, Fold, Ids, Method

F32 = NDArray[np.float32]
_WORD = r"(?u)\b[a-zA-Z_][a-zA-Z0-9_]+\b"
# Cases that are fitted at once: what bounds the memory.
BATCH = 256


class ArxivSanity:
    """arxiv-sanity-lite: a linear SVM on TF-IDF, the liked papers against all others.

    Source: github.com/karpathy/arxiv-sanity-lite, compute.py for the features (20,000 of 1-2-grams,
    min_df 5, max_df .1, sublinear), send_emails.py for the SVM (C .01, balanced). As there, the
    papers to rank are in the database, and so among the others. Deviations: no author names, the
    data has none; a library is one tag.
    """

    name = "arxiv_sanity"
    needs_likes = True
    reads_dislikes = False

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Distances from the plane, one SVM a case."""
        features = _tfidf(fold)
        candidates = features[fold.cold]
        rows = []
        for case in cases:
            is_liked = np.isin(np.arange(len(fold.texts)), case.likes)
            machine = LinearSVC(
                class_weight="balanced", max_iter=10_000, tol=1e-6, C=0.01, random_state=0
            )
            rows.append(machine.fit(features, is_liked).decision_function(candidates))
        return np.stack(rows)


class ZoteroArxivDaily:
    """zotero-arxiv-daily: similarity to the library, its newest additions first.

    Source: github.com/TideDra/zotero-arxiv-daily, reranker/base.py: the cosines with the library's
    papers, weighted by 1 / (1 + log10(rank)) with rank 1 the last one added. Deviations: the data
    does not tell when a paper was added, so the day it was posted stands for that; the encoder
    reads title and abstract, not the abstract alone, which is better for it (RANKING.md, Input).
    """

    name = "zotero_arxiv_daily"
    needs_likes = True
    reads_dislikes = False

    def scores(self, fold: Fold, cases: Sequence[Case]) -> F32:
        """Weighted mean cosines."""
        unit = _unit(fold.embeddings)
        tastes = [_newest_first(fold, case.likes) @ unit[case.likes] for case in cases]
        return np.stack(tastes) @ unit[fold.cold].T


class ScholarInbox:
    """Scholar Inbox: logistic regression on embeddings, against random negatives.

    Source: arXiv 2504.08385, and for its weights the evaluation code of one of its authors,
    github.com/GlennAng/msc_thesis (code/logreg): at most 5,000 random papers; inverse ridge .1;
    likes together weigh as much as there are samples, all negatives 5 times that, one down-vote
    9 times a random negative (S = 5, V = .9). Deviations: that code needs a down-vote, without
    any the random negatives carry the weight alone; no vectors of research categories, the data
    has none; no PCA, the default encoder is small enough; all cases are solved at once, to the
    optimum of scikit-learn's LogisticRegression.
    """

    name = "scholar_inbox"
    needs_likes = True
    reads_dislikes = True
    n_random, inverse_ridge, negative_scale, down_vote_share = 5000, 0.1, 5.0, 0.9

    def scores(self, fold: Fold, cases: Sequence[Case]) -> F32:
        """Log-odds of a like."""
        unit = _unit(fold.embeddings)
        drawn = np.random.default_rng(fold.number).permutation(fold.known)[: self.n_random]
        rows = []
        for start in range(0, len(cases), BATCH):
            some = cases[start : start + BATCH]
            papers = np.unique(np.concatenate([drawn, *(c.likes for c in some)]))
            papers = np.union1d(papers, np.concatenate([c.dislikes for c in some]))
            is_like, weight = self._samples(some, papers, np.isin(papers, drawn))
            slope, bias = fit_logistic(unit[papers], is_like, weight, self.inverse_ridge)
            rows.append(slope @ unit[fold.cold].T + bias[:, None])
        return np.concatenate(rows)

    def _samples(
        self, cases: Sequence[Case], papers: Ids, is_drawn: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], F32]:
        is_like = np.stack([np.isin(papers, case.likes) for case in cases])
        is_down = np.stack([np.isin(papers, case.dislikes) for case in cases]) & ~is_like
        is_random = is_drawn & ~is_like & ~is_down
        likes, downs, randoms = (
            kind.sum(axis=1, keepdims=True) for kind in (is_like, is_down, is_random)
        )
        total = likes + downs + randoms
        v = np.where(downs > 0, self.down_vote_share, 0.0)
        negative = self.negative_scale * total / np.maximum(v * downs + (1 - v) * randoms, 1e-9)
        weight = (
            is_like * (total / np.maximum(likes, 1))
            + is_down * (v * negative)
            + is_random * ((1 - v) * negative)
        )
        return is_like, weight.astype(np.float32)


class MeanEmbedding:
    """The cosine with the mean vector of the likes, or with the interest where there are none.

    Down-votes weigh one half, which Scholar Inbox's authors found best (RANKING.md, Others).
    """

    name = "mean_embedding"
    needs_likes = False
    reads_dislikes = True

    def scores(self, fold: Fold, cases: Sequence[Case]) -> F32:
        """Cosines, up to a factor a case."""
        unit = _unit(fold.embeddings)
        return np.stack([self._taste(unit, case) for case in cases]) @ unit[fold.cold].T

    def _taste(self, unit: F32, case: Case) -> F32:
        taste = np.zeros(unit.shape[1], np.float32)
        if case.interest is not None:
            taste += case.interest.vector
        if len(case.likes):
            taste += unit[case.likes].mean(axis=0)
        if len(case.dislikes):
            taste -= unit[case.dislikes].mean(axis=0) / 2
        return taste


class Random:
    """Chance: what no knowledge of the reader is worth."""

    name = "random"
    needs_likes = False
    reads_dislikes = False

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Uniform numbers, of another stream for each reader and fold."""
        return np.stack(
            [np.random.default_rng([fold.number, c.user]).random(len(fold.cold)) for c in cases]
        )


def peers() -> list[Method]:
    """All of them, in the order of tables."""
    return [ArxivSanity(), ZoteroArxivDaily(), ScholarInbox(), MeanEmbedding(), Random()]


def fit_logistic(
    x: F32, is_like: NDArray[np.bool_], weight: F32, inverse_ridge: float, *, steps: int = 2000
) -> tuple[F32, F32]:
    """Weighted logistic regressions on shared samples `x` (n, d), one a row of `is_like` (m, n).

    Returns slopes (m, d) and biases (m,), which bear no ridge: the minimum of the sum of
    weight * log-loss + |slope|^2 / (2 inverse_ridge), by accelerated gradients that start again
    where they overshoot, until the gradient has fallen by five orders.
    """
    x = np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1)
    sign = np.where(is_like, 1, -1).astype(np.float32)
    ridge = np.full(x.shape[1], 1 / inverse_ridge, np.float32)
    ridge[-1] = 0
    pull = sign * weight
    half = np.float32(0.5)
    steepest = _steepest(x, weight)[:, None] / 4 + ridge[0]
    at: F32 = np.zeros((len(is_like), x.shape[1]), np.float32)
    ahead = at
    pace = np.ones((len(is_like), 1), np.float32)
    start = np.inf
    for step in range(steps):
        missed = half - half * np.tanh(half * sign * (ahead @ x.T))
        slope = ridge * ahead - (pull * missed) @ x
        size = np.abs(slope).max(axis=1)
        start = size if step == 0 else start
        if (size <= 1e-5 * start).all():
            break
        following = ahead - slope / steepest
        overshot = (slope * (following - at)).sum(axis=1, keepdims=True) > 0
        pace = np.where(overshot, np.float32(1), pace)
        faster = half + np.sqrt(half**2 + pace**2)
        swing = np.where(overshot, np.float32(0), (pace - 1) / faster)
        ahead = following + swing * (following - at)
        at, pace = following, faster
    return at[:, :-1], at[:, -1]


def _steepest(x: F32, weight: F32) -> F32:
    """The largest eigenvalue of x' diag(weight) x for each row of weights, nearly; shape (m,)."""
    vector = np.ones((len(weight), x.shape[1]), np.float32)
    for _ in range(20):
        vector = np.asarray(((vector @ x.T) * weight) @ x, np.float32)
        length = np.asarray(np.linalg.norm(vector, axis=1), np.float32)
        vector /= np.maximum(length, 1e-9)[:, None]
    # The power method comes from below.
    return length * np.float32(1.05)


def _newest_first(fold: Fold, likes: Ids) -> F32:
    order = np.argsort(fold.days[likes], kind="stable")[::-1]
    weight = np.empty(len(likes))
    weight[order] = 1 / (1 + np.log10(np.arange(len(likes)) + 1))
    return np.asarray(weight / weight.sum(), np.float32)


def _unit(matrix: F32) -> F32:
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(length, 1e-9), np.float32)


@lru_cache(maxsize=1)
def _tfidf(fold: Fold) -> Any:
    """arxiv-sanity-lite's features of all papers: sparse, shape (n, at most 20,000).

    Raises BadInput where too few papers share words.
    """
    vectorizer = TfidfVectorizer(
        strip_accents="unicode",
        stop_words="english",
        token_pattern=_WORD,
        ngram_range=(1, 2),
        max_features=20_000,
        sublinear_tf=True,
        max_df=0.1,
        min_df=5,
        dtype=np.float32,
    )
    try:
        return vectorizer.fit_transform(fold.texts)
    except ValueError:
        raise BadInput(
            "arxiv_sanity: needs words that at least 5 papers and at most a tenth of them have"
        ) from None
