"""Embedding what has no vector yet; a text is embedded once, whoever has it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from digest.papers.encoder import Encoder
from digest.papers.identity import text_of
from digest.store import Sessions, insert
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
    session: Session, encoder: str, *, limit: int | None = None
) -> dict[str, tuple[str, str]]:
    """Titles and texts of papers without a vector of `encoder`, by hash; newest papers first."""
    query = (
        select(Paper.text_hash, Paper.title, Paper.abstract)
        .outerjoin(
            VectorRow, (VectorRow.text_hash == Paper.text_hash) & (VectorRow.encoder == encoder)
        )
        .where(VectorRow.text_hash.is_(None))
        .order_by(Paper.id.desc())
        .limit(limit)
    )
    return {
        hash_: (title, text_of(title, abstract))
        for hash_, title, abstract in session.execute(query)
    }


def embed_pending(
    sessions: Sessions,
    encoder: Encoder,
    *,
    at: datetime,
    limit: int | None = None,
    progress: Step = _nobody,
) -> int:
    """Embed papers that have no vector of this encoder, at most `limit`; how many were encoded."""
    with sessions.reading() as session:
        papers = pending(session, encoder.identity, limit=limit)

    def encode(hashes: Sequence[str]) -> NDArray[np.float32]:
        titles, texts = zip(*(papers[hash_] for hash_ in hashes), strict=True)
        return paper_vectors(encoder.encode, titles, texts)

    done = _store(sessions, encoder.identity, list(papers), encode, progress)
    with sessions() as session:
        embedded = select(VectorRow.text_hash).where(VectorRow.encoder == encoder.identity)
        session.execute(
            update(Paper)
            .where(Paper.ready_at.is_(None), Paper.text_hash.in_(embedded))
            .values(ready_at=at)
        )
    return done


def vectors_of(
    session: Session, encoder: str, hashes: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    """The stored vectors of texts, by hash; those without one are left out."""
    wanted = list(dict.fromkeys(hashes))
    found: dict[str, NDArray[np.float32]] = {}
    # SQLite takes a limited number of parameters in one statement.
    for start in range(0, len(wanted), 5000):
        query = select(VectorRow.text_hash, VectorRow.vector).where(
            VectorRow.encoder == encoder, VectorRow.text_hash.in_(wanted[start : start + 5000])
        )
        found.update((hash_, vector) for hash_, vector in session.execute(query))
    return found
