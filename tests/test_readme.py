"""The README keeps its word: its commands run, and it names every command there is."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from digest.cli import _NOUNS, app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "digest/cli/demo_pages/day1.txt").read_bytes()


def commands() -> list[str]:
    """The lines of the README's shell blocks, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=200
    )


def test_the_two_commands_come_first_and_ci_calls_the_second() -> None:
    demo, tests, *_ = commands()
    assert demo == "pip install -c constraints.txt . && digest demo"
    assert tests == "pip install -c constraints.txt -e '.[dev]' && pytest"
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_picture_comes_before_the_commands_and_is_there() -> None:
    pictures = re.findall(r'src(?:set)?="([^"]+)"', README)
    assert README.index(pictures[0]) < README.index("```sh")
    assert all((ROOT / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.slow
def test_the_demo_runs_as_the_readme_says(tmp_path: Path) -> None:
    done = run("digest demo", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9 mails are in digest-demo/outbox" in done.stdout


@pytest.mark.slow
def test_setting_up_for_a_lab_runs_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "page.txt").write_bytes(PAGE)
    lines = [line for line in commands() if line.startswith("digest ") and "demo" not in line]
    assert lines[0] == "digest init"
    assert lines[-1] == "digest serve"
    for line in lines[:-1]:
        done = run(line, tmp_path)
        # Without a source of its own a fresh installation is warned, not refused.
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "digest"), *shlex.split(lines[-1])[1:]],
        cwd=tmp_path,
        env={**os.environ, "DIGEST_WEB_PORT": "8973"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    try:
        assert any("Ready" in line for line in server.stderr)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0


def _real_commands() -> set[str]:
    """Every command of the program, like `papers list`."""
    from importlib import import_module

    found = set()
    for noun in _NOUNS:
        command = typer.main.get_command(import_module(f"digest.cli.{noun.replace('-', '_')}").app)
        verbs = getattr(command, "commands", {})
        found |= {f"{noun} {verb}" for verb in verbs} or {noun}
    return found


def _named_commands() -> set[str]:
    """Every command that the README names in backticks, `a|b` being two."""
    found = set()
    for text in re.findall(r"`digest ([a-z][^`]*)`", README):
        noun, *rest = text.replace("\\|", "|").split()
        verbs = rest[0] if rest and re.fullmatch(r"[a-z][a-z|-]*", rest[0]) else ""
        found |= {f"{noun} {verb}".strip() for verb in verbs.split("|")}
    return found


def test_the_readme_names_every_command_and_no_other() -> None:
    assert _named_commands() == _real_commands()


@pytest.mark.parametrize("noun", _NOUNS)
def test_every_noun_has_its_line_in_the_help(noun: str) -> None:
    from typer.testing import CliRunner

    assert f" {noun} " in CliRunner().invoke(app, ["--help"]).stdout
