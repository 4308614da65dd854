"""Store: tables, sessions and migrations; the only room that knows SQLite from PostgreSQL."""

from digest.store.database import Sessions, insert, one_writer, open_database, parts, wipe
from digest.store.migrate import migrate, newest_revision, revision_of

__all__ = [
    "Sessions",
    "insert",
    "migrate",
    "newest_revision",
    "one_writer",
    "open_database",
    "parts",
    "revision_of",
    "wipe",
]
