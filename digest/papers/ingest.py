"""Storing what a reader read: one page is one transaction, and the same page twice is once."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from rapidfuzz import fuzz
from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from digest.papers.clean import one_line, plain, readable, web_address
from digest.papers.copies import link_near, link_same
from digest.papers.filed import APART, forget_vectors
from digest.papers.identity import (
    SAME_ABSTRACT,
    ids_of,
    is_preprint,
    journal_doi,
    keys_of,
    same_abstract,
    same_authors,
    text_hash,
    text_of,
    title_key,
)
from digest.papers.language import language_of
from digest.papers.news import notice
from digest.sources.listing import Forgiving, Listing, Reader
from digest.store import Sessions, insert, one_writer
from digest.store.tables import ListingRow, Page, Paper, PaperKey, VoteRow

# The keys that settle which paper it is, whatever its title.
_SURE = ("arxiv:", "doi:")


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What came of one page. `known` says that these very bytes had been read before.

    `n_again` of its listings tell nothing new: the source had listed that paper, in that version.
    `problem` is how much of it is broken, and the first of that.
    """

    source: str
    reader: str
    page_date: date | None
    n_listings: int
    n_new_papers: int
    known: bool = False
    n_again: int = 0
    problem: str = ""


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
            n = len(listings)
            return IngestReport(source, reader.name, page_date, n, 0, known=True, n_again=n)
        n_new = _store_listings(session, page_id, source, listings, at)
        n_again = _count_again(session, page_id)
    broken = reader.broken(page) if isinstance(reader, Forgiving) else ()
    problem = f"{len(broken):,} broken ({broken[0][:200]})" if broken else ""
    return IngestReport(
        source, reader.name, page_date, len(listings), n_new, n_again=n_again, problem=problem
    )


def file_paper(session: Session, listing: Listing, *, at: datetime) -> tuple[int, bool]:
    """The number of the paper that a library's listing points to, and whether it was not stored.

    Anybody can send a library. So what pages list stays as it is; any other paper is kept apart, as
    in `filed`, without an address, and is shared by libraries that say the very same of it.
    """
    one_writer(session, PaperKey)
    said, authors = _said(listing), _names(listing.authors)
    if listed := _first(_same(_known(session, said.keys), said), said.keys):
        return listed.id, False
    told = (said.text, said.arxiv, said.doi, authors, listing.published_on)
    own = APART + text_hash(repr(told))
    if paper := _known(session, [own]).get(own):
        return paper.id, False
    paper = _made(session, Paper(), said, at)
    _complete(paper, replace(listing, url=None, facts={}), said)
    _find_by(session, paper, [own, *(APART + key for key in said.keys)])
    return paper.id, True


def is_news() -> ColumnElement[bool]:
    """Of a `ListingRow`: the page told of a new paper, and not of a later version of one."""
    return ListingRow.is_news.is_(True)


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
    return IngestReport(source, row.reader, row.page_date, n, 0, known=True, n_again=n)


def _count_again(session: Session, page_id: int) -> int:
    """How many of a page's papers an earlier page of its source listed in the same version."""
    row, before = aliased(ListingRow), aliased(ListingRow)
    version, version_before = (
        func.coalesce(one.facts["version"].as_integer(), 0) for one in (row, before)
    )
    listed = exists().where(
        before.paper_id == row.paper_id,
        before.source == row.source,
        before.page_id < row.page_id,
        before.is_news == row.is_news,
        row.is_news | (version_before == version),
    )
    query = select(func.count()).select_from(row).where(row.page_id == page_id, listed)
    return session.scalar(query) or 0


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
                "seen_at": at,
                **_told(listing),
            },
        )
    if rows:
        session.execute(insert(session, ListingRow), list(rows.values()))
        link_near(session, list(rows), at=at)
    return n_new


