"""What subscribers told us about what they read; each interest has a name of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.papers.clean import one_line, plain
from digest.papers.embedding import embed_texts
from digest.papers.encoder import Encoder
from digest.papers.identity import text_hash
from digest.store import Sessions, insert
from digest.store.tables import Interest, Subscriber, VectorRow

LONGEST_NAME, LONGEST_TEXT, MOST = 80, 4000, 20


@dataclass(frozen=True, slots=True)
class InterestView:
    """A named interest as it is stored."""

    interest_id: int
    name: str
    text: str


def set_interest(session: Session, subscriber_id: int, name: str, text: str, now: datetime) -> None:
    """Store an interest under its name, in place of the one of that name. Safe to repeat.

    Raises BadInput for an empty or overlong name or text, and for too many interests.
    """
    name, text = one_line(name), plain(text)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise BadInput(f"an interest's name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise BadInput(f"an interest's text has 1 to {LONGEST_TEXT} characters, not {len(text)}")
    others = {view.name for view in interests_of(session, subscriber_id)} - {name}
    if len(others) >= MOST:
        raise BadInput(f"a subscriber has at most {MOST} interests: remove one first")
    row = {"text": text, "text_hash": text_hash(text), "created_at": now}
    session.execute(
        insert(session, Interest)
        .values(subscriber_id=subscriber_id, name=name, **row)
        .on_conflict_do_update(
            index_elements=["subscriber_id", "name"], set_=row, where=Interest.text != text
        )
    )


def remove_interest(session: Session, subscriber_id: int, name: str) -> bool:
    """Forget an interest; False where there was none of that name."""
    gone = delete(Interest).where(
        Interest.subscriber_id == subscriber_id, Interest.name == one_line(name)
    )
    return bool(session.scalars(gone.returning(Interest.id)).all())


def interests_of(session: Session, subscriber_id: int) -> list[InterestView]:
    """A subscriber's interests, oldest first."""
    query = select(Interest).where(Interest.subscriber_id == subscriber_id).order_by(Interest.id)
    return [InterestView(row.id, row.name, row.text) for row in session.scalars(query)]


def pending(session: Session, encoder: str, *, limit: int | None = None) -> dict[str, str]:
    """Texts of interests without a vector of `encoder`, by hash."""
    query = (
        select(Interest.text_hash, Interest.text)
        .join(Subscriber, Subscriber.id == Interest.subscriber_id)
        .outerjoin(
            VectorRow,
            (VectorRow.text_hash == Interest.text_hash) & (VectorRow.encoder == encoder),
        )
        .where(VectorRow.text_hash.is_(None))
        .limit(limit)
    )
    return dict(session.execute(query).all())


def embed_interests(
    sessions: Sessions, encoder: Encoder, *, progress: Callable[[int], None] = lambda _n: None
) -> int:
    """Embed the interests that have no vector of this encoder; how many were encoded."""
    with sessions.reading() as session:
        texts = pending(session, encoder.identity)
    return embed_texts(sessions, encoder, texts, progress=progress)
