"""Readers and papers, written straight into the tables, for what builds editions of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest import subscribers
from digest.editions import BuildReport, Edition, build_editions, edition_of
from digest.papers.identity import text_hash
from digest.profiles.interests import embed_interests
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.tables import Base, ListingRow, Page, Paper, PaperNews, VectorRow
from tests.worlds import WordEncoder

ENCODER = WordEncoder()
# A Monday.
MONDAY = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def add_papers(
    sessions: Sessions, titles: Iterable[str], at: datetime, *, embedded: bool = True
) -> list[int]:
    """One page of papers without abstracts, seen and embedded at `at`; their ids."""
    with sessions() as session:
        page = _page(session, "hf-daily", at)
        papers = [_paper(title, at if embedded else None, at) for title in titles]
        session.add_all(papers)
        session.flush()
        session.add_all(_listing(page, paper, n) for n, paper in enumerate(papers, 1))
        if embedded:
            _embed(session, papers)
        return [paper.id for paper in papers]


def list_again(sessions: Sessions, ids: Sequence[int], at: datetime, *, reader: str) -> None:
    """Another page of the same papers."""
    with sessions() as session:
        page = _page(session, reader, at)
        papers = [session.get_one(Paper, id_) for id_ in ids]
        session.add_all(_listing(page, paper, n) for n, paper in enumerate(papers, 1))


def withdraw(sessions: Sessions, paper_id: int, at: datetime) -> None:
    """Its authors take it back."""
    with sessions() as session:
        row = {"kind": "withdrawn", "detail": "an error", "url": None, "noticed_at": at}
        session.add(PaperNews(paper_id=paper_id, **row))


def _page(session: Session, reader: str, at: datetime) -> Page:
    sha = f"{session.scalar(select(func.count()).select_from(Page)):064}"
    page = Page(source="s", reader=reader, sha256=sha, content=b"", page_date=None, seen_at=at)
    session.add(page)
    session.flush()
    return page


def _paper(title: str, ready_at: datetime | None, at: datetime) -> Paper:
    return Paper(
        title=title,
        abstract="",
        authors=["Ada"],
        text_hash=text_hash(title),
        first_seen_at=at,
        ready_at=ready_at,
    )


def _listing(page: Page, paper: Paper, position: int) -> ListingRow:
    return ListingRow(
        page_id=page.id,
        paper_id=paper.id,
        source=page.source,
        seen_at=page.seen_at,
        position=position,
        title=paper.title,
        facts={},
    )


def _embed(session: Session, papers: Sequence[Paper]) -> None:
    titles = {paper.text_hash: paper.title for paper in papers}
    known = select(VectorRow.text_hash).where(
        VectorRow.encoder == ENCODER.identity, VectorRow.text_hash.in_(titles)
    )
    for hash_ in session.scalars(known):
        del titles[hash_]
    vectors = ENCODER.encode(list(titles.values()))
    session.add_all(
        VectorRow(encoder=ENCODER.identity, text_hash=hash_, vector=vector)
        for hash_, vector in zip(titles, vectors, strict=True)
    )


def add_reader(sessions: Sessions, address: str = "ann@example.org", **asked: object) -> int:
    """Somebody confirmed just before MONDAY's hour, daily at 7 UTC if not `asked` otherwise."""
    with sessions() as session:
        given = {"address": address, **asked}
        now = MONDAY - timedelta(minutes=5)
        added = subscribers.add(
            session, given, SubscriberDefaults(), secret=b"a secret of enough bytes", now=now
        )
    embed_interests(sessions, ENCODER)
    return added.subscriber.id


def build(sessions: Sessions, ids: Sequence[int] | int, now: datetime) -> BuildReport:
    ids = [ids] if isinstance(ids, int) else ids
    return build_editions(sessions, ids, ENCODER.identity, now=now)


def edition(sessions: Sessions, reader: int, at: datetime | None = None) -> Edition:
    with sessions.reading() as session:
        return edition_of(session, reader, at.date() if at else None)


def titles(made: Edition) -> list[str]:
    return [item.title for item in made.items]


def rows(sessions: Sessions) -> dict[str, list[str]]:
    """Every row of every table."""
    with sessions.reading() as session:
        return {
            table.name: sorted(repr(row) for row in session.execute(select(table)))
            for table in Base.metadata.sorted_tables
        }


def count(sessions: Sessions, table: type[Base]) -> int:
    with sessions.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0
