"""Interests and votes to the signals that ranking fits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.papers.identity import text_of
from digest.profiles.ground import Ground, Place
from digest.ranking.types import KINDS, Floats, SignalKind, Signals
from digest.store import parts
from digest.store.tables import Interest, Paper, VoteRow


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that somebody told us, and the hash of its text."""

    owner: int
    kind: SignalKind
    ref: int
    text_hash: str
    at: datetime

    @property
    def key(self) -> tuple[bool, str]:
        """What it is kept by: an interest and a paper of one text are at two points."""
        return self.kind == "interest", self.text_hash


def signals_of(
    session: Session, subscriber_ids: Sequence[int], encoder: str, ground: Ground, *, now: datetime
) -> Signals:
    """The subscribers' signals up to `now`, in their order: interests first, then votes by age.

    What has no usable vector of `encoder` yet is left out; so are interests that are switched off,
    and votes that are held.
    """
    told, typed = _told(session, subscriber_ids, now)
    return signals_from(
        told,
        interests=ground.interests(vectors_of(session, encoder, typed), typed),
        papers=places_of(
            session, encoder, ground, (one.text_hash for one in told if one.kind != "interest")
        ),
        owners=subscriber_ids,
        ground=ground,
        now=now,
    )


def signals_from(
    told: Sequence[Told],
    *,
    interests: Mapping[str, Floats],
    papers: Mapping[str, Place],
    owners: Sequence[int],
    ground: Ground,
    now: datetime,
) -> Signals:
    """The signals in what `owners` told, which is on the ground at these points, by hash.

    What is at none is left out.
    """
    points = {(True, hash_): point for hash_, point in interests.items()}
    points |= {(False, hash_): place.point for hash_, place in papers.items()}
    place = {key: i for i, key in enumerate(points)}
    owner = {id_: i for i, id_ in enumerate(owners)}
    usable = sorted((one for one in told if one.key in place), key=lambda t: owner[t.owner])
    sizes = np.bincount(
        np.array([owner[one.owner] for one in usable], np.int64), minlength=len(owners)
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


def places_of(
    session: Session, encoder: str, ground: Ground, hashes: Iterable[str]
) -> dict[str, Place]:
    """Where papers are on the ground, by hash; those without a usable vector are left out.

    What the ground does not remember is read.
    """
    wanted = list(dict.fromkeys(hashes))
    found = ground.remembered(wanted)
    missing = [hash_ for hash_ in wanted if hash_ not in found]
    texts = {
        row.text_hash: text_of(row.title, row.abstract)
        for some in parts(missing)
        for row in session.execute(
            select(Paper.text_hash, Paper.title, Paper.abstract).where(Paper.text_hash.in_(some))
        )
    }
    return found | ground.places(vectors_of(session, encoder, texts), texts)


def _told(
    session: Session, subscriber_ids: Sequence[int], now: datetime
) -> tuple[list[Told], dict[str, str]]:
    """What was told, and by hash the texts of the interests in it."""
    interests = session.scalars(
        select(Interest)
        .where(
            Interest.subscriber_id.in_(subscriber_ids), Interest.created_at <= now, Interest.is_on
        )
        .order_by(Interest.id)
    ).all()
    votes = session.execute(
        select(VoteRow.subscriber_id, VoteRow.value, VoteRow.paper_id, VoteRow.at, Paper.text_hash)
        .join(Paper, Paper.id == VoteRow.paper_id)
        .where(
            VoteRow.subscriber_id.in_(subscriber_ids),
            VoteRow.at <= now,
            VoteRow.held_at.is_(None),
        )
        .order_by(VoteRow.at, VoteRow.paper_id)
    ).all()
    told = [
        Told(row.subscriber_id, "interest", row.id, row.text_hash, row.created_at)
        for row in interests
    ]
    told += [
        Told(row.subscriber_id, row.value, row.paper_id, row.text_hash, row.at) for row in votes
    ]
    return told, {row.text_hash: row.text for row in interests}
