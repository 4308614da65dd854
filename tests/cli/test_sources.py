"""`digest sources`: what each run ends with, what is told of the days, and reading again."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from digest.cli import sources as door
from digest.store import open_database
from digest.store.tables import Page
from tests.cli.conftest import digest, done
from tests.engine.world import page
from tests.sources.arxiv_pages import rss
from tests.sources.test_fetch import HERE, Site, serving

# A Friday.
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AGAIN = "the same papers again, where those of Monday, 23 November were due"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock of these commands."""
    return lambda now: monkeypatch.setattr(door, "now", lambda: now)


def settings(*names: str, url: str = "") -> None:
    tables = [f'[[sources]]\nname = "{name}"\npath = "{name}"\n' for name in names]
    if url:
        tables += [f'[fetch]\nallow = ["{HERE}"]\n', f'[[sources]]\nname = "web"\nurl = "{url}"\n']
    Path("digest.toml").write_text("".join(tables))


def put(name: str, *pages: bytes) -> None:
    Path(name).mkdir(exist_ok=True)
    for n, content in enumerate(pages):
        Path(name, f"{n}.page").write_bytes(content)


def test_the_exit_status_is_that_of_the_worst_verdict(
    home: Path, at: Callable[[datetime], None]
) -> None:
    at(NOON)
    good = page(NOON.date(), {"Graphs": "We study graphs."})
    put("fresh", good)
    put("quiet")
    put("stale", rss())
    put("partial", page(NOON.date(), {"Robots": "We study robots."}), b"[{]")
    put("unreadable", b"[{]")
    settings("fresh", "quiet", "stale", "partial", "unreadable", "unreachable")
    for name, status in {
        "fresh": 0, "quiet": 0, "stale": 1, "partial": 2, "unreachable": 1, "unreadable": 2,
    }.items():  # fmt: skip
        said = digest("sources", "run", name, "--json")
        assert (said.status, said.json[0]["verdict"]) == (status, name)
    assert digest("sources", "run").status == 2
    assert digest("sources", "run", "quiet", "unreachable").status == 1
    rows = done("sources", "list", "--json").json
    assert [row["verdict"] for row in rows[1:]] == [row["name"] for row in rows[1:]]
    assert [day["verdict"] for day in rows[0]["days"]] == ["fresh"]


def test_the_days_of_the_last_week_are_listed(home: Path, at: Callable[[datetime], None]) -> None:
    settings("daily")
    put("daily", page(NOON.date(), {"Graphs": "We study graphs."}))
    for n, verdict in enumerate(("fresh", "quiet", "quiet", "stale")):
        at(NOON + n * DAY)
        said = digest("sources", "run", "--json")
        assert said.json[0]["verdict"] == verdict
    (row,) = done("sources", "list", "--json").json
    assert [(day["day"], day["verdict"], day["detail"]) for day in row["days"]] == [
        ("2026-11-20", "fresh", "1 new listing"),
        ("2026-11-21", "quiet", "a weekend"),
        ("2026-11-22", "quiet", "a weekend"),
        (
            "2026-11-23",
            "stale",
            AGAIN,
        ),
    ]
    assert "1 fresh, 2 quiet, 1 stale" in done("sources", "list").out


def test_a_source_on_this_machine_is_fetched_only_where_it_is_allowed(home: Path) -> None:
    with serving() as url:
        Path("digest.toml").write_text(f'[[sources]]\nname = "web"\nurl = "{url}/page"\n')
        said = digest("sources", "run")
        assert said.status == 1
        assert "127.0.0.1, which is no public address, and not in [fetch] allow" in said.err
        assert Site.agents == []
        settings(url=f"{url}/page")
        assert digest("sources", "run").status == 2
        assert len(Site.agents) == 1


def test_pages_are_read_again(home: Path) -> None:
    put("daily", page(NOON.date(), {"Graphs": "We study graphs."}))
    settings("daily")
    done("sources", "run")
    said = done("sources", "reread", "--source", "daily", "--since", str(date(2026, 1, 1)))
    assert said.err == "1 pages were read again, and nothing has changed.\n"
    assert done("sources", "reread", "--json").json == []
    sessions = open_database(f"sqlite:///{home / 'digest.db'}")
    with sessions() as session:
        session.query(Page).update({"content": b"x\x9c\x03\x00\x00\x00\x00\x01"})
    sessions.engine.dispose()
    said = digest("sources", "reread", "--json")
    assert said.status == 2
    assert said.json[0]["problem"] == "expected a page of papers; found an empty file"


def test_a_day_that_is_none_is_refused(home: Path) -> None:
    assert digest("sources", "reread", "--since", "lately").error.startswith("date: must be a day")
