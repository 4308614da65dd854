import mailbox
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import String, cast, select, text

from digest.engine import App, open_app
from digest.engine.erase import erase_for_good
from digest.store.tables import Base, Bounce, Breaker, Interest, Subscriber
from digest.subscribers import ask_for_change
from tests.engine.world import SEVEN, Installation, settings_of
from tests.worlds import WordEncoder

# Long enough to be found where it stands alone, and in both spellings.
ADDRESS = "Canary.Of-The-Mine@Example.org"
KEY = ADDRESS.lower()


@pytest.fixture
def place(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    app = open_app(settings_of(tmp_path, database_url), encoder=WordEncoder())
    yield Installation(app, tmp_path / "pages")
    app.sessions.engine.dispose()


def live(place: Installation) -> int:
    """A subscriber with interests, an edition, its mail in the folder, and much around them."""
    place.publish("Graph networks", "Protein folding")
    who = place.subscribe(ADDRESS, interest="graph networks\nprotein folding")
    for i in range(40):
        place.subscribe(f"reader{i}@example.org", interest=f"topic {i}")
    assert place.tick().failed == ()
    with place.app.sessions() as session:
        row = session.get_one(Subscriber, 2)
        ask_for_change(session, row.id, ADDRESS, secret=place.app.secret, now=SEVEN)
        said = f"550 <{KEY}> is unknown"
        session.add(Bounce(sha256="0" * 64, at=SEVEN, kind="unknown", status="5.1.1", said=said))
        session.add(Breaker(name="sending", until=SEVEN, failures=1, reason=said))
        session.add(Interest(subscriber_id=who, name="x", text=ADDRESS, text_hash="x",
                             created_at=SEVEN))  # fmt: skip
    # Rows come and go, as they do in years, and pages of the file are rearranged.
    for i in range(40):
        with place.app.sessions() as session:
            session.execute(
                text("UPDATE subscribers SET address = :new WHERE id = :who"),
                {"new": ADDRESS + "x" * i, "who": who},
            )
    with place.app.sessions() as session:
        session.execute(
            text("UPDATE subscribers SET address = :new WHERE id = :who"),
            {"new": ADDRESS, "who": who},
        )
    return who


def traces(folder: Path) -> list[str]:
    """Files that hold the address, in any case, mails decoded included."""
    found = [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and KEY.encode() in file.read_bytes().lower()
    ]
    box = mailbox.Maildir(folder / "outbox", create=False)
    return found + [str(mail["To"]) for mail in box if KEY in str(mail["To"]).lower()]


def columns_with(app: App, needle: str) -> list[str]:
    """Every column of every table in which the text stands."""
    with app.sessions.reading() as session:
        return [
            f"{table.name}.{column.name}"
            for table in Base.metadata.sorted_tables
            for column in table.columns
            if session.scalars(
                select(column).where(cast(column, String).ilike(f"%{needle}%")).limit(1)
            ).first()
        ]


def test_deleting_a_subscriber_leaves_no_trace_of_the_address(
    place: Installation, tmp_path: Path
) -> None:
    who = live(place)
    on_sqlite = (tmp_path / "digest.db").exists()
    assert any("outbox" in trace for trace in traces(tmp_path))
    assert not on_sqlite or any("digest.db" in trace for trace in traces(tmp_path))
    assert set(columns_with(place.app, KEY)) >= {"subscribers.address", "bounces.said"}
    assert erase_for_good(place.app, who) is True
    assert traces(tmp_path) == []
    assert columns_with(place.app, KEY) == []
    # The others have lost nothing.
    with place.app.sessions.reading() as session:
        assert len(session.scalars(select(Subscriber.id)).all()) == 40
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 40


@pytest.mark.parametrize("sender", ["digest@bücher.example", "digest@old.example.org"])
def test_deleting_finds_the_mails_whatever_address_they_were_sent_from(
    tmp_path: Path, sqlite_url: str, sender: str
) -> None:
    settings = settings_of(tmp_path, sqlite_url)
    mail = settings.mail.model_copy(update={"from_address": sender})
    app = open_app(settings.model_copy(update={"mail": mail}), encoder=WordEncoder())
    before = Installation(app, tmp_path / "pages")
    before.publish("Graph networks")
    who = before.subscribe(ADDRESS)
    before.tick()
    assert any("outbox" in trace for trace in traces(tmp_path))
    if "old" in sender:
        app = replace(app, settings=settings)
    assert erase_for_good(app, who) is True
    assert traces(tmp_path) == []
    app.sessions.engine.dispose()


def test_deleting_is_told_apart_where_the_address_stands_in_what_is_not_theirs(
    place: Installation,
) -> None:
    who = place.subscribe(ADDRESS)
    other = place.subscribe("bob@example.org", interest=f"papers by {ADDRESS}")
    is_sqlite = place.app.sessions.engine.dialect.name == "sqlite"
    assert erase_for_good(place.app, who) is not is_sqlite
    with place.app.sessions.reading() as session:
        assert session.get(Subscriber, other) is not None
