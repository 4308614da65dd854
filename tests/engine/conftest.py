from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.world import Installation, installed


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    """An installation on each kind of database in turn."""
    with installed(tmp_path, database_url) as world:
        yield world


@pytest.fixture
def one_world(tmp_path: Path, sqlite_url: str) -> Iterator[Installation]:
    """SQLite alone, for what does not depend on the database."""
    with installed(tmp_path, sqlite_url) as world:
        yield world
