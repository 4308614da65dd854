import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from digest import cli
from digest.cli import _NOUNS
from tests.cli.conftest import digest, done

# The commands that the issue of the first release promises.
PROMISED = """
status, evaluate, load-test, backup, restore, demo, init, doctor, serve, worker, tick, deliver, why,
deliveries list, deliveries uncertain, deliveries settle,
bounces ingest, bounces list,
suppressions add, suppressions list, suppressions check, suppressions remove, suppressions import,
ingest page, ingest source, papers list, papers show, papers search, sources list, sources run,
sources reread,
subscribers add, subscribers list, subscribers show, subscribers pause, subscribers resume,
subscribers remove, subscribers import, subscribers export,
profiles show, profiles set-interest, profiles remove-interest, profiles mute, profiles unmute,
profiles vote, profiles reset, profiles export, profiles import,
editions preview, editions build, editions show, mail preview,
rankers list, rankers promote, rankers rollback, rankers interleave, rankers compare,
bench ranking, bench trending, bench summaries, bench scale, bench embed, bench delivery,
bench crash, bench ingest, bench web, bench cluster, replay
"""
COMMANDS = [command.strip() for command in PROMISED.replace("\n", " ").split(",")]


def test_no_command_is_missing_and_none_is_untested() -> None:
    found = set()
    for noun in _NOUNS:
        command = typer.main.get_command(import_module(f"digest.cli.{noun.replace('-', '_')}").app)
        found |= {f"{noun} {verb}" for verb in getattr(command, "commands", {})} or {noun}
    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_says_what_it_does_and_gives_an_example(command: str) -> None:
    text = done(*command.split(), "--help").out
    assert "Example" in text
    assert f"digest {command}" in " ".join(text.split())
    assert "completion" not in text


def test_tables_of_the_settings_are_named_in_the_help_with_their_brackets() -> None:
    assert "or no name, for [bounces]" in done("bounces", "ingest", "--help").out
    assert "A name of [rankers] in digest.toml" in done("rankers", "promote", "--help").out
    for file in Path(cli.__file__).parent.glob("*.py"):
        helps = re.findall(r"(?:help|epilog)=[^\n]*", file.read_text())
        assert not [text for text in helps if re.search(r"(?<!\\)\[[a-z]+\]", text)]


def test_the_help_names_every_command() -> None:
    text = done("--help").out
    assert all(noun in text for noun in _NOUNS)
    assert done("-h").out == text


def test_asking_for_nothing_shows_the_help() -> None:
    assert "Usage: digest" in digest().out + digest().err


def test_the_version_is_told() -> None:
    assert done("--version").out.startswith("digest 0.")


def test_help_imports_neither_torch_nor_the_database() -> None:
    code = (
        "import sys\n"
        "from digest.cli import main\n"
        "sys.argv = ['digest', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'sentence_transformers', 'sklearn', 'sqlalchemy', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"


def test_no_command_imports_torch_before_something_is_encoded() -> None:
    code = "import sys, digest.cli.editions, digest.cli.serve; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("command", ["papers", "papers list --limit -1", "nonsense"])
def test_a_command_that_is_none_is_status_2(command: str) -> None:
    assert digest(*command.split()).status == 2
