import stat
from pathlib import Path

import pytest

from tests.cli.conftest import digest, done


def test_init_writes_the_settings_and_makes_the_database(empty: Path) -> None:
    said = done("init").out
    assert said.startswith("digest.toml: written; its comments say what can be set\n")
    assert "digest.db: up to date\n" in said
    assert "[smtp]" in Path("digest.toml").read_text()
    assert Path("digest.db").is_file()
    assert stat.S_IMODE(Path("digest.key").stat().st_mode) == 0o600


def test_init_again_keeps_the_settings_and_the_key(empty: Path) -> None:
    done("init")
    Path("digest.toml").write_text("[defaults]\nhour = 5\n")
    key = Path("digest.key").read_bytes()
    assert done("init").out.startswith("digest.toml: is there, and stays as it is\n")
    assert Path("digest.toml").read_text() == "[defaults]\nhour = 5\n"
    assert Path("digest.key").read_bytes() == key


def test_init_makes_the_file_that_config_names_and_its_folder(empty: Path) -> None:
    done("--config", "etc/mine.toml", "init")
    assert sorted(file.name for file in Path("etc").iterdir()) == [
        "digest.db",
        "digest.key",
        "mine.toml",
    ]
    assert list(empty.iterdir()) == [empty / "etc"]
    assert done("--config", "etc/mine.toml", "papers", "list", "--json").json == []


def test_init_where_nothing_can_be_written_is_one_line(empty: Path) -> None:
    Path("file").touch()
    said = digest("--config", "file/digest.toml", "init").error
    assert said == "cannot write file/digest.toml: Not a directory"


@pytest.mark.parametrize("command", ["tick", "papers list", "doctor", "backup kept", "worker"])
def test_in_a_wrong_folder_nothing_begins(empty: Path, command: str) -> None:
    said = digest(*command.split()).error
    assert said == (
        "neither digest.toml nor digest.db is here: name the settings with --config, "
        "or begin here with digest init"
    )
    assert list(empty.iterdir()) == []


def test_a_database_is_enough_or_a_variable_that_names_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert done("papers", "list", "--json").json == []
    assert sorted(file.name for file in home.iterdir()) == ["digest.db", "digest.key"]
    monkeypatch.setenv("DIGEST_DATABASE", "sqlite:///other.db")
    assert done("papers", "list", "--json").json == []
    assert Path("other.db").is_file()


def test_the_doctor_looks_at_every_part(encoded: Path) -> None:
    findings = {row["part"]: row for row in done("doctor", "--json").json}
    assert {"settings", "database", "encoder", "mail", "sources", "clock"} <= set(findings)
    assert findings["sources"] == {
        "part": "sources",
        "health": "warning",
        "said": "none is set",
        "fix": "add a [[sources]] table to digest.toml, or use digest ingest page",
    }
    assert "add a [[sources]] table" in done("doctor").out


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("DIGEST_DATABASE", "sqlite:////nowhere/digest.db", "database"),
        ("DIGEST_ENCODER", "/", "encoder"),
        ("DIGEST_SMTP_HOST", "127.0.0.1", "mail"),
    ],
)
def test_the_doctor_finds_a_fault_with_status_1_and_says_what_to_do(
    encoded: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, part: str
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DIGEST_SMTP_PORT", "1")
    said = digest("doctor", "--json")
    assert said.status == 1
    (fault,) = [row for row in said.json if row["health"] == "fault" and row["part"] == part]
    assert fault["said"]
    assert fault["fix"]
    assert digest("doctor").out.count(fault["fix"]) >= 1
