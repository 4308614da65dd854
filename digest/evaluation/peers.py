"""What people use today, rebuilt from its published descriptions, to be measured beside ours.

All read the same vectors or texts of the papers. Where a peer could be read in more than one way,
the reading that scores better for it on the tuning part was taken; each docstring tells.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from digest.evaluation.protocol import Case, Fold, Ids, Method

F32 = NDArray[np.float32]


class ArxivSanity:
    """arxiv-sanity-lite: a linear SVM on TF-IDF, the liked papers against all others.

    Source: github.com/karpathy/arxiv-sanity-lite, compute.py (features) and send_emails.py
    (LinearSVC, C=0.01, balanced). Deviations: no author names, the data has none; a library is one
    tag; the papers to be ranked are not among the negatives it is trained on, as they are there.
    """

    name = "arxiv_sanity"
    needs_likes = True
    reads_dislikes = False

    def __init__(self, *, with_candidates: bool = False) -> None:
        self.with_candidates = with_candidates

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float64]:
        """The decision function of one classifier a case."""
        features = _tfidf(fold)
        known, cold = features[fold.known], features[fold.cold]
        if self.with_candidates:
            known = features
        return np.stack([self._decide(fold, case, known, cold) for case in cases])

    def _decide(self, fold: Fold, case: Case, known: csr_matrix, cold: csr_matrix) -> NDArray[np.float64]:
        is_liked = np.isin(fold.known if not self.with_candidates else np.arange(len(fold.texts)), case.likes)
        machine = LinearSVC(class_weight="balanced", max_iter=10000, tol=1e-6, C=0.01)
        decided: NDArray[np.float64] = machine.fit(known, is_liked).decision_function(cold)
        return decided


class ZoteroArxivDaily:
    """zotero-arxiv-daily: similarity to the library, newest additions first.

    Source: github.com/TideDra/zotero-arxiv-daily, reranker/base.py: the cosine of a candidate with
    each library paper, weighted by 1 / (1 + log10(rank)), rank 1 being the newest. Deviations: the
    day a paper was posted stands for the day it was added, which the data does not have; title
    and abstract are read, not the abstract alone; the encoder is everybody's.
    """

    name = "zotero_arxiv_daily"
    needs_likes = True
    reads_dislikes = False

    def scores(self, fold: Fold, cases: Sequence[Case]) -> F32:
        """Weighted mean cosines."""
        unit = _unit(fold.embeddings)
        taste = np.stack([_recent_first(fold, case.likes) @ unit[case.likes] for case in cases])
        return np.asarray(taste @ unit[fold.cold].T, np.float32)


class ScholarInbox:
    """Scholar Inbox: logistic regression on embeddings, against random negatives.

    Source: arXiv 2504.08385, and its authors' evaluation code github.com/GlennAng/msc_thesis
    (code/logreg): ridge C=0.1; likes weigh together as much as there are samples, negatives S
    times that, a down-vote V / (1 - V) times a random negative.
    """

    name = "scholar_inbox"
    needs_likes = True
    reads_dislikes = True

    def __init__(self, *, n: int = 5000, c: float = 0.1, s: float = 5.0, v: float = 0.9, center: bool = False, seed: int = 0) -> None:
        self.n, self.c, self.s, self.v, self.center, self.seed = n, c, s, v, center, seed

    def scores(self, fold: Fold, cases: Sequence[Case]) -> F32:
        """Log-odds of a like."""
        X = _unit(fold.embeddings)
        if self.center: X = _unit(X - X[fold.known].mean(0))
        rng = np.random.default_rng([self.seed, fold.number])
        pool = np.sort(rng.permutation(fold.known)[: self.n])
        out = []
        for start in range(0, len(cases), 256):
            some = cases[start : start + 256]
            rows = np.union1d(pool, np.unique(np.concatenate([np.concatenate([c.likes, c.dislikes]) for c in some])))
            y, w = self._targets(rows, pool, some)
            W, b = fit_logistic(X[rows], y, w, c=self.c)
            out.append(W @ X[fold.cold].T + b[:, None])
        return np.concatenate(out)

    def _targets(self, rows, pool, cases):
        m = len(cases)
        is_like = np.stack([np.isin(rows, c.likes) for c in cases])
        is_no = np.stack([np.isin(rows, c.dislikes) for c in cases])
        is_rand = np.isin(rows, pool)[None] & ~is_like & ~is_no
        np_, nn, nr = is_like.sum(1), is_no.sum(1), is_rand.sum(1)
        N = np_ + nn + nr
        share = np.where(nn > 0, self.v * nn + (1 - self.v) * nr, nr)
        w = is_like * (N / np_)[:, None]
        w = w + is_rand * (self.s * N * np.where(nn > 0, 1 - self.v, 1) / share)[:, None]
        w = w + is_no * (self.s * N * self.v / share)[:, None]
        return np.where(is_like, 1, -1).astype(np.float32), w.astype(np.float32)


class MeanEmbedding:
    """The cosine with the mean of the likes' vectors; dislikes count minus one half."""

    name = "mean_embedding"
    needs_likes = False
    reads_dislikes = True

    def scores(self, fold: Fold, cases: Sequence[Case]) -> F32:
        unit = _unit(fold.embeddings)
        taste = np.stack([self._taste(unit, c) for c in cases])
        return np.asarray(taste @ unit[fold.cold].T, np.float32)

    def _taste(self, unit, case):
        if case.interest is not None:
            return case.interest.vector
        t = unit[case.likes].mean(0)
        if len(case.dislikes): t = t - .5 * unit[case.dislikes].mean(0)
        return t


