"""The world that tests live in: both databases, no network but loopback, a scrubbed environment."""

import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import Connection
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from threadpoolctl import threadpool_limits

from digest.store import Sessions, database, migrate, open_database
from digest.store.tables import Base

POSTGRES = os.environ.get(
    "TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)
RABBITMQ = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
# TRUNCATE makes every table's file anew, which takes ten times as long for a few rows.
_EMPTY = f"""
DO $$ BEGIN
{"".join(f"DELETE FROM {table.name};" for table in reversed(Base.metadata.sorted_tables))}
PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences
WHERE last_value IS NOT NULL;
END $$
"""
SERVICES_REQUIRED = os.environ.get("DIGEST_REQUIRE_SERVICES") == "1"

# What runs the tests in parallel sets it, and our tables would heed it.
os.environ.pop("COLUMNS", None)

# Workers share the cores already: more threads for small matrices only wait for one another. This
# is for libraries that are loaded later, and for processes; the others are told by a fixture.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("digest", deadline=None)
hypothesis.settings.load_profile("digest")


@pytest.fixture(autouse=True, scope="session")
def _statements_compiled_once() -> Iterator[None]:
    """What one test has had compiled, others need not: a third of the time of those that ask."""
    first: dict[str, Engine] = {}

    def shared(*args: Any, **kwargs: Any) -> Engine:
        engine = create_engine(*args, **kwargs)
        other = first.setdefault(engine.dialect.name, engine)
        engine.dialect, engine._compiled_cache = other.dialect, other._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", shared)
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_thread_for_matrices() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_syncing() -> Iterator[None]:
    """Nobody pulls the plug here, so that no commit need wait for the disk."""
    prepare = database._prepare_sqlite

    def unsynced(connection: Connection, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_prepare_sqlite", unsynced)
        yield


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("DIGEST_", "OTEL_")) and not name.startswith("DIGEST_REQUIRE_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] != "localhost":
            host = ipaddress.ip_address(address[0].split("%")[0])
            if not host.is_loopback:
                raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def need_service(reason: str) -> None:
    """Skip on a laptop, fail where CI says that the service must be there."""
    (pytest.fail if SERVICES_REQUIRED else pytest.skip)(reason)


@pytest.fixture(scope="session")
def _postgres_database() -> Iterator[str]:
    name = f"digest_test_{uuid4().hex[:12]}"
    server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
            connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    except OperationalError as error:
        server.dispose()
        need_service(f"needs PostgreSQL (TEST_POSTGRES_URL): {error.orig}")
    url = make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    sessions = open_database(url)
    migrate(sessions)
    sessions.engine.dispose()
    yield url
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "digest.db"
    sessions = open_database(f"sqlite:///{file}")
    migrate(sessions)
    sessions.engine.dispose()
    return file


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database."""
    shutil.copy(_sqlite_template, tmp_path / "digest.db")
    return f"sqlite:///{tmp_path / 'digest.db'}"


@pytest.fixture(scope="session")
def _postgres_emptied(_postgres_database: str) -> Iterator[Callable[[], None]]:
    engine = create_engine(_postgres_database)
    with engine.connect() as connection:

        def emptied() -> None:
            with connection.begin():
                connection.execute(text(_EMPTY))

        yield emptied
    engine.dispose()


@pytest.fixture
def postgres_url(_postgres_database: str, _postgres_emptied: Callable[[], None]) -> str:
    """A migrated, empty PostgreSQL database."""
    _postgres_emptied()
    return _postgres_database


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """Where a broker answers, as the settings name it."""
    at = urlsplit(RABBITMQ)
    try:
        socket.create_connection((at.hostname or "", at.port or 5672), timeout=5).close()
    except OSError as error:
        need_service(f"needs RabbitMQ (TEST_RABBITMQ_URL): {error}")
    return f"celery+{RABBITMQ}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn, migrated and empty."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    """Sessions on each kind of database in turn."""
    sessions = open_database(database_url)
    yield sessions
    sessions.engine.dispose()
