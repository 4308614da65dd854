"""What an operator may get wrong: one line says what is allowed, and nothing is stored of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.cli.conftest import PAGE, add_ada, digest, done, stored


def bad_page(name: str) -> Path:
    file = Path(name)
    match name:
        case "absent.txt":
            pass
        case "folder.txt":
            file.mkdir()
        case "empty.txt":
            file.touch()
        case "blank.txt":
            file.write_text("\n \n\t\n")
        case "binary.png":
            file.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 40)
        case "prose.txt":
            file.write_text("A shopping list.\n\nMilk, bread and a new kettle for the kitchen.\n")
        case "encoding.txt":
            file.write_bytes(PAGE.encode().replace(b" ", b"\xff\xfe\xfa ", 50))
        case "huge.txt":
            with file.open("wb") as opened:
                opened.write(PAGE.encode())
                opened.truncate(100_000_000)
        case "huge.json":
            with file.open("wb") as opened:
                opened.write(b"[")
                opened.truncate(100_000_000)
    return file


BAD_PAGES = [
    "absent.txt",
    "folder.txt",
    "empty.txt",
    "blank.txt",
    "binary.png",
    "prose.txt",
    "encoding.txt",
    "huge.txt",
    "huge.json",
]


@pytest.mark.parametrize("name", BAD_PAGES)
def test_a_page_that_cannot_be_read_is_one_line_and_nothing_is_stored(
    home: Path, name: str
) -> None:
    before = stored()
    said = digest("ingest", "page", bad_page(name))
    assert said.status == 2
    assert said.out == ""
    assert said.err.startswith(f"digest: {name}: expected ")
    assert said.err.splitlines()[1:] == ["No page was taken in."]
    assert stored() == before


def test_the_good_pages_beside_the_bad_ones_are_stored(home: Path) -> None:
    Path("good.txt").write_text(PAGE, encoding="utf-8")
    Path("page.txt").write_text(PAGE.replace("Nov 5", "Nov 6"), encoding="utf-8")
    files = ["good.txt", *map(bad_page, BAD_PAGES), "page.txt"]
    said = digest("ingest", "page", *files, "--json")
    assert said.status == 2
    assert [row["file"] for row in said.json] == ["good.txt", "page.txt"]
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == BAD_PAGES
    assert len(done("papers", "list", "--json", "--limit", 0).json) == said.json[0]["listings"]


def test_a_files_name_cannot_steer_the_terminal(home: Path) -> None:
    said = digest("ingest", "page", "\x1b[31mred\nblue.txt")
    assert said.err.splitlines()[0].startswith("digest: \\x1b[31mred blue.txt: expected ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["add", "ada"], "address: 'ada' is no e-mail address: "),
        (["add", ""], "address: '' is no e-mail address: "),
        (
            ["add", "ada@example.org", "--timezone", "Europe/Berlni"],
            "timezone: 'Europe/Berlni' is no time zone: an IANA name like Europe/Berlin or UTC; ",
        ),
        (
            ["add", "ada@example.org", "--hour", "24"],
            "hour: must be an hour from 0 to 23, not",
        ),
        (["add", "ada@example.org", "--hour", "7:30"], "hour: must be an hour from 0 to 23"),
        (
            ["add", "ada@example.org", "--frequency", "hourly"],
            "frequency: must be daily, weekdays or weekly, not 'hourly'",
        ),
        (["add", "ada@example.org", "--length", "0"], "length: must be a number of papers from 1"),
        (["add", "ada@example.org", "--mix", "half"], "mix: must be a number from 0 "),
        (
            ["add", "ada@example.org", "--min-probability", "30"],
            "min_probability: must be a probability from 0 to 1, or none, not '30'",
        ),
        (["list", "--state", "lost"], "state: one of pending, active, paused, "),
        (["pause", "bob@example.org", "--until", "soon"], "date: must be a day like 2026-11-20"),
        (["pause", "bob@example.org", "--until", "2020-01-01"], "until: must be a day to come"),
        (["pause", "bob@example.org", "--until", "9999-12-31"], "date: must be a day from 1990 to"),
        (["import", "absent.csv"], "cannot read absent.csv: No such file or directory"),
        (["import", "."], "cannot read .: Is a directory"),
    ],
)
def test_a_value_that_is_not_allowed_is_one_line_that_says_what_is(
    home: Path, options: list[str], said: str
) -> None:
    done("subscribers", "add", "bob@example.org")
    before = stored()
    assert digest("subscribers", *options).error.startswith(said)
    assert stored() == before


UNKNOWN = "nobody is subscribed as adda@example.org; did you mean ada@example.org?"


@pytest.mark.parametrize(
    "command",
    [
        "subscribers show {}",
        "subscribers pause {}",
        "subscribers resume {}",
        "subscribers remove {}",
        "subscribers remove {} --erase",
        "subscribers export {}",
        "profiles show {}",
        "profiles set-interest {} ir retrieval",
        "profiles remove-interest {} ir",
        "profiles mute {} --word GAN",
        "profiles unmute {} --word GAN",
        "profiles vote {} 1 up",
        "profiles reset {} --yes",
        "profiles export {}",
        "profiles import {} ada.json",
        "editions preview {}",
        "editions build {}",
        "editions show {}",
        "why {} 2026-11-20",
    ],
)
def test_an_unknown_subscriber_is_one_line_with_the_nearest(home: Path, command: str) -> None:
    add_ada()
    Path("ada.json").write_text("{}")
    assert digest(*command.format("adda@example.org").split()).error == UNKNOWN


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("why ada@example.org tomorrow", "date: must be a day like 2026-11-20, not 'tomorrow'"),
        ("editions show ada@example.org --date 2026-13-01", "date: must be a day like"),
        ("why ada@example.org 9999-12-31", "date: must be a day from 1990 to 2200, not 9999-12-31"),
        ("editions preview ada@example.org --date 0001-01-01", "date: must be a day from 1990 to"),
        ("editions show ada@example.org", "they have no edition yet"),
        ("papers show 99", "no paper is known as '99' (a number, arXiv id, DOI or title)"),
        ("profiles vote ada@example.org 99 up", "no paper is known as '99'"),
        ("sources run lost", "no source is named 'lost' in the settings; there are: none"),
        ("ingest page x.txt --source Not!", "source: a name has up to 40 of a-z, 0-9 and hyphens"),
        ("editions preview ada@example.org --folder file/in", "cannot write file/in/preview-"),
        ("--config lost.toml papers list", "cannot read lost.toml: No such file or directory"),
    ],
)
def test_what_is_not_there_is_one_line(encoded: Path, command: str, said: str) -> None:
    add_ada()
    Path("file").touch()
    assert digest(*command.split()).error.startswith(said)


def test_a_number_that_no_database_has_is_refused_and_as_a_limit_is_none(home: Path) -> None:
    said = digest("deliveries", "settle", 10**20, "--sent")
    assert said.status == 2
    assert "less than or equal to" in said.err
    assert done("papers", "list", "--limit", 10**30, "--json").json == []


def test_a_broken_settings_file_names_the_key_and_the_line(home: Path) -> None:
    Path("digest.toml").write_text("[smtp]\nhost = 'mail.example.org'\nport = 70000\n")
    said = digest("papers", "list").error
    assert said == "digest.toml, line 3: smtp.port: Input should be less than or equal to 65535"
    Path("digest.toml").write_text("[smtp\n")
    assert "(at line 1, column 6)" in digest("papers", "list").error


def test_a_database_of_a_newer_version_is_refused(home: Path) -> None:
    engine = create_engine("sqlite:///digest.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    said = digest("papers", "list").error
    assert "at revision 9999, newer than this program" in said
    assert "upgrade Digest" in said


def test_a_database_of_another_program_is_refused_and_left_alone(empty: Path) -> None:
    engine = create_engine("sqlite:///digest.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE songs (id INTEGER)"))
    assert "tables of another program (songs)" in digest("init").error
    assert inspect(engine).get_table_names() == ["songs"]
    engine.dispose()


# As a process of its own, where only what `main` prints counts


def test_a_refusal_is_one_line_with_status_2_and_no_traceback(home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "digest", "ingest", "page", b"caf\xe9.txt"],
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stdout == b""
    assert ran.stderr.startswith(b"digest: caf\\udce9.txt: expected a file; found No such")
    assert b"Traceback" not in ran.stderr


def test_a_terminal_that_knows_ascii_alone_still_gets_every_title(day: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "digest", "papers", "list", "--json"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert ran.stdout.isascii()


def test_a_page_of_which_a_part_is_broken_is_taken_in_and_told_of(home: Path) -> None:
    Path("page.csv").write_text("title,doi\nBees,\nRivers,10.1000/x\n,10.1000/y\nKettles,\n")
    said = done("ingest", "page", "page.csv", "--json")
    assert said.json[0]["listings"] == 3
    assert said.err == "digest: page.csv: 1 broken (line 4: a row without a title)\n"
