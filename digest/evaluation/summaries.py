"""Summaries against the ones that a large model wrote: is ours nearer than plain sentences are.

The reference is the `ai_summary` that the daily-papers API gives of a paper; the baselines are the
abstract's first sentence, its last, and its first two.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from digest.errors import BadInput, UnreadablePage
from digest.evaluation.protocol import Part
from digest.papers.clean import one_line, readable
from digest.papers.sentences import sentences_of
from digest.papers.summary import (
    Sentence,
    choose_new,
    join,
    may_be_found,
    may_be_new,
    read,
    summarise,
)
from digest.sources.hf_daily import HuggingFaceDaily

# The weights of `digest.papers.summary` were fitted on the papers of these days.
TUNED = (date(2026, 1, 1), date(2026, 3, 1))
# Keeps the weights of the fit small.
RIDGE = 2.0

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Weights = dict[str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """A paper and what a large model says of it; `day` is when it was listed first."""

    day: date
    title: str
    abstract: str
    reference: str


@dataclass(frozen=True, slots=True)
class Marks:
    """A method's mean marks with their standard errors, and its mean length in characters.

    The leads are those of digest's summaries, paper by paper, None for these themselves.
    """

    rouge_l: float
    rouge_l_se: float
    similarity: float
    similarity_se: float
    characters: float
    rouge_l_lead: float | None = None
    rouge_l_lead_se: float | None = None
    similarity_lead: float | None = None
    similarity_lead_se: float | None = None


@dataclass(frozen=True, slots=True)
class SummariesReport:
    """How near the summaries are to the references, by method; `digest` is ours."""

    part: Part
    papers: int
    two_sentences: float
    reference_characters: float
    methods: Mapping[str, Marks]


METHODS: dict[str, Callable[[Told], str]] = {
    "first sentence": lambda told: sentences_of(told.abstract)[0],
    "last sentence": lambda told: sentences_of(told.abstract)[-1],
    "first two": lambda told: " ".join(sentences_of(told.abstract)[:2]),
    "digest": lambda told: summarise(told.title, told.abstract),
}


def read_told(folder: Path, *, part: Part) -> list[Told]:
    """The papers of `folder` with an abstract and a reference, once each, oldest file first.

    `tune` are those listed on the days of TUNED, `report` the others. Raises BadInput.
    """
    found: dict[str, Told] = {}
    for file in sorted(folder.rglob("*.json")):
        try:
            listings = HuggingFaceDaily().read(file.read_bytes(), date.max)
        except (OSError, UnreadablePage):
            continue
        for listing in listings:
            reference = readable(str(listing.facts.get("ai_summary") or ""))
            abstract, title = readable(listing.abstract), one_line(listing.title)
            if reference and abstract:
                day = listing.page_date or date.max
                told = Told(day, title, abstract, reference)
                found.setdefault(listing.arxiv_id or title, told)
    kept = [
        told
        for told in found.values()
        if part == "all" or (TUNED[0] <= told.day < TUNED[1]) == (part == "tune")
    ]
    if not kept:
        raise BadInput(
            f"{folder} holds no daily-papers JSON of the {part} part with an ai_summary; "
            "tune is January and February 2026, report all else"
        )
    return kept


def evaluate_summaries(papers: Sequence[Told], embed: Embed, *, part: Part) -> SummariesReport:
    """Mark every method on `papers`. `embed` gives unit vectors of texts, shape (n, d)."""
    references = [told.reference for told in papers]
    near = embed(references)
    rouge, similar, length = {}, {}, {}
    for name, method in METHODS.items():
        texts = [method(told) for told in papers]
        rouge[name] = np.array(
            [rouge_l(text, one) for text, one in zip(texts, references, strict=True)]
        )
        similar[name] = (embed(texts) * near).sum(axis=1)
        length[name] = float(np.mean([len(text) for text in texts]))
    ours = [summarise(told.title, told.abstract) for told in papers]
    return SummariesReport(
        part,
        len(papers),
        round(float(np.mean([len(sentences_of(text)) > 1 for text in ours])), 3),
        round(float(np.mean([len(text) for text in references])), 1),
        {
            name: Marks(
                *_mean(rouge[name]),
                *_mean(similar[name]),
                round(length[name], 1),
                *(() if name == "digest" else _mean(rouge["digest"] - rouge[name])),
                *(() if name == "digest" else _mean(similar["digest"] - similar[name])),
            )
            for name in METHODS
        },
    )


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L as F1 of the longest common subsequence of words (Lin 2004, beta 1), 0 to 1.

    Words are runs of a to z and digits, case and endings as they are: those of rouge-score without
    its stemmer.
    """
    one, other = (re.findall(r"[a-z0-9]+", said.lower()) for said in (text, reference))
    if not one or not other:
        return 0.0
    return 2 * LCSseq.similarity(one, other) / (len(one) + len(other))


def fit(papers: Sequence[Told], embed: Embed) -> tuple[Weights, Weights]:
    """The weights NEW and FOUND of `digest.papers.summary`, by ridge regression.

    Within each paper, of the marks of the sentences that can say what is new; then, behind the
    best of these, of the marks of both together. A mark is ROUGE-L and half the similarity.
    """

    def worth(texts: Sequence[str], told: Sequence[Told]) -> NDArray[np.floating]:
        references = [one.reference for one in told]
        near = (embed(texts) * embed(references)).sum(axis=1)
        rouge = np.array([rouge_l(*both) for both in zip(texts, references, strict=True)])
        total: NDArray[np.floating] = rouge + near / 2
        return total

    all_ = [read(told.title, told.abstract) for told in papers]
    firsts = [may_be_new(sentences) for sentences in all_]
    new = _ridge(firsts, worth(*_flat([[one.text for one in some] for some in firsts], papers)))
    chosen = [choose_new(sentences, new) for sentences in all_]
    behind = [may_be_found(some, first) for some, first in zip(all_, chosen, strict=True)]
    both = [[join(first, one) for one in some] for first, some in zip(chosen, behind, strict=True)]
    return new, _ridge(behind, worth(*_flat(both, papers)))


def _flat(texts: Sequence[Sequence[str]], papers: Sequence[Told]) -> tuple[list[str], list[Told]]:
    """All texts behind one another, and of which paper each is."""
    pairs = [(text, told) for some, told in zip(texts, papers, strict=True) for text in some]
    return [text for text, _ in pairs], [told for _, told in pairs]


def _ridge(papers: Sequence[Sequence[Sentence]], marks: NDArray[np.floating]) -> Weights:
    """Weights of the features for `marks`, of all sentences behind one another, within papers."""
    names = list(papers[0][0].features)
    inner = RIDGE * np.eye(len(names))
    outer = np.zeros(len(names))
    start = 0
    for sentences in papers:
        y = marks[start : start + len(sentences)]
        start += len(sentences)
        if len(sentences) > 1:
            x = np.array([[one.features[name] for name in names] for one in sentences])
            x -= x.mean(axis=0)
            inner += x.T @ x / len(x)
            outer += x.T @ (y - y.mean()) / len(x)
    return dict(zip(names, np.linalg.solve(inner, outer).round(3).tolist(), strict=True))


def _mean(values: NDArray[np.floating]) -> tuple[float, float]:
    """The mean and its standard error."""
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return round(float(values.mean()), 4), round(float(error), 4)
