"""Texts to points: one kernel of meaning, words and what readers like together, as coordinates.

The kernel of two texts is exponential in the weighted mean of three cosines (RANKING.md, "the same
with exp kernel"): of their embeddings less the background's mean, of their TF-IDF, and of where
other readers' likes put them. Its principal components over the background (Schölkopf et al. 1998;
the Nyström extension takes in new texts) make it coordinates, so that profiles are linear in them.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_array, diags_array

from digest.ranking.types import Floats, Ints, Texts, Votes

DIMENSIONS = 768
# The mean of a few papers is their topic, not the field's: as if this many at zero stood by.
FEW = 20
# How much faster than linearly the kernel falls off; chosen on the tuning part of the benchmark.
SHARPNESS = 1.5
# What readers like together says nothing before the first of these numbers of readers, and has its
# full weight from the second on. Chosen on the tuning part, learning from 100 to 1,250 readers.
READERS = 50, 500
LIKED_DIMENSIONS = 128
# What it counts for then, where meaning and words count one each. Chosen on the tuning part.
LIKED_WEIGHT = 1.5
# How much what a text says counts against its own likes where these are of average number; a text
# that many like is surer. Chosen on the tuning part.
LIKED_NOISE = 5.0
# How sharply an interest is drawn to the papers most like it: the power of the kernel that they
# weigh. Chosen on the tuning part.
NEAREST = 8
# Below this part of the greatest, a component is noise.
_LEAST = 1e-6
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class _Liked:
    """Where likes put a text: smoothed from the texts that readers liked, with its `weight`."""

    texts: Texts
    coefficients: Floats
    mean: Floats
    weight: float


@dataclass(frozen=True, slots=True)
class Meanings:
    """What readers turned out to mean by what they typed, to be added to interests' directions.

    The direction of an interest is its point times `shrunk` (D,). A kernel ridge regression on m
    interests of readers who voted: their `texts`, clean, and `owners` (m,), what is `wanted` of
    each, float32 (m, D + 1), the last a constant one; `inverse` (m, m) of the kernel with noise,
    and `solved`, its product with `wanted`.
    """

    texts: Texts
    owners: Ints
    wanted: Floats
    inverse: Floats
    solved: Floats
    shrunk: Floats

    def moved(self, points: Floats, texts: Texts, readers: Ints | None) -> Floats:
        """The points (n, D) of clean texts, moved to what such words turned out to mean.

        Of one of `readers` (n,) it counts what the others say: his own votes are in his profile.
        """
        own = points * self.shrunk
        length = np.linalg.norm(own, axis=1, keepdims=True)
        moved: Floats = (unit(own) + self._added(texts, readers)) * (length / self.shrunk)
        return moved

    def _added(self, texts: Texts, readers: Ints | None) -> Floats:
        near = nearness(texts, self.texts)
        said = near @ self.solved
        sums = np.tile(self.wanted.sum(axis=0), (len(texts), 1))
        by = np.full(len(texts), -1) if readers is None else readers
        for i in np.flatnonzero(np.isin(by, self.owners)):
            # As if fitted without these rows (Rasmussen and Williams 2006, 5.4.2).
            mine = np.flatnonzero(self.owners == by[i])
            inner = self.inverse[np.ix_(mine, mine)]
            said[i] -= near[i] @ self.inverse[:, mine] @ np.linalg.solve(inner, self.solved[mine])
            sums[i] -= self.wanted[mine].sum(axis=0)
        added: Floats = said[:, :-1] - said[:, -1:] * (sums[:, :-1] / np.maximum(sums[:, -1:], 1.0))
        return added


@dataclass(frozen=True, slots=True)
class Space:
    """The coordinates that a background of papers spans; `spectrum` float32 (D,), falling.

    `places` float32 (n, D) are the points of the background itself. `meanings` are learned on a
    space that has none.
    """

    mean: Floats
    background: Texts
    places: Floats
    liked: _Liked | None
    liked_background: Floats | None
    basis: Floats
    spectrum: Floats
    meanings: Meanings | None = None

    def points(self, texts: Texts) -> Floats:
        """Coordinates of texts, float32 (n, D); products of points approximate the kernel.

        A text of which nothing is known lies at zero.
        """
        texts = cleaned(texts, self.mean)
        liked = _liked_points(self.liked, texts)
        near = _kernel(texts, liked, self.background, self.liked_background, self.liked)
        return near @ self.basis

    def interests(self, texts: Texts, readers: Ints | None = None) -> Floats:
        """Coordinates of what readers typed, float32 (n, D).

        A few words seldom lie where the papers do that are meant, so each is moved towards the
        background papers most like it, the more the liker they are (pseudo-relevance feedback,
        Rocchio 1971), as far from zero as it was; then to what other readers liked who typed such
        words, as far as that is known. `readers` (n,) tell whose each is, as `Told.owners` do; -1
        is nobody of them.
        """
        texts = cleaned(texts, self.mean)
        # Too little is typed to tell who would like it.
        near = nearness(texts, self.background)
        points = near @ self.basis
        closest = np.maximum(near, 0.0)
        closest /= np.maximum(near.max(axis=1, keepdims=True, initial=0.0), _TINY)
        towards = unit(closest**NEAREST @ self.places)
        moved = points + (points * towards).sum(axis=1, keepdims=True) * towards
        kept: Floats = unit(moved) * np.linalg.norm(points, axis=1, keepdims=True)
        return kept if self.meanings is None else self.meanings.moved(kept, texts, readers)


def fit_space(background: Texts, votes: Votes | None = None, *, d: int = DIMENSIONS) -> Space:
    """Span the space of a background of recent papers: its `d` first components, or fewer.

    A few thousand papers are enough; the cost grows with their third power. `votes` are those of
    the subscribers whose profiles are not evaluated with it.
    """
    whole = background.vectors[np.isfinite(background.vectors).all(axis=1)]
    mean = (whole.sum(axis=0, dtype=np.float64) / (len(whole) + FEW)).astype(np.float32)
    clean = cleaned(background, mean)
    liked = _fit_liked(votes, mean) if votes is not None else None
    at = _liked_points(liked, clean)
    kernel = _kernel(clean, at, clean, at, liked).astype(np.float64)
    n = len(kernel)
    first = max(0, n - d)
    values, vectors = eigh(kernel, subset_by_index=(first, n - 1)) if n else (np.zeros(0), kernel)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > _LEAST * values.max(initial=0.0)
    values, vectors = values[kept], vectors[:, kept]
    # eigh leaves signs open; a fixed one keeps results the same on every machine.
    falls = -vectors.min(axis=0, initial=0.0) > vectors.max(axis=0, initial=0.0)
    signs = np.where(falls, -1.0, 1.0)
    return Space(
        mean,
        clean,
        places=(vectors * (signs * np.sqrt(values))).astype(np.float32),
        liked=liked,
        liked_background=at,
        basis=(vectors * (signs / np.sqrt(values))).astype(np.float32),
        spectrum=values.astype(np.float32),
    )


def cleaned(texts: Texts, mean: Floats) -> Texts:
    """Centred unit vectors; a vector that says nothing, or is not finite, stays zero."""
    whole = np.isfinite(texts.vectors).all(axis=1, keepdims=True)
    whole &= texts.vectors.any(axis=1, keepdims=True)
    moved = np.where(whole, texts.vectors, mean) - mean
    return replace(texts, vectors=unit(moved))


def unit(matrix: Floats) -> Floats:
    """The rows (n, D) at length one; zero stays zero."""
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    made: Floats = (matrix / np.maximum(length, _TINY)).astype(np.float32)
    return made


def nearness(one: Texts, other: Texts) -> Floats:
    """The kernel of clean texts without what readers like: (len(one), len(other)), 2 at most."""
    return _grown(_cosines(one, other), 2.0)


def _cosines(one: Texts, other: Texts) -> Floats:
    """The sum of the cosines of embeddings and of words, shape (len(one), len(other))."""
    words = (one.terms @ other.terms.T).toarray().astype(np.float32)
    sums: Floats = one.vectors @ other.vectors.T + words
    return sums


def _kernel(
    one: Texts,
    one_liked: Floats | None,
    other: Texts,
    other_liked: Floats | None,
    liked: _Liked | None,
) -> Floats:
    cosines, of = _cosines(one, other), 2.0
    if one_liked is not None and other_liked is not None and liked is not None:
        cosines += liked.weight * (one_liked @ other_liked.T)
        of += liked.weight
    return _grown(cosines, of)


def _grown(cosines: Floats, of: float) -> Floats:
    """The kernel where `cosines` are sums of so many, by weight: `of` at most, and zero at zero."""
    grown: Floats = np.expm1(cosines * (SHARPNESS / of)) * (of / np.expm1(SHARPNESS))
    return grown.astype(np.float32)


def _fit_liked(votes: Votes, mean: Floats) -> _Liked | None:
    """The part learned from all readers.

    RANKING.md, step 2 of the best method; but texts are as near as by the kernel without it, and
    what they say counts less (LIKED_NOISE), so that the part is smoother and bears more weight.
    """
    likes: csr_array = votes.likes
    counts = np.asarray(likes.sum(axis=1)).ravel()
    likes = likes[np.flatnonzero(counts >= 2)]
    n_readers = likes.shape[0]
    grown = np.clip((n_readers - READERS[0]) / (READERS[1] - READERS[0]), 0.0, 1.0)
    weight = LIKED_WEIGHT * float(grown)
    if weight == 0.0:
        return None
    counts = np.asarray(likes.sum(axis=1)).ravel()
    popularity = np.maximum(np.asarray(likes.sum(axis=0)).ravel(), 1.0)
    scaled = diags_array(counts**-0.25) @ likes @ diags_array(popularity**-0.5)
    n = likes.shape[1]
    gram = (scaled.T @ scaled).toarray()
    rank = min(LIKED_DIMENSIONS, n)
    values, vectors = eigh(gram, subset_by_index=(n - rank, n - 1))
    factors = vectors * np.sqrt(np.maximum(values, 0.0))
    texts = cleaned(votes.texts, mean)
    near = nearness(texts, texts)
    noisy = near.astype(np.float64)
    noisy[np.diag_indices(n)] += LIKED_NOISE * np.sqrt(popularity.mean() / popularity)
    coefficients = cho_solve(cho_factor(noisy), factors).astype(np.float32)
    return _Liked(texts, coefficients, (near @ coefficients).mean(axis=0), weight)


def _liked_points(liked: _Liked | None, texts: Texts) -> Floats | None:
    if liked is None:
        return None
    near = nearness(texts, liked.texts)
    at = unit(near @ liked.coefficients - liked.mean)
    return np.where(near.any(axis=1, keepdims=True), at, np.float32(0.0))
