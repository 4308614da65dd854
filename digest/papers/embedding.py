"""Embedding what has no vector yet; a text is embedded once, whoever has it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from digest.papers.encoder import Encoder
from digest.papers.identity import text_of
from digest.store import Sessions, insert, parts
from digest.store.tables import Paper, VectorRow

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Step = Callable[[int], None]

# What a title says, it says again: chosen on the tuning part of `digest bench ranking`.
TITLE_WEIGHT = 0.3
# Texts between two commits: what a crash can cost.
BATCH = 64


def _nobody(_n: int) -> None:
    """Where nobody wants to hear of progress."""


def paper_vectors(
    encode: Encode, titles: Sequence[str], texts: Sequence[str]
) -> NDArray[np.float32]:
    """Unit vectors (n, d) of papers, of their `text_of` and, less, of their titles alone."""
    both = encode(texts) + TITLE_WEIGHT * encode(titles)
    length = np.linalg.norm(both, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (both / np.maximum(length, 1e-9)).astype(np.float32)
    return unit


def embed_texts(
    sessions: Sessions, encoder: Encoder, texts: Mapping[str, str], *, progress: Step = _nobody
) -> int:
    """Store the vectors of `texts` (hash to text) that have none; how many were encoded.

    `progress` is told after each batch how many texts it held.
    """
    return _store(
        sessions,
        encoder.identity,
        list(texts),
        lambda hashes: encoder.encode([texts[hash_] for hash_ in hashes]),
        progress,
    )


def _store(
    sessions: Sessions, encoder: str, hashes: Sequence[str], encode: Encode, progress: Step
) -> int:
    """Encode the texts of `hashes` that have no vector, a batch a transaction."""
    with sessions.reading() as session:
        have = vectors_of(session, encoder, hashes)
    missing = [hash_ for hash_ in hashes if hash_ not in have]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        rows = [
            {"encoder": encoder, "text_hash": hash_, "vector": vector}
            for hash_, vector in zip(batch, encode(batch), strict=True)
        ]
        with sessions() as session:
            session.execute(insert(session, VectorRow).on_conflict_do_nothing(), rows)
        progress(len(batch))
    return len(missing)


def pending(
    session: Session,
    encoder: str,
    *,
    ids: Collection[int] | None = None,
    limit: int | None = None,
) -> dict[str, tuple[str, str]]:
    """Titles and texts of papers without a vector of `encoder`, by hash; newest papers first.

    Of these `ids` if they are given.
    """
    query = (
        select(Paper.text_hash, Paper.title, Paper.abstract)
        .where(is_other(Paper.embedded_by, encoder))
        .order_by(Paper.id.desc())
        .limit(limit)
    )
    if ids is not None:
        query = query.where(Paper.id.in_(ids))
    return {
        hash_: (title, text_of(title, abstract))
        for hash_, title, abstract in session.execute(query)
    }


def pending_ids(session: Session, encoder: str, *, limit: int | None = None) -> list[int]:
    """The numbers of papers without a vector of `encoder`."""
    waiting = select(Paper.id).where(is_other(Paper.embedded_by, encoder))
    return list(session.scalars(waiting.limit(limit)))


def is_other(embedded_by: ColumnElement[Any] | Any, encoder: str) -> ColumnElement[bool]:
    """Whether a text was embedded by another encoder, or by none: three ranges of an index."""
    return or_(embedded_by.is_(None), embedded_by < encoder, embedded_by > encoder)


def embed_pending(
    sessions: Sessions,
    encoder: Encoder,
    *,
    clock: Callable[[], datetime],
    ids: Collection[int] | None = None,
    limit: int | None = None,
    progress: Step = _nobody,
) -> int:
    """Embed papers that have no vector of this encoder; how many were encoded.

    Of these `ids` if they are given, at most `limit`. They are ready when all of them are.
    """
    with sessions.reading() as session:
        papers = pending(session, encoder.identity, ids=ids, limit=limit)

    def encode(hashes: Sequence[str]) -> NDArray[np.float32]:
        titles, texts = zip(*(papers[hash_] for hash_ in hashes), strict=True)
        return paper_vectors(encoder.encode, titles, texts)

    done = _store(sessions, encoder.identity, list(papers), encode, progress)
    with sessions() as session:
        at = clock()
        for hashes in parts(papers):
            embedded = update(Paper).where(Paper.text_hash.in_(hashes))
            session.execute(embedded.values(embedded_by=encoder.identity))
            session.execute(embedded.where(Paper.ready_at.is_(None)).values(ready_at=at))
    return done


def vectors_of(
    session: Session, encoder: str, hashes: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    """The stored vectors of texts, by hash; those without one are left out."""
    found: dict[str, NDArray[np.float32]] = {}
    for some in parts(hashes):
        query = select(VectorRow.text_hash, VectorRow.vector).where(
            VectorRow.encoder == encoder, VectorRow.text_hash.in_(some)
        )
        found.update((hash_, vector) for hash_, vector in session.execute(query))
    return found
