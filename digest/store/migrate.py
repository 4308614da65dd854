"""Bringing a database to the present tables, by Alembic's numbered steps."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from digest.errors import WrongDatabase
from digest.store.database import Sessions, migrating


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revision_of(sessions: Sessions) -> str | None:
    """The database's revision; None where it has never been migrated. Raises ServiceUnreachable."""
    with sessions.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


@cache
def newest_revision() -> str:
    """The revision that this program works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package carries its migrations
    return head


def migrate(sessions: Sessions, to: str | None = None) -> bool:
    """Bring the database up to `newest_revision`, or only to `to`; True if anything changed.

    Raises WrongDatabase for one that a newer program made, or that holds another program's tables.
    """
    current, newest = revision_of(sessions), newest_revision()
    if current == (to or newest):
        return False
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise WrongDatabase(
            f"the database is at revision {current}, newer than this program ({newest}): "
            "upgrade Digest, or restore a backup made by this version"
        )
    if current is None:
        with sessions.reading() as session:
            tables = inspect(session.connection()).get_table_names()
        if tables:
            raise WrongDatabase(
                f"the database holds tables of another program ({', '.join(sorted(tables)[:3])}): "
                "name an empty one"
            )
    config = _config()
    with migrating(sessions.engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to or "head")
    return True
