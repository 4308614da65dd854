"""Who is asked what, and how answers are marked: the cold-item protocol of `digest bench ranking`.

Each day's papers are new to everyone, so papers are split, not likes: a fold's cold papers are
ranked for a reader from what they liked of the known ones. What is decided here was fixed before
anything was measured; methods are in `peers` and `ours`, and `ranking` runs them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from digest.errors import BadInput
from digest.papers.identity import text_of

Ids = NDArray[np.int64]
Part = Literal["tune", "report", "all"]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

N_FOLDS = N_USER_FOLDS = 5
TIME_KNOWN = 0.8
# How many likes a method is told, and how many a reader must have for that; None: all of them.
KINDS: dict[str, tuple[int | None, int]] = {
    "k0": (0, 2),
    "k1": (1, 10),
    "k3": (3, 10),
    "k5": (5, 10),
    "k10": (10, 10),
    "k20": (20, 20),
    "all": (None, 5),
}
N_TAGS = 5
METRICS = ("ndcg@10", "recall@10", "mrr", "auc")
DEPTH = 10

_NONE: Ids = np.zeros(0, np.int64)


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True)


class Paper(_Line):
    """A line of papers.jsonl."""

    id: int
    title: str
    abstract: str = ""
    posted_at: datetime
    tags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What an encoder reads."""
        return text_of(self.title, self.abstract)


class _Library(_Line):
    user: NonNegativeInt
    papers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Papers, and what each user kept of them.

    From here on a paper's id is its place in `papers`; `users` int64 (u,) are the numbers that
    the file gives, and `libraries` the papers of each, in the file's order.
    """

    papers: tuple[Paper, ...]
    users: Ids
    libraries: tuple[Ids, ...]

    @property
    def user_folds(self) -> Ids:
        """The fold of each user, shape (u,): who learns from others learns from other folds."""
        folds = np.empty(len(self.users), np.int64)
        shuffled = np.random.default_rng(1).permutation(len(self.users))
        for number, some in enumerate(np.array_split(shuffled, N_USER_FOLDS)):
            folds[some] = number
        return folds


def load(folder: Path) -> Collection:
    """Read papers.jsonl and libraries.jsonl of `folder`.

    Raises BadInput with the file and the line that is wrong.
    """
    papers = _lines(folder / "papers.jsonl", Paper)
    place = {paper.id: i for i, paper in enumerate(papers)}
    if len(place) < len(papers):
        raise BadInput(f"{folder / 'papers.jsonl'}: two papers have one id")
    if len(papers) < 2 * N_FOLDS:
        raise BadInput(f"{folder / 'papers.jsonl'}: {2 * N_FOLDS} papers are the least")
    file = folder / "libraries.jsonl"
    read = _lines(file, _Library)
    if len({one.user for one in read}) < len(read):
        raise BadInput(f"{file}: two libraries have one user")
    libraries = []
    for number, one in enumerate(read, start=1):
        unknown = next((id_ for id_ in one.papers if id_ not in place), None)
        if unknown is not None:
            raise BadInput(f"{file}:{number}: papers.jsonl has no paper {unknown}")
        kept = dict.fromkeys(place[id_] for id_ in one.papers)
        libraries.append(np.array(list(kept), np.int64))
    return Collection(
        tuple(papers), np.array([one.user for one in read], np.int64), tuple(libraries)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One split of the papers, and all that a method may know of it.

    `texts` (with their `titles`) and `embeddings` float32 (n, d) are of all n papers, `days`
    datetime64 (n,) when each was posted; `known` and `cold` are sorted ids. `libraries` and
    `user_folds` go together: a user's likes among the known papers alone, so that nothing here
    tells who likes a cold one. `tags` are the papers', of the cold ones none.
    """

    number: int
    titles: tuple[str, ...]
    texts: tuple[str, ...]
    embeddings: NDArray[np.float32]
    days: NDArray[np.datetime64]
    known: Ids
    cold: Ids
    libraries: tuple[Ids, ...] = field(repr=False)
    user_folds: Ids = field(repr=False)
    tags: tuple[tuple[str, ...], ...] = field(repr=False)

    def others(self, user_fold: int) -> list[Ids]:
        """The known likes of the users outside `user_fold`: whom its users may be helped by."""
        return [
            likes
            for likes, fold in zip(self.libraries, self.user_folds, strict=True)
            if fold != user_fold
        ]

    def interest(self, likes: Ids) -> str:
        """What a reader of these known likes would type: their most frequent tags."""
        tags = Counter(tag for i in likes for tag in self.tags[i])
        return " ".join(tag for tag, _ in tags.most_common(N_TAGS))


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """What a reader typed before liking anything, and its vector float32 (d,)."""

    text: str
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What a method is told of one reader; ids are of known papers."""

    user: int
    user_fold: int
    likes: Ids
    interest: Interest | None = None
    dislikes: Ids = field(default_factory=lambda: _NONE)


class Method(Protocol):
    """A way to rank cold papers; one instance is asked fold after fold, all kinds of each."""

    @property
    def name(self) -> str:
        """The name in tables, in JSON and for --method."""

    @property
    def needs_likes(self) -> bool:
        """Whether it has no answer for an interest alone (k0), and is left out there."""

    @property
    def reads_dislikes(self) -> bool:
        """Whether `Case.dislikes` change its answer."""

    def scores(self, fold: Fold, cases: Sequence[Case]) -> NDArray[np.floating]:
        """Finite scores, shape (len(cases), len(fold.cold)); the higher the better."""


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """The cases of one kind on one fold, and what methods must not see of them.

    `readers` int64 (m,) are the rows of the cases' users among the fold's libraries, `wanted` the
    cold papers that each likes, as columns of `fold.cold`.
    """

    fold: Fold
    kind: str
    cases: tuple[Case, ...]
    readers: Ids
    wanted: tuple[Ids, ...]


def random_folds(collection: Collection, embeddings: NDArray[np.float32]) -> list[Fold]:
    """Five folds; each one's papers are cold once."""
    shuffled = np.random.default_rng(0).permutation(len(collection.papers))
    return [
        _fold(collection, embeddings, number, np.sort(cold))
        for number, cold in enumerate(np.array_split(shuffled, N_FOLDS))
    ]


