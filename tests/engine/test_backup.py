import gzip
import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text

from digest.engine import backup as module
from digest.engine.app import open_app
from digest.engine.backup import back_up, restore
from digest.errors import BadInput, BadSettings, WrongDatabase
from digest.settings import Settings
from digest.store import Sessions, migrate, newest_revision, open_database, revision_of
from digest.store.tables import Base, Subscriber, Suppression
from tests.engine.world import SEVEN, settings_of
from tests.store.full import everything, fill


def all_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    sessions = open_database(url)
    try:
        with sessions.reading() as session:
            return everything(session)
    finally:
        sessions.engine.dispose()


def filled(url: str) -> None:
    sessions = open_database(url)
    with sessions() as session:
        fill(session)
    sessions.engine.dispose()


def emptied(url: str) -> None:
    sessions = open_database(url)
    with sessions() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    sessions.engine.dispose()


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_every_row_of_every_table_comes_back_in_either_database(
    tmp_path: Path, database_url: str, into: str, request: pytest.FixtureRequest
) -> None:
    filled(database_url)
    before = all_of(database_url)
    assert all(len(rows) == 3 for rows in before.values())
    # Which key a database is used with is asked of it anew.
    assert set(before) == {*Base.metadata.tables} - {"key_marks"}
    made = back_up(settings_of(tmp_path, database_url), tmp_path / "kept.gz", now=SEVEN)
    if into == "postgresql":
        target = request.getfixturevalue("postgres_url")
        emptied(target)
    else:
        target = f"sqlite:///{tmp_path / 'other.db'}"
    told = restore(settings_of(tmp_path, target), made.file)
    assert told.rows == dict.fromkeys(before, 3)
    assert all_of(target) == before
    again = back_up(settings_of(tmp_path, target), tmp_path / "again.gz", now=SEVEN)
    assert _tables_in(again.file) == _tables_in(made.file)


def _tables_in(file: Path) -> dict[str, set[str]]:
    """The rows of each table as JSON objects; columns may stand in another order."""
    found: dict[str, set[str]] = {}
    head: dict[str, object] = {}
    for line in gzip.decompress(file.read_bytes()).decode().split("\n")[1:-1]:
        value = json.loads(line)
        if isinstance(value, dict):
            head = value
            found[value["table"]] = set()
        else:
            row = dict(zip(head["columns"], value, strict=True))
            found[head["table"]].add(json.dumps(row, sort_keys=True))
    return found


def test_the_number_of_an_erased_subscriber_is_not_given_again_after_a_restore(
    tmp_path: Path, database_url: str
) -> None:
    settings = settings_of(tmp_path, database_url)
    filled(database_url)
    sessions = open_database(database_url)
    with sessions() as session:
        if not database_url.startswith("sqlite"):
            session.execute(text("SELECT setval('subscribers_id_seq', 3)"))
        session.execute(delete(Subscriber).where(Subscriber.id == 3))
    sessions.engine.dispose()
    back_up(settings, tmp_path / "kept.gz", now=SEVEN)
    emptied(database_url)
    target = settings_of(tmp_path, f"sqlite:///{tmp_path / 'other.db'}")
    for at in (target, settings) if not database_url.startswith("sqlite") else (target,):
        restore(at, tmp_path / "kept.gz")
        sessions = open_database(at.database)
        with sessions() as session:
            row = session.get_one(Subscriber, 1)
            values = {c.name: getattr(row, c.name) for c in Subscriber.__table__.columns}
            new = Subscriber(**{**values, "id": None, "address_key": "new@example.org"})
            session.add(new)
            session.flush()
            assert new.id == 4
        sessions.engine.dispose()


