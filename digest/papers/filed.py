"""Papers that a reader's library names and no page has listed: for their readers alone.

Their keys stand apart, so that nothing that looks for a paper by its ids or title finds them but
the page that lists them first, which makes them anew.
"""

from collections.abc import Iterable

from sqlalchemy import Exists, delete, exists, or_
from sqlalchemy.orm import Session

from digest.store import parts
from digest.store.tables import Interest, Paper, PaperKey, VectorRow, VoteRow

# What stands before the keys of a filed paper.
APART = "library:"


def is_filed() -> Exists:
    """Of a `Paper`: no page has listed it."""
    return exists().where(PaperKey.paper_id == Paper.id, PaperKey.key.startswith(APART))


def forget_filed(session: Session) -> None:
    """Delete the filed papers that nobody votes on, with the vectors of what they said."""
    has_votes = exists().where(VoteRow.paper_id == Paper.id)
    gone = delete(Paper).where(is_filed(), ~has_votes).returning(Paper.text_hash)
    forget_vectors(session, session.scalars(gone).all())


def forget_vectors(session: Session, hashes: Iterable[str]) -> None:
    """Delete the vectors of these texts, as far as nothing says them any more."""
    others = (exists().where(of.text_hash == VectorRow.text_hash) for of in (Paper, Interest))
    unsaid = ~or_(*others)
    for some in parts(hashes):
        session.execute(delete(VectorRow).where(VectorRow.text_hash.in_(some), unsaid))
