"""How much papers trend: what pages and readers say of them, in numbers, to a score for each.

A score is an estimate of the upvotes that a paper will end with, so that a few early ones, a
place on a page without any, and the record of its people can be weighed against each other.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# --- fitted by `digest.evaluation.trending.fit` on pages of 2026-01-01 to 2026-02-14, none later

# What a unit of each adds to the logarithm of the upvotes that are expected before any is seen.
AUTHORS, RECORD, STARS, COMMENTS = 0.59, 0.74, 0.13, 0.95
# A mean paper: authors and stars by the mean of their logarithms.
LOG_AUTHORS, LOG_STARS, ONE_COMMENT = 2.1, 1.0, 0.69
# Upvotes by place on a page that was read early in its day: FIRST * place ** -FALL.
FIRST, FALL = 68.0, 1.0
# A paper's rate is Gamma-distributed around what is expected of it, with this shape.
SHAPE = 1.5

# --- chosen, as no page that we have can tell

# What nobody has noticed, by an upvote, a place or a comment, scores below this, all else above.
NOTICED = 0.01

# Half of the upvotes come in the first so many hours of a page; a page without a date is EARLY.
HALF_LIFE, EARLY = 12.0, 5.5
# The final upvotes of a mean paper, and those of one that scores a half: a day's top tenth.
TYPICAL, TOP = 35.0, 100.0
# No more than e to this power of a mean paper is expected before any vote, nor less than its
# inverse: a thousand authors are no thousand upvotes.
FURTHEST = 2.0
# A place says as much as this part of an early count: alone, and beside a count, which mostly made
# the place. A page longer than LENGTH shares out the same attention, as it singles out nobody.
PLACE_ALONE, PLACE_BESIDE, LENGTH = 0.5, 0.02, 30.0
# Powers of the number of pages, of sources, of growth, and of our readers' odds.
PAGES, SOURCES, GROWTH, OURS = 0.25, 0.5, 0.5, 1.0
# Our readers' votes on a paper count from so many votes on; before, the mean of all speaks.
PATIENCE = 10.0
# Somebody's record counts fully from about so many papers on.
RECORD_PATIENCE = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How n papers stand this morning: float (n,) each, NaN for what nobody says.

    `pages` and `sources` carry the paper; `upvotes` is the highest count, taken `hours` after its
    page's day began, and `before` the count of a day earlier; `place` is the best, from 1, on a
    page that ranks `of` so many papers. `authors`, `stars` and `comments` are numbers of them,
    `record` is what `records` gives, `ups` and `downs` are our own readers' votes.
    """

    pages: Floats
    sources: Floats | float = 1.0
    upvotes: Floats | float = np.nan
    hours: Floats | float = np.nan
    before: Floats | float = np.nan
    place: Floats | float = np.nan
    of: Floats | float = np.nan
    authors: Floats | float = np.nan
    record: Floats | float = np.nan
    stars: Floats | float = np.nan
    comments: Floats | float = np.nan
    ups: Floats | float = 0.0
    downs: Floats | float = 0.0


def momentum(papers: Standing, *, approval: float = 0.5) -> Floats:
    """Score papers between 0 and 1, shape (n,); one that no page carries has 0.

    A score of 0.5 is that of a paper which will end in its day's top tenth, just so. `approval` is
    the share of up-votes among all votes of our readers, in (0, 1): a few votes are shrunk to it.
    A list that singles nobody out is no notice: what is on such ones alone scores below NOTICED.
    """
    expected = _expected(papers)
    expected *= np.maximum(papers.pages, 1.0) ** PAGES * np.maximum(papers.sources, 1.0) ** SOURCES
    grown = np.log1p(_or(papers.upvotes, 0.0)) - np.log1p(_or(papers.before, papers.upvotes))
    expected *= np.exp(GROWTH * np.maximum(_or(grown, 0.0), 0.0))
    expected *= _odds(papers.ups, papers.downs, approval) ** OURS
    scores = expected / (expected + TOP)
    seen = [_or(count, 0.0) > 0 for count in (papers.upvotes, papers.comments, papers.ups)]
    noticed = ~np.isnan(papers.place) | np.logical_or.reduce(np.broadcast_arrays(*seen))
    told: Floats = np.where(noticed, np.maximum(scores, NOTICED), scores * NOTICED)
    return np.where(papers.pages > 0, told, 0.0)