def test_a_backup_is_of_one_instant_though_rows_are_written_meanwhile(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(database_url)
    before = all_of(database_url)
    counted = module.count_rows

    def write_between(connection: object) -> dict[str, int]:
        rows = counted(connection)  # type: ignore[arg-type]

        def write() -> None:
            sessions = open_database(database_url)
            with sessions() as session:
                session.add(Suppression(address_hash="f" * 64, reason="later", at=SEVEN))
            sessions.engine.dispose()

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(module, "count_rows", write_between)
        back_up(settings_of(tmp_path, database_url), tmp_path / "kept.gz", now=SEVEN)
    target = f"sqlite:///{tmp_path / 'other.db'}"
    restore(settings_of(tmp_path, target), tmp_path / "kept.gz")
    assert len(all_of(database_url)["suppressions"]) == 4
    assert all_of(target) == before


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Path:
    """A backup of rows in every table, to be looked at."""
    folder = tmp_path_factory.mktemp("kept")
    url = f"sqlite:///{shutil.copy(_sqlite_template, folder / 'digest.db')}"
    filled(url)
    return back_up(settings_of(folder, url), folder / "kept.gz", now=SEVEN).file


@pytest.fixture
def kept(made: Path, tmp_path: Path) -> Path:
    """The same, to do with as one likes."""
    return Path(shutil.copy2(made, tmp_path))


@pytest.fixture
def target(tmp_path: Path) -> Settings:
    return settings_of(tmp_path, f"sqlite:///{tmp_path / 'other.db'}")


def test_only_its_owner_may_read_a_backup_and_nothing_unfinished_is_left(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in made.parent.iterdir() if "kept" in file.name] == ["kept.gz"]


def test_a_folder_gets_a_file_named_by_the_instant(tmp_path: Path, sqlite_url: str) -> None:
    made = back_up(settings_of(tmp_path, sqlite_url), tmp_path, now=SEVEN)
    assert made.file == tmp_path / "digest-2026-03-02-070000.jsonl.gz"


def test_night_after_night_a_folder_that_was_not_there_gets_a_file(
    tmp_path: Path, sqlite_url: str
) -> None:
    for night in range(2):
        now = SEVEN + timedelta(days=night)
        back_up(settings_of(tmp_path, sqlite_url), tmp_path / "nights", now=now)
    assert sorted(file.name for file in (tmp_path / "nights").iterdir()) == [
        "digest-2026-03-02-070000.jsonl.gz",
        "digest-2026-03-03-070000.jsonl.gz",
    ]


def test_a_file_in_the_folders_place_stays(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "nights").write_text("notes")
    with pytest.raises(BadInput, match=r"cannot write to .*nights"):
        back_up(settings_of(tmp_path, sqlite_url), tmp_path / "nights", now=SEVEN)
    assert (tmp_path / "nights").read_text() == "notes"


def test_no_file_is_overwritten(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "kept.gz").write_text("yesterday's")
    with pytest.raises(BadInput, match="is there already"):
        back_up(settings_of(tmp_path, sqlite_url), tmp_path / "kept.gz", now=SEVEN)
    assert (tmp_path / "kept.gz").read_text() == "yesterday's"


def test_a_database_without_tables_has_nothing_to_back_up(target: Settings, tmp_path: Path) -> None:
    with pytest.raises(WrongDatabase, match="nothing to back up"):
        back_up(target, tmp_path / "kept.gz", now=SEVEN)


def test_a_database_that_holds_something_is_refused_and_keeps_it(
    kept: Path, tmp_path: Path, sqlite_url: str
) -> None:
    filled(sqlite_url)
    before = all_of(sqlite_url)
    with pytest.raises(WrongDatabase, match="not empty"):
        restore(settings_of(tmp_path, sqlite_url), kept)
    assert all_of(sqlite_url) == before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda whole: whole[:-200], "not whole"),
        (lambda whole: whole[:800] + b"\0\0\0\0" + whole[804:], "damaged|no backup"),
        (lambda _: b"not compressed at all", "no backup of Digest"),
        (lambda _: b"", "no backup of Digest"),
        (lambda _: gzip.compress(b'{"some": "JSON"}\n'), "no backup of Digest"),
        (
            lambda whole: gzip.compress(b"\n".join(gzip.decompress(whole).splitlines()[:-2])),
            "rows are missing",
        ),
        (
            lambda whole: gzip.compress(
                gzip.decompress(whole).replace(b'"format": 1', b'"format": 9')
            ),
            "newer Digest",
        ),
    ],
)
def test_a_spoilt_backup_is_refused_and_leaves_the_database_empty(
    kept: Path, target: Settings, spoil: object, said: str
) -> None:
    kept.write_bytes(spoil(kept.read_bytes()))
    with pytest.raises(BadInput, match=said):
        restore(target, kept)
    assert not any(all_of(target.database).values())


def test_the_key_that_stands_beside_the_database_goes_along(
    tmp_path: Path, sqlite_url: str
) -> None:
    keyless = {"secret_key": None}
    here = settings_of(tmp_path, sqlite_url).model_copy(update=keyless)
    app = open_app(here)
    app.sessions.engine.dispose()
    made = back_up(here, tmp_path / "kept.gz", now=SEVEN)
    assert made.with_key
    (tmp_path / "new").mkdir()
    there = settings_of(tmp_path / "new", f"sqlite:///{tmp_path / 'new' / 'digest.db'}")
    there = there.model_copy(update=keyless)
    whole = made.file.read_bytes()
    made.file.write_bytes(whole[:-200])
    with pytest.raises(BadInput):
        restore(there, made.file)
    assert not (tmp_path / "new" / "digest.key").exists()
    made.file.write_bytes(whole)
    restore(there, made.file)
    assert (tmp_path / "new" / "digest.key").read_bytes() == app.secret


def test_another_key_is_refused_for_it_would_lose_every_link_and_suppression(
    kept: Path, target: Settings
) -> None:
    other = Settings.model_validate({**target.model_dump(), "secret_key": "another key"})
    with pytest.raises(BadSettings, match="another key than the one of the backup"):
        restore(other, kept)
    assert not any(all_of(target.database).values())


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    tmp_path: Path, database_url: str, target: Settings
) -> None:
    from tests.store.test_migrations import go_back, migrate

    sessions: Sessions = open_database(database_url)
    try:
        go_back(sessions, "0002")
        with sessions() as session:
            fill(session)
            before = everything(session)
        back_up(settings_of(tmp_path, database_url), tmp_path / "old.gz", now=SEVEN)
    finally:
        migrate(sessions)
        sessions.engine.dispose()
    restore(target, tmp_path / "old.gz")
    restored = open_database(target.database)
    assert revision_of(restored) == newest_revision()
    with restored.reading() as session:
        assert session.scalars(select(Subscriber.address).order_by(Subscriber.id)).all() == [
            row[0] for row in before["subscribers"]
        ]
        after = everything(session)
    assert {name: len(rows) for name, rows in after.items() if name in before} == dict.fromkeys(
        before, 3
    )
    restored.engine.dispose()


def test_a_key_that_the_backup_does_not_hold_is_asked_for_and_none_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    sessions = open_database(url)
    migrate(sessions)
    sessions.engine.dispose()
    own = Settings.model_validate({"database": url, "secret_key": "a key of our own"})
    made = back_up(own, tmp_path / "kept.gz", now=SEVEN)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with pytest.raises(BadSettings, match=r"does not hold its key.*set secret_key"):
        restore(Settings(database=f"sqlite:///{fresh / 'digest.db'}"), made.file)
    assert not (fresh / "digest.key").exists()
