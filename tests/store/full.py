"""A database of any revision with rows in every table, and all that is in one."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, inspect, select, types
from sqlalchemy.orm import Session

from digest.store.dump import _tables

NOON = datetime(2026, 3, 1, 12, 0, 0, 125, tzinfo=UTC)


def fill(session: Session, rows: int = 3) -> None:
    """Put rows into every table; in the last one, what may be null is null."""
    connection = session.connection()
    for table in _tables(connection):
        if table.name == "alembic_version":
            continue
        allowed = _allowed(connection, table)
        for n in range(1, rows + 1):
            values = {
                column.name: _value(connection, table, column, n, rows, allowed)
                for column in table.columns
            }
            connection.execute(table.insert(), values)


def everything(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as values that do not depend on the kind of database."""
    connection = session.connection()
    found = {}
    for table in _tables(connection):
        rows = connection.execute(select(table).order_by(*table.primary_key))
        names = sorted(table.columns.keys())
        found[table.name] = [tuple(_plain(row._mapping[name]) for name in names) for row in rows]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return bytes(value) if isinstance(value, memoryview) else value


def _allowed(connection: Connection, table: Table) -> dict[str, list[str]]:
    """What the checks of a table let into its columns."""
    return {
        column: re.findall(r"'([^']+)'", str(check["sqltext"]))
        for check in inspect(connection).get_check_constraints(table.name)
        for column in [each.name for each in table.columns]
        if str(check["name"]).endswith(f"{table.name}_{column}")
    }


def _value(
    connection: Connection,
    table: Table,
    column: Any,
    n: int,
    rows: int,
    allowed: dict[str, list[str]],
) -> Any:
    if column.nullable and n == rows:
        return None
    if foreign := next(iter(column.foreign_keys), None):
        ids = connection.scalars(select(foreign.column).order_by(foreign.column)).all()
        return ids[n - 1]
    if column.name in allowed:
        options = allowed[column.name]
        return options[n % len(options)]
    match column.type:
        case types.Boolean():
            return n % 2 == 0
        case types.DateTime():
            at = NOON + timedelta(hours=n)
            return at.replace(tzinfo=None) if connection.dialect.name == "sqlite" else at
        case types.Date():
            return date(2026, 3, n)
        case types.LargeBinary():
            return np.arange(n, n + 4, dtype="<f4").tobytes()
        case types.JSON():
            return {"b": [n, None, "ü\u2028"], "a": 0.1 * n}
        case types.Integer():
            return n
        case types.Float():
            return 0.1 * n
    return f"{column.name} {n} “ß”\n\u2028"
