"""A morning of many made-up subscribers on PostgreSQL, to measure a cluster; nothing in it is real.

Papers have topics, readers like two of them; each has an interest, about 20 votes and the mail of
yesterday. Rows are copied in, past the rooms that own them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digest.papers.identity import text_hash, text_of
from digest.store import Sessions

VOTES, TOPICS = 20, 60
# Papers before today, enough for a whole space, and those of today.
OLD, NEW = 3000, 300
_DIMENSIONS, _WORDS, _INTERESTS, _AT_ONCE = 384, 50, 20_000, 20_000
_SOURCE = "made-up"


def fill(sessions: Sessions, n: int, encoder: str, *, now: datetime, seed: int = 0) -> None:
    """Add `n` subscribers whose edition is due `now`, and the papers to choose from.

    Texts have vectors under the name of `encoder`, made up as well.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((TOPICS, _DIMENSIONS))
    copy = _Copy(sessions)
    try:
        topics = _papers(copy, centres, encoder, rng, now)
        _readers(copy, n, centres, encoder, rng, now)
        _votes(copy, n, topics, rng, now)
        _yesterday(copy, n, now)
        copy.end()
    finally:
        copy.close()


class _Copy:
    """COPY into tables on one connection, in one transaction."""

    def __init__(self, sessions: Sessions) -> None:
        self._borrowed: Any = sessions.engine.raw_connection()
        self._connection: Any = self._borrowed.driver_connection
        self.run("SET statement_timeout = 0")

    def __call__(self, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._connection.cursor() as cursor:
            statement = f"COPY {table} ({columns}) FROM STDIN"
            with cursor.copy(statement) as into:
                for row in rows:
                    into.write_row(row)

    def run(self, statement: str, *given: object) -> None:
        self._connection.execute(statement, given)

    def end(self) -> None:
        """Number on after what was copied, commit, and let the planner know."""
        for table in ("papers", "pages", "subscribers", "interests", "editions", "listings"):
            self.run(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")  # noqa: S608
        self._connection.commit()
        self._connection.autocommit = True
        self.run("VACUUM (ANALYZE)")

    def close(self) -> None:
        self._borrowed.invalidate()


def _papers(
    copy: _Copy,
    centres: NDArray[np.float64],
    encoder: str,
    rng: np.random.Generator,
    now: datetime,
) -> NDArray[np.int64]:
    """Papers with a page a day; the topics of the old ones."""
    n = OLD + NEW
    topics = rng.integers(0, TOPICS, n)
    days = [120 - 119 * i // OLD for i in range(OLD)] + [0] * NEW
    at = [now - timedelta(days=day, hours=1) for day in days]
    text = [(_words(topic, 8, rng), _words(topic, 150, rng)) for topic in topics.tolist()]
    hashes = [text_hash(text_of(*one)) for one in text]
    copy(
        "papers",
        "id, title, abstract, authors, arxiv_id, url, published_on, text_hash, first_seen_at, "
        "ready_at, embedded_by",
        (
            (i + 1, *text[i], '["Mira Okafor", "Aiko Tanabe"]', f"2603.{i:05}",
             f"https://arxiv.org/abs/2603.{i:05}", at[i].date(), hashes[i], at[i], at[i], encoder)
            for i in range(n)
        ),
    )  # fmt: skip
    copy("vectors", "encoder, text_hash, vector", _vectors(encoder, hashes, topics, centres, rng))
    pages = sorted(set(days))
    copy(
        "pages",
        "id, source, reader, sha256, content, page_date, seen_at",
        (
            (day + 1, _SOURCE, _SOURCE, f"{day:064}", b"", seen.date(), seen)
            for day in pages
            for seen in [now - timedelta(days=day, hours=1)]
        ),
    )
    upvotes = rng.geometric(0.05, n).tolist()
    copy(
        "listings",
        "page_id, paper_id, source, page_date, seen_at, position, upvotes, title, facts",
        (
            (days[i] + 1, i + 1, _SOURCE, at[i].date(), at[i], 1 + i % 300, upvotes[i], text[i][0],
             "{}")
            for i in range(n)
        ),
    )  # fmt: skip
    return topics[:OLD]


def _readers(
    copy: _Copy,
    n: int,
    centres: NDArray[np.float64],
    encoder: str,
    rng: np.random.Generator,
    now: datetime,
) -> None:
    long_ago = now - timedelta(days=120)
    copy(
        "subscribers",
        "id, address, address_key, state, timezone, hour, frequency, length, mix, created_at, "
        "confirmed_at, next_due_at",
        (
            (i, f"reader{i}@example.org", f"reader{i}@example.org", "active", "UTC", now.hour,
             "daily", 8, 0.75, long_ago, long_ago, now)
            for i in range(1, n + 1)
        ),
    )  # fmt: skip
    # Interests are as many as readers up to a point; beyond it some read the same.
    m = min(n, _INTERESTS)
    topics = rng.integers(0, TOPICS, m)
    texts = [f"{_words(topic, 10, rng)} {i}" for i, topic in enumerate(topics.tolist())]
    hashes = [text_hash(text) for text in texts]
    copy("vectors", "encoder, text_hash, vector", _vectors(encoder, hashes, topics, centres, rng))
    copy(
        "interests",
        "id, subscriber_id, name, text, text_hash, created_at, embedded_by",
        (
            (i, i, "mine", texts[i % m], hashes[i % m], long_ago, encoder)
            for i in range(1, n + 1)
        ),
    )  # fmt: skip


def _votes(
    copy: _Copy, n: int, topics: NDArray[np.int64], rng: np.random.Generator, now: datetime
) -> None:
    """One vote in ten is down, one in ten on any topic."""
    of = np.argsort(topics, kind="stable") + 1
    first = np.searchsorted(np.sort(topics), np.arange(TOPICS + 1))

    def rows() -> Iterator[tuple[object, ...]]:
        for start in range(1, n + 1, _AT_ONCE):
            readers = np.arange(start, min(start + _AT_ONCE, n + 1))
            tastes = rng.integers(0, TOPICS, (len(readers), 2))
            topic = tastes[np.arange(len(readers))[:, None], rng.integers(0, 2, (1, VOTES))]
            topic = np.where(rng.random(topic.shape) < 0.1, rng.integers(0, TOPICS), topic)
            size = first[topic + 1] - first[topic]
            papers = of[first[topic] + (rng.random(topic.shape) * size).astype(np.int64)]
            ages = rng.random(topic.shape) * 100 + 1
            downs = rng.random(topic.shape) < 0.1
            for i, reader in enumerate(readers.tolist()):
                for paper, j in {paper: j for j, paper in enumerate(papers[i].tolist())}.items():
                    at = now - timedelta(days=float(ages[i, j]))
                    yield reader, paper, "down" if downs[i, j] else "up", "web", at

    copy("votes", "subscriber_id, paper_id, value, via, at", rows())


def _yesterday(copy: _Copy, n: int, now: datetime) -> None:
    """An edition of eight papers for everybody, sent a day ago."""
    at = now - timedelta(days=1)
    copy.run(
        "INSERT INTO editions (id, subscriber_id, local_date, built_at, since, encoder, "
        "n_candidates, note, runners_up) "
        "SELECT i, i, %s, %s, %s, 'none', 100, '', '[]' FROM generate_series(1, %s) i",
        at.date(), at, at - timedelta(days=1), n,
    )  # fmt: skip
    copy.run(
        "INSERT INTO edition_items (edition_id, paper_id, subscriber_id, position, lane, score, "
        "probability, propensity, card, reasons) "
        "SELECT i, %s - (i + 37 * k) %% 500, i, k, 'personal', 1, NULL, 1, '{}', '[]' "
        "FROM generate_series(1, %s) i, generate_series(1, 8) k",
        OLD, n,
    )  # fmt: skip
    copy.run(
        "INSERT INTO deliveries (subscriber_id, edition_id, kind, state, message_id, created_at, "
        "due_at, expires_at, settled_at) "
        "SELECT i, i, 'edition', 'sent', 'old' || i, %s, %s, %s, %s FROM generate_series(1, %s) i",
        at, at, at + timedelta(days=1), at, n,
    )  # fmt: skip


def _vectors(
    encoder: str,
    hashes: list[str],
    topics: NDArray[np.int64],
    centres: NDArray[np.float64],
    rng: np.random.Generator,
) -> Iterator[tuple[str, str, bytes]]:
    for hash_, topic in zip(hashes, topics.tolist(), strict=True):
        vector = centres[topic] + 1.5 * rng.standard_normal(_DIMENSIONS)
        yield encoder, hash_, (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


def _words(topic: int, n: int, rng: np.random.Generator) -> str:
    """Some words of the topic, and some that every topic has."""
    own = rng.integers(0, _WORDS, n)
    everyones = rng.random(n) < 0.3
    return " ".join(
        f"common{word}" if common else f"topic{topic}word{word}"
        for word, common in zip(own.tolist(), everyones.tolist(), strict=True)
    )
