"""Taking pages in is measured on the files of a folder, in a database of its own."""

import json
from pathlib import Path

from digest.evaluation.ingesting import measure_ingesting
from tests.cli.conftest import digest, done
from tests.sources.test_readers import PAGES


def test_files_listings_papers_and_memory_are_told(tmp_path: Path) -> None:
    for name, page in PAGES.items():
        (tmp_path / name).write_bytes(page)
    (tmp_path / "broken").write_bytes(b"Dear all, hello.")
    told: list[int] = []
    found = measure_ingesting(tmp_path, progress=told.append)
    assert (found.files, found.unreadable) == (len(PAGES) + 1, 1)
    assert sum(told) == found.files
    assert found.listings == 3 * len(PAGES)
    assert 0 < found.papers < found.listings
    assert found.papers + found.merges == found.listings
    assert found.per_second > 0
    first, second, third = found.peak_mb
    assert 50 < first <= second <= third < 5000


def test_the_command_prints_one_object(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(PAGES["arxiv-days"])
    printed = json.loads(done("bench", "ingest", tmp_path, "--json").out)
    assert (printed["files"], printed["listings"], printed["papers"]) == (1, 3, 3)
    assert len(printed["peak_mb"]) == 3
    assert "peak_mb" in done("bench", "ingest", tmp_path).out
    (tmp_path / "empty").mkdir()
    assert "holds no files" in digest("bench", "ingest", tmp_path / "empty").error
