"""Opening the database: the only module that knows SQLite from PostgreSQL."""

import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, FromClause, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session

from digest.errors import BadSettings, ServiceUnreachable, WrongDatabase
from digest.settings import PostgresqlSettings, without_password
from digest.store.tables import Base

T = TypeVar("T")

_READ_ONLY = "digest_read_only"
# Values in one statement: SQLite takes 32,766, PostgreSQL twice as many.
_AT_ONCE = 5000
_GONE_MILLISECONDS = 30_000
# What SQLite says of a file in a folder that is missing or another's, or of one that is another's.
_NOT_LET = ("unable to open", "readonly")
# Who migrates holds this lock of PostgreSQL's, and waits so long for those of tables: whoever
# comes after a lock that is waited for waits, too.
_MIGRATING, _LOCK_SECONDS = 4_155_837, 10
_FULL = re.compile("disk is full|No space left on device")


class Sessions:
    """Hands out sessions: `with sessions() as session` is one transaction that writes.

    It commits when the block ends and rolls back when it raises. Keep it short: SQLite has one
    writer. `with sessions.reading()` cannot write: the database itself refuses.
    """

    def __init__(self, engine: Engine) -> None:
        """Serve sessions on `engine`, which `open_database` made."""
        self.engine = engine
        self.is_postgresql = engine.dialect.name == "postgresql"
        self._readers = engine.execution_options(
            **{_READ_ONLY: True, "postgresql_readonly": self.is_postgresql}
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

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One reading transaction that sees one state of all tables, however long it takes."""
        level = {"isolation_level": "REPEATABLE READ"} if self.is_postgresql else {}
        with _answered(), self._readers.execution_options(**level).connect() as connection:
            yield connection


def open_database(url: str, postgresql: PostgresqlSettings | None = None) -> Sessions:
    """Open `url` (sqlite:/// or postgresql://). Raises BadSettings or ServiceUnreachable."""
    # An error goes into the log, and the values of a statement hold addresses: they are left out.
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadSettings(
            f"database: {without_password(url)!r} is no database URL like sqlite:///digest.db"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        _keep_private(parsed.database)
        engine = create_engine(parsed, connect_args={"timeout": 30}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif parsed.get_backend_name() == "postgresql":
        if find_spec("psycopg") is None:
            raise BadSettings(
                "database: PostgreSQL needs its driver: install Digest as '.[postgres]'"
            )
        engine = _postgresql(parsed, postgresql or PostgresqlSettings())
    else:
        raise BadSettings(f"database: {parsed.drivername!r} is neither sqlite nor postgresql")
    try:
        engine.connect().close()
    except DatabaseError as error:
        engine.dispose()
        shown = engine.url.render_as_string(hide_password=True)
        if isinstance(error, OperationalError):
            said = _said(error)
            if any(words in said for words in _NOT_LET):
                said += "; its folder must be there, and both be writable for who runs this"
            raise ServiceUnreachable(f"cannot open the database {shown}: {said}") from None
        if "malformed" in _said(error):
            raise WrongDatabase(f"{shown} is damaged: restore a backup") from None
        raise WrongDatabase(f"{shown} is no database of Digest: {_said(error)}") from None
    return Sessions(engine)


def _keep_private(file: str | None) -> None:
    """Make the file of a new database, which is to hold addresses, for its owner alone."""
    if file and file != ":memory:" and not Path(file).exists():
        # Why it cannot be made, SQLite says.
        with suppress(OSError):
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def _postgresql(url: URL, settings: PostgresqlSettings) -> Engine:
    milliseconds = 1000 * settings.statement_seconds
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        hide_parameters=True,
        pool_size=settings.connections,
        max_overflow=0,
        connect_args={
            "connect_timeout": 10,
            # A server that is gone without a word is noticed.
            "tcp_user_timeout": _GONE_MILLISECONDS,
            "options": f"-c statement_timeout={milliseconds} "
            f"-c idle_in_transaction_session_timeout={milliseconds}",
        },
    )
    # Many rows without a RETURNING are one statement, too, and not as many as there are rows.
    engine.dialect.use_insertmanyvalues_wo_returning = True
    return engine


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except NoConnectionFree:
        raise ServiceUnreachable(
            "all connections to the database are in use; with PostgreSQL, set "
            "postgresql.connections higher"
        ) from None
    except OperationalError as error:
        # To write where one may only read is a fault of ours, not of the database.
        if "readonly" in str(error.orig):
            raise
        what = "has no room left" if _FULL.search(_said(error)) else "did not answer"
        raise ServiceUnreachable(f"the database {what}: {_said(error)}") from error


def _said(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0]


def insert(session: Session, table: type[Base] | FromClause) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    dialect = session.get_bind().dialect.name
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """The values without repetitions, in parts: a statement takes a limited number of them."""
    wanted = list(dict.fromkeys(values))
    return (wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins loses updates silently.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def wipe(sessions: Sessions, names: Collection[str]) -> bool:
    """Clear what a SQLite file may keep of deleted rows; whether none of `names` is in it still.

    Deleted rows are overwritten, and their traces are in the write-ahead log until it is emptied. A
    page that was rearranged may hold a copy, so the file is looked through (any case), and made
    anew where a name is found. One that is stored elsewhere stays. PostgreSQL overwrites what is
    deleted by its own VACUUM, and True is said without a look. Raises ServiceUnreachable where
    others keep the file busy.
    """
    engine = sessions.engine
    if engine.dialect.name != "sqlite" or engine.url.database in (None, "", ":memory:"):
        return True
    files = [Path(f"{engine.url.database}{ending}") for ending in ("", "-wal")]
    wanted = [name.lower().encode() for name in names]
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA query_only=OFF")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if not any(_holds(file, wanted) for file in files):
                return True
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError as error:
        raise ServiceUnreachable(
            "the rows are deleted; that the file is cleared of their traces, others prevent: "
            f"{error}; try sqlite3 {engine.url.database} VACUUM"
        ) from None
    return not any(_holds(file, wanted) for file in files)


def _holds(file: Path, wanted: Sequence[bytes]) -> bool:
    """Whether a file holds one of these, lower-case, in any case of ASCII letters."""
    longest, before = max(map(len, wanted)), b""
    if not file.exists():
        return False
    with file.open("rb") as opened:
        while part := opened.read(2**20):
            text = (before + part).lower()
            if any(name in text for name in wanted):
                return True
            before = part[-longest:]
    return False


def one_writer(session: Session, table: type[Base]) -> None:
    """Wait until no other transaction writes to `table`; SQLite has one writer as it is."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE {table.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """A connection to migrate on, one process at a time.

    On SQLite it is in one transaction that may make a table anew without deleting what hangs on its
    rows; SQLite heeds its pragma only between transactions: see "Making Other Kinds Of Table Schema
    Changes" in its documentation. On PostgreSQL every migration is one of its own. Raises
    WrongDatabase where a row would hang on nothing, ServiceUnreachable where tables are locked.
    """
    with _answered(), engine.connect() as connection:
        yield from (_migrating_sqlite if engine.dialect.name == "sqlite" else _in_turn)(connection)


def _migrating_sqlite(connection: Connection) -> Iterator[Connection]:
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise WrongDatabase("rows of the database name others that are not there")
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _in_turn(connection: Connection) -> Iterator[Connection]:
    # Making an index concurrently waits for all that look at its table, and takes its time.
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATING})
    connection.execute(text(f"SET lock_timeout = '{_LOCK_SECONDS}s'"))
    connection.commit()
    try:
        yield connection
    finally:
        # What was set ends with the connection, and so would the lock.
        connection.invalidate()
