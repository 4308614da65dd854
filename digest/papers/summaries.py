"""The summary of a paper as it is shown: one that was written for it, else sentences of its own."""

from collections.abc import Collection
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.papers.summary import summarise
from digest.store.tables import Paper, SummaryRow


def summaries_of(session: Session, papers: Collection[Paper]) -> dict[int, str]:
    """The summary of each paper, by its id: the last one written for its text, else sentences."""
    hashes = {paper.text_hash for paper in papers}
    query = (
        select(SummaryRow.text_hash, SummaryRow.text)
        .where(SummaryRow.text_hash.in_(hashes), SummaryRow.text.is_not(None))
        .order_by(SummaryRow.id)
    )
    written = {hash_: text for hash_, text in session.execute(query) if text}
    return {
        paper.id: written.get(paper.text_hash) or _sentences(paper.title, paper.abstract)
        for paper in papers
    }


# A day's papers are the same for many shards.
_sentences = lru_cache(4096)(summarise)
