"""Running a source: its pages are fetched or found, read, and stored; how it went is kept."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from time import sleep
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import SourceUnreachable, UnreadablePage
from digest.papers.ingest import IngestReport, ingest_page, read_before
from digest.settings import SourceSettings
from digest.sources import MAX_PAGE_BYTES, Paged, find_reader
from digest.sources.fetch import fetch
from digest.store import Sessions, insert
from digest.store.tables import SourceState, Verdict

# A source whose newest page is older than this has probably stopped.
STALE = timedelta(days=4)
# How many pages one run reads of a source that goes on and on.
MOST_PAGES = 50
# How often a busy source is asked in all, and the seconds that we are ready to wait in between.
TRIES = 3
LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How one run of a source went; `problems` are the pages that were not taken, and why."""

    source: str
    verdict: Verdict
    pages: tuple[IngestReport, ...]
    problems: tuple[str, ...]

    @property
    def n_listings(self) -> int:
        """Listings on pages that had not been read before."""
        return sum(page.n_listings for page in self.pages if not page.known)

    @property
    def n_new_papers(self) -> int:
        """Papers that nobody had seen before."""
        return sum(page.n_new_papers for page in self.pages)


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of the settings, and how its last run went."""

    name: str
    place: str
    hours: tuple[int, ...]
    timezone: str
    last_run_at: datetime | None
    verdict: Verdict | None
    detail: str
    n_listings: int


def due_sources(
    session: Session, sources: Sequence[SourceSettings], now: datetime
) -> list[SourceSettings]:
    """The sources with an hour behind them since they last answered; a new one at once.

    So is one that has answered in the future, when a clock was wrong.
    """
    read_at = {row.name: row.last_read_at for row in session.scalars(select(SourceState))}
    return [
        source
        for source in sources
        if (last := read_at.get(source.name)) is None
        or last > now
        or _last_hour(source, now) > last
    ]


def collect(
    sessions: Sessions,
    source: SourceSettings,
    *,
    contact: str,
    at: datetime,
    allowed: Collection[str] = (),
    wait: Callable[[float], None] = sleep,
) -> SourceReport:
    """Run a source once: a bad page is told of and stops no other.

    `contact` goes into the User-Agent; `allowed` are hosts of our own, as `fetch` takes them;
    `wait` passes the seconds between two requests. Raises SourceUnreachable where nothing came,
    after noting it.
    """
    pages: list[IngestReport] = []
    problems: list[str] = []
    try:
        for label, read in _contents(
            source, partial(fetch, contact=contact, allowed=allowed), wait
        ):
            try:
                pages.append(ingest_bytes(sessions, source.name, read(), at=at))
            except UnreadablePage as error:
                problems.append(f"{label}: {error}")
    except SourceUnreachable as error:
        if not pages:
            _note(sessions, SourceReport(source.name, "unreachable", (), (str(error),)), at)
            raise
        problems.append(str(error))
    report = SourceReport(source.name, _verdict(pages, problems, at), tuple(pages), tuple(problems))
    _note(sessions, report, at)
    return report


def ingest_bytes(sessions: Sessions, source: str, page: bytes, *, at: datetime) -> IngestReport:
    """Find the reader for these bytes and store what it reads. Raises UnreadablePage."""
    with sessions.reading() as session:
        # A folder's pages come back at every run; one that is known need not be read again.
        known = read_before(session, source, page)
    return known or ingest_page(sessions, source, find_reader(page), page, at=at)


def ingest_file(sessions: Sessions, source: str, file: Path, *, at: datetime) -> IngestReport:
    """Store what a saved page holds. Raises UnreadablePage, also where it cannot be opened."""
    return ingest_bytes(sessions, source, _read(file), at=at)


def list_sources(session: Session, sources: Sequence[SourceSettings]) -> list[SourceView]:
    """The sources of the settings, in their order."""
    states = {row.name: row for row in session.scalars(select(SourceState))}
    return [
        SourceView(
            source.name,
            source.url or str(source.path),
            source.hours,
            source.timezone,
            state.last_run_at if (state := states.get(source.name)) else None,
            state.verdict if state else None,
            state.detail if state else "",
            state.n_listings if state else 0,
        )
        for source in sources
    ]


def files_of(path: Path) -> list[Path]:
    """The files that a source's path names: itself, those in it, or those that it is a pattern of.

    Hidden ones are passed over. Raises SourceUnreachable where there is no such place.
    """
    try:
        if path.is_file():
            return [path]
        found = path.iterdir() if path.is_dir() else path.parent.glob(path.name)
        files = sorted(f for f in found if f.is_file() and not f.name.startswith("."))
    except OSError as error:
        raise SourceUnreachable(f"{path}: {error.strerror}") from None
    if not files and not path.is_dir():
        raise SourceUnreachable(f"{path} is not there")
    return files


def _contents(
    source: SourceSettings, get: Callable[[str], bytes], wait: Callable[[float], None]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The name of each page, and what reads it."""
    if source.path is None:
        yield from _pages_from(str(source.url), get, wait)
        return
    for file in files_of(source.path):
        yield file.name, partial(_read, file)


