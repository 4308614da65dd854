"""What becomes of a paper: a later version, a withdrawal, a journal, code; noticed in listings."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Exists, delete, exists, select
from sqlalchemy.orm import Session

from digest.papers.clean import one_line, web_address
from digest.papers.identity import ids_of, is_preprint, journal_doi
from digest.sources.listing import Listing
from digest.store import insert
from digest.store.tables import Paper, PaperNews, PaperNewsKind

_LONGEST_DETAIL = 300
# As arXiv and bioRxiv word it. `Withdrawn from ICLR 2026` and `withdrawn submission to NeurIPS` are
# of a conference, not of the paper.
_WITHDRAWN = re.compile(
    r"\W*(?:(?:this|the|our)\s+)?(?:(?:paper|article|manuscript|preprint|submission|work|version)\s+)?"
    r"(?:(?:has|have)\s+been\s+|was\s+|is\s+)?(?:temporarily\s+)?withdrawn\b(?!\s+(?:from|submission)\b)"
    r"|\W*(?:the\s+)?authors?\s+(?:(?:have|has)\s+withdrawn|wish(?:es)?\s+to\s+withdraw)"
    r"\s+(?:this|the|their)\s+(?:paper|article|manuscript|preprint|work)\b",
    re.IGNORECASE,
)
# `Withdrawn: Loneliness at School` is what its authors called it; publishers use capitals.
_TITLED_WITHDRAWN = re.compile(
    r"\W*(?:WITHDRAWN|RETRACTED)\s*:"
    r"|(?i:\W*(?:withdrawn|retracted)\s+(?:article|paper|manuscript)\s*[:\])])"
    r"|(?i:\s*[\[(]\s*(?:withdrawn|retracted)\s*[\])])"
)


def notice(session: Session, paper: Paper, listing: Listing, *, is_new: bool, at: datetime) -> None:
    """Keep what a listing says became of its paper since it was first seen. Safe to repeat.

    A later version that is not withdrawn takes a withdrawal back. Called before the paper is
    completed by the listing; keeps its version and its journal.
    """
    later = not is_new and at > paper.first_seen_at
    version, known = _version(listing), paper.version
    if version:
        paper.version = max(version, known or version)
        # Where nobody said which version is known, an announcement of a later one still tells.
        if later and version > (known or (1 if not listing.is_news else version)):
            url = f"https://arxiv.org/abs/{paper.arxiv_id}v{version}" if paper.arxiv_id else None
            _keep(session, paper, "version", f"version {version}", url or listing.url, at)
            gone = PaperNews.paper_id == paper.id, PaperNews.kind == "withdrawn"
            session.execute(delete(PaperNews).where(*gone))
    if why := withdrawal(listing):
        if not session.scalar(select(was_withdrawn()).where(Paper.id == paper.id)):
            _keep(session, paper, "withdrawn", why, listing.url or paper.url, at)
    elif (journal := _journal(paper, listing)) and paper.published_in is None:
        paper.published_in, url = journal
        if later:
            _keep(session, paper, "published", paper.published_in, url, at)
    code = web_address(listing.facts.get("code_url"))
    if later and code and paper.code_url is None:
        _keep(session, paper, "code", code, code, at)


@dataclass(frozen=True, slots=True)
class NewsView:
    """One thing that became of a paper."""

    kind: PaperNewsKind
    detail: str
    url: str | None
    noticed_at: datetime


def news_of_paper(session: Session, paper_id: int) -> list[NewsView]:
    """What became of a paper, oldest first."""
    query = (
        select(PaperNews.kind, PaperNews.detail, PaperNews.url, PaperNews.noticed_at)
        .where(PaperNews.paper_id == paper_id)
        .order_by(PaperNews.noticed_at, PaperNews.kind, PaperNews.detail)
    )
    return [NewsView(*row) for row in session.execute(query)]


def withdrawal(listing: Listing) -> str | None:
    """The words in which a listing says that its paper was withdrawn; None where it does not."""
    if _TITLED_WITHDRAWN.match(listing.title):
        return listing.title
    for said in (_text(listing, "comment"), listing.abstract):
        if _WITHDRAWN.match(said):
            return said
    return "withdrawn" if "withdrawn" in _text(listing, "type").lower() else None


def was_withdrawn() -> Exists:
    """Of a `Paper`: its authors or its server took it back."""
    return exists().where(PaperNews.paper_id == Paper.id, PaperNews.kind == "withdrawn")


def _journal(paper: Paper, listing: Listing) -> tuple[str, str | None] | None:
    """In what a preprint was published, and the address of that; None where nobody says."""
    arxiv, doi = ids_of(listing)
    is_one = paper.arxiv_id or arxiv or (paper.doi and is_preprint(paper.doi))
    if not is_one:
        return None
    found = journal_doi(listing) or (doi if doi and not is_preprint(doi) else None)
    said = one_line(_text(listing, "journal_ref")) or found
    return (said, f"https://doi.org/{found}" if found else None) if said else None


def _version(listing: Listing) -> int | None:
    version: Any = listing.facts.get("version")
    return version if isinstance(version, int) and 0 < version < 1000 else None


def _text(listing: Listing, fact: str) -> str:
    said = listing.facts.get(fact)
    return said if isinstance(said, str) else ""


def _keep(
    session: Session, paper: Paper, kind: PaperNewsKind, detail: str, url: str | None, at: datetime
) -> None:
    row = {
        "paper_id": paper.id,
        "kind": kind,
        "detail": one_line(detail)[:_LONGEST_DETAIL],
        "url": web_address(url),
        "noticed_at": at,
    }
    session.execute(insert(session, PaperNews).values(row).on_conflict_do_nothing())
