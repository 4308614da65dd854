"""Votes: a subscriber's last word on a paper, and its undo."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session

from digest.errors import BadInput, Unknown
from digest.links import Claim
from digest.store import insert
from digest.store.tables import EditionItemRow, Paper, Subscriber, VotedVia, VoteRow, VoteValue


@dataclass(frozen=True, slots=True)
class Vote:
    """What a subscriber said of a paper, and when they first said so."""

    subscriber_id: int
    paper_id: int
    value: VoteValue
    at: datetime


def record_vote(session: Session, claim: Claim, *, at: datetime, via: VotedVia = "web") -> Vote:
    """Store the vote of a link, which counts for the papers of its own edition alone."""
    item = session.get(EditionItemRow, (claim.edition_id, claim.paper_id))
    if not claim.value or item is None or item.subscriber_id != claim.subscriber_id:
        raise BadInput("this paper is not in that edition")
    return vote(session, claim.subscriber_id, claim.paper_id, claim.value, at=at, via=via)


def vote(
    session: Session,
    subscriber_id: int,
    paper_id: int,
    value: VoteValue,
    *,
    at: datetime,
    via: VotedVia,
) -> Vote:
    """Store a vote: the last one wins, and the same again changes nothing. Raises Unknown."""
    for table, wanted in ((Subscriber, subscriber_id), (Paper, paper_id)):
        if session.get(table, wanted) is None:
            raise Unknown(f"no {table.__name__.lower()} has the number {wanted}")
    new = insert(session, VoteRow).values(
        subscriber_id=subscriber_id, paper_id=paper_id, value=value, via=via, at=at
    )
    session.execute(
        new.on_conflict_do_update(
            index_elements=["subscriber_id", "paper_id"],
            set_={"value": value, "via": via, "at": at},
            where=VoteRow.value != value,
        )
    )
    row = session.get_one(VoteRow, (subscriber_id, paper_id), populate_existing=True)
    return Vote(subscriber_id, paper_id, row.value, row.at)


def undo_vote(session: Session, subscriber_id: int, paper_id: int) -> bool:
    """Take a vote back; False where there was none."""
    gone = delete(VoteRow).where(
        VoteRow.subscriber_id == subscriber_id, VoteRow.paper_id == paper_id
    )
    return cast("CursorResult[Any]", session.execute(gone)).rowcount > 0


def votes_of(session: Session, subscriber_id: int) -> dict[int, VoteValue]:
    """The value of every vote, by paper."""
    query = select(VoteRow.paper_id, VoteRow.value).where(VoteRow.subscriber_id == subscriber_id)
    return dict(session.execute(query).all())