def share_in(hours: Floats | float) -> Floats:
    """The share of a paper's final upvotes that is in by then, and no less than after one; (n,)."""
    share: Floats = 1.0 - 0.5 ** (np.maximum(_or(hours, EARLY), 1.0) / HALF_LIFE)
    return share


def records(
    people: Sequence[Collection[str]], past: Sequence[Collection[str]], heat: Floats
) -> Floats:
    """How the people of each paper did before: the shrunk mean `heat` of their past papers; (n,).

    `past` are the people of earlier papers, and `heat` (m,) is how far each of those stood above
    its page, as `above_page` gives it. Somebody unknown counts as 0.
    """
    total: dict[str, float] = defaultdict(float)
    n: dict[str, int] = defaultdict(int)
    for names, value in zip(past, heat.tolist(), strict=True):
        for name in set(names):
            total[name] += value
            n[name] += 1
    return np.array(
        [
            # Sorted, as a sum of floats in the order of a set would differ between runs.
            sum(total[name] for name in sorted(known))
            / (sum(n[name] for name in known) + RECORD_PATIENCE)
            for names in people
            for known in [{name for name in names if name in n}]
        ],
        dtype=float,
    )


def above_page(upvotes: Floats, page: NDArray[np.int64]) -> Floats:
    """How far each log-count stands above the mean of its page; `page` (n,) numbers from 0."""
    heat = np.log1p(upvotes)
    means = np.bincount(page, heat) / np.maximum(np.bincount(page), 1)
    centred: Floats = heat - means[page]
    return centred


def prior(papers: Standing) -> Floats:
    """The final upvotes expected before any are seen; (n,)."""
    stars = np.log1p(_or(papers.stars, 0.0)) - LOG_STARS
    comments = _or(np.log1p(papers.comments), ONE_COMMENT) - ONE_COMMENT
    authors = _or(np.log(np.maximum(papers.authors, 1.0)), LOG_AUTHORS) - LOG_AUTHORS
    log: Floats = (
        AUTHORS * authors + RECORD * _or(papers.record, 0.0) + STARS * stars + COMMENTS * comments
    )
    return TYPICAL * np.exp(np.clip(log, -FURTHEST, FURTHEST))


def _expected(papers: Standing) -> Floats:
    """The final upvotes expected now: a Gamma prior, and the counts and place as its evidence."""
    uncounted = np.isnan(papers.upvotes)
    counted = np.where(uncounted, 0.0, share_in(papers.hours))
    part = np.where(uncounted, PLACE_ALONE, PLACE_BESIDE) * ~np.isnan(papers.place)
    at_place = FIRST * _or(papers.place, 1.0) ** -FALL * LENGTH / np.fmax(papers.of, LENGTH)
    evidence = _or(papers.upvotes, 0.0) + part * at_place
    weight = counted + part * share_in(EARLY)
    expected: Floats = (SHAPE + evidence) / (SHAPE / prior(papers) + weight)
    return expected + np.zeros_like(papers.pages)


def _odds(ups: Floats | float, downs: Floats | float, approval: float) -> Floats:
    """Our readers' odds against the mean ones: the mean of a Beta posterior, in odds."""
    odds = np.divide(PATIENCE * approval + ups, PATIENCE * (1.0 - approval) + downs)
    relative: Floats = odds * (1.0 - approval) / approval
    return relative


def _or(values: Floats | float, other: Floats | float) -> Floats:
    chosen: Floats = np.where(np.isnan(values), other, values)
    return chosen