def _told(listing: Listing) -> dict[str, Any]:
    """What a listing itself says, as the columns of its row."""
    return {
        "page_date": listing.page_date,
        "position": listing.position,
        "upvotes": listing.upvotes,
        "title": plain(listing.title),
        "is_news": listing.is_news,
        "facts": _storable(listing.facts),
    }


def _storable(fact: Any) -> Any:
    """The fact with its texts free of what PostgreSQL cannot hold."""
    if isinstance(fact, str):
        return plain(fact)
    if isinstance(fact, Mapping):
        return {plain(str(name)): _storable(value) for name, value in fact.items()}
    return [_storable(one) for one in fact] if isinstance(fact, list | tuple) else fact


def _names(authors: Sequence[str]) -> list[str]:
    return [name for author in authors if (name := one_line(author))]


@dataclass(frozen=True, slots=True)
class _Said:
    """What a listing says, clean, and the keys that its paper is found by, surest first."""

    title: str
    abstract: str
    authors: Sequence[str]
    arxiv: str | None
    doi: str | None
    keys: Sequence[str]

    @property
    def text(self) -> str:
        """What is embedded."""
        return text_of(self.title, self.abstract)


def _said(listing: Listing) -> _Said:
    title, abstract = one_line(listing.title), readable(listing.abstract)
    arxiv, doi_ = ids_of(listing)
    keys = keys_of(title, abstract, arxiv, doi_)
    keys += [f"doi:{journal}"] if (journal := journal_doi(listing)) else []
    return _Said(title, abstract, _names(listing.authors), arxiv, doi_, keys)


def _resolve(session: Session, listing: Listing, at: datetime) -> tuple[Paper, bool]:
    """The paper that a page's listing points to, and whether no page had listed it.

    Then it is made; of one that libraries had filed, only the number and its votes stay.
    """
    said = _said(listing)
    known = _known(session, said.keys)
    found = _same(known, said)
    link_same(session, {p.id for key, p in found.items() if key.startswith(_SURE)}, at=at)
    paper = _first(found, said.keys)
    is_new = paper is None
    if paper is None:
        filed = _same(_known(session, said.keys, apart=APART), said)
        paper = _made(session, _first(filed, said.keys) or Paper(), said, at)
    notice(session, paper, listing, is_new=is_new, at=at)
    _complete(paper, listing, said)
    if len(known) < len(set(said.keys)):
        _find_by(session, paper, said.keys)
    return paper, is_new


def _known(session: Session, keys: Sequence[str], *, apart: str = "") -> dict[str, Paper]:
    """The papers that have these keys, `apart` from others."""
    rows = session.execute(
        select(PaperKey.key, Paper)
        .join(Paper, Paper.id == PaperKey.paper_id)
        .where(PaperKey.key.in_([apart + key for key in keys]))
    )
    return {key.removeprefix(apart): paper for key, paper in rows}


def _same(known: Mapping[str, Paper], said: _Said) -> dict[str, Paper]:
    """Those of the papers with a listing's keys that are its work.

    A DOI may be that of a volume, which many papers on arXiv name as theirs.
    """
    return {
        key: paper
        for key, paper in known.items()
        if key.startswith("arxiv:")
        or (key.startswith("doi:") and not _differ(paper.arxiv_id, said.arxiv))
        or _may_be(paper, said.arxiv, said.doi, said.abstract, said.authors)
    }


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def _first(found: Mapping[str, Paper], keys: Sequence[str]) -> Paper | None:
    return next((found[key] for key in keys if key in found), None)


def _made(session: Session, paper: Paper, said: _Said, at: datetime) -> Paper:
    """Make of a paper what a listing says, and nothing that was said of it before."""
    before = paper.text_hash
    if paper.id is not None:
        session.execute(delete(PaperKey).where(PaperKey.paper_id == paper.id))
    paper.title, paper.abstract, paper.authors = said.title, said.abstract, list(said.authors)
    paper.text_hash = text_hash(said.text)
    paper.first_seen_at, paper.ready_at = at, None
    paper.arxiv_id = paper.doi = paper.url = paper.code_url = None
    paper.published_on = paper.language = paper.version = paper.published_in = None
    session.add(paper)
    session.flush()
    if before:
        forget_vectors(session, [before])
    return paper


