"""Which papers end in their day's top tenth, predicted in the morning: `digest bench trending`.

Saved pages of the daily-papers API are read one after the other, as a reader's mornings were. Where
a later page counts the same paper again the prediction is marked by that (`later`). An archive that
keeps one page a day has no such counts. Then only two questions can be asked without looking at the
answer: what is expected before the votes are seen (`unvoted`), and what once a part of them is in
(`sampled`). The latter draws the early votes from those of the page, each as likely as the next,
so it is half invented: it tells about noise, not about how fast papers gather votes.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digest.errors import BadInput, UnreadablePage
from digest.papers.momentum import RECORD, WINDOW
from digest.ranking.momentum import (
    HALF_LIFE,
    LOG_AUTHORS,
    ONE_COMMENT,
    Floats,
    Standing,
    above_page,
    momentum,
    records,
)
from digest.sources.hf_daily import HuggingFaceDaily
from digest.sources.listing import Listing

# The constants of the score were fitted on these days, so nothing is reported on them.
TUNED = (date(2026, 1, 1), date(2026, 2, 15))
# A tenth of fewer papers is not a paper.
LEAST = 10
SAMPLED = (0.05, 0.1, 0.25)
DRAWS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A paper as the first page that showed it did; `later` is its count on the last that did."""

    listing: Listing
    upvotes: int
    later: int | None

    @property
    def people(self) -> Collection[str]:
        """Its authors, and who submitted it."""
        submitter = self.listing.facts.get("submitter")
        return {*self.listing.authors, *([submitter] if submitter else [])}


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """The papers that were new on one day, and what the days before say of their people (n,)."""

    date: date
    papers: tuple[Sighting, ...]
    record: Floats

    @property
    def is_tuned(self) -> bool:
        """Whether the constants of the score were fitted on it."""
        return TUNED[0] <= self.date < TUNED[1]

    def fact(self, name: str) -> Floats:
        """A number that the pages give of each paper, NaN where they do not; (n,)."""
        return np.array([p.listing.facts.get(name, np.nan) for p in self.papers], dtype=float)

    @property
    def authors(self) -> Floats:
        """The number of authors, NaN where none are given; (n,)."""
        return np.array([len(p.listing.authors) or np.nan for p in self.papers], dtype=float)


