"""Opening the database: the only module that knows SQLite from PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import Session

from digest.errors import BadSettings, ServiceUnreachable, WrongDatabase
from digest.settings import without_password
from digest.store.tables import Base

_READ_ONLY = "digest_read_only"


class Sessions:
    """Hands out sessions: `with sessions() as session` is one transaction that writes.

    It commits when the block ends and rolls back when it raises. Keep it short: SQLite has one
    writer. `with sessions.reading()` cannot write: the database itself refuses.
    """

    def __init__(self, engine: Engine) -> None:
        """Serve sessions on `engine`, which `open_database` made."""
        self.engine = engine
        self._readers = engine.execution_options(
            **{_READ_ONLY: True, "postgresql_readonly": engine.dialect.name == "postgresql"}
        )

    @contextmanager
    def __call__(self) -> Iterator[Session]:
        """One writing transaction. Raises ServiceUnreachable where the database is gone or busy."""
        with _answered(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One reading transaction, rolled back at its end. Raises ServiceUnreachable."""
        with _answered(), Session(self._readers, expire_on_commit=False) as session:
            yield session


def open_database(url: str) -> Sessions:
    """Open `url` (sqlite:/// or postgresql://). Raises BadSettings or ServiceUnreachable."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadSettings(
            f"database: {without_password(url)!r} is no database URL like sqlite:///digest.db"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": 30})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif parsed.get_backend_name() == "postgresql":
        if find_spec("psycopg") is None:
            raise BadSettings(
                "database: PostgreSQL needs its driver: install Digest as '.[postgres]'"
            )
        engine = create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    else:
        raise BadSettings(f"database: {parsed.drivername!r} is neither sqlite nor postgresql")
    try:
        engine.connect().close()
    except DatabaseError as error:
        engine.dispose()
        shown = engine.url.render_as_string(hide_password=True)
        if isinstance(error, OperationalError):
            raise ServiceUnreachable(f"cannot open the database {shown}: {_said(error)}") from None
        raise WrongDatabase(f"{shown} is no database of Digest: {_said(error)}") from None
    return Sessions(engine)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        # To write where one may only read is a fault of ours, not of the database.
        if "readonly" in str(error.orig):
            raise
        raise ServiceUnreachable(f"the database did not answer: {_said(error)}") from error


def _said(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0]


def insert(session: Session, table: type[Base]) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    dialect = session.get_bind().dialect.name
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins loses updates silently.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def one_writer(session: Session, table: type[Base]) -> None:
    """Wait until no other transaction writes to `table`; SQLite has one writer as it is."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE {table.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))