def time_fold(collection: Collection, embeddings: NDArray[np.float32]) -> Fold:
    """The papers posted last are cold."""
    order = np.argsort(_days(collection), kind="stable")
    return _fold(collection, embeddings, 0, np.sort(order[int(TIME_KNOWN * len(order)) :]))


def narrowed(fold: Fold, known: Ids, cold: Ids) -> Fold:
    """The fold as it was when only `known` (a part of its known papers) was; `cold` come next."""
    is_known = np.zeros(len(fold.texts), bool)
    is_known[known] = True
    libraries = tuple(likes[is_known[likes]] for likes in fold.libraries)
    tags = tuple(some if is_known[i] else () for i, some in enumerate(fold.tags))
    return replace(fold, known=np.sort(known), cold=np.sort(cold), libraries=libraries, tags=tags)


def rounds(
    collection: Collection,
    fold: Fold,
    embed: Embed,
    *,
    part: Part = "report",
    kinds: Sequence[str] = tuple(KINDS),
) -> Iterator[Round]:
    """The cases of a fold, kind by kind; one without cases is left out.

    A reader's samples of k likes are nested. An interest is their most frequent tags.
    """
    for kind in kinds:
        size, least = KINDS[kind]
        asked = []
        for i, known in enumerate(fold.libraries):
            user = int(collection.users[i])
            wanted = np.searchsorted(fold.cold, np.intersect1d(collection.libraries[i], fold.cold))
            if len(known) < least or not len(wanted) or not _is_in(part, user):
                continue
            if size == 0 and not (interest := fold.interest(known)):
                continue
            shuffled = np.random.default_rng(1000 * fold.number + user).permutation(len(known))
            likes = known if size is None else known[shuffled[:size]]
            asked.append((i, likes, interest if size == 0 else "", wanted))
        vectors = embed([text for _, _, text, _ in asked]) if size == 0 else None
        cases = tuple(
            Case(
                int(collection.users[i]),
                int(fold.user_folds[i]),
                likes,
                None if vectors is None else Interest(text, vectors[row]),
            )
            for row, (i, likes, text, _) in enumerate(asked)
        )
        if cases:
            readers = np.array([i for i, _, _, _ in asked], np.int64)
            yield Round(fold, kind, cases, readers, tuple(wanted for _, _, _, wanted in asked))


