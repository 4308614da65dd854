"""What subscribers told us about what they read; each interest has a name of its own."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.languages import msgid
from digest.papers.clean import one_line, plain
from digest.papers.embedding import embed_texts, is_other
from digest.papers.encoder import Encoder
from digest.papers.identity import text_hash
from digest.store import Sessions, insert, parts
from digest.store.tables import Interest

LONGEST_NAME, LONGEST_TEXT, MOST = 80, 4000, 20
_LENGTH = {
    "name": msgid("an interest's name has 1 to %(most)s characters, not %(n)s"),
    "text": msgid("an interest's text has 1 to %(most)s characters, not %(n)s"),
}
_TWO = msgid("two interests cannot both be named %(name)s")


@dataclass(frozen=True, slots=True)
class InterestView:
    """A named interest as it is stored; one that is not `is_on` counts for nothing."""

    interest_id: int
    name: str
    text: str
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class InterestEdit:
    """What one interest is to become: `interest_id` None adds it, `remove` forgets it."""

    interest_id: int | None
    name: str
    text: str
    is_on: bool = True
    remove: bool = False


def set_interest(
    session: Session,
    subscriber_id: int,
    name: str,
    text: str,
    now: datetime,
    *,
    is_on: bool = True,
) -> None:
    """Store an interest under its name, in place of the one of that name. Safe to repeat.

    Raises BadInput for an empty or overlong name or text, and for too many interests.
    """
    name, text = one_line(name), plain(text)
    for said in faults_in_interest(name, text).values():
        raise BadInput(said)
    others = {view.name for view in interests_of(session, subscriber_id)} - {name}
    if len(others) >= MOST:
        raise BadInput(
            msgid("a subscriber has at most %(most)s interests: remove one first", most=MOST)
        )
    row = {
        "text": text,
        "text_hash": text_hash(text),
        "created_at": now,
        "embedded_by": None,
        "is_on": is_on,
    }
    session.execute(
        insert(session, Interest)
        .values(subscriber_id=subscriber_id, name=name, **row)
        .on_conflict_do_update(
            index_elements=["subscriber_id", "name"],
            set_=row,
            where=(Interest.text != text) | (Interest.is_on != is_on),
        )
    )


def faults_in_interest(name: str, text: str) -> dict[Literal["name", "text"], str]:
    """What is not allowed about an interest, by field."""
    faults: dict[Literal["name", "text"], str] = {}
    for field, longest, length in _lengths(name, text):
        if not 1 <= length <= longest:
            faults[field] = msgid(_LENGTH[field], most=longest, n=length)
    return faults


def _lengths(name: str, text: str) -> Iterator[tuple[Literal["name", "text"], int, int]]:
    yield "name", LONGEST_NAME, len(one_line(name))
    yield "text", LONGEST_TEXT, len(plain(text))


def change_interests(
    session: Session, subscriber_id: int, edits: Sequence[InterestEdit], now: datetime
) -> None:
    """Make interests what `edits` say; those that are not named stay. Safe to repeat.

    An edit of one that is gone does nothing. Raises BadInput as `set_interest` does, and for two of
    one name; nothing may be committed then.
    """
    stored = {
        row.id: row
        for row in session.scalars(select(Interest).where(Interest.subscriber_id == subscriber_id))
    }
    for edit in edits:
        if edit.remove and edit.interest_id in stored:
            session.delete(stored.pop(edit.interest_id))
    session.flush()
    wanted = [edit for edit in edits if not edit.remove]
    changed = [(stored[edit.interest_id], edit) for edit in wanted if edit.interest_id in stored]
    for row, edit in changed:
        for said in faults_in_interest(edit.name, edit.text).values():
            raise BadInput(said)
        # Two may change names with each other.
        row.name = f"{row.id}\n" if row.name != one_line(edit.name) else row.name
    session.flush()
    for row, edit in changed:
        name, text = one_line(edit.name), plain(edit.text)
        if any(other.name == name for other in stored.values() if other is not row):
            raise BadInput(msgid(_TWO, name=repr(name)))
        if row.text != text:
            row.text, row.text_hash, row.created_at = text, text_hash(text), now
            row.embedded_by = None
        row.name, row.is_on = name, edit.is_on
        session.flush()
    for edit in wanted:
        if edit.interest_id is None:
            if any(row.name == one_line(edit.name) for row in stored.values()):
                raise BadInput(msgid(_TWO, name=repr(one_line(edit.name))))
            set_interest(session, subscriber_id, edit.name, edit.text, now)


def remove_interest(session: Session, subscriber_id: int, name: str) -> bool:
    """Forget an interest; False where there was none of that name."""
    gone = delete(Interest).where(
        Interest.subscriber_id == subscriber_id, Interest.name == one_line(name)
    )
    return bool(session.scalars(gone.returning(Interest.id)).all())


def interests_of(session: Session, subscriber_id: int) -> list[InterestView]:
    """A subscriber's interests, oldest first."""
    query = select(Interest).where(Interest.subscriber_id == subscriber_id).order_by(Interest.id)
    return [InterestView(row.id, row.name, row.text, row.is_on) for row in session.scalars(query)]


def pending(
    session: Session, encoder: str, *, ids: Collection[int] | None = None
) -> dict[str, str]:
    """Texts of interests without a vector of `encoder`, by hash; of these `ids`, if given."""
    query = select(Interest.text_hash, Interest.text).where(_waits(encoder))
    if ids is not None:
        query = query.where(Interest.id.in_(ids))
    return dict(session.execute(query).all())


def pending_ids(session: Session, encoder: str, *, limit: int | None = None) -> list[int]:
    """The numbers of interests without a vector of `encoder`."""
    return list(session.scalars(select(Interest.id).where(_waits(encoder)).limit(limit)))


def embed_interests(
    sessions: Sessions,
    encoder: Encoder,
    *,
    ids: Collection[int] | None = None,
    progress: Callable[[int], None] = lambda _n: None,
) -> int:
    """Embed the interests that have no vector of this encoder; how many were encoded."""
    with sessions.reading() as session:
        texts = pending(session, encoder.identity, ids=ids)
    n = embed_texts(sessions, encoder, texts, progress=progress)
    with sessions() as session:
        for hashes in parts(texts):
            done = update(Interest).where(Interest.text_hash.in_(hashes), _waits(encoder.identity))
            session.execute(done.values(embedded_by=encoder.identity))
    return n


def _waits(encoder: str) -> ColumnElement[bool]:
    return is_other(Interest.embedded_by, encoder)
