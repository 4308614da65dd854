"""Embedding what has no vector yet; a text is embedded once, whoever has it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from digest.papers.encoder import Encoder
from digest.papers.identity import text_of
from digest.store import Sessions, insert
from digest.store.tables import Paper, VectorRow

# Texts between two commits: what a crash can cost.
BATCH = 64


def embed_texts(
    sessions: Sessions,
    encoder: Encoder,
    texts: Mapping[str, str],
    *,
    progress: Callable[[int], None] = lambda _n: None,
) -> int:
    """Store the vectors of `texts` (hash to text) that have none; how many were encoded.

    `progress` is told after each batch how many texts it held.
    """
    with sessions.reading() as session:
        have = vectors_of(session, encoder.identity, texts)
    missing = [hash_ for hash_ in texts if hash_ not in have]
    for start in range(0, len(missing), BATCH):
        hashes = missing[start : start + BATCH]
        matrix = encoder.encode([texts[hash_] for hash_ in hashes])
        rows = [
            {"encoder": encoder.identity, "text_hash": hash_, "vector": vector}
            for hash_, vector in zip(hashes, matrix, strict=True)
        ]
        with sessions() as session:
            session.execute(insert(session, VectorRow).on_conflict_do_nothing(), rows)
        progress(len(hashes))
    return len(missing)


def pending(session: Session, encoder: str, *, limit: int | None = None) -> dict[str, str]:
    """Texts of papers that have no vector of `encoder`, by hash; newest papers first."""
    query = (
        select(Paper.text_hash, Paper.title, Paper.abstract)
        .outerjoin(
            VectorRow, (VectorRow.text_hash == Paper.text_hash) & (VectorRow.encoder == encoder)
        )
        .where(VectorRow.text_hash.is_(None))
        .order_by(Paper.id.desc())
        .limit(limit)
    )
    return {hash_: text_of(title, abstract) for hash_, title, abstract in session.execute(query)}


def embed_pending(
    sessions: Sessions,
    encoder: Encoder,
    *,
    at: datetime,
    limit: int | None = None,
    progress: Callable[[int], None] = lambda _n: None,
) -> int:
    """Embed papers that have no vector of this encoder, at most `limit`; how many were encoded."""
    with sessions.reading() as session:
        texts = pending(session, encoder.identity, limit=limit)
    done = embed_texts(sessions, encoder, texts, progress=progress)
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
