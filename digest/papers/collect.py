"""Running a source: its pages are fetched or found, read, and stored; how it went is kept."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from random import random
from time import sleep
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import SourceUnreachable, UnreadablePage
from digest.papers.ingest import IngestReport, ingest_page, read_before
from digest.papers.verdict import SourceDay, day_of_sources, judge, of_the_day
from digest.papers.visits import Visits
from digest.settings import SourceSettings
from digest.sources import MAX_PAGE_BYTES, Paged, find_reader
from digest.sources.fetch import Mark
from digest.store import Sessions, insert
from digest.store.tables import SourceDayRow, SourceState, Verdict

# How many pages one run reads of a source that goes on and on.
MOST_PAGES = 50
# The days behind that `list_sources` looks back on.
A_DAY, LOOK_BACK = timedelta(days=1), timedelta(days=6)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How one run of a source went.

    `problems` are the pages that were not taken, or not whole, and why, and that there were fewer
    than announced; `n_refused` of them are pages that no reader could read.
    """

    source: str
    verdict: Verdict
    detail: str
    pages: tuple[IngestReport, ...]
    problems: tuple[str, ...]
    n_refused: int = 0

    @property
    def n_listings(self) -> int:
        """Listings on pages that had not been read before."""
        return sum(page.n_listings for page in self.pages if not page.known)

    @property
    def n_news(self) -> int:
        """Listings that the source did not have before."""
        return sum(page.n_listings - page.n_again for page in self.pages if not page.known)

    @property
    def n_new_papers(self) -> int:
        """Papers that nobody had seen before."""
        return sum(page.n_new_papers for page in self.pages)


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of the settings, how its last run went, and its days of the last week."""

    name: str
    place: str
    hours: tuple[int, ...]
    timezone: str
    last_run_at: datetime | None
    verdict: Verdict | None
    detail: str
    n_listings: int
    days: tuple[SourceDay, ...]


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
    clock: Callable[[], datetime],
    allow: Collection[str] = (),
    wait: Callable[[float], None] = sleep,
    jitter: Callable[[], float] = random,
) -> SourceReport:
    """Run a source once: a bad page is told of and stops no other.

    `contact` goes into the User-Agent; `allow` are hosts and networks of our own, as `fetch` takes
    them; `wait` passes the seconds between two requests. Raises SourceUnreachable where nothing
    came, after noting it.
    """
    at = clock()
    visits = Visits(sessions, source.name, contact, allow, clock, wait, jitter)
    pages: list[IngestReport] = []
    problems: list[str] = []
    n_refused = 0
    try:
        for label, read, mark in _contents(source, visits, problems):
            try:
                page = read()
                told = ingest_bytes(sessions, source.name, page, at=clock())
                pages.append(told)
                if told.problem:
                    problems.append(f"{label}: {told.problem}")
                if mark is not None:
                    visits.remember(label, page, mark)
            except UnreadablePage as error:
                problems.append(f"{label}: {error}")
                n_refused += 1
    except SourceUnreachable as error:
        problems.append(str(error))
        if len(problems) == 1 and not pages:
            report = SourceReport(source.name, "unreachable", problems[0], (), tuple(problems))
            _note(sessions, source, report, at)
            raise
    with sessions.reading() as session:
        news_at = session.scalar(select(SourceState.last_news_at).filter_by(name=source.name))
    verdict, detail = judge(pages, problems, news_at=news_at, at=at)
    report = SourceReport(source.name, verdict, detail, tuple(pages), tuple(problems), n_refused)
    _note(sessions, source, report, at)
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
    """The sources of the settings, in their order; a week ends with the day of the last run."""
    states = {row.name: row for row in session.scalars(select(SourceState))}
    last = max((state.last_run_at for state in states.values()), default=None)
    # In a zone far to the east the day is a later one.
    days = day_of_sources(session, last.date() - LOOK_BACK, last.date() + A_DAY) if last else ()
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
            tuple(day for day in days if day.name == source.name),
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


# A page's name, what reads it, and what its server calls it if it has one.
_Found = tuple[str, Callable[[], bytes], Mark | None]


def _contents(source: SourceSettings, visits: Visits, problems: list[str]) -> Iterator[_Found]:
    """The pages of a source; that fewer came than were announced is added to the problems."""
    if source.path is None:
        yield from _pages_from(str(source.url), visits, problems)
        return
    for file in files_of(source.path):
        yield file.name, partial(_read, file), None


def _pages_from(first: str, visits: Visits, problems: list[str]) -> Iterator[_Found]:
    """The page at an address and those on which it goes on."""
    urls: list[str] = []
    came, announced = 0, None
    following: str | None = first
    while following is not None:
        url = following
        if url in urls:
            raise SourceUnreachable(f"{url} was left: its pages go round in a circle")
        if len(urls) == MOST_PAGES:
            said = f"{url} was left: no source is read for more than {MOST_PAGES} pages"
            raise SourceUnreachable(said)
        page, mark = visits.get(url)
        yield url, partial(bytes, page), mark
        following = None
        if reader := _paged(page):
            n, said_here = reader.count(page, url)
            came += n
            announced = announced if urls else said_here
            following = reader.next_url(page, url)
        urls.append(url)
    if announced is not None and came < announced:
        problems.append(f"{first}: {announced:,} were announced, {came:,} came")
    visits.forget_others(urls)


def _paged(page: bytes) -> Paged | None:
    """The reader of a page that may go on elsewhere; None where it does not, or is unreadable."""
    try:
        reader = find_reader(page)
    except UnreadablePage:
        return None
    return reader if isinstance(reader, Paged) else None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            # One byte more tells a page that is too large, whatever its size.
            return opened.read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise UnreadablePage("a file", f"{error.strerror}") from None


def _note(sessions: Sessions, source: SourceSettings, report: SourceReport, at: datetime) -> None:
    """Keep how a run went, for itself and as part of its day."""
    state = {
        "last_run_at": at,
        "verdict": report.verdict,
        "detail": report.detail[:2000],
        "n_listings": report.n_listings,
    }
    if report.verdict != "unreachable":
        state["last_read_at"] = at
    if report.n_news:
        state["last_news_at"] = at
    day = {"source": source.name, "day": at.astimezone(ZoneInfo(source.timezone)).date()}
    with sessions() as session:
        session.execute(
            insert(session, SourceState)
            .values(name=source.name, **state)
            .on_conflict_do_update(index_elements=["name"], set_=state)
        )
        # The row above is locked until the end, so that two runs add up.
        row = session.get(SourceDayRow, tuple(day.values()))
        verdict = of_the_day(row.verdict if row else None, report.verdict)
        if row is None:
            row = SourceDayRow(**day, verdict=verdict, detail="", n_listings=0)
            session.add(row)
        if verdict == report.verdict:
            row.detail = report.detail[:2000]
        row.verdict = verdict
        row.n_listings += report.n_listings


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