def _pages_from(
    url: str, get: Callable[[str], bytes], wait: Callable[[float], None]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The page at `url` and those on which it goes on, in the source's own time."""
    for _ in range(MOST_PAGES):
        page = _patiently(get, url, wait)
        yield url, partial(bytes, page)
        following = _following(page, url)
        if following is None:
            return
        url, pause = following
        wait(pause)
    raise SourceUnreachable(f"{url} was left: no source is read for more than {MOST_PAGES} pages")


def _following(page: bytes, url: str) -> tuple[str, float] | None:
    """The address on which a page goes on, and how long to wait before; None after the last."""
    try:
        reader = find_reader(page)
    except UnreadablePage:
        return None
    if isinstance(reader, Paged) and (following := reader.next_url(page, url)):
        return following, reader.pause
    return None


def _patiently(get: Callable[[str], bytes], url: str, wait: Callable[[float], None]) -> bytes:
    """Get a page, asking a busy source again when it wants to be asked, a few times."""
    for _ in range(TRIES - 1):
        try:
            return get(url)
        except SourceUnreachable as error:
            if error.retry_after is None or error.retry_after > LONGEST_WAIT:
                raise
            wait(max(1.0, error.retry_after))
    return get(url)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            # One byte more tells a page that is too large, whatever its size.
            return opened.read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise UnreadablePage("a file", f"{error.strerror}") from None


def _verdict(pages: Sequence[IngestReport], problems: Sequence[str], at: datetime) -> Verdict:
    if problems:
        return "partial" if pages else "unreadable"
    # A feed without papers is another one every day: that is a weekend, and no news.
    if any(page.n_listings and not page.known for page in pages):
        return "fresh"
    dates = [page.page_date for page in pages if page.page_date]
    return "stale" if dates and at.date() - max(dates) > STALE else "quiet"


def _note(sessions: Sessions, report: SourceReport, at: datetime) -> None:
    n_new = sum(not page.known for page in report.pages)
    detail = "; ".join(report.problems) or f"{n_new} new page{'s' * (n_new != 1)}"
    row = {
        "last_run_at": at,
        "verdict": report.verdict,
        "detail": detail[:2000],
        "n_listings": report.n_listings,
    }
    if report.verdict != "unreachable":
        row["last_read_at"] = at
    with sessions() as session:
        session.execute(
            insert(session, SourceState)
            .values(name=report.source, **row)
            .on_conflict_do_update(index_elements=["name"], set_=row)
        )


def _last_hour(source: SourceSettings, now: datetime) -> datetime:
    """The last of the source's hours that is not after `now`."""
    zone = ZoneInfo(source.timezone)
    today: date = now.astimezone(zone).date()
    hours = (
        datetime.combine(today - timedelta(days=back), time(hour), zone)
        for back in (0, 1, 2)
        for hour in source.hours
    )
    return max(hour for hour in hours if hour <= now)
