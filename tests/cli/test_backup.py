import json
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, digest, done, stored


def test_a_backup_is_restored_elsewhere_and_the_next_day_goes_on(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored()
    made = json.loads(done("backup", "kept.gz", "--json").out)
    assert made["rows"]["subscribers"] == 1
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    done("restore", str(day / "kept.gz"))
    assert stored() == before
    assert (tmp_path / "new" / "digest.key").read_bytes() == (day / "digest.key").read_bytes()
    assert "ada@example.org" in done("subscribers", "list").out


def test_sqlite_moves_to_postgresql(
    day: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("backup", "kept.gz")
    papers = done("papers", "list", "--json").out
    monkeypatch.setenv("DIGEST_DATABASE", postgres_url)
    monkeypatch.setenv("DIGEST_SECRET_KEY", KEY)
    assert "set secret_key to the key of then" in digest("restore", "kept.gz").err
    monkeypatch.setenv("DIGEST_SECRET_KEY", (day / "digest.key").read_text())
    done("restore", "kept.gz")
    assert done("papers", "list", "--json").out == papers


def test_restoring_over_what_is_there_is_status_2(day: Path) -> None:
    done("backup", "kept.gz")
    refused = digest("restore", "kept.gz")
    assert (refused.status, "not empty" in refused.err) == (2, True)
