"""How fast pages are taken in, and that memory does not grow with their number."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from digest.errors import BadInput, UnreadablePage
from digest.papers.collect import files_of, ingest_file
from digest.store import Sessions, migrate, open_database
from digest.store.tables import ListingRow, Paper, PaperLink, PaperNews


@dataclass(frozen=True, slots=True)
class Ingesting:
    """What `measure_ingesting` measured.

    `listings` counts what the pages say, `merges` those of them whose paper was known, `linked` the
    pairs of papers of one work. `peak_mb` is the most memory that the process had had after each
    third of the files.
    """

    files: int
    unreadable: int
    listings: int
    papers: int
    merges: int
    linked: int
    news: int
    seconds: float
    per_second: float
    peak_mb: tuple[float, float, float]


def measure_ingesting(
    folder: Path, *, progress: Callable[[int], None] = lambda _n: None
) -> Ingesting:
    """Take in every file of a folder, in the order of their names, into an SQLite of its own.

    Raises BadInput for a folder without files, and SourceUnreachable where there is none.
    """
    files = files_of(folder)
    if not files:
        raise BadInput(f"{folder} holds no files")
    at = datetime.now(UTC)
    n_listings = n_unreadable = 0
    peaks: list[float] = []
    with TemporaryDirectory(prefix="digest-bench-") as place:
        sessions = open_database(f"sqlite:///{Path(place) / 'bench.db'}")
        try:
            migrate(sessions)
            begun = time.perf_counter()
            for n, file in enumerate(files, start=1):
                try:
                    n_listings += ingest_file(sessions, folder.name, file, at=at).n_listings
                except UnreadablePage:
                    n_unreadable += 1
                while len(peaks) < 3 and n * 3 >= len(files) * (len(peaks) + 1):
                    peaks.append(_peak_mb())
                progress(1)
            seconds = time.perf_counter() - begun
            papers, linked, news, rows = _counted(sessions)
        finally:
            sessions.engine.dispose()
    first, second, third = peaks
    return Ingesting(
        files=len(files),
        unreadable=n_unreadable,
        listings=n_listings,
        papers=papers,
        merges=rows - papers,
        linked=linked,
        news=news,
        seconds=seconds,
        per_second=n_listings / seconds,
        peak_mb=(first, second, third),
    )


def _counted(sessions: Sessions) -> tuple[int, int, int, int]:
    with sessions.reading() as session:
        papers, linked, news, rows = (
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Paper, PaperLink, PaperNews, ListingRow)
        )
    return papers, linked, news, rows


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
