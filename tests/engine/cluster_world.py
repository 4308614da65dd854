"""A real cluster to test: PostgreSQL, RabbitMQ, workers that are processes, a mail server."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import URL, func, insert, make_url, select, text

from digest.engine import App
from digest.evaluation.cluster import OneCluster
from digest.evaluation.sink import recorded
from digest.papers.collect import ingest_bytes
from digest.papers.embedding import embed_pending
from digest.papers.encoder import SentenceEncoder
from digest.store.tables import Delivery, EditionRow, Lease, Subscriber
from tests.engine.world import page
from tests.worlds import WordEncoder


class Stand(WordEncoder):
    """Counts words under the name of the real model, so that workers need not load it."""

    @property
    def identity(self) -> str:
        return SentenceEncoder().identity


def right_now() -> datetime:
    return datetime.now(UTC)


def wait_for(
    app: App, condition: Callable[[], bool], seconds: float = 180, *, what: str = ""
) -> float:
    """Look whenever the database changes until it is so, and tell how many seconds that took."""
    start = time.monotonic()
    with _connected(app.sessions.engine.url) as listener:
        listener.execute("LISTEN changed")
        while not condition():
            assert time.monotonic() - start < seconds, f"not within {seconds} s: {what}"
            # What becomes due by the clock alone, nobody tells.
            list(listener.notifies(timeout=1, stop_after=1))
    return time.monotonic() - start


def changes_are_told(database: str) -> None:
    """Have a PostgreSQL database tell of its changes, for `wait_for`."""
    with _connected(make_url(database)) as connection:
        connection.execute(_TELL)


def _connected(url: URL) -> "psycopg.Connection[tuple[object, ...]]":
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


_TELL = """
CREATE OR REPLACE FUNCTION tell_of_a_change() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN NOTIFY changed; RETURN NULL; END $$
""" + "".join(
    f"""
; CREATE OR REPLACE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION tell_of_a_change()
"""
    for table in ("leases", "editions", "deliveries", "papers", "vectors")
)


def kill(worker: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to the worker and all that it has started."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(30)


def read_papers(app: App, *titles: str, at: datetime | None = None) -> None:
    """Store papers and embed them here."""
    at = at or right_now() - timedelta(minutes=1)
    papers = {title: f"We study {title}." for title in titles}
    ingest_bytes(app.sessions, "daily", page(at.date(), papers), at=at)
    embed_pending(app.sessions, Stand(), clock=lambda: at)


def sign_up(app: App, n: int) -> None:
    """So many subscribers whose edition is due."""
    at = right_now() - timedelta(seconds=30)
    facts = {"state": "active", "timezone": "UTC", "hour": 7, "frequency": "daily", "length": 8,
             "mix": 0.75, "created_at": at, "confirmed_at": at, "next_due_at": at}  # fmt: skip
    names = [f"reader{i}@example.org" for i in range(n)]
    with app.sessions() as session:
        rows = [{**facts, "address": name, "address_key": name} for name in names]
        session.execute(insert(Subscriber), rows)


def states(app: App) -> dict[str, int]:
    """How many mails are in each state."""
    with app.sessions.reading() as session:
        query = select(Delivery.state, func.count()).group_by(Delivery.state)
        return dict(session.execute(query).all())


def n_editions(app: App) -> int:
    with app.sessions.reading() as session:
        return session.scalar(select(func.count()).select_from(EditionRow)) or 0


def leases(app: App, kind: str = "") -> list[str]:
    """The keys that are leased, of one kind of job if it is told."""
    with app.sessions.reading() as session:
        held = (Lease.owner != "") | (Lease.failures > 0)
        keys = select(Lease.key).where(held, Lease.key.startswith(kind)).order_by(Lease.key)
        return list(session.scalars(keys))


def time_goes_by(app: App, by: timedelta) -> None:
    """Make every lease older, as if so much time had gone by."""
    with app.sessions() as session:
        for table, column in (("leases", "until"), ("deliveries", "claimed_until")):
            older = f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds)"
            session.execute(text(older), {"seconds": by.total_seconds()})


def n_due(app: App) -> int:
    with app.sessions.reading() as session:
        query = select(func.count()).select_from(Subscriber)
        return session.scalar(query.where(Subscriber.next_due_at <= right_now())) or 0


def nothing_twice(one: OneCluster) -> None:
    """No reader has two editions of a date, and the server took no mail twice."""
    with one.app.sessions.reading() as session:
        n = func.count(EditionRow.id)
        per_reader = select(n).group_by(EditionRow.subscriber_id, EditionRow.local_date)
        assert set(session.scalars(per_reader)) <= {1}
    assert set(recorded(Path(one.folder / "mails")).values()) <= {1}
