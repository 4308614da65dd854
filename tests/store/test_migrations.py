from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import delete, inspect, select, text
from sqlalchemy.exc import IntegrityError

from digest.store import Sessions, migrate, newest_revision, revision_of
from digest.store.migrate import _config
from digest.store.tables import Interest, Mute, Subscriber

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
    """Bring a database to a revision, down or up."""
    config = _config()
    with sessions.engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if revision == "base" else command.upgrade)(config, revision)


@pytest.fixture
def first(sessions: Sessions):
    """A database as the first release made it, with two subscribers and what they told."""
    move(sessions, "base")
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
            look.get_indexes("subscribers"),
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
    config = _config()
    with first.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    with first.reading() as session:
        assert session.execute(text("SELECT id FROM subscribers ORDER BY id")).all() == [(1,), (7,)]
        assert session.execute(text("SELECT count(*) FROM interests")).scalar() == 2
