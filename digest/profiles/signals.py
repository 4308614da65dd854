"""Interests and votes to the signals that ranking fits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.papers.embedding import vectors_of
from digest.papers.identity import text_of
from digest.profiles.ground import Ground, Place
from digest.ranking.types import KINDS, Floats, SignalKind, Signals
from digest.store import parts
from digest.store.tables import Interest, Paper, VoteRow

# An interest and a paper of one text are at two points, and for some owners an interest is at one
# of their own.
_Key = tuple[bool, str, int | None]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that somebody told us, and the hash of its text."""

    owner: int
    kind: SignalKind
    ref: int
    text_hash: str
    at: datetime


def signals_of(
    session: Session, subscriber_ids: Sequence[int], encoder: str, ground: Ground, *, now: datetime
) -> Signals:
    """The subscribers' signals up to `now`, in their order: interests first, then votes by age.

    What has no usable vector of `encoder` yet is left out; so are interests that are switched off,
    and votes that are held.
    """
    told, typed = _told(session, subscriber_ids, now)
    vectors = vectors_of(session, encoder, typed)
    asked = [(one.owner, one.text_hash) for one in told if one.kind == "interest"]
    own = ground.own_interests(vectors, typed, asked)
    shared = {hash_: typed[hash_] for owner, hash_ in asked if (owner, hash_) not in own}
    return signals_from(
        told,
        interests=ground.interests(vectors, shared),
        own_interests=own,
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
    own_interests: Mapping[tuple[int, str], Floats] = MappingProxyType({}),
) -> Signals:
    """The signals in what `owners` told, which is on the ground at these points, by hash.

    An interest that is another point for its owner than for others is there by owner, too. What is
    at none is left out.
    """
    points: dict[_Key, Floats] = {(True, hash_, None): at for hash_, at in interests.items()}
    points |= {(True, hash_, owner): at for (owner, hash_), at in own_interests.items()}
    points |= {(False, hash_, None): place.point for hash_, place in papers.items()}

    def key_of(one: Told) -> _Key:
        is_interest = one.kind == "interest"
        is_own = is_interest and (one.owner, one.text_hash) in own_interests
        return is_interest, one.text_hash, one.owner if is_own else None

    place = {key: i for i, key in enumerate(points)}
    owner = {id_: i for i, id_ in enumerate(owners)}
    usable = sorted((one for one in told if key_of(one) in place), key=lambda t: owner[t.owner])
    sizes = np.bincount(
        np.array([owner[one.owner] for one in usable], np.int64), minlength=len(owners)
    )
    d = len(ground.space.spectrum)
    return Signals(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        kinds=np.array([KINDS.index(one.kind) for one in usable], np.int8),
        refs=np.array([one.ref for one in usable], np.int64),
        ages=np.array([max((now - t.at).total_seconds() / 86400, 0.0) for t in usable], np.float32),
        rows=np.array([place[key_of(one)] for one in usable], np.int64),
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
