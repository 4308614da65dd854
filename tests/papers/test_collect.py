from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from digest.errors import SourceUnreachable, UnreadablePage
from digest.papers.collect import (
    SourceReport,
    collect,
    due_sources,
    files_of,
    ingest_bytes,
    ingest_file,
    list_sources,
)
from digest.papers.ingest import read_before
from digest.settings import SourceSettings
from digest.store import Sessions, open_database
from digest.store.tables import Page, SourceState
from tests.engine.world import page

FIVE = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
BROKEN = b'[{"paper": {"title": 1}}]'


def source(path: Path, **more: object) -> SourceSettings:
    return SourceSettings.model_validate({"name": "daily", "path": path, **more})


def good(title: str) -> bytes:
    return page(FIVE.date(), {title: f"We study {title}."})


def run(sessions: Sessions, path: Path, at: datetime = FIVE) -> SourceReport:
    return collect(sessions, source(path), contact="digest@example.org", clock=lambda: at)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """An empty folder for a source to read."""
    (tmp_path / "pages").mkdir()
    return tmp_path / "pages"


def state(sessions: Sessions) -> SourceState:
    with sessions.reading() as session:
        return session.scalars(select(SourceState)).one()


class TestPath:
    def test_a_file_is_itself(self, tmp_path: Path) -> None:
        (tmp_path / "page.json").write_bytes(b"")
        assert files_of(tmp_path / "page.json") == [tmp_path / "page.json"]

    def test_a_folder_is_its_files_by_name_without_hidden_ones_and_folders(
        self, tmp_path: Path
    ) -> None:
        for name in ("b.txt", "a.json", ".DS_Store"):
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "c").mkdir()
        assert [file.name for file in files_of(tmp_path)] == ["a.json", "b.txt"]
        assert files_of(tmp_path / "c") == []

    def test_a_pattern_is_the_files_that_it_fits(self, tmp_path: Path) -> None:
        for name in ("day1.txt", "day2.txt", "notes.txt"):
            (tmp_path / name).write_bytes(b"")
        assert [file.name for file in files_of(tmp_path / "day*.txt")] == ["day1.txt", "day2.txt"]

    def test_a_name_that_looks_like_a_pattern_is_first_a_name(self, tmp_path: Path) -> None:
        (tmp_path / "day[1].txt").write_bytes(b"")
        assert files_of(tmp_path / "day[1].txt") == [tmp_path / "day[1].txt"]

    @pytest.mark.parametrize("name", ["missing", "missing/page.txt", "day*.txt", "file/page.txt"])
    def test_what_is_not_there_is_unreachable(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(SourceUnreachable, match="is not there"):
            files_of(tmp_path / name)


class TestVerdict:
    def test_new_pages_are_fresh_and_known_ones_quiet(
        self, sessions: Sessions, pages: Path
    ) -> None:
        (pages / "1.json").write_bytes(good("Graphs"))
        (pages / "2.json").write_bytes(good("Robots"))
        first, second = run(sessions, pages), run(sessions, pages)
        assert (first.verdict, first.n_listings, first.n_new_papers) == ("fresh", 2, 2)
        assert (second.verdict, second.n_listings, second.n_new_papers) == ("quiet", 0, 0)
        assert [known.known for known in second.pages] == [True, True]
        assert state(sessions).detail == "nothing new since the run before"

    def test_one_new_page_among_known_ones_is_fresh(self, sessions: Sessions, pages: Path) -> None:
        (pages / "1.json").write_bytes(good("Graphs"))
        run(sessions, pages)
        (pages / "2.json").write_bytes(good("Robots"))
        assert run(sessions, pages).verdict == "fresh"
        assert (state(sessions).detail, state(sessions).n_listings) == ("1 new listing", 1)

    def test_a_source_that_stopped_is_stale(self, sessions: Sessions, pages: Path) -> None:
        (pages / "1.json").write_bytes(good("Graphs"))
        run(sessions, pages)
        later = run(sessions, pages, FIVE + timedelta(days=1))
        assert (later.verdict, later.detail) == (
            "stale",
            "the same papers again, where those of Tuesday, 3 March were due",
        )

    def test_an_empty_folder_is_quiet(self, sessions: Sessions, pages: Path) -> None:
        assert run(sessions, pages).verdict == "quiet"

    def test_a_page_of_which_a_part_is_broken_is_partial(
        self, sessions: Sessions, pages: Path
    ) -> None:
        (pages / "1.csv").write_bytes(b"title,doi\nBees,10.1000/x\n,10.1000/y\nRivers,\nKettles,")
        report = run(sessions, pages)
        assert (report.verdict, report.n_listings, report.n_refused) == ("partial", 3, 0)
        assert report.problems == ("1.csv: 1 broken (line 3: a row without a title)",)
        assert state(sessions).detail == report.problems[0]

    def test_a_bad_page_among_good_ones_is_told_and_stops_none(
        self, sessions: Sessions, pages: Path
    ) -> None:
        (pages / "0.json").write_bytes(BROKEN)
        (pages / "1.json").write_bytes(good("Graphs"))
        (pages / "2.bin").write_bytes(bytes(range(256)))
        report = run(sessions, pages)
        assert (report.verdict, report.n_new_papers) == ("partial", 1)
        assert [problem.split(":")[0] for problem in report.problems] == ["0.json", "2.bin"]
        assert state(sessions).detail == "; ".join(report.problems)

    @pytest.mark.parametrize("content", [b"", BROKEN, b"\x00\x01", b"Dear diary, nothing new."])
    def test_bad_pages_alone_are_unreadable_and_nothing_is_stored(
        self, sessions: Sessions, pages: Path, content: bytes
    ) -> None:
        (pages / "page").write_bytes(content)
        report = run(sessions, pages / "page")
        assert (report.verdict, report.pages) == ("unreadable", ())
        with sessions.reading() as session:
            assert session.scalars(select(Page)).all() == []

    def test_what_cannot_be_reached_is_noted_and_stays_due(
        self, sessions: Sessions, pages: Path
    ) -> None:
        with pytest.raises(SourceUnreachable):
            run(sessions, pages / "missing")
        row = state(sessions)
        assert (row.verdict, row.last_run_at, row.last_read_at) == ("unreachable", FIVE, None)
        with sessions.reading() as session:
            assert due_sources(session, [source(pages / "missing")], FIVE) != []

    def test_an_outage_keeps_the_time_of_the_last_answer(
        self, sessions: Sessions, pages: Path
    ) -> None:
        run(sessions, pages)
        with pytest.raises(SourceUnreachable):
            run(sessions, pages / "missing", FIVE + timedelta(days=1))
        assert state(sessions).last_read_at == FIVE


class TestDue:
    def hours(self, sessions: Sessions, read_at: datetime, now: datetime, **of: object) -> bool:
        with sessions() as session:
            session.merge(
                SourceState(
                    name="daily", last_run_at=read_at, last_read_at=read_at, verdict="quiet",
                    detail="", n_listings=0,
                )
            )  # fmt: skip
            session.flush()
            return bool(due_sources(session, [source(Path("x"), **of)], now))

    def test_a_new_source_is_due_at_once(self, sessions: Sessions) -> None:
        with sessions.reading() as session:
            assert due_sources(session, [source(Path("x"))], FIVE) == [source(Path("x"))]

    def test_it_is_due_again_at_its_next_hour_and_not_before(self, sessions: Sessions) -> None:
        noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        of = {"hours": (5, 17)}
        for now, expected in (
            (noon, False),
            (noon.replace(hour=16, minute=59), False),
            (noon.replace(hour=17), True),
            (noon + timedelta(days=3), True),
        ):
            assert self.hours(sessions, FIVE, now, **of) is expected

    def test_the_hours_are_those_of_the_sources_own_zone(self, sessions: Sessions) -> None:
        of = {"hours": (9,), "timezone": "Asia/Tokyo"}
        midnight = datetime(2026, 3, 2, tzinfo=UTC)
        assert self.hours(sessions, midnight - timedelta(hours=1), midnight, **of)
        assert not self.hours(
            sessions, midnight - timedelta(hours=1), midnight - timedelta(minutes=1), **of
        )

    @pytest.mark.parametrize("hour", [2, 23])
    @pytest.mark.parametrize(
        ("zone", "change"),
        [
            ("Europe/Berlin", "2026-03-29"),
            ("Europe/Berlin", "2026-10-25"),
            ("America/Nuuk", "2026-03-28"),
            ("Australia/Lord_Howe", "2026-10-04"),
        ],
    )
    def test_over_a_clock_change_it_is_due_once_a_day(
        self, sqlite_url: str, zone: str, change: str, hour: int
    ) -> None:
        sessions = open_database(sqlite_url)
        last = datetime.fromisoformat(f"{change}T06:00").replace(tzinfo=UTC) - timedelta(days=1)
        runs = 0
        for _ in range(48):
            now = last + timedelta(hours=1)
            runs += self.hours(sessions, last, now, hours=(hour,), timezone=zone)
            last = now
        assert runs == 2
        sessions.engine.dispose()


def test_sources_are_listed_in_the_settings_order_with_their_last_run(
    sessions: Sessions, pages: Path
) -> None:
    (pages / "1.json").write_bytes(good("Graphs"))
    run(sessions, pages)
    other = SourceSettings(name="api", url="https://papers.example.org/day", hours=(5, 17))
    with sessions.reading() as session:
        views = list_sources(session, [other, source(pages)])
    assert [(view.name, view.verdict, view.last_run_at) for view in views] == [
        ("api", None, None),
        ("daily", "fresh", FIVE),
    ]
    assert [view.place for view in views] == ["https://papers.example.org/day", str(pages)]


def test_a_long_complaint_is_kept_in_part(sessions: Sessions, pages: Path) -> None:
    for n in range(40):
        (pages / f"{n:03}.json").write_bytes(BROKEN)
    assert len("; ".join(run(sessions, pages).problems)) > 2000
    assert len(state(sessions).detail) == 2000


class TestOneFile:
    def test_its_papers_are_stored(self, sessions: Sessions, pages: Path) -> None:
        (pages / "1.json").write_bytes(good("Graphs"))
        report = ingest_file(sessions, "by-hand", pages / "1.json", at=FIVE)
        assert (report.source, report.n_listings, report.n_new_papers) == ("by-hand", 1, 1)

    @pytest.mark.parametrize(
        ("name", "found"),
        [("missing", "No such file"), (".", "Is a directory"), ("huge", "10 MB")],
    )
    def test_what_cannot_be_read_is_refused_in_a_line(
        self, sessions: Sessions, pages: Path, name: str, found: str
    ) -> None:
        with (pages / "huge").open("wb") as huge:
            huge.truncate(100_000_000)
        with pytest.raises(UnreadablePage, match=found):
            ingest_file(sessions, "by-hand", pages / name, at=FIVE)


def test_rows_of_sources_that_are_gone_do_no_harm(sessions: Sessions, pages: Path) -> None:
    run(sessions, pages)
    with sessions() as session:
        session.execute(update(SourceState).values(name="gone"))
        assert due_sources(session, [], FIVE) == []
        assert list_sources(session, []) == []


def test_a_page_that_is_known_is_told_of_and_not_parsed_again(sessions: Sessions) -> None:
    content = good("Bees")
    first = ingest_bytes(sessions, "pages", content, at=FIVE)
    again = ingest_bytes(sessions, "pages", content, at=FIVE)
    assert not first.known
    assert again == replace(first, n_new_papers=0, known=True, n_again=1)
    with sessions.reading() as session:
        assert read_before(session, "elsewhere", content) is None
