"""Storing what a reader read: one page is one transaction, and the same page twice is once."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from digest.papers.clean import one_line, plain, readable
from digest.papers.identity import arxiv_id, doi, keys_of, same_abstract, text_hash, text_of
from digest.sources.listing import Listing, Reader
from digest.store import Sessions, insert, one_writer
from digest.store.tables import ListingRow, Page, Paper, PaperKey

# What a listing's facts say where it is of a later version; it makes no paper new.
_NO_NEWS = {"is_news": False}
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What came of one page. `known` says that these very bytes had been read before."""

    source: str
    reader: str
    page_date: date | None
    n_listings: int
    n_new_papers: int
    known: bool = False


def ingest_page(
    sessions: Sessions, source: str, reader: Reader, page: bytes, *, at: datetime
) -> IngestReport:
    """Read a page and store its listings and the papers they point to.

    Raises UnreadablePage, and then nothing of the page is stored.
    """
    listings = reader.read(page, at.date())
    page_date = next((listing.page_date for listing in listings if listing.page_date), None)
    digest, content = sha256(page).hexdigest(), zlib.compress(page)
    with sessions() as session:
        one_writer(session, PaperKey)
        page_id = session.scalar(
            insert(session, Page)
            .values(
                source=source,
                reader=reader.name,
                sha256=digest,
                content=content,
                page_date=page_date,
                seen_at=at,
            )
            .on_conflict_do_nothing()
            .returning(Page.id)
        )
        if page_id is None:
            return IngestReport(source, reader.name, page_date, len(listings), 0, known=True)
        n_new = _store_listings(session, page_id, source, listings, at)
    return IngestReport(source, reader.name, page_date, len(listings), n_new)


def file_paper(session: Session, listing: Listing, *, at: datetime) -> tuple[int, bool]:
    """The number of the paper that a listing points to, and whether nobody had seen it.

    It is stored without the appearance: a paper that nobody has listed is news to nobody.
    """
    one_writer(session, PaperKey)
    paper, is_new = _resolve(session, listing, at)
    return paper.id, is_new


def is_news() -> ColumnElement[bool]:
    """Of a `ListingRow`: the page told of a new paper, and not of a later version of one."""
    said: ColumnElement[bool] = ListingRow.facts["is_news"].as_boolean()
    return said.is_not(False)


def read_before(session: Session, source: str, page: bytes) -> IngestReport | None:
    """What came of these very bytes when they were read; None where they never were."""
    row = session.execute(
        select(Page.id, Page.reader, Page.page_date).where(
            Page.source == source, Page.sha256 == sha256(page).hexdigest()
        )
    ).one_or_none()
    if row is None:
        return None
    listed = select(func.count()).select_from(ListingRow).where(ListingRow.page_id == row.id)
    n = session.scalar(listed) or 0
    return IngestReport(source, row.reader, row.page_date, n, 0, known=True)


def _store_listings(
    session: Session, page_id: int, source: str, listings: Sequence[Listing], at: datetime
) -> int:
    n_new = 0
    rows: dict[int, dict[str, Any]] = {}
    for listing in listings:
        if not one_line(listing.title):
            continue
        paper, is_new = _resolve(session, listing, at)
        n_new += is_new
        rows.setdefault(
            paper.id,
            {
                "page_id": page_id,
                "paper_id": paper.id,
                "source": source,
                "page_date": listing.page_date,
                "seen_at": at,
                "position": listing.position,
                "upvotes": listing.upvotes,
                "title": plain(listing.title),
                "facts": _storable({**listing.facts, **({} if listing.is_news else _NO_NEWS)}),
            },
        )
    if rows:
        session.execute(insert(session, ListingRow), list(rows.values()))
    return n_new


def _storable(fact: Any) -> Any:
    """The fact with its texts free of what PostgreSQL cannot hold."""
    if isinstance(fact, str):
        return plain(fact)
    if isinstance(fact, Mapping):
        return {plain(str(name)): _storable(value) for name, value in fact.items()}
    return [_storable(one) for one in fact] if isinstance(fact, list | tuple) else fact


def _web_address(text: Any) -> str | None:
    """The text if it is an address that a mail may link to; javascript: and the like are not."""
    address = text.strip() if isinstance(text, str) else ""
    return address if _ADDRESS.fullmatch(address) else None


def _names(authors: Sequence[str]) -> list[str]:
    return [name for author in authors if (name := one_line(author))]


def _resolve(session: Session, listing: Listing, at: datetime) -> tuple[Paper, bool]:
    """The paper that a listing points to, made where nobody has seen it, and whether it was."""
    title, abstract = one_line(listing.title), readable(listing.abstract)
    doi_ = doi(listing.doi)
    arxiv = arxiv_id(listing.arxiv_id) or arxiv_id(listing.url) or arxiv_id(doi_)
    keys = keys_of(title, abstract, arxiv, doi_)
    found = {
        key: paper
        for key, paper in session.execute(
            select(PaperKey.key, Paper)
            .join(Paper, Paper.id == PaperKey.paper_id)
            .where(PaperKey.key.in_(keys))
        )
        if not key.startswith("title:") or _may_be(paper, arxiv, doi_, abstract)
    }
    paper = next((found[key] for key in keys if key in found), None)
    is_new = paper is None
    if paper is None:
        paper = Paper(
            title=title,
            abstract=abstract,
            authors=_names(listing.authors),
            first_seen_at=at,
            ready_at=None,
            text_hash=text_hash(text_of(title, abstract)),
        )
        session.add(paper)
        session.flush()
    _complete(paper, listing, abstract, arxiv, doi_)
    session.execute(
        insert(session, PaperKey).on_conflict_do_nothing(),
        [{"key": key, "paper_id": paper.id} for key in keys],
    )
    return paper, is_new


def _may_be(paper: Paper, arxiv: str | None, doi: str | None, abstract: str) -> bool:
    """Whether an equal title is the same work: no two arXiv ids, no two DOIs, like abstracts."""
    differs = arxiv and paper.arxiv_id and arxiv != paper.arxiv_id
    differs = differs or (doi and paper.doi and doi != paper.doi)
    return not differs and same_abstract(paper.abstract, abstract)


def _complete(
    paper: Paper, listing: Listing, abstract: str, arxiv: str | None, doi: str | None
) -> None:
    """Fill in what this listing knows and the paper did not."""
    if abstract and not paper.abstract:
        paper.abstract = abstract
        paper.text_hash = text_hash(text_of(paper.title, abstract))
    paper.arxiv_id = paper.arxiv_id or arxiv
    paper.doi = paper.doi or doi
    paper.url = paper.url or _web_address(listing.url)
    paper.code_url = paper.code_url or _web_address(listing.facts.get("code_url"))
    paper.published_on = paper.published_on or listing.published_on
    if listing.authors and not paper.authors:
        paper.authors = _names(listing.authors)