@dataclass(frozen=True, slots=True)
class Marks:
    """How one order of the papers did: means over days, with standard errors (None of one day).

    Precision is that of the top tenth. A lead is that of the digest over this order, on the same
    days.
    """

    precision: float
    precision_se: float | None
    average_precision: float
    average_precision_se: float | None
    lead: float
    lead_se: float | None
    average_precision_lead: float
    average_precision_lead_se: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that was asked of the morning: on how many days and papers, and the marks."""

    name: str
    asks: str
    days: int
    papers: int
    methods: dict[str, Marks]


@dataclass(frozen=True, slots=True)
class TrendingReport:
    """What a folder holds, and every question that it can answer."""

    days: int
    papers: int
    unreadable: int
    counted_again: int
    days_tuned_on: int
    questions: dict[str, Question]


Scores = dict[str, Floats]
Answer = tuple[Scores, Floats]
Ask = Callable[[Day, np.random.Generator], Answer]


def evaluate_trending(folder: Path, *, rng: np.random.Generator) -> TrendingReport:
    """Mark the momentum score on the pages in `folder` that it was not tuned on.

    Raises BadInput where there is no page.
    """
    days, unreadable = read_days(folder)
    reported = [day for day in days if not day.is_tuned]
    return TrendingReport(
        days=len(days),
        papers=sum(len(day.papers) for day in days),
        unreadable=unreadable,
        counted_again=sum(p.later is not None for day in days for p in day.papers),
        days_tuned_on=len(days) - len(reported),
        questions={question.name: question for question in ask_all(reported, rng=rng)},
    )


def ask_all(days: Sequence[Day], *, rng: np.random.Generator) -> Iterator[Question]:
    """Ask every question of the same days."""
    again = [day for whole in days if (day := _counted_again(whole)).papers]
    yield _asked("later", "a later page's counts, from the first page", _later, again, 1, rng)
    yield _asked("unvoted", "the page's counts, from papers alone", _unvoted, days, 1, rng)
    for share in SAMPLED:
        asks = f"the page's counts, from {share:.0%} of its votes, drawn by chance"
        yield _asked(f"sampled_{share:.2f}", asks, _sampled(share), days, DRAWS, rng)


def fit(days: Sequence[Day]) -> dict[str, float]:
    """The constants of the score: regressions of log-counts, both sides centred on their day.

    What is known before any vote goes first (ridge); what grows along with the votes, stars and
    comments, explains only what that leaves. `first` and `fall` are the place's.
    """
    heat = _over(days, lambda day: np.log1p(_counts(day)))
    before = _over(
        days,
        lambda day: np.nan_to_num(np.log(day.authors), nan=LOG_AUTHORS),
        lambda day: day.record,
    )
    along = _over(
        days,
        lambda day: np.log1p(np.nan_to_num(day.fact("github_stars"))),
        lambda day: np.nan_to_num(np.log1p(day.fact("comments")), nan=ONE_COMMENT),
    )
    first = _ridge(before, heat[:, 0])
    second = _ridge(along, heat[:, 0] - before @ first)
    places = np.concatenate([_places(day) for day in days])
    counts = np.concatenate([_counts(day) for day in days])
    slope, level = np.polyfit(np.log(places), np.log1p(counts), 1)
    return {
        "authors": float(first[0]),
        "record": float(first[1]),
        "stars": float(second[0]),
        "comments": float(second[1]),
        "first": float(np.expm1(level)),
        "fall": -float(slope),
    }


def _over(days: Sequence[Day], *columns: Callable[[Day], Floats]) -> Floats:
    """Columns over all papers, each centred on its day; (n, columns)."""
    by_day: list[Floats] = [np.stack([column(day) for column in columns], axis=1) for day in days]
    return np.concatenate([np.subtract(x, x.mean(axis=0), dtype=np.float64) for x in by_day])


def _ridge(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y), np.float64)


# --- pages -> days ----------------------------------------------------------------------------


def read_days(folder: Path) -> tuple[list[Day], int]:
    """The days of a folder, in order, and how many files are no page.

    A paper is of the day of the first page that shows it; of pages of one day, the name settles
    which is later. Raises BadInput where there is no page.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder")
    pages: list[tuple[date, str, list[Listing]]] = []
    unreadable = 0
    for file in sorted(folder.rglob("*.json")):
        try:
            listings = HuggingFaceDaily().read(file.read_bytes(), date.min)
        except UnreadablePage:
            unreadable += 1
            continue
        if day := _day(file, listings):
            pages.append((day, file.stem, listings))
    pages.sort(key=lambda page: page[:2])
    if not pages:
        raise BadInput(f"{folder} holds no page of the daily-papers API with papers on it")
    first: dict[date, dict[str, Listing]] = {}
    page_of: dict[str, int] = {}
    last: dict[str, int] = {}
    for n, (day, _, listings) in enumerate(pages):
        for listing in listings:
            key = listing.arxiv_id or listing.title.casefold()
            if key not in page_of:
                page_of[key] = n
                first.setdefault(day, {})[key] = listing
            elif listing.upvotes is not None and n != page_of[key]:
                last[key] = listing.upvotes
    days: list[Day] = []
    for day, listed in first.items():
        papers = tuple(
            Sighting(listing, listing.upvotes, last.get(key))
            for key, listing in listed.items()
            if listing.upvotes is not None
        )
        if papers:
            days.append(Day(day, papers, _record(day, papers, days)))
    return days, unreadable


def _day(file: Path, listings: Sequence[Listing]) -> date | None:
    """The day in a file's name, else that of its papers; None of a page without papers."""
    if not listings:
        return None
    try:
        return date.fromisoformat(file.stem[:10])
    except ValueError:
        return listings[0].page_date


def _record(day: date, papers: Sequence[Sighting], days: Sequence[Day]) -> Floats:
    """What `papers.momentum` would know that morning."""
    days = [past for past in days if day - RECORD < past.date <= day - WINDOW]
    past = [paper for one in days for paper in one.papers]
    page = np.array([i for i, one in enumerate(days) for _ in one.papers], dtype=np.int64)
    heat = above_page(np.array([p.upvotes for p in past], dtype=float), page)
    return records([p.people for p in papers], [p.people for p in past], heat)


# --- what is asked ----------------------------------------------------------------------------


def _counted_again(day: Day) -> Day:
    again = [i for i, paper in enumerate(day.papers) if paper.later is not None]
    return Day(day.date, tuple(day.papers[i] for i in again), day.record[again])


