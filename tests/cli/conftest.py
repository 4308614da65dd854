"""The command as an operator types it, in a folder of its own, with an encoder of a few words."""

import json
import logging
import os
import re
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine

from digest.cli import main
from digest.store.tables import Base

PAGE = (
    files("digest.cli")
    .joinpath("demo_pages/day1.txt")
    .read_text(encoding="utf-8")
    .replace("{date}", "Nov 5")
)
KEY = "a secret key of the tests, long enough"


@dataclass(frozen=True)
class Done:
    """What a command left behind: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """Standard output, which must be an array of objects and nothing else."""
        rows = json.loads(self.out)
        assert isinstance(rows, list)
        assert all(isinstance(row, dict) for row in rows)
        return rows

    @property
    def error(self) -> str:
        """The one line on standard error, of a command that was refused."""
        assert self.status == 2, self
        assert self.err.startswith("digest: "), self
        assert self.err.count("\n") == 1, self
        return self.err.removeprefix("digest: ").rstrip("\n")


def digest(*args: object, stdin: bytes = b"") -> Done:
    """Run `digest ARGS` in this process."""
    status: Any = 0
    level = logging.getLogger("digest").level
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        patch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        patch.setattr(sys, "argv", ["digest", *map(str, args)])
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        finally:
            logging.getLogger("digest").setLevel(level)
    return Done(status, out.getvalue(), err.getvalue())


def done(*args: object) -> Done:
    """Run `digest ARGS`, which must succeed."""
    result = digest(*args)
    assert result.status == 0, result
    return result


def add_ada(*options: str) -> Done:
    """Subscribe ada@example.org."""
    return done("subscribers", "add", "ada@example.org", *options)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers model that knows the words of one page, each by a random vector."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = ["[UNK]", *sorted(set(re.findall(r"\w+", PAGE.lower())))]
    ids = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(7).normal(size=(len(words), 32)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)])
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def home(empty: Path, _sqlite_template: Path) -> Path:
    """A working folder with a migrated digest.db and no settings."""
    shutil.copy(_sqlite_template, empty / "digest.db")
    return empty


@pytest.fixture
def encoded(home: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where DIGEST_ENCODER names the tiny encoder."""
    monkeypatch.setenv("DIGEST_ENCODER", str(tiny_encoder))
    return home


@pytest.fixture(scope="session")
def _day(
    tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path, tiny_encoder: Path
) -> Path:
    folder = tmp_path_factory.mktemp("day")
    shutil.copy(_sqlite_template, folder / "digest.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DIGEST_ENCODER", str(tiny_encoder))
        live_a_day()
    return folder


@pytest.fixture
def day(_day: Path, encoded: Path) -> Path:
    """A working folder after one day: a page was read, and ada@example.org got her mail."""
    shutil.copytree(_day, encoded, dirs_exist_ok=True)
    return encoded


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_database(
    request: pytest.FixtureRequest, encoded: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder whose database is each kind in turn, empty."""
    if request.param == "postgresql":
        monkeypatch.setenv("DIGEST_DATABASE", request.getfixturevalue("postgres_url"))
        monkeypatch.setenv("DIGEST_SECRET_KEY", KEY)
    return encoded


def live_a_day() -> None:
    """Read a page, subscribe Ada, and let one tick do the rest."""
    Path("page.txt").write_text(PAGE, encoding="utf-8")
    done("ingest", "page", "page.txt")
    add_ada("--interest", "retrieval and question answering", "--length", "5")
    done("tick")


def stored() -> dict[str, list[str]]:
    """Every row of the database that a command would use, but for the mark of its key."""
    engine = create_engine(os.environ.get("DIGEST_DATABASE", "sqlite:///digest.db"))
    try:
        with engine.connect() as connection:
            return {
                table.name: sorted(map(str, connection.execute(table.select())))
                for table in Base.metadata.sorted_tables
                if table.name != "key_marks"
            }
    finally:
        engine.dispose()