def _find_by(session: Session, paper: Paper, keys: Iterable[str]) -> None:
    """Let a paper be found by keys, as far as no other is."""
    session.execute(
        insert(session, PaperKey).on_conflict_do_nothing(),
        [{"key": key, "paper_id": paper.id} for key in keys],
    )


def _may_be(
    paper: Paper, arxiv: str | None, doi: str | None, abstract: str, authors: Sequence[str]
) -> bool:
    """Whether an equal title is the same work: no two arXiv ids, no two DOIs, like abstracts.

    A preprint's DOI and its journal's may differ. Without an abstract the authors must be alike.
    """
    if _differ(paper.arxiv_id, arxiv):
        return False
    alike = same_abstract(paper.abstract, abstract)
    if doi and paper.doi and doi != paper.doi:
        return alike and is_preprint(doi) != is_preprint(paper.doi)
    both = paper.abstract and abstract
    return alike if both else same_authors(paper.authors, authors)


def _complete(paper: Paper, listing: Listing, said: _Said) -> None:
    """Fill in what this listing knows and the paper did not."""
    if said.abstract and not paper.abstract:
        paper.abstract = said.abstract
        paper.text_hash = text_hash(text_of(paper.title, said.abstract))
    paper.language = paper.language or language_of(paper.title, paper.abstract)
    paper.arxiv_id = paper.arxiv_id or said.arxiv
    paper.doi = paper.doi or said.doi
    paper.url = paper.url or web_address(listing.url)
    paper.code_url = paper.code_url or web_address(listing.facts.get("code_url"))
    paper.published_on = paper.published_on or listing.published_on
    paper.authors = paper.authors or list(said.authors)


