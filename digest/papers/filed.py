"""Papers that a reader's library names and no page has listed: for their readers alone.

Their keys stand apart, so that nothing that looks for a paper by its ids or title finds them but
the page that lists them first, which makes them anew.
"""

from sqlalchemy import Exists, delete, exists, or_
from sqlalchemy.orm import Session

from digest.papers.embedding import parts
from digest.store.tables import Interest, Paper, PaperKey, VectorRow, VoteRow

# What stands before the keys of a filed paper.
APART = "library:"


def is_filed() -> Exists:
    """Of a `Paper`: no page has listed it."""
    return exists().where(PaperKey.paper_id == Paper.id, PaperKey.key.startswith(APART))


def forget_filed(session: Session) -> None:
    """Delete the filed papers that nobody votes on, and the vectors of what nobody else says."""
    has_votes = exists().where(VoteRow.paper_id == Paper.id)
    gone = delete(Paper).where(is_filed(), ~has_votes).returning(Paper.text_hash)
    for hashes in parts(session.scalars(gone)):
        others = (exists().where(of.text_hash == VectorRow.text_hash) for of in (Paper, Interest))
        session.execute(delete(VectorRow).where(VectorRow.text_hash.in_(hashes), ~or_(*others)))
