"""Interests and votes to the signals that ranking fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.papers.identity import text_of
from digest.profiles.ground import Ground
from digest.ranking.types import KINDS, SignalKind, Signals
from digest.store.tables import Interest, Paper, VoteRow


@dataclass(frozen=True, slots=True)
class _Told:
    owner: int
    kind: SignalKind
    ref: int
    text_hash: str
    at: datetime

    @property
    def key(self) -> tuple[bool, str]:
        return self.kind == "interest", self.text_hash


def signals_of(
    session: Session, subscriber_ids: Sequence[int], encoder: str, ground: Ground, *, now: datetime
) -> Signals:
    """The subscribers' signals up to `now`, in their order: interests first, then votes by age.

    What has no usable vector of `encoder` yet is left out.
    """
    told, typed, texts = _told(session, subscriber_ids, now)
    vectors = vectors_of(session, encoder, [*typed, *texts])
    interests, papers = ground.interests(vectors, typed), ground.points(vectors, texts)
    # An interest and a paper of one text are at two points.
    points = {(True, hash_): point for hash_, point in interests.items()}
    points |= {(False, hash_): point for hash_, point in papers.items()}
    place = {key: i for i, key in enumerate(points)}
    owner = {id_: i for i, id_ in enumerate(subscriber_ids)}
    usable = sorted((one for one in told if one.key in place), key=lambda t: owner[t.owner])
    sizes = np.bincount(
        np.array([owner[one.owner] for one in usable], np.int64), minlength=len(subscriber_ids)
    )
    d = len(ground.space.spectrum)
    return Signals(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        kinds=np.array([KINDS.index(one.kind) for one in usable], np.int8),
        refs=np.array([one.ref for one in usable], np.int64),
        ages=np.array([max((now - t.at).total_seconds() / 86400, 0.0) for t in usable], np.float32),
        rows=np.array([place[one.key] for one in usable], np.int64),
        points=np.array(list(points.values()), np.float32).reshape(-1, d),
    )


def _told(
    session: Session, subscriber_ids: Sequence[int], now: datetime
) -> tuple[list[_Told], dict[str, str], dict[str, str]]:
    """What was told, and by hash the texts of the interests and of the papers in it."""
    interests = session.scalars(
        select(Interest)
        .where(Interest.subscriber_id.in_(subscriber_ids), Interest.created_at <= now)
        .order_by(Interest.id)
    ).all()
    votes = session.execute(
        select(VoteRow, Paper.text_hash, Paper.title, Paper.abstract)
        .join(Paper, Paper.id == VoteRow.paper_id)
        .where(VoteRow.subscriber_id.in_(subscriber_ids), VoteRow.at <= now)
        .order_by(VoteRow.at, VoteRow.paper_id)
    ).all()
    told = [
        _Told(row.subscriber_id, "interest", row.id, row.text_hash, row.created_at)
        for row in interests
    ]
    told += [
        _Told(row.subscriber_id, row.value, row.paper_id, hash_, row.at)
        for row, hash_, _, _ in votes
    ]
    typed = {row.text_hash: row.text for row in interests}
    texts = {hash_: text_of(title, abstract) for _, hash_, title, abstract in votes}
    return told, typed, texts