# --- the same page again ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changes:
    """What a second reading of a page made of its listings, by their number.

    `reidentified` ones point to another paper than before, or to the same one under another title.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    reidentified: int = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return any((self.added, self.removed, self.changed, self.reidentified))


def store_again(
    session: Session,
    page: Page,
    reader: Reader,
    listings: Sequence[Listing],
    *,
    ready_at: datetime | None,
) -> Changes:
    """Make a page's listings what they are read to be now, as of when the page was seen.

    A paper that was misread keeps its number, and with it its votes and editions, while its text is
    set right; so is that of one which no other page lists. `ready_at` is that of papers which
    nobody had seen: with an instant in the past they are news to nobody, with None they are once
    they are embedded.
    """
    one_writer(session, PaperKey)
    rows = session.scalars(select(ListingRow).where(ListingRow.page_id == page.id))
    before = {row.paper_id: row for row in rows}
    found, n_renamed = _found_again(session, page, listings, before, ready_at)
    changes = _relist(session, page, found, before)
    page.reader = reader.name
    page.page_date = next((one.page_date for one in listings if one.page_date), None)
    return replace(changes, reidentified=changes.reidentified + n_renamed)


def _found_again(
    session: Session,
    page: Page,
    listings: Sequence[Listing],
    before: Mapping[int, ListingRow],
    ready_at: datetime | None,
) -> tuple[dict[int, Listing], int]:
    """The listings by the paper that each points to now, and how many papers were set right."""
    row, elsewhere = aliased(ListingRow), aliased(ListingRow)
    others = exists().where(elsewhere.paper_id == Paper.id, elsewhere.page_id != page.id)
    here = select(Paper).join(row, row.paper_id == Paper.id).where(row.page_id == page.id)
    own = set(session.scalars(here.where(Paper.first_seen_at == page.seen_at, ~others)))
    # Several pages may have been misread alike.
    of_one_title = session.scalars(here.where(~others.where(elsewhere.title != row.title))).all()
    found: dict[int, Listing] = {}
    new: list[Paper] = []
    n_renamed = 0
    for listing in listings:
        if not one_line(listing.title):
            continue
        paper, is_new = _resolve(session, listing, page.seen_at)
        if is_new:
            paper.ready_at = ready_at
            new.append(paper)
        elif paper in own and paper.id not in found:
            n_renamed += _set_right(paper, listing)
        found.setdefault(paper.id, listing)
    for paper in new:
        left = (one for one in of_one_title if one.id not in found)
        was = plain(found[paper.id].title)
        if old := next(
            (one for one in left if before[one.id].title == was or _is_misread(one, paper)), None
        ):
            found[old.id] = found.pop(paper.id)
            _take_over(session, old, paper)
            n_renamed += _set_right(old, found[old.id])
    return found, n_renamed


def _relist(
    session: Session, page: Page, found: Mapping[int, Listing], before: Mapping[int, ListingRow]
) -> Changes:
    """Make the rows of a page those of the listings that were found on it."""
    gone = {id_: row for id_, row in before.items() if id_ not in found}
    n_added = n_changed = n_moved = 0
    for id_, listing in found.items():
        told = _told(listing)
        if row := before.get(id_):
            n_changed += any(getattr(row, name) != value for name, value in told.items())
        elif row := _at(gone.values(), listing):
            del gone[row.paper_id]
            row.paper_id = id_
            n_moved += 1
        else:
            at = page.seen_at
            row = ListingRow(page_id=page.id, paper_id=id_, source=page.source, seen_at=at)
            session.add(row)
            n_added += 1
        for name, value in told.items():
            setattr(row, name, value)
    for row in gone.values():
        session.delete(row)
    return Changes(n_added, len(gone), n_changed, n_moved)


def _set_right(paper: Paper, listing: Listing) -> bool:
    """Give a paper the text of the one listing that it has; whether its title became another."""
    title, abstract = one_line(listing.title), readable(listing.abstract) or paper.abstract
    is_renamed = title != paper.title
    paper.title, paper.abstract = title, abstract
    paper.authors = _names(listing.authors) or paper.authors
    paper.text_hash = text_hash(text_of(title, abstract))
    return is_renamed


def _is_misread(old: Paper, new: Paper) -> bool:
    """Whether a paper that nobody lists any more is another reading of a new one."""
    if not _may_be(old, new.arxiv_id, new.doi, new.abstract, new.authors):
        return False
    alike = fuzz.ratio(title_key(old.title), title_key(new.title)) >= SAME_ABSTRACT
    return alike or bool(old.abstract and new.abstract)


def _take_over(session: Session, paper: Paper, double: Paper) -> None:
    """Give a paper what its double, which no other page lists, is found by, linked to and has."""
    misread = [
        f"{kind}:{old}"
        for kind, old, new in (
            ("arxiv", paper.arxiv_id, double.arxiv_id),
            ("doi", paper.doi, double.doi),
        )
        if old and new and old != new
    ]
    session.execute(delete(PaperKey).where(PaperKey.key.in_(misread)))
    session.execute(
        update(PaperKey).where(PaperKey.paper_id == double.id).values(paper_id=paper.id)
    )
    for name in ("arxiv_id", "doi", "url", "code_url", "published_on"):
        setattr(paper, name, getattr(double, name) or getattr(paper, name))
    # Those of libraries that had filed it.
    voted = select(VoteRow.subscriber_id).where(VoteRow.paper_id == paper.id)
    session.execute(
        update(VoteRow)
        .where(VoteRow.paper_id == double.id, VoteRow.subscriber_id.not_in(voted))
        .values(paper_id=paper.id)
    )
    session.delete(double)


def _at(rows: Iterable[ListingRow], listing: Listing) -> ListingRow | None:
    """The row that stood where a listing stands, under the same title."""
    title = plain(listing.title)
    return next((r for r in rows if r.position == listing.position and r.title == title), None)