def _later(day: Day, _rng: np.random.Generator) -> Answer:
    early, places = _counts(day), _places(day)
    standing = Standing(
        pages=np.ones(len(day.papers)),
        upvotes=early,
        place=places,
        of=np.full(len(places), float(len(places))),
        authors=day.authors,
        record=day.record,
        stars=day.fact("github_stars"),
        comments=day.fact("comments"),
    )
    scores = {
        "digest": momentum(standing),
        "early_upvotes": early,
        "place": -places,
        "random": np.zeros(len(early)),
    }
    return scores, np.array([paper.later for paper in day.papers], dtype=float)


def _unvoted(day: Day, _rng: np.random.Generator) -> Answer:
    ones = np.ones(len(day.papers))
    known = Standing(pages=ones, authors=day.authors, record=day.record)
    stars = Standing(
        pages=ones, authors=day.authors, record=day.record, stars=day.fact("github_stars")
    )
    scores = {
        "digest": momentum(known),
        # The page counts stars when it counts upvotes, so some may be of the same hours.
        "digest_with_stars": momentum(stars),
        "authors": day.authors,
        "record": day.record,
        "random": np.zeros(len(ones)),
    }
    return scores, _counts(day)


def _sampled(share: float) -> Ask:
    hours = -HALF_LIFE * np.log2(1.0 - share)

    def ask(day: Day, rng: np.random.Generator) -> Answer:
        counts = _counts(day)
        early = rng.binomial(counts.astype(np.int64), share).astype(float)
        # Pages are ordered by upvotes, so a place says nothing that the count does not.
        standing = Standing(
            pages=np.ones(len(counts)),
            upvotes=early,
            hours=np.full(len(counts), hours),
            authors=day.authors,
            record=day.record,
        )
        scores = {
            "digest": momentum(standing),
            "early_upvotes": early,
            "random": np.zeros(len(counts)),
        }
        return scores, counts

    return ask


def _counts(day: Day) -> Floats:
    return np.array([paper.upvotes for paper in day.papers], dtype=float)


def _places(day: Day) -> Floats:
    return np.array([paper.listing.position for paper in day.papers], dtype=float)


# --- marks ------------------------------------------------------------------------------------


def _asked(
    name: str, asks: str, ask: Ask, days: Sequence[Day], draws: int, rng: np.random.Generator
) -> Question:
    marks: list[dict[str, Floats]] = []
    papers = 0
    for day in days:
        drawn = [ask(day, rng) for _ in range(draws)] if len(day.papers) >= LEAST else []
        # Where all papers have the same count there is no top.
        drawn = [(scores, counts) for scores, counts in drawn if np.ptp(counts) > 0]
        if not drawn:
            continue
        papers += len(day.papers)
        marks.append(
            {
                method: np.mean([marked(s[method], counts, rng) for s, counts in drawn], axis=0)
                for method in drawn[0][0]
            }
        )
    return Question(name, asks, len(marks), papers, _marks(marks))


def marked(scores: Floats, counts: Floats, rng: np.random.Generator) -> Floats:
    """Precision at the top tenth, and average precision; shape (2,), ties broken at random.

    The top tenth are the papers with at least the count of the last of the tenth, rounded up.
    """
    n = ceil(len(counts) / 10)
    top = counts >= np.sort(counts)[-n]
    found = []
    for _ in range(DRAWS):
        ordered = top[np.lexsort((rng.random(len(scores)), -np.nan_to_num(scores)))]
        precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
        found.append((precision[n - 1], precision[ordered].mean()))
    mean: Floats = np.mean(found, axis=0)
    return mean


def _marks(days: Sequence[dict[str, Floats]]) -> dict[str, Marks]:
    if not days:
        return {}
    all_of: dict[str, NDArray[np.float64]] = {
        method: np.stack([day[method] for day in days]) for method in days[0]
    }
    ours = all_of["digest"]
    return {method: _mean(marks, ours - marks) for method, marks in all_of.items()}


def _mean(marks: Floats, lead: Floats) -> Marks:
    """The means over days of (days, 2) marks, and of the lead in each."""
    n = len(marks)
    both = np.concatenate([marks, lead], axis=1)
    means = both.mean(axis=0).tolist()
    errors = (both.std(axis=0, ddof=1) / n**0.5).tolist() if n > 1 else [None] * 4
    return Marks(*chain.from_iterable(zip(means, errors, strict=True)))
