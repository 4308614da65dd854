"""Asking a site for pages as it wants to be asked: in turn, patiently, and not twice for the same.

Turns and marks are kept in the database, so that all sources and processes share them.
"""

import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete, select

from digest.errors import SourceUnreachable
from digest.sources.fetch import Answer, Mark, fetch, site_of
from digest.store import Sessions, insert
from digest.store.tables import Page, PageMark, SiteTurn
from digest.traces import span, tell

# How often a busy source is asked in all, and the seconds that we are ready to wait in between.
TRIES = 3
LONGEST_WAIT = 60.0
# A site may ask to be left alone for longer; beyond this we believe neither it nor our clock.
LONGEST_HOLD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Visits:
    """The visits of one run of a source.

    `clock` tells the time, `wait` passes seconds, and `jitter` draws from 0 to 1, so that those
    who were turned away together do not come back together.
    """

    sessions: Sessions
    source: str
    contact: str
    allow: Collection[str]
    clock: Callable[[], datetime]
    wait: Callable[[float], None]
    jitter: Callable[[], float]

    def get(self, url: str) -> tuple[bytes, Mark]:
        """The page at `url` and its mark; one that has not changed comes from the database.

        Asks a busy site again when it wants to be asked, a few times. Raises SourceUnreachable.
        """
        for left in reversed(range(TRIES)):
            self._take_turn(url)
            known = self._known(url)
            try:
                answer = self._fetched(url, known[0] if known else None)
            except SourceUnreachable as error:
                if error.retry_after is None:
                    raise
                delay = error.retry_after + self.jitter() * max(1.0, error.retry_after / 4)
                self._hold(url, delay)
                if not left or delay > LONGEST_WAIT:
                    raise
            else:
                return self._page(url, answer, known), answer.mark
        raise AssertionError("the last try returns or raises")

    def remember(self, url: str, page: bytes, mark: Mark) -> None:
        """Keep the mark of a page that has been stored, for the next run."""
        digest = sha256(page).hexdigest()
        with self.sessions() as session:
            page_id = session.scalar(
                select(Page.id).where(Page.source == self.source, Page.sha256 == digest)
            )
            if page_id is None or not (mark.etag or mark.last_modified):
                session.execute(
                    delete(PageMark).where(PageMark.source == self.source, PageMark.url == url)
                )
                return
            row = {"etag": mark.etag, "last_modified": mark.last_modified, "page_id": page_id}
            session.execute(
                insert(session, PageMark)
                .values(source=self.source, url=url, **row)
                .on_conflict_do_update(index_elements=["source", "url"], set_=row)
            )

    def forget_others(self, urls: Collection[str]) -> None:
        """Drop the marks of addresses that a whole run did not ask for; tokens never come back."""
        with self.sessions() as session:
            session.execute(
                delete(PageMark).where(PageMark.source == self.source, PageMark.url.not_in(urls))
            )

    def _fetched(self, url: str, mark: Mark | None) -> Answer:
        told = {"digest.source": self.source, "server.address": site_of(url)[0]}
        with span("fetch", told, kind="client"):
            answer = fetch(url, contact=self.contact, allow=self.allow, mark=mark)
            body = answer.body
            tell({"digest.changed": body is not None, "digest.bytes": len(body or b"")})
            return answer

    def _known(self, url: str) -> tuple[Mark, int] | None:
        """The mark of the page that is stored of `url`, and that page's number."""
        with self.sessions.reading() as session:
            row = session.get(PageMark, (self.source, url))
        return (Mark(row.etag, row.last_modified), row.page_id) if row else None

    def _page(self, url: str, answer: Answer, known: tuple[Mark, int] | None) -> bytes:
        if answer.body is not None:
            return answer.body
        with self.sessions.reading() as session:
            page = session.get(Page, known[1]) if known else None
        if page is None:
            raise SourceUnreachable(f"{url} has not changed, and what it was is not stored")
        return zlib.decompress(page.content)

    def _take_turn(self, url: str) -> None:
        """Wait until the site may be asked again, and put off whoever is next."""
        site, pause = site_of(url)
        now = self.clock()
        with self.sessions() as session:
            session.execute(
                insert(session, SiteTurn).values(site=site, free_at=now).on_conflict_do_nothing()
            )
            row = session.get_one(SiteTurn, site, with_for_update=True)
            turn = max(now, row.free_at) if row.free_at - now <= LONGEST_HOLD else now
            if (seconds := (turn - now).total_seconds()) <= LONGEST_WAIT:
                row.free_at = turn + timedelta(seconds=pause)
        if seconds > LONGEST_WAIT:
            raise SourceUnreachable(
                f"{site} is left alone until {turn:%H:%M} UTC, as it asked", retry_after=seconds
            )
        if seconds > 0:
            self.wait(seconds)

    def _hold(self, url: str, seconds: float) -> None:
        """Leave a site alone for some seconds, whoever would ask it."""
        until = self.clock() + min(timedelta(seconds=seconds), LONGEST_HOLD)
        with self.sessions() as session:
            row = session.get_one(SiteTurn, site_of(url)[0], with_for_update=True)
            row.free_at = max(row.free_at, until)
