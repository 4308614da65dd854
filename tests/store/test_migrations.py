import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import delete, event, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from digest.store import Sessions, migrate, newest_revision, revision_of
from digest.store.database import migrating
from digest.store.deliveries import queue
from digest.store.dump import _tables
from digest.store.migrate import _config
from digest.store.tables import Delivery, Interest, ListingRow, Mute, PaperKey, Subscriber
from tests.store.full import fill

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ADD = """
INSERT INTO subscribers (id, address, address_key, state, timezone, hour, frequency, length, mix,
                         created_at)
VALUES (:id, :name, :name, 'active', 'UTC', 7, 'daily', 8, 0.75, '2026-03-01 12:00:00.000000')
"""
TELL = """
INSERT INTO interests (id, subscriber_id, name, text, text_hash, created_at)
VALUES (:id, :id, 'ir', 'retrieval', 'x', '2026-03-01 12:00:00.000000')
"""


def move(sessions: Sessions, revision: str) -> None:
    """Bring a database up to a revision."""
    config = _config()
    with migrating(sessions.engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def go_back(sessions: Sessions, revision: str) -> None:
    """Bring a database down to a revision."""
    config = _config()
    with migrating(sessions.engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


@pytest.fixture
def first(sessions: Sessions):
    """A database as the first release made it, with two subscribers and what they told."""
    go_back(sessions, "base")
    assert inspect(sessions.engine).get_table_names() == ["alembic_version"]
    try:
        move(sessions, "0001")
        with sessions() as session:
            for id_, name in ((1, "ann@example.org"), (7, "bob@example.org")):
                session.execute(text(ADD), {"id": id_, "name": name})
                session.execute(text(TELL), {"id": id_})
        yield sessions
    finally:
        migrate(sessions)


def test_a_database_of_the_first_release_is_brought_up_with_all_its_rows(first: Sessions) -> None:
    assert "min_probability" not in {
        c["name"] for c in inspect(first.engine).get_columns("subscribers")
    }
    assert migrate(first) is True
    assert revision_of(first) == newest_revision()
    with first.reading() as session:
        rows = session.scalars(select(Subscriber).order_by(Subscriber.id)).all()
        assert [(row.id, row.address, row.mix, row.min_probability) for row in rows] == [
            (1, "ann@example.org", 0.75, None),
            (7, "bob@example.org", 0.75, None),
        ]
        assert session.scalars(select(Interest.subscriber_id).order_by(Interest.id)).all() == [1, 7]
        assert session.scalars(select(Mute)).all() == []


def test_the_subscribers_table_keeps_its_constraints(first: Sessions) -> None:
    def constraints() -> object:
        look = inspect(first.engine)
        return (
            look.get_pk_constraint("subscribers"),
            look.get_unique_constraints("subscribers"),
            sorted(str(check) for check in look.get_check_constraints("subscribers")),
            {index["name"]: index["unique"] for index in look.get_indexes("subscribers")}.keys()
            - {
                "ix_subscribers_state_next_due_at",
                "ix_subscribers_state_next_due_at_id",
                "ix_subscribers_state_sunset_at_sign_at_confirmed_at",
            },
            look.get_foreign_keys("interests"),
        )

    before = constraints()
    migrate(first)
    assert constraints() == before
    for broken in ("state = 'lost'", "frequency = 'hourly'", "address_key = 'bob@example.org'"):
        with pytest.raises(IntegrityError), first() as session:
            session.execute(text(f"UPDATE subscribers SET {broken} WHERE id = 1"))


def test_the_number_of_an_erased_subscriber_is_never_given_again(first: Sessions) -> None:
    migrate(first)
    with first() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SELECT setval('subscribers_id_seq', 7)"))
        session.execute(delete(Subscriber).where(Subscriber.id == 7))
        assert session.scalars(select(Interest.subscriber_id)).all() == [1]
        row = Subscriber(
            address="cyd@example.org", address_key="cyd@example.org", state="active",
            timezone="UTC", hour=7, frequency="daily", length=8, mix=0.5, min_probability=0.25,
            created_at=NOON,
        )  # fmt: skip
        session.add(row)
        session.flush()
        assert row.id == 8
        session.add(Mute(subscriber_id=8, kind="word", text="GAN", created_at=NOON))
    with pytest.raises(IntegrityError), first() as session:
        session.add(Mute(subscriber_id=8, kind="journal", text="GAN", created_at=NOON))
    with first() as session:
        session.execute(delete(Subscriber).where(Subscriber.id == 8))
        assert session.scalars(select(Mute)).all() == []


def test_going_back_keeps_the_subscribers(first: Sessions) -> None:
    migrate(first)
    go_back(first, "0001")
    with first.reading() as session:
        assert session.execute(text("SELECT id FROM subscribers ORDER BY id")).all() == [(1,), (7,)]
        assert session.execute(text("SELECT count(*) FROM interests")).scalar() == 2


SENT = """
INSERT INTO deliveries (id, subscriber_id, kind, state, message_id, created_at, due_at, expires_at)
VALUES (3, 7, 'confirmation', 'sent', 'x', '2026-03-01 12:00:00.000000',
        '2026-03-01 12:00:00.000000', '2026-03-02 12:00:00.000000')
"""
TRIED = """
INSERT INTO attempts (id, delivery_id, at, state, code, reply)
VALUES (5, 3, '2026-03-01 12:00:00.000000', 'sent', 250, 'ok')
"""


class Killed(Exception):
    """The process ended there."""


@contextmanager
def killed_before(sessions: Sessions, done: set[str], most: int) -> Iterator[None]:
    """Kill whoever is about to run a statement online that is not `done`, once for each."""

    def look(_c: object, _cursor: object, said: str, *_more: object) -> None:
        online = re.search(r"CONCURRENTLY|VALIDATE|NOT VALID", said)
        if online and said not in done and len(done) < most:
            done.add(said)
            raise Killed(said)

    event.listen(sessions.engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(sessions.engine, "before_cursor_execute", look)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("before", "after", "most"),
    [("0010", "0011", 1), pytest.param("0003", newest_revision(), 1000, marks=pytest.mark.slow)],
)
def test_a_migration_that_is_killed_goes_on_where_it_was(
    first: Sessions, before: str, after: str, most: int
) -> None:
    def tables() -> dict[str, object]:
        look = inspect(first.engine)
        return {
            name: (
                sorted(column["name"] for column in look.get_columns(name)),
                sorted(str(index) for index in look.get_indexes(name)),
                sorted(str(check) for check in look.get_check_constraints(name)),
            )
            for name in look.get_table_names()
        }

    def at_last(there: Callable[[], None]) -> None:
        done: set[str] = set()
        while True:
            n = len(done)
            with suppress(Killed), killed_before(first, done, most):
                there()
                assert n > 0
                return
            assert len(done) == n + 1

    move(first, after)
    whole = tables()
    at_last(lambda: go_back(first, before))
    assert revision_of(first) == before
    at_last(lambda: move(first, after))
    assert tables() == whole
    with first.reading() as session:
        unusable = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert session.scalar(text(unusable)) == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_while_all_subscribers_are_written_others_go_on_reading_them(first: Sessions) -> None:
    move(first, "0011")
    looked: list[int] = []

    def look(_c: object, _cursor: object, said: str, *_more: object) -> None:
        if said.startswith("UPDATE subscribers"):
            with first.engine.connect() as other:
                other.execute(text("SET LOCAL lock_timeout = '1s'"))
                looked.extend(other.scalars(text("SELECT id FROM subscribers ORDER BY id")))

    event.listen(first.engine, "before_cursor_execute", look)
    try:
        move(first, "0012")
    finally:
        event.remove(first.engine, "before_cursor_execute", look)
    assert looked == [1, 7]


_, *OLDER = [one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()]


@pytest.mark.parametrize("revision", [OLDER[0], OLDER[-1]])
def test_a_full_database_of_the_last_and_of_the_first_revision_is_brought_up_and_loses_nothing(
    first: Sessions, revision: str
) -> None:
    go_back(first, "base")
    move(first, revision)
    with first() as session:
        fill(session)
        before = rows_of(session)
    migrate(first)
    with first.reading() as session:
        after = rows_of(session)
    for table, rows in before.items():
        for old, new in zip(rows, after[table], strict=True):
            # What a table has gained since is allowed; what it had is as it was.
            assert old.items() <= new.items(), table


def rows_of(session: Session) -> dict[str, list[dict[str, object]]]:
    """The rows of every table by their columns' names, JSON and bytes as text."""
    found = {}
    for table in _tables(session.connection()):
        rows = session.execute(select(table).order_by(*table.primary_key))
        found[table.name] = [
            {name: repr(value) for name, value in row._mapping.items()} for row in rows
        ]
    return found


def test_what_hangs_on_a_mail_outlives_the_making_of_its_table_anew(first: Sessions) -> None:
    with first() as session:
        session.execute(text(SENT))
        session.execute(text(TRIED))
    migrate(first)
    with first() as session:
        assert session.execute(text("SELECT id, delivery_id FROM attempts")).all() == [(5, 3)]
        session.execute(text("UPDATE deliveries SET kind = 'goodbye'"))
    with pytest.raises(IntegrityError), first() as session:
        session.execute(text("UPDATE deliveries SET kind = 'advert'"))
    go_back(first, "0003")
    with first() as session:
        assert session.execute(text("SELECT id FROM deliveries")).all() == []


def test_the_number_of_a_mail_that_is_forgotten_is_never_given_again(first: Sessions) -> None:
    with first() as session:
        session.execute(text(SENT))
    migrate(first)
    with first() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SELECT setval('deliveries_id_seq', 3)"))
        session.execute(delete(Delivery))
        assert queue(session, kind="confirmation", subscriber_id=1, now=NOON) == 4
    go_back(first, "0014")
    with first() as session:
        assert session.execute(text("SELECT id, state FROM deliveries")).all() == [(4, "queued")]
    with pytest.raises(IntegrityError), first() as session:
        session.execute(text("UPDATE deliveries SET state = 'lost'"))


PAGE = """
INSERT INTO pages (id, source, reader, sha256, content, seen_at)
VALUES (1, 's', 'r', 'x', '', '2026-03-01 12:00:00.000000')
"""
PAPER = """
INSERT INTO papers (id, title, abstract, authors, text_hash, first_seen_at)
VALUES (:id, 't', '', '[]', 'x', '2026-03-01 12:00:00.000000')
"""
LISTING = """
INSERT INTO listings (id, page_id, paper_id, source, seen_at, position, title, facts)
VALUES (:id, 1, :id, 's', '2026-03-01 12:00:00.000000', 1, 't', :facts)
"""


def test_what_was_a_flag_among_the_facts_becomes_a_column(first: Sessions) -> None:
    move(first, "0004")
    with first() as session:
        session.execute(text(PAGE))
        for id_, facts in enumerate(("{}", '{"is_news": false}', '{"version": 2}'), 1):
            session.execute(text(PAPER), {"id": id_})
            session.execute(text(LISTING), {"id": id_, "facts": facts})
    migrate(first)
    with first.reading() as session:
        rows = session.scalars(select(ListingRow.is_news).order_by(ListingRow.id)).all()
        assert rows == [True, False, True]
    go_back(first, "0004")
    with first.reading() as session:
        assert session.execute(text("SELECT count(*) FROM listings")).scalar() == 3


KEY = "INSERT INTO paper_keys (key, paper_id) VALUES (:key, :id)"
VOTE = """
INSERT INTO votes (subscriber_id, paper_id, value, via, at)
VALUES (1, :id, 'up', 'import', '2026-03-01 12:00:00.000000')
"""


def test_what_only_a_library_names_is_set_apart(first: Sessions) -> None:
    move(first, "0014")
    with first() as session:
        session.execute(text(PAGE))
        for id_ in (1, 2):
            session.execute(text(PAPER), {"id": id_})
            session.execute(text(KEY), {"key": f"title:{id_}", "id": id_})
            session.execute(text(VOTE), {"id": id_})
        session.execute(text(LISTING), {"id": 1, "facts": "{}"})
    migrate(first)
    with first() as session:
        keys = session.scalars(select(PaperKey.key).order_by(PaperKey.paper_id))
        assert keys.all() == ["title:1", "library:title:2"]
        session.execute(text(KEY), {"key": "library:title:1", "id": 2})
        session.execute(text(KEY), {"key": "library:0123", "id": 2})
    go_back(first, "0014")
    with first.reading() as session:
        assert session.scalars(select(PaperKey.key).order_by(PaperKey.key)).all() == [
            "title:1",
            "title:2",
        ]
