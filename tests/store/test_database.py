import os
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError, StatementError

from digest.errors import BadSettings, ServiceUnreachable, WrongDatabase
from digest.store import (
    Sessions,
    insert,
    migrate,
    newest_revision,
    open_database,
    revision_of,
    wipe,
)
from digest.store.tables import Base, Lease, Page, VectorRow

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def lease(key: str, until: datetime = NOON) -> Lease:
    return Lease(key=key, owner="me", until=until, failures=0)


def _waits_for_nothing(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=0")


def test_models_and_migrations_agree(sessions: Sessions) -> None:
    with sessions.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_twice_changes_nothing(sessions: Sessions) -> None:
    assert revision_of(sessions) == newest_revision()
    assert migrate(sessions) is False


def test_a_database_from_a_newer_version_is_refused(sessions: Sessions) -> None:
    with sessions() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(WrongDatabase, match="newer than this program"):
            migrate(sessions)
    finally:
        with sessions() as session:
            session.execute(text(f"UPDATE alembic_version SET version_num = '{newest_revision()}'"))


def test_a_database_that_others_write_to_is_opened_one_that_they_lock_is_busy(
    sqlite_url: str,
) -> None:
    sessions = open_database(sqlite_url)
    sessions.engine.dispose()
    event.listen(sessions.engine, "connect", _waits_for_nothing, insert=True)
    other = sqlite3.connect(str(sessions.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert migrate(sessions) is False
    sessions.engine.dispose()
    other.execute("ROLLBACK")
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ServiceUnreachable, match="did not answer: database is locked"):
        migrate(sessions)
    other.close()
    sessions.engine.dispose()


def test_another_programs_database_is_refused(tmp_path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    with sessions() as session:
        session.execute(text("CREATE TABLE invoices (id INTEGER)"))
    with pytest.raises(WrongDatabase, match="another program"):
        migrate(sessions)
    sessions.engine.dispose()


def test_a_folder_that_is_not_there_is_told_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachable, match="its folder must be there, and both be writable"):
        open_database(f"sqlite:///{tmp_path / 'gone' / 'digest.db'}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digest.db").write_bytes(b"not a database at all, but long enough to be read " * 9)
    with pytest.raises(WrongDatabase, match="no database of Digest"):
        open_database(f"sqlite:///{tmp_path / 'digest.db'}")


def test_a_file_that_was_cut_off_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "digest.db"
    sessions = open_database(f"sqlite:///{file}")
    migrate(sessions)
    sessions.engine.dispose()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WrongDatabase, match="is damaged: restore a backup"):
        open_database(f"sqlite:///{file}")


def test_a_mistyped_url_hides_its_password() -> None:
    with pytest.raises(BadSettings, match="no database URL") as refusal:
        open_database("nonsense ://ada:secret@host/db")
    assert "secret" not in str(refusal.value)


def test_a_reading_session_cannot_write(sessions: Sessions) -> None:
    with (
        pytest.raises((OperationalError, InternalError), match=r"(?i)read.?only"),
        sessions.reading() as session,
    ):
        session.add(lease("a"))
        session.flush()
    with sessions() as session:
        session.add(lease("b"))
    with sessions.reading() as session:
        assert session.scalars(select(Lease.key)).all() == ["b"]


def test_an_error_in_the_block_undoes_the_whole_transaction(sessions: Sessions) -> None:
    with pytest.raises(IntegrityError), sessions() as session:
        session.add(lease("kept?"))
        session.flush()
        session.execute(
            insert(session, Lease).values(key="kept?", owner="", until=NOON, failures=0)
        )
    with sessions.reading() as session:
        assert session.scalars(select(Lease)).all() == []


def test_a_file_that_others_keep_busy_is_said_not_to_be_cleared(sqlite_url: str) -> None:
    sessions = open_database(sqlite_url)
    with sessions() as session:
        session.add(lease("ann@example.org"))
    with sessions.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA busy_timeout=0")
    other = sqlite3.connect(str(sessions.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        ServiceUnreachable, match=r"others prevent: database is locked; try sqlite3"
    ):
        wipe(sessions, ["ann@example.org"])
    other.close()
    assert not wipe(sessions, ["ann@example.org"])
    sessions.engine.dispose()


def test_a_new_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        sessions = open_database(f"sqlite:///{tmp_path / 'digest.db'}")
        migrate(sessions)
        with sessions.reading():
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        sessions.engine.dispose()
    finally:
        os.umask(before)
    assert modes["digest.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_instants_come_back_in_utc_whatever_zone_they_had(sessions: Sessions) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    with sessions() as session:
        session.add(lease("a", tokyo))
    with sessions.reading() as session:
        read = session.scalars(select(Lease.until)).one()
    assert (read, read.tzinfo) == (NOON, UTC)


def test_a_naive_datetime_is_refused(sessions: Sessions) -> None:
    with pytest.raises(StatementError, match="without a time zone"), sessions() as session:
        session.add(lease("a", NOON.replace(tzinfo=None)))


def test_vectors_come_back_bit_for_bit(sessions: Sessions) -> None:
    vector = np.random.default_rng(0).normal(size=384).astype(np.float32)
    with sessions() as session:
        session.add(VectorRow(encoder="e", text_hash="0" * 64, vector=vector))
    with sessions.reading() as session:
        read = session.scalars(select(VectorRow.vector)).one()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, vector)


def test_insert_or_ignore_makes_a_step_safe_to_run_twice(sessions: Sessions) -> None:
    row = {
        "source": "s", "reader": "r", "sha256": "0" * 64, "content": b"\x00", "page_date": None,
        "seen_at": NOON,
    }  # fmt: skip
    with sessions() as session:
        add = insert(session, Page).values(row).on_conflict_do_nothing().returning(Page.id)
        assert session.scalars(add).one_or_none() is not None
        assert session.scalars(add).one_or_none() is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("digest.db", "no database URL"),
        ("mysql://localhost/x", "neither sqlite nor postgresql"),
    ],
)
def test_a_wrong_url_says_what_is_allowed(url: str, said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        open_database(url)


def test_an_unreachable_server_is_said_without_the_password() -> None:
    with pytest.raises(ServiceUnreachable) as raised:
        open_database("postgresql://me:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in str(raised.value)


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'small.db'}")
    migrate(sessions)
    with pytest.raises(ServiceUnreachable, match="has no room left"), sessions() as session:
        pages = session.scalar(text("PRAGMA page_count"))
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        session.add(lease("x" * 1_000_000))
    sessions.engine.dispose()