class Random:
    """Chance."""

    name = "random"
    needs_likes = False
    reads_dislikes = False

    def scores(self, fold, cases):
        return np.stack([np.random.default_rng([c.user, fold.number]).random(len(fold.cold)) for c in cases])


def fit_logistic(x, y, w, *, c, tol=1e-3, most=1000):
    """Nesterov with restarts; x (n,d), y,w (m,n)."""
    n, d = x.shape; m = len(y)
    x1 = np.concatenate([x, np.ones((n, 1), np.float32)], 1)
    ridge = np.full(d + 1, 1 / c, np.float32); ridge[-1] = 0
    # Lipschitz by trace bound: power iteration per user is dear; rows are unit so bound by sum w /4 * lambda
    v = np.random.default_rng(0).standard_normal((m, d + 1)).astype(np.float32)
    for _ in range(12):
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        v = ((v @ x1.T) * w) @ x1
    lip = (np.linalg.norm(v, axis=1) * 1.1 / 4 + 1 / c)[:, None].astype(np.float32)
    b = np.zeros((m, d + 1), np.float32); z = b.copy(); t = np.ones((m, 1), np.float32)
    yw = y * w
    first = None
    for it in range(most):
        g = -(yw * expit(-y * (z @ x1.T))) @ x1 + ridge * z
        size = np.abs(g).max(1)
        if first is None: first = size
        if (size <= tol * first).all(): break
        nb = z - g / lip
        restart = (g * (nb - b)).sum(1, keepdims=True) > 0
        t = np.where(restart, 1, t); nt = (1 + np.sqrt(1 + 4 * t * t)) / 2
        z = nb + np.where(restart, 0, (t - 1) / nt) * (nb - b)
        b, t = nb, nt.astype(np.float32)
    fit_logistic.its = it
    return b[:, :-1], b[:, -1]


def _recent_first(fold: Fold, likes: Ids) -> F32:
    rank = np.empty(len(likes), np.int64)
    rank[np.argsort(-fold.days[likes].astype(np.int64), kind="stable")] = np.arange(1, len(likes) + 1)
    weight = 1 / (1 + np.log10(rank))
    return (weight / weight.sum()).astype(np.float32)


def _unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


@lru_cache(maxsize=1)
def _tfidf(fold: Fold) -> csr_matrix:
    vectorizer = TfidfVectorizer(
        strip_accents="unicode", stop_words="english",
        token_pattern=r"(?u)\b[a-zA-Z_][a-zA-Z0-9_]+\b",
        ngram_range=(1, 2), max_features=20000, sublinear_tf=True, max_df=0.1, min_df=5, dtype=np.float32,
    )
    return vectorizer.fit_transform(fold.texts).tocsr()
