"""Our own ranker, as the product runs it, behind the protocol's interface."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from digest.evaluation.protocol import KINDS as ROUNDS
from digest.evaluation.protocol import Case, Embed, Fold, Round
from digest.papers.embedding import paper_vectors
from digest.profiles.ground import fit_words, terms_of
from digest.ranking.calibrate import Calibration, calibrate
from digest.ranking.meanings import with_meanings
from digest.ranking.profile import fit_profiles, scores
from digest.ranking.rank import rank
from digest.ranking.space import Space, fit_space
from digest.ranking.types import (
    KINDS,
    LANES,
    Candidates,
    Floats,
    Profiles,
    SignalKind,
    Signals,
    Texts,
    Told,
    Votes,
    Wishes,
)

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer


@dataclass(slots=True)
class Ours:
    """Profiles fitted by `ranking`, on the space of a fold's known papers.

    What it learns from other users is learned without the user fold that is scored.
    """

    embed: Embed
    name: str = "digest"
    needs_likes: bool = False
    reads_dislikes: bool = True
    _calibration: Calibration | None = None
    _of: "_OfFold | None" = None

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float32]:
        """How much each case's profile likes each cold paper, (len(cases), n_cold)."""
        found = np.zeros((len(cases), len(fold.cold)), np.float32)
        for places, profiles, points in self._fitted(fold, cases):
            found[places] = scores(profiles, points[fold.cold])
        return found

    def shown(
        self, fold: Fold, cases: Sequence[Case], k: int, draws: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The columns that editions of `k` papers would show, (len(cases), k), -1 for none.

        And which of them were explored, by `draws` (len(cases),), uniform between 0 and 1. Nothing
        trends in a library, so that all other places are personal.
        """
        columns = np.full((len(cases), k), -1, np.int64)
        is_explored = np.zeros(columns.shape, np.bool_)
        for places, profiles, points in self._fitted(fold, cases):
            candidates = Candidates(
                ids=fold.cold,
                points=points[fold.cold],
                vectors=fold.embeddings[fold.cold],
                momentum=np.zeros(len(fold.cold), np.float32),
            )
            m = len(places)
            wishes = Wishes(np.full(m, k), np.ones(m, np.float32), np.zeros(m, np.float32))
            free = np.ones((m, len(fold.cold)), np.bool_)
            drawn = np.asarray(draws[places], np.float32)
            choice = rank(profiles, candidates, wishes, free=free, draws=drawn).choice
            columns[places] = choice.papers
            is_explored[places] = choice.lanes == LANES.index("exploration")
        return columns, is_explored & (columns >= 0)

    def _fitted(
        self, fold: Fold, cases: Sequence[Case]
    ) -> Iterator[tuple[list[int], Profiles, Floats]]:
        """For each fold of users: its places in `cases`, their profiles, and all papers' points."""
        if self._of is None or self._of.fold is not fold:
            self._of = _OfFold.read(fold, self.embed)
        for number in sorted({case.user_fold for case in cases}):
            places = [i for i, case in enumerate(cases) if case.user_fold == number]
            some = [cases[i] for i in places]
            typed = any(case.interest is not None for case in some)
            space, points = self._of.space(number, typed=typed)
            signals = _signals(some, space, points, self._of.words)
            yield places, fit_profiles(signals, space), points

    def learn(self, outcomes: Sequence[Round]) -> None:
        """Calibrate by what became of these rounds' cold papers."""
        found = [self.scores(one.fold, one.cases) for one in outcomes]
        sizes = [np.repeat(_sizes(one.cases), one.fold.cold.size) for one in outcomes]
        liked = [np.zeros(scores.shape, np.float32) for scores in found]
        for one, wanted in zip(outcomes, liked, strict=True):
            for row, columns in enumerate(one.wanted):
                wanted[row, columns] = 1.0
        if found:
            self._calibration = calibrate(
                np.concatenate([scores.ravel() for scores in found]),
                np.concatenate(sizes),
                np.concatenate([wanted.ravel() for wanted in liked]),
            )

    def probabilities(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.float32]:
        """Probabilities of a like, (len(cases), n_cold); nan before anything was learned."""
        found = self.scores(fold, cases)
        if self._calibration is None:
            return np.full(found.shape, np.nan, np.float32)
        return self._calibration.probability(found, _sizes(cases)[:, None])


@dataclass(slots=True)
class _OfFold:
    """What a fold's users share: its papers' texts, and a space for each fold of users."""

    fold: Fold
    embed: Embed
    words: "TfidfVectorizer | None"
    papers: Texts
    _spaces: dict[int, tuple[Space, Floats]] = field(default_factory=dict)
    _with_meanings: dict[int, Space] = field(default_factory=dict)

    @classmethod
    def read(cls, fold: Fold, embed: Embed) -> "_OfFold":
        """Fit the words of the known papers, and read all."""
        words = fit_words([fold.texts[i] for i in fold.known])
        vectors = paper_vectors(embed, fold.titles, fold.texts)
        return cls(fold, embed, words, Texts(vectors, terms_of(words, fold.texts)))

    def space(self, user_fold: int, *, typed: bool) -> tuple[Space, Floats]:
        """The space that a fold of users is scored in, and all papers' points.

        What interests mean, which is no matter to those points, is only learned for what is typed.
        """
        at = self.fold.known
        known = Texts(self.papers.vectors[at], self.papers.terms[at])
        votes = Votes(known, _likes(self.fold, user_fold))
        if user_fold not in self._spaces:
            space = fit_space(known, votes)
            self._spaces[user_fold] = space, space.points(self.papers)
        space, points = self._spaces[user_fold]
        if not typed:
            return space, points
        if user_fold not in self._with_meanings:
            told = self._told(user_fold)
            self._with_meanings[user_fold] = with_meanings(space, votes, told) if told else space
        return self._with_meanings[user_fold], points

    def _told(self, user_fold: int) -> Told | None:
        """What all other users would type, by their known likes."""
        _, least = ROUNDS["k0"]
        typed = {
            row: text
            for row, likes in enumerate(self.fold.others(user_fold))
            if len(likes) >= least and (text := self.fold.interest(likes))
        }
        if not typed:
            return None
        texts = list(typed.values())
        return Told(
            Texts(self.embed(texts), terms_of(self.words, texts)), np.array(list(typed), np.int64)
        )


def _sizes(cases: Sequence[Case]) -> NDArray[np.int64]:
    return np.array(
        [len(c.likes) + len(c.dislikes) + (c.interest is not None) for c in cases], np.int64
    )


def _likes(fold: Fold, user_fold: int) -> csr_array:
    """The likes of all other users, (users, known papers), 0 or 1."""
    others = fold.others(user_fold)
    place = np.full(len(fold.texts), -1, np.int64)
    place[fold.known] = np.arange(len(fold.known))
    rows = np.repeat(np.arange(len(others)), [len(likes) for likes in others])
    columns = place[np.concatenate(others)] if others else np.zeros(0, np.int64)
    ones = np.ones(len(rows), np.float32)
    return csr_array((ones, (rows, columns)), shape=(len(others), len(fold.known)))


def _signals(
    cases: Sequence[Case], space: Space, points: Floats, words: "TfidfVectorizer | None"
) -> Signals:
    """What the cases' readers told us: an interest, likes, and dislikes, as of today."""
    interests = [case.interest for case in cases if case.interest is not None]
    if interests:
        typed = Texts(
            np.stack([interest.vector for interest in interests]),
            terms_of(words, [interest.text for interest in interests]),
        )
        points = np.concatenate([points, space.interests(typed)])
    rows: list[int] = []
    kinds: list[SignalKind] = []
    sizes = []
    next_interest = len(points) - len(interests)
    for case in cases:
        before = len(rows)
        if case.interest is not None:
            rows.append(next_interest)
            kinds.append("interest")
            next_interest += 1
        rows += [*case.likes.tolist(), *case.dislikes.tolist()]
        kinds.extend("up" for _ in case.likes)
        kinds.extend("down" for _ in case.dislikes)
        sizes.append(len(rows) - before)
    return Signals(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        kinds=np.array([KINDS.index(kind) for kind in kinds], np.int8),
        refs=np.array(rows, np.int64),
        ages=np.zeros(len(rows), np.float32),
        rows=np.array(rows, np.int64),
        points=points,
    )
