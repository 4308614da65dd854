"""What readers mean by what they type: learned from those who typed something, and then voted.

Whoever asks for "networks" may like papers on brains: not the words tell, but what readers of such
words turned out to like. A kernel ridge regression (Saunders, Gammerman and Vovk 1998) smooths over
interests by how far the direction of its reader's likes is from an interest's own.
"""

from dataclasses import replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from digest.ranking.profile import LEAST_LEVEL, fit_profiles
from digest.ranking.space import Meanings, Space, cleaned, nearness, unit
from digest.ranking.types import KINDS, Floats, Ints, Signals, Texts, Told, Votes

# Fewer likes than this do not tell what their reader meant.
LEAST_LIKES = 2
# Fewer interests than this are left out. On the benchmark those of 50 readers already help, by
# .0036 +- .0012 nDCG@10, those of 200 by .005, of 1,200 by .015.
LEAST_TOLD = 20
# How little the likes of one reader say of what another means, against a text's nearness to itself
# of 2 at most. Chosen on the tuning part of the benchmark, of .25 to 16.
MEANING_NOISE = 2.0


def with_meanings(space: Space, votes: Votes, told: Told) -> Space:
    """The space, with what `told` meant whose readers' likes are rows of `votes`.

    A reader's like tells of that one of his interests which it is nearest to. The cost grows with
    the third power of the number of interests.
    """
    space = replace(space, meanings=None)
    points = space.points(votes.texts)
    own = space.interests(told.texts)
    likes = _shared_out(csr_array(votes.likes)[told.owners], told.owners, own, points)
    texts = cleaned(told.texts, space.mean)
    enough = np.diff(likes.indptr) >= LEAST_LIKES
    kept = np.flatnonzero(enough & own.any(axis=1))
    if len(kept) < LEAST_TOLD:
        return space
    texts, own = Texts(texts.vectors[kept], texts.terms[kept]), own[kept]
    shrunk = np.reciprocal(1.0 + LEAST_LEVEL * space.spectrum)
    liked = fit_profiles(_signals(likes[kept], points), space).directions
    residuals = unit(liked) - unit(own * shrunk)
    wanted = np.concatenate([residuals, np.ones((len(kept), 1))], axis=1)
    noisy = nearness(texts, texts).astype(np.float64)
    noisy[np.diag_indices(len(kept))] += MEANING_NOISE
    inverse = cho_solve(cho_factor(noisy), np.eye(len(kept)))
    meanings = Meanings(
        texts,
        told.owners[kept],
        wanted=wanted.astype(np.float32),
        inverse=inverse.astype(np.float32),
        solved=(inverse @ wanted).astype(np.float32),
        shrunk=shrunk,
    )
    return replace(space, meanings=meanings)


def _shared_out(likes: csr_array, owners: Ints, own: Floats, points: Floats) -> csr_array:
    """The likes (m, n) of interests' owners, each left to the nearest of its owner's interests.

    `own` (m, D) are the points of the interests, `points` (n, D) those of the papers.
    """
    pairs = likes.tocoo()
    rows, columns = pairs.row[pairs.data > 0], pairs.col[pairs.data > 0]
    cosines = (unit(own) @ unit(points).T)[rows, columns]
    order = np.lexsort((rows, -cosines, columns, owners[rows]))
    rows, columns = rows[order], columns[order]
    again = (np.diff(owners[rows]) == 0) & (np.diff(columns) == 0)
    nearest = np.concatenate([[True], ~again])[: len(rows)]
    ones = np.ones(int(nearest.sum()), np.float32)
    return csr_array((ones, (rows[nearest], columns[nearest])), shape=likes.shape)


def _signals(likes: csr_array, points: Floats) -> Signals:
    """What each row of likes (m, n) says by itself, of papers at `points` (n, D)."""
    rows = likes.indices.astype(np.int64)
    return Signals(
        starts=likes.indptr.astype(np.int64),
        kinds=np.full(len(rows), KINDS.index("up"), np.int8),
        refs=rows,
        ages=np.zeros(len(rows), np.float32),
        rows=rows,
        points=points,
    )
