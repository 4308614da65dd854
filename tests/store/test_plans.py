"""No statement of a day reads what earlier days have left: PostgreSQL's own plans are read.

The database holds a hundred times a day's history. Every statement of a tick, from the page that
comes in to the mail that leaves, is explained with the values that it ran with.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from digest.delivery.outbox import claim
from digest.engine import App, open_app, tick
from digest.store import Sessions
from digest.subscribers import follow_sunset
from tests.engine.world import page, settings_of
from tests.worlds import WordEncoder

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
READERS, DAYS, ITEMS, PAPERS = 60, 100, 4, 20
HISTORY = {"editions", "edition_items", "deliveries", "attempts", "listings", "papers", "votes",
           "pages", "vectors", "interests", "bounces", "consents"}  # fmt: skip
# What a statement may read of one table: what is learned is learned from the 5000 newest outcomes.
MOST = 5500
# Where nothing is due, next to nothing is read of what there is of everybody.
IDLE = HISTORY | {"subscribers", "signups"}
ENCODER = WordEncoder()


def filled(sessions: Sessions) -> None:
    """A hundred days of readers, pages, editions and mails; every sixth reader is due."""
    given = {"now": NOW, "readers": READERS, "days": DAYS, "items": ITEMS, "papers": PAPERS,
             "encoder": ENCODER.identity}  # fmt: skip
    with sessions() as session:
        for statement in _FILL.split(";"):
            used = {name: given[name] for name in re.findall(r"(?<!:):(\w+)", statement)}
            session.execute(text(statement), used)
    vectors = ENCODER.encode([f"paper {i} robots walk" for i in range(DAYS * PAPERS)])
    with sessions.engine.connect() as connection:
        insert = text("INSERT INTO vectors VALUES (:encoder, :hash, :vector)")
        connection.execute(
            insert,
            [
                {"encoder": ENCODER.identity, "hash": f"{i:064}", "vector": vector.tobytes()}
                for i, vector in enumerate(vectors)
            ],
        )
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("VACUUM ANALYZE"))


_FILL = """
INSERT INTO subscribers (id, address, address_key, state, timezone, hour, frequency, length, mix,
  created_at, confirmed_at, next_due_at)
SELECT i, 'r' || i || '@example.org', 'r' || i || '@example.org', 'active', 'UTC', 7, 'daily', 8,
  0.75, :now - interval '100 days', :now - interval '100 days',
  :now + CASE WHEN i % 6 = 0 THEN 0 ELSE 1 END * interval '1 hour'
FROM generate_series(1, :readers) i;
INSERT INTO interests (id, subscriber_id, name, text, text_hash, created_at, embedded_by)
SELECT i, i, 'mine', 'robots', 'none', :now - interval '90 days', :encoder
FROM generate_series(1, :readers) i;
INSERT INTO pages (id, source, reader, sha256, content, page_date, seen_at)
SELECT d, 'daily', 'hf', lpad(d::text, 64, '0'), '', (:now - d * interval '1 day')::date,
  :now - d * interval '1 day' FROM generate_series(1, :days) d;
INSERT INTO papers (id, title, abstract, authors, text_hash, first_seen_at, ready_at, embedded_by)
SELECT i, 'paper ' || i, 'robots walk', '["Ada"]', lpad((i - 1)::text, 64, '0'),
  :now - (:days - i / :papers) * interval '1 day', :now - (:days - i / :papers) * interval '1 day',
  :encoder FROM generate_series(1, :days * :papers) i;
INSERT INTO listings
  (page_id, paper_id, source, page_date, seen_at, position, upvotes, title, facts)
SELECT d, (:days - d) * :papers + k, 'daily', (:now - d * interval '1 day')::date,
  :now - d * interval '1 day', k, k, '', '{}'
FROM generate_series(1, :days) d, generate_series(1, :papers) k;
INSERT INTO votes (subscriber_id, paper_id, value, via, at)
SELECT r, 1 + (r * 7 + v * 13) % (:days * :papers - 100), 'up', 'web',
  :now - (1 + v) * interval '5 days'
FROM generate_series(1, :readers) r, generate_series(1, 15) v;
INSERT INTO editions (id, subscriber_id, local_date, built_at, since, encoder, n_candidates, note,
  runners_up)
SELECT (d - 1) * :readers + r, r, (:now - d * interval '1 day')::date, :now - d * interval '1 day',
  :now - (d + 1) * interval '1 day', :encoder, 20, '', '[]'
FROM generate_series(1, :days) d, generate_series(1, :readers) r;
INSERT INTO edition_items (edition_id, paper_id, subscriber_id, position, lane, score, propensity,
  card, reasons)
SELECT e.id, 1 + ((2 * :days - 1 - e.id / :readers) * :papers + k * 3) % (:days * :papers),
  e.subscriber_id, k, 'personal', 1, 1, '{}', '[]'
