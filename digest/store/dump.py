"""A whole database as lines of JSON, and back: the same lines whichever database they came from.

Tables are looked up in the database itself, not in `tables`, so that one of any revision can be
written out and read in again. Every table is a line that names it and its columns, then a line a
row; instants are UTC in ISO 8601, bytes are base64.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, func, select, text, types
from sqlalchemy.dialects.postgresql import JSONB

from digest.errors import BadInput

# Rows that are read, and written, at once.
AT_ONCE = 1000

_Convert = Callable[[Any], Any]
_KINDS: tuple[tuple[str, type[types.TypeEngine[Any]]], ...] = (
    ("instant", types.DateTime),
    ("date", types.Date),
    ("bytes", types.LargeBinary),
    ("json", types.JSON),
    ("plain", types.Boolean),
    ("plain", types.Float),
    ("plain", types.Integer),
    ("plain", types.String),
)
# What is of a database and not of what is in it: its revision, and the mark of its key.
_APART = {"alembic_version", "key_marks"}


def count_rows(connection: Connection) -> dict[str, int]:
    """How many rows every table has, in the order in which tables are written."""
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in _tables(connection)
    }


def dump(connection: Connection) -> Iterator[str]:
    """The lines of every table, those that others hang on first; rows by their primary keys.

    Whoever calls it gives a transaction that sees one state of the database throughout.
    """
    for table in _tables(connection):
        kinds = [_kind(column.type) for column in table.columns]
        head = {
            "table": table.name,
            "columns": dict(zip(table.columns.keys(), kinds, strict=True)),
            "last_id": _last_id(connection, table),
        }
        yield _line(head)
        changed = [(i, _WRITE[kind]) for i, kind in enumerate(kinds) if kind in _WRITE]
        rows = connection.execute(
            select(table).order_by(*table.primary_key), execution_options={"yield_per": AT_ONCE}
        )
        for row in rows:
            values = list(row)
            for i, convert in changed:
                if values[i] is not None:
                    values[i] = convert(values[i])
            yield _line(values)


def load(
    connection: Connection,
    lines: Iterable[str],
    *,
    progress: Callable[[int], None] = lambda _n: None,
) -> dict[str, int]:
    """Write the lines of `dump` into the empty tables of the same revision; rows by table.

    Raises BadInput where the tables are others, or a line is none of `dump`'s.
    """
    tables = {table.name: table for table in _tables(connection)}
    written: dict[str, int] = {}
    filling: _Filling | None = None
    for line in lines:
        value = _read(line)
        if isinstance(value, dict):
            if filling:
                written[filling.name] = filling.end()
            filling = _Filling(connection, tables, value, progress)
        elif filling is None or not isinstance(value, list):
            raise BadInput("the backup is damaged: a row of it is of no table")
        else:
            filling.add(value)
    if filling:
        written[filling.name] = filling.end()
    return written


class _Filling:
    """Fills one table, some rows at a time."""

    def __init__(
        self,
        connection: Connection,
        tables: dict[str, Table],
        head: dict[str, Any],
        progress: Callable[[int], None],
    ) -> None:
        self.name = head.get("table", "")
        if self.name not in tables:
            raise BadInput(f"the backup holds a table {self.name!r}, which is not known")
        self._table, self._columns = tables[self.name], list(head["columns"])
        if set(self._columns) != set(self._table.columns.keys()):
            raise BadInput(f"the backup's table {self.name} has other columns")
        zone = None if connection.dialect.name == "sqlite" else UTC
        self._converts = [
            (i, _reader(kind, zone))
            for i, kind in enumerate(head["columns"].values())
            if kind not in ("plain", "json")
        ]
        self._connection, self._progress, self._last_id = connection, progress, head["last_id"]
        self._rows: list[dict[str, Any]] = []
        self._n = 0

    def add(self, row: list[Any]) -> None:
        for i, convert in self._converts:
            if row[i] is not None:
                row[i] = convert(row[i])
        self._rows.append(dict(zip(self._columns, row, strict=True)))
        if len(self._rows) == AT_ONCE:
            self._write()

    def end(self) -> int:
        """Write what is left; how many rows it were in all."""
        self._write()
        _set_last_id(self._connection, self._table, self._last_id)
        return self._n

    def _write(self) -> None:
        if self._rows:
            self._connection.execute(self._table.insert(), self._rows)
            self._n += len(self._rows)
            self._progress(len(self._rows))
            self._rows = []


def _tables(connection: Connection) -> list[Table]:
    found = MetaData()
    found.reflect(connection)
    tables = [table for table in found.sorted_tables if table.name not in _APART]
    for table in tables:
        for column in table.columns:
            if isinstance(column.type, types.JSON):
                # SQL's NULL is what was stored; JSON's null would be something else.
                is_jsonb = isinstance(column.type, JSONB)
                column.type = JSONB(none_as_null=True) if is_jsonb else JSON(none_as_null=True)
    return tables


def _kind(type_: types.TypeEngine[Any]) -> str:
    for kind, known in _KINDS:
        if isinstance(type_, known):
            return kind
    raise TypeError(f"a backup cannot hold a column of type {type_!r}")


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise BadInput("the backup is damaged: a line of it is no JSON") from None


def _instant(value: datetime) -> str:
    # SQLite forgets zones: what it holds is UTC.
    return (
        value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    ).isoformat()


_WRITE: dict[str, _Convert] = {
    "instant": _instant,
    "date": date.isoformat,
    "bytes": lambda value: base64.b64encode(value).decode(),
}


def _reader(kind: str, zone: Any) -> _Convert:
    match kind:
        case "instant":
            return lambda text: datetime.fromisoformat(text).replace(tzinfo=zone)
        case "date":
            return date.fromisoformat
        case "bytes":
            return base64.b64decode
    raise BadInput(f"the backup holds a kind of value, {kind!r}, that this version does not know")


def _last_id(connection: Connection, table: Table) -> int | None:
    """The last number that was given to a row, which may be gone: numbers are given once."""
    if connection.dialect.name == "sqlite":
        if not connection.dialect.has_table(connection, "sqlite_sequence"):
            return None
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        found: int | None = connection.scalar(query, {"name": table.name})
        return found
    if not (sequence := _sequence(connection, table)):
        return None
    query = text(f"SELECT CASE WHEN is_called THEN last_value END FROM {sequence}")  # noqa: S608
    return connection.scalar(query)  # type: ignore[no-any-return] # text() has no types


def _set_last_id(connection: Connection, table: Table, last_id: int | None) -> None:
    if connection.dialect.name == "sqlite":
        if last_id is not None and "AUTOINCREMENT" in _made_by(connection, table):
            names = {"name": table.name, "last_id": last_id}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), names)
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last_id)"), names)
    elif sequence := _sequence(connection, table):
        largest = connection.scalar(select(func.max(table.c.id)))
        if last := max(last_id or 0, largest or 0):
            connection.execute(
                text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last}
            )


def _made_by(connection: Connection, table: Table) -> str:
    query = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    return connection.scalar(query, {"name": table.name}) or ""


def _sequence(connection: Connection, table: Table) -> str | None:
    if "id" not in table.columns:
        return None
    query = text("SELECT pg_get_serial_sequence(:name, 'id')")
    found: str | None = connection.scalar(query, {"name": table.name})
    return found
