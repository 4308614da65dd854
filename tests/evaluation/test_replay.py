"""Past days are lived again: no paper twice, every thin day explained, what was missed found."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from digest.errors import BadInput
from digest.evaluation.replay import PERSONAS, days_of, replay
from tests.cli.conftest import digest
from tests.sources.test_readers import HF_DAILY
from tests.worlds import WordEncoder

# A Thursday.
FIRST = date(2026, 11, 19)


def page(day: date, subjects: list[str]) -> bytes:
    entries = []
    for n, subject in enumerate(subjects):
        paper = dict(HF_DAILY[0]["paper"])
        paper |= {
            "id": f"26{day:%m}.{day:%d}{n:03}",
            "title": f"{subject} number {n} of {day:%A}",
            "authors": [{"name": f"A. {subject} {day} {n}"}],
            "summary": f"We study the {subject.lower()} of {n} kinds on a {day:%A}.",
            "submittedOnDailyAt": f"{day}T02:00:00.000Z",
        }
        entries.append({"paper": paper, "numComments": 0})
    return json.dumps(entries).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thursday and Friday with papers, a weekend without a page, Monday unreadable, and Tuesday.

    A day of a year before lies far from them.
    """
    subjects = ["Robot grasp", "Video model", "Speech", "Code", "Search"]
    for n, many in ((0, 5), (1, 4), (5, 1)):
        day = FIRST + timedelta(days=n)
        (tmp_path / f"{day}.json").write_bytes(page(day, subjects * many))
    (tmp_path / "2025-11-19.json").write_bytes(page(date(2025, 11, 19), subjects))
    (tmp_path / "2026-11-23.json").write_bytes(b'[{"paper": {')
    (tmp_path / "notes.txt").write_bytes(b"not a day")
    return tmp_path


def test_the_last_stretch_of_days_is_lived(folder: Path) -> None:
    days = days_of(folder)
    assert [day.day for day in days] == [19, 20, 23, 24]
    with pytest.raises(BadInput, match="holds no file named by its day"):
        days_of(folder.parent)
    with pytest.raises(BadInput, match="is no folder"):
        days_of(folder / "notes.txt")


def test_every_day_and_reader_is_accounted_for(folder: Path) -> None:
    told: list[int] = []
    found = replay(days_of(folder), WordEncoder(), readers=3, progress=told.append)
    assert (found.first, found.last, len(found.days), sum(told)) == (
        FIRST,
        FIRST + timedelta(days=5),
        6,
        6,
    )
    assert found.repeats == 0
    assert found.papers == found.listings == 50
    assert found.editions == sum(day.editions for day in found.days) == 9
    assert [name.split(":")[0] for name in found.unreadable] == ["2026-11-23.json"]
    assert {day.day.day: day.why for day in found.days if day.why} == {
        21: "Saturday: no page of that day",
        22: "Sunday: no page of that day",
        23: "its page could not be read",
    }
    assert [reader.reader for reader in found.readers] == [one.name for one in PERSONAS[:3]]
    robots = found.readers[1]
    assert robots.theirs > robots.base > 0
    assert all(reader.editions == 3 and reader.votes for reader in found.readers)
    assert found.n_shown <= found.papers
    assert all(one.score >= one.bar for one in found.missed)


def test_the_command_refuses_a_folder_without_days(tmp_path: Path) -> None:
    assert "holds no file named by its day" in digest("replay", tmp_path).error
