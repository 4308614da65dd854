"""Interests and votes to the signals that ranking fits."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.ranking.types import Signal, SignalKind
from digest.store.tables import Interest, Paper, VectorRow, VoteRow

# Papers whose mean is the background that vectors are centred on.
BACKGROUND = 2000
# The mean of a few papers is their topic, not the field's: as if this many at zero stood by.
FEW = 20


def signals_of(
    session: Session, subscriber_ids: Sequence[int], encoder: str, *, now: datetime
) -> list[list[Signal]]:
    """Each subscriber's signals up to `now`, interests first, then votes by age.

    What has no vector of `encoder` yet is left out.
    """
    told: list[tuple[int, SignalKind, int, str, datetime]] = [
        (row.subscriber_id, "interest", row.id, row.text_hash, row.created_at)
        for row in session.scalars(
            select(Interest)
            .where(Interest.subscriber_id.in_(subscriber_ids), Interest.created_at <= now)
            .order_by(Interest.id)
        )
    ]
    votes = session.execute(
        select(VoteRow.subscriber_id, VoteRow.value, VoteRow.paper_id, Paper.text_hash, VoteRow.at)
        .join(Paper, Paper.id == VoteRow.paper_id)
        .where(VoteRow.subscriber_id.in_(subscriber_ids), VoteRow.at <= now)
        .order_by(VoteRow.at, VoteRow.paper_id)
    )
    told += [(owner, value, ref, hash_, at) for owner, value, ref, hash_, at in votes]
    vectors = vectors_of(session, encoder, (hash_ for *_, hash_, _ in told))
    found: dict[int, list[Signal]] = {id_: [] for id_ in subscriber_ids}
    for owner, kind, ref, hash_, at in told:
        if hash_ in vectors:
            found[owner].append(Signal(kind, ref, vectors[hash_], at))
    return [found[id_] for id_ in subscriber_ids]


def background(session: Session, encoder: str, *, now: datetime) -> NDArray[np.float32] | None:
    """The mean vector (d,) of the newest papers up to `now`; None while there are none."""
    query = (
        select(VectorRow.vector)
        .join(Paper, Paper.text_hash == VectorRow.text_hash)
        .where(VectorRow.encoder == encoder, Paper.ready_at <= now)
        .order_by(Paper.ready_at.desc(), Paper.id.desc())
        .limit(BACKGROUND)
    )
    vectors = session.scalars(query).all()
    if not vectors:
        return None
    total: NDArray[np.float32] = np.stack(vectors).sum(axis=0, dtype=np.float32)
    return total / np.float32(len(vectors) + FEW)
