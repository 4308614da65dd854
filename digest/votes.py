"""Votes: a subscriber's last word on a paper, and its undo; and whether a person had it.

Mail scanners open links, and some press what they find. A vote counts at once where a person's act
stands behind it:

1. A person pressed: the visitor's browser says so (the doors ask it), where it can say.
2. And it was no burst: nobody votes on more than four papers within five seconds, or changes
   their mind about one within two.

Any other vote is held: it is shown, with its undo, and nothing is learned from it; the votes of a
burst all are. It is released when a person presses a thumb of that paper again, or says on the
page of its edition that the votes are theirs. What no person pressed changes no vote that counts.
A machine that drives a real browser slowly, with real presses, cannot be told from a person.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session

from digest.errors import BadInput, Unknown
from digest.languages import msgid
from digest.links import Claim
from digest.store import insert
from digest.store.tables import EditionItemRow, Paper, Subscriber, VotedVia, VoteRow, VoteValue
from digest.subscribers.sunset import note_sign

BURST, MOST_IN_A_BURST = timedelta(seconds=5), 4
SECOND_THOUGHT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Vote:
    """What a subscriber said of a paper, and when they first said so; whether it is held."""

    subscriber_id: int
    paper_id: int
    value: VoteValue
    at: datetime
    held: bool = False


def record_vote(
    session: Session, claim: Claim, *, at: datetime, pressed: bool = True, via: VotedVia = "web"
) -> Vote:
    """Store the vote of a link, which counts for the papers of its own edition alone.

    `pressed` is whether the visitor's browser says that a person did. Raises BadInput, Unknown.
    """
    _require_item(session, claim)
    if not claim.value:
        raise BadInput(msgid("this link is no vote"))
    before = _row_of(session, claim.subscriber_id, claim.paper_id)
    if not pressed and before is not None and before.held_at is None:
        return _view(before)
    burst = _burst(session, claim, at)
    if len(burst) >= MOST_IN_A_BURST:
        _hold(session, claim.subscriber_id, burst, at)
    changed = before is not None and before.value != claim.value
    soon = before is not None and at - before.at < SECOND_THOUGHT
    human = pressed and len(burst) < MOST_IN_A_BURST and not (changed and soon)
    vote(session, claim.subscriber_id, claim.paper_id, claim.value, at=at, via=via)
    row = session.get_one(VoteRow, (claim.subscriber_id, claim.paper_id), populate_existing=True)
    row.held_at = None if human else at
    return _view(row)


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
    changed = session.scalar(
        new.on_conflict_do_update(
            index_elements=["subscriber_id", "paper_id"],
            set_={"value": value, "via": via, "at": at, "held_at": None},
            where=(VoteRow.value != value) | VoteRow.held_at.is_not(None),
        ).returning(VoteRow.paper_id)
    )
    if changed is not None and via != "import":
        note_sign(session, subscriber_id, at)
    row = session.get_one(VoteRow, (subscriber_id, paper_id), populate_existing=True)
    return _view(row)


def take_back(session: Session, claim: Claim, *, pressed: bool) -> bool:
    """Undo the vote on the claim's paper; False where there is none, or no person pressed.

    Whoever may vote for a subscriber may take back any vote of theirs.
    """
    row = _row_of(session, claim.subscriber_id, claim.paper_id)
    if row is None or (not pressed and row.held_at is None):
        return False
    return undo_vote(session, claim.subscriber_id, claim.paper_id)


def release_votes(session: Session, claim: Claim) -> int:
    """Let the held votes on the papers of the claim's edition count: a person says they are theirs.

    How many there were.
    """
    papers = select(EditionItemRow.paper_id).where(
        EditionItemRow.edition_id == claim.edition_id,
        EditionItemRow.subscriber_id == claim.subscriber_id,
    )
    held = update(VoteRow).where(
        VoteRow.subscriber_id == claim.subscriber_id,
        VoteRow.paper_id.in_(papers),
        VoteRow.held_at.is_not(None),
    )
    return cast("CursorResult[Any]", session.execute(held.values(held_at=None))).rowcount


def undo_vote(session: Session, subscriber_id: int, paper_id: int) -> bool:
    """Take a vote back; False where there was none."""
    gone = delete(VoteRow).where(
        VoteRow.subscriber_id == subscriber_id, VoteRow.paper_id == paper_id
    )
    return cast("CursorResult[Any]", session.execute(gone)).rowcount > 0


def forget_votes(session: Session, subscriber_id: int) -> int:
    """Take every vote back; how many there were."""
    gone = delete(VoteRow).where(VoteRow.subscriber_id == subscriber_id)
    return cast("CursorResult[Any]", session.execute(gone)).rowcount


def votes_of(session: Session, subscriber_id: int) -> dict[int, VoteValue]:
    """The value of every vote, by paper."""
    query = select(VoteRow.paper_id, VoteRow.value).where(VoteRow.subscriber_id == subscriber_id)
    return dict(session.execute(query).all())


def _require_item(session: Session, claim: Claim) -> None:
    """Hold the subscriber, so that what is pressed at once is seen one after another."""
    if session.get(Subscriber, claim.subscriber_id, with_for_update=True) is None:
        raise Unknown(msgid("this subscription no longer exists"))
    item = session.get(EditionItemRow, (claim.edition_id, claim.paper_id))
    if item is None or item.subscriber_id != claim.subscriber_id:
        raise BadInput(msgid("this paper is not in that edition"))


def _row_of(session: Session, subscriber_id: int, paper_id: int) -> VoteRow | None:
    return session.get(VoteRow, (subscriber_id, paper_id), populate_existing=True)


def _burst(session: Session, claim: Claim, at: datetime) -> list[int]:
    """The other papers that were voted on just before."""
    query = select(VoteRow.paper_id).where(
        VoteRow.subscriber_id == claim.subscriber_id,
        VoteRow.paper_id != claim.paper_id,
        VoteRow.via == "web",
        VoteRow.at > at - BURST,
        VoteRow.at <= at,
    )
    return list(session.scalars(query))


def _hold(session: Session, subscriber_id: int, paper_ids: list[int], at: datetime) -> None:
    session.execute(
        update(VoteRow)
        .where(
            VoteRow.subscriber_id == subscriber_id,
            VoteRow.paper_id.in_(paper_ids),
            VoteRow.held_at.is_(None),
        )
        .values(held_at=at)
    )


def _view(row: VoteRow) -> Vote:
    return Vote(row.subscriber_id, row.paper_id, row.value, row.at, row.held_at is not None)
