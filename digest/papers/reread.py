"""Reading kept pages again with the readers of today, page by page, each in its transaction.

Listings stay as of when their page was seen, and papers keep their numbers, so nothing that was
shown is taken back or mailed again. A run that ends half-way is gone on with by the next.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import UnreadablePage
from digest.papers.ingest import Changes, store_again
from digest.sources import find_reader
from digest.store import Sessions
from digest.store.tables import Page

# A paper found on a page of the last week is still news; on an older one it is only kept.
NEWS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Reread:
    """What reading a page again changed. With a `problem` it was left as it is."""

    page_id: int
    source: str
    seen_at: datetime
    page_date: date | None
    reader: str
    changes: Changes
    problem: str = ""


def kept_pages(
    session: Session, *, source: str | None = None, since: date | None = None
) -> list[int]:
    """The numbers of the pages of a source that were seen on a day, in UTC, or later; in order."""
    query = select(Page.id).order_by(Page.id)
    if source is not None:
        query = query.where(Page.source == source)
    if since is not None:
        query = query.where(Page.seen_at >= datetime.combine(since, time(), UTC))
    return list(session.scalars(query))


def reread(sessions: Sessions, page_ids: Sequence[int], *, now: datetime) -> Iterator[Reread]:
    """Read pages again; one that is gone by then is passed over."""
    for page_id in page_ids:
        with sessions.reading() as session:
            page = session.get(Page, page_id)
        if page is None:
            continue
        try:
            content = zlib.decompress(page.content)
            reader = find_reader(content)
            listings = reader.read(content, page.seen_at.date())
        except UnreadablePage as error:
            yield _told(page, Changes(), str(error))
            continue
        ready_at = page.seen_at if now - page.seen_at > NEWS else None
        with sessions() as session:
            page = session.get(Page, page_id)
            if page is None:
                continue
            changes = store_again(session, page, reader, listings, ready_at=ready_at)
        yield _told(page, changes)


def _told(page: Page, changes: Changes, problem: str = "") -> Reread:
    return Reread(page.id, page.source, page.seen_at, page.page_date, page.reader, changes, problem)
