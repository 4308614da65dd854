"""Several runs of a source at once, or runs that are killed: real processes, on both databases."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from digest.papers.collect import collect
from digest.settings import SourceSettings
from digest.store import Sessions, open_database
from digest.store.tables import ListingRow, Page, Paper, PaperKey, SourceDayRow
from tests.engine.world import page
from tests.sources.arxiv_pages import BEES, api, api_entry

FIVE = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
HERE = "127.0.0.1"
PAGES = 12
ARXIV = [{**BEES, "id": f"2603.{n:05}", "title": f"Hive {n}", "abstract": ""} for n in range(6)]
_processes = get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def run(url: str, source: SourceSettings) -> None:
    """One run of a source, as a process of its own does it."""
    sessions = open_database(url)
    try:
        collect(
            sessions, source, contact="me@example.org", clock=lambda: FIVE, allow=[HERE],
            wait=lambda _: None,
        )  # fmt: skip
    finally:
        sessions.engine.dispose()


def begun(url: str, source: SourceSettings) -> BaseProcess:
    process = _processes.Process(target=run, args=(url, source))
    process.start()
    return process


def counts(sessions: Sessions) -> dict[str, int]:
    with sessions.reading() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Page, ListingRow, Paper)
        }


def assert_whole(sessions: Sessions) -> None:
    """Every page is stored once, with all of its listings; every paper once, and is found."""
    assert counts(sessions) == {"pages": PAGES, "listings": 3 * PAGES, "papers": 2 * PAGES + 1}
    with sessions.reading() as session:
        titles = session.scalars(select(Paper.title)).all()
        assert len(set(titles)) == len(titles)
        keyed = select(PaperKey.paper_id)
        assert session.scalars(select(Paper.id).where(Paper.id.not_in(keyed))).all() == []
        per_page = select(func.count()).select_from(ListingRow).group_by(ListingRow.page_id)
        assert set(session.scalars(per_page)) == {3}


@pytest.fixture
def folder(tmp_path: Path) -> SourceSettings:
    """A source of many pages; each has two papers of its own, and one that all of them list."""
    (tmp_path / "pages").mkdir()
    for n in range(PAGES):
        papers = {title: f"We study {title}." for title in (f"Bees {n}", f"Rivers {n}", "Kettles")}
        (tmp_path / "pages" / f"{n:02}.json").write_bytes(page(FIVE.date(), papers))
    return SourceSettings(name="daily", path=tmp_path / "pages")


def test_runs_at_once_store_nothing_twice(
    sessions: Sessions, database_url: str, folder: SourceSettings
) -> None:
    together = [begun(database_url, folder) for _ in range(3)]
    for process in together:
        process.join(60)
    assert [process.exitcode for process in together] == [0, 0, 0]
    assert_whole(sessions)
    with sessions.reading() as session:
        assert session.scalars(select(SourceDayRow.n_listings)).all() == [3 * PAGES]


def test_a_run_that_is_killed_among_pages_loses_nothing(
    sessions: Sessions, database_url: str, folder: SourceSettings
) -> None:
    killed = 0
    for n in (1, PAGES // 3):
        process = begun(database_url, folder)
        while process.is_alive() and counts(sessions)["pages"] < n:
            pass
        process.kill()
        process.join(60)
        killed += process.exitcode == -9
        found = counts(sessions)
        # A page is stored with all of its listings, or not at all.
        assert found["listings"] == 3 * found["pages"]
        assert found["papers"] == 2 * found["pages"] + (found["pages"] > 0)
    assert killed > 0
    run(database_url, folder)
    assert_whole(sessions)


@pytest.fixture
def holding() -> Iterator[Any]:
    """A server of six results, three at once, that keeps the second three until it is let go."""
    asked, let_go = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = 3 if "start=3" in self.path else 0
            if start:
                asked.set()
                let_go.wait(60)
            entries = map(api_entry, ARXIV[start : start + 3])
            body = api(*entries, total=6, start=start, size=3)
            self.send_response(200)
            self.send_header("ETag", f'"{start}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # Who asked may have been killed.
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HERE, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://{HERE}:{server.server_port}/api/query?max_results=6"
    yield SourceSettings(name="arxiv", url=url), asked, let_go
    let_go.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_run_that_is_killed_while_it_waits_for_a_page_is_gone_on_with(
    sessions: Sessions, database_url: str, holding: Any
) -> None:
    source, asked, let_go = holding
    process = begun(database_url, source)
    assert asked.wait(60)
    process.kill()
    process.join(60)
    assert (process.exitcode, counts(sessions)["listings"]) == (-9, 3)
    let_go.set()
    run(database_url, source)
    assert counts(sessions) == {"pages": 2, "listings": 6, "papers": 6}
