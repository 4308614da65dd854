"""Steps of migrations that let others go on reading and writing where the database can do that.

On PostgreSQL each runs by itself, after what the migration did before it is committed; so each is
safe to repeat after a crash. On SQLite, which has one writer as it is, they are part of the whole.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

_AT_ONCE = 10_000


def column(table: str, added: "sa.Column[Any]") -> None:
    """Add a column, before steps that commit it: an interrupted attempt may have left it there."""
    op.add_column(table, added, if_not_exists=_is_postgresql() or None)


def index(name: str, table: str, columns: Sequence[str], *, where: str | None = None) -> None:
    """Make an index without keeping anybody from writing to its table."""
    rows = text(where) if where else None
    if not _is_postgresql():
        op.create_index(name, table, columns, sqlite_where=rows)
        return
    with op.get_context().autocommit_block():
        # One that an interrupted attempt has left is there, but of no use.
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, postgresql_where=rows)


def no_index(name: str, table: str) -> None:
    """Drop an index, likewise."""
    if not _is_postgresql():
        op.drop_index(name, table)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def update_in_parts(table: str, setting: str) -> None:
    """Set what every row of a table holds, by its id, some rows at a time, safe to repeat."""
    whole = f"UPDATE {table} SET {setting}"  # noqa: S608 - a migration's own words
    if not _is_postgresql():
        op.execute(whole)
        return
    with op.get_context().autocommit_block():
        last = op.get_bind().scalar(
            sa.select(sa.func.max(sa.text("id"))).select_from(sa.text(table))
        )
        for first in range(0, (last or 0) + 1, _AT_ONCE):
            op.execute(f"{whole} WHERE id BETWEEN {first} AND {first + _AT_ONCE - 1}")


def check(name: str, table: str, condition: str) -> None:
    """Put a CHECK in the place of the one of that name.

    On PostgreSQL its lock is held for a moment; old rows are then looked at while others go on.
    SQLite makes the table anew.
    """
    if not _is_postgresql():
        with op.batch_alter_table(table) as anew:
            anew.drop_constraint(name, type_="check")
            anew.create_check_constraint(name, condition)
        return
    # Alembic's steps put the naming convention before the name that they are given.
    whole = f"ck_{table}_{name}"
    with op.get_context().autocommit_block():
        op.execute(
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {whole}, "
            f"ADD CONSTRAINT {whole} CHECK ({condition}) NOT VALID"
        )
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {whole}")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