def marks(
    scores: NDArray[np.floating], wanted: Sequence[Ids], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The METRICS of each row of `scores` (m, n), shape (m, 4); equal scores fall by chance.

    The ideal of nDCG@10 puts min(len(wanted), 10) wanted papers first. With nothing to tell
    apart AUC is one half. Raises ValueError on scores that are not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    m, n = scores.shape
    order = np.lexsort((rng.random((m, n)), -scores))
    rank = np.empty((m, n), np.int64)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(n), (m, n)), axis=1)
    is_wanted = np.zeros((m, n), bool)
    for row, columns in zip(is_wanted, wanted, strict=True):
        row[columns] = True
    count = is_wanted.sum(axis=1)
    discount = 1 / np.log2(np.arange(2, n + 2))
    discount[DEPTH:] = 0
    gain = np.where(is_wanted, discount[rank], 0).sum(axis=1)
    ideal = np.cumsum(discount)[count - 1]
    recall = (is_wanted & (rank < DEPTH)).sum(axis=1) / count
    first = np.where(is_wanted, rank, n).min(axis=1)
    pairs = count * (n - count)
    after = np.where(is_wanted, rank, 0).sum(axis=1) - count * (count - 1) / 2
    auc = np.where(pairs > 0, 1 - after / np.maximum(pairs, 1), 0.5)
    return np.stack([gain / ideal, recall, 1 / (1 + first), auc], axis=1)


def mean_and_error(
    users: Ids, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over the rows of `values` (r, c), and its standard error over users, each (c,).

    A user's rows (one a fold) are not independent, so they count as one cluster. With fewer than
    two users the error is not known: nan.
    """
    mean = values.mean(axis=0)
    unique, row_of = np.unique(users, return_inverse=True)
    sums = np.zeros((len(unique), values.shape[1]))
    np.add.at(sums, row_of, values - mean)
    if len(unique) < 2:
        return mean, np.full(values.shape[1], np.nan)
    spread = np.sqrt((sums**2).sum(axis=0) * len(unique) / (len(unique) - 1))
    return mean, spread / len(values)


def _fold(collection: Collection, embeddings: NDArray[np.float32], number: int, cold: Ids) -> Fold:
    is_cold = np.zeros(len(collection.papers), bool)
    is_cold[cold] = True
    return Fold(
        number,
        tuple(paper.title for paper in collection.papers),
        tuple(paper.text for paper in collection.papers),
        embeddings,
        _days(collection),
        np.flatnonzero(~is_cold),
        cold,
        tuple(library[~is_cold[library]] for library in collection.libraries),
        collection.user_folds,
        tuple(() if is_cold[i] else paper.tags for i, paper in enumerate(collection.papers)),
    )


def _days(collection: Collection) -> NDArray[np.datetime64]:
    at = [paper.posted_at for paper in collection.papers]
    # A time without a zone is taken as it stands: only the order matters.
    naive = [t.astimezone(UTC).replace(tzinfo=None) if t.tzinfo else t for t in at]
    return np.array(naive, "datetime64[us]")


def _is_in(part: Part, user: int) -> bool:
    return part == "all" or (user % 4 == 0) == (part == "tune")


_L = TypeVar("_L", bound=_Line)


def _lines(file: Path, kind: type[_L]) -> list[_L]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None
    read = []
    for number, line in enumerate(lines, start=1):
        try:
            read.append(kind.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BadInput(
                f"{file}:{number}: {where + ': ' if where else ''}{first['msg']}"
            ) from None
    if not read:
        raise BadInput(f"{file}: is empty")
    return read