FROM editions e, generate_series(1, :items) k;
INSERT INTO deliveries (id, subscriber_id, edition_id, kind, state, message_id, created_at, due_at,
  expires_at, settled_at)
SELECT id, subscriber_id, id, 'edition', 'sent', 'old' || id, built_at, built_at, built_at, built_at
FROM editions;
INSERT INTO attempts (delivery_id, at, state, code, reply)
SELECT id, created_at, 'sent', 250, 'ok' FROM deliveries;
SELECT setval('subscribers_id_seq', :readers);
SELECT setval('papers_id_seq', :days * :papers);
SELECT setval('pages_id_seq', :days);
SELECT setval('editions_id_seq', :readers * :days);
SELECT setval('deliveries_id_seq', :readers * :days)
"""


@contextmanager
def captured() -> Iterator[dict[str, Any]]:
    """The statements that run within, with the values of one time each."""
    seen: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, given: Any, _context: Any, many: Any) -> None:
        # What is stored by its values reads nothing, and cannot be stored twice.
        reads = re.match(
            r"\s*(SELECT|UPDATE|DELETE|INSERT.*(ON CONFLICT|SELECT))", statement, re.DOTALL
        )
        if reads and not many:
            seen.setdefault(re.sub(r"%\(\w+\)s(::\w+)?(, )?", "", statement), (statement, given))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def explained(sessions: Sessions, statement: str, given: Any) -> dict[str, Any]:
    """The plan of a statement as it runs; nothing of it stays."""
    with sessions.engine.connect() as connection:
        # A table that is small yet is read whole whatever there is; it will not stay small.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
        plan: dict[str, Any] = found.scalar_one()[0]["Plan"]
        connection.rollback()
    return plan


def read_of(node: dict[str, Any]) -> float:
    """The rows that a node looked at, those that it left out included."""
    left_out = sum(node.get(name, 0) for name in ("Rows Removed by Filter",
                                                  "Rows Removed by Index Recheck"))  # fmt: skip
    return (node["Actual Rows"] + left_out) * node["Actual Loops"]


def offences(
    sessions: Sessions, seen: dict[str, Any], tables: set[str] = HISTORY, most: int = MOST
) -> list[str]:
    found = []
    for statement, given in seen.values():
        for node in nodes(explained(sessions, statement, given)):
            table = node.get("Relation Name")
            if table in tables and node["Node Type"] == "Seq Scan":
                found.append(f"{table} is read whole by {statement}")
            elif table in tables and read_of(node) > most:
                found.append(f"{read_of(node):.0f} rows of {table} are read by {statement}")
    return found


@pytest.fixture
def app(postgres_url: str, tmp_path: Path) -> Iterator[App]:
    app = open_app(settings_of(tmp_path, postgres_url), encoder=ENCODER)
    try:
        filled(app.sessions)
        papers = {f"new paper {n}": "robots walk on" for n in range(PAPERS)}
        (tmp_path / "pages" / "today.json").write_bytes(page(date(2026, 3, 2), papers))
        yield app
    finally:
        app.sessions.engine.dispose()


def test_no_statement_of_a_day_grows_with_history(app: App) -> None:
    with captured() as first:
        report = tick(app, lambda: NOW)
    assert {done.job.kind: done.error for done in report.done} == dict.fromkeys(
        ("ingest", "embed", "compose", "deliver"), ""
    )
    with captured() as later:
        assert not tick(app, lambda: NOW + timedelta(minutes=1)).done
    assert len(first) > 40
    with captured() as housekeeping, app.sessions() as session:
        follow_sunset(session, app.settings.sunset, now=NOW)
    found = offences(app.sessions, {**first, **later, **housekeeping})
    found += offences(app.sessions, later, IDLE, READERS // 10)
    assert not found, "\n".join(found)
    with captured() as seen, app.sessions.reading() as session:
        session.execute(text("SELECT max(score) FROM edition_items"))
        session.execute(text("SELECT count(*) FROM edition_items WHERE subscriber_id > 0"))
    assert len(offences(app.sessions, seen)) == 2, "what does read all of it is found"


def test_a_claim_reads_no_more_of_a_long_queue_than_it_takes(app: App) -> None:
    with app.sessions() as session:
        waits = "state = CASE WHEN id % 9 = 0 THEN 'deferred' ELSE 'queued' END, due_at = :now"
        later = "expires_at = :now + interval '1 day'"
        session.execute(text(f"UPDATE deliveries SET {waits}, {later}"), {"now": NOW})
    with app.sessions.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    with captured() as seen, app.sessions() as session:
        assert len(claim(session, "me", 20, app.secret, NOW).delivery_ids) == 20
    assert not offences(app.sessions, seen, {"deliveries"}, 100)
