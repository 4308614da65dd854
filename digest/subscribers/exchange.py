"""Subscribers as files: all that is stored of one, and lists of many to take on."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from itertools import islice
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, select
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.tables import Base, Paper
from digest.subscribers.life import add
from digest.subscribers.roster import find, read_subscriber
from digest.subscribers.subscription import FIELDS

# The tables that an export holds. Every other one of `tables_of_subscribers` needs its reason.
EXPORTED = (
    *("subscribers", "consents", "address_changes", "interests", "mutes", "votes"),
    *("editions", "edition_items", "deliveries", "attempts", "bounces", "signups"),
)
NOT_EXPORTED: Mapping[str, str] = {}
# Lines of a list that one transaction takes on: SQLite has one writer, and others wait for it.
LINES_AT_ONCE = 200
# What repeats another column in a form of ours, or names a process of ours.
_OF_OURS = {
    *("subscriber_id", "address_key", "text_hash", "sha256", "claimed_by", "claimed_until"),
    # The file is theirs already, and papers of it that count are among their votes.
    "library",
}


# What lists of a lab call our fields.
_MEANS = {
    **dict.fromkeys(("email", "e-mail", "mail", "email address", "e-mail address"), "address"),
    "interests": "interest",
}
# How much a heading is like a field for which it was meant: `lang` is, `notes` is not.
_LIKE = 0.65


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many lines ended in which outcome of `add`, and what was wrong with the others.

    `passed_over` are the headings of columns that say nothing to us.
    """

    outcomes: Mapping[str, int]
    problems: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


def export(session: Session, who: str | int) -> dict[str, Any]:
    """Everything that is stored of a subscriber, as JSON can hold it. Raises Unknown.

    A part for every table of `EXPORTED`, whole but for what says nothing of a person; of a paper
    that is named, its names.
    """
    view = read_subscriber(session, who) if isinstance(who, int) else find(session, who)
    parts: dict[str, Any] = {}
    for name in EXPORTED:
        table = Base.metadata.tables[name]
        query = select(*_told_of(table)).where(_theirs(table, view.id)).order_by(*table.primary_key)
        if "paper_id" in table.columns:
            query = query.add_columns(Paper.title, Paper.arxiv_id, Paper.doi, Paper.url)
            query = query.join(Paper, Paper.id == table.c.paper_id)
        parts[name] = [_for_json(row) for row in session.execute(query).mappings()]
    (subscriber,) = parts.pop("subscribers")
    return {"subscriber": subscriber, **parts}


def tables_of_subscribers() -> set[str]:
    """Every table with rows that belong to a subscriber, directly or through what is theirs."""
    found = {"subscribers"}
    while True:
        more = {
            table.name
            for table in Base.metadata.tables.values()
            if {key.column.table.name for key in table.foreign_keys} & found
        }
        if more <= found:
            return found
        found |= more


def _told_of(table: Table) -> list[Column[Any]]:
    return [
        column
        for column in table.columns
        if column.name not in _OF_OURS and (column.name != "id" or table.name != "subscribers")
    ]


def _theirs(table: Table, subscriber_id: int) -> ColumnElement[bool]:
    if table.name == "subscribers":
        return table.c.id == subscriber_id
    if "subscriber_id" in table.columns:
        return table.c.subscriber_id == subscriber_id
    (key,) = table.foreign_keys
    above = key.column.table
    return key.parent.in_(select(above.c.id).where(_theirs(above, subscriber_id)))


def import_subscribers(
    sessions: Sessions,
    text: str,
    *,
    defaults: SubscriberDefaults,
    secret: bytes,
    now: datetime,
    confirmed: bool = True,
) -> ImportReport:
    """`add` every line of `text`, a few in a transaction, and tell of those that cannot be.

    `text` is CSV with a heading (`address,timezone,...`) and commas, semicolons or tabs, addresses
    alone, or JSON objects, one a line. A field left out or empty is the default, or stays as it is
    for a known subscriber; `none` as `min_probability` switches it off. Columns of other things are
    passed over. `confirmed` is what it is to `add`.
    """
    outcomes: Counter[str] = Counter()
    problems = []
    passed_over: set[str] = set()
    rows = _rows(text.removeprefix("\ufeff"))
    while some := [*islice(rows, LINES_AT_ONCE)]:
        with sessions() as session:
            for line, values in some:
                try:
                    if isinstance(values, BadInput):
                        raise values
                    given = {
                        name: found for name, found in values.items() if found not in ("", None)
                    }
                    passed_over |= given.keys() - {*FIELDS, ""}
                    added = add(
                        session, given, defaults, secret=secret, now=now, confirmed=confirmed
                    )
                except BadInput as error:
                    problems.append(f"line {line}: {error}")
                else:
                    outcomes[added.outcome] += 1
    return ImportReport(dict(outcomes), tuple(problems), tuple(sorted(passed_over)))


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | BadInput]]:
    """Line numbers with what stands there, or with why it cannot be read."""
    if text.lstrip().startswith("{"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _object(line)
    else:
        yield from _table(text)


def _table(text: str) -> Iterator[tuple[int, Mapping[str, Any] | BadInput]]:
    table = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text))
    names: list[str] = []
    try:
        for cells in table:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if not names and "@" not in "".join(row):
                names = [_meant(cell) for cell in row]
                if "address" not in names:
                    yield table.line_num, BadInput("no heading is address or email")
                    return
                for name in names:
                    # A column of something else is no fault, a misspelt field is.
                    if name not in FIELDS and get_close_matches(name, FIELDS, 1, _LIKE):
                        yield table.line_num, _no_field(name)
                continue
            if not names:
                names = ["address"]
            if len(row) > len(names):
                yield table.line_num, BadInput(f"{len(row)} fields under {len(names)} headings")
            else:
                yield table.line_num, dict(zip(names, row, strict=False))
    except csv.Error as error:
        yield table.line_num, BadInput(f"not CSV, and nothing after it was read: {error}")


def _object(line: str) -> Mapping[str, Any] | BadInput:
    try:
        values = json.loads(line)
    except ValueError as error:
        return BadInput(f"not JSON: {error}")
    except RecursionError:
        return BadInput("not JSON: nested too deeply")
    if not isinstance(values, dict):
        return BadInput("not a JSON object")
    values = {_meant(name): value for name, value in values.items()}
    return next((_no_field(name) for name in values if name not in FIELDS), values)


def _delimiter(text: str) -> str:
    """What parts the headings, if one of them is that of addresses."""
    heading = text.lstrip().partition("\n")[0]
    for delimiter in ",;\t":
        if "address" in (_meant(cell.strip(' "\r')) for cell in heading.split(delimiter)):
            return delimiter
    return ","


def _meant(name: str) -> str:
    return _MEANS.get(name.lower(), name.lower())


def _no_field(name: str) -> BadInput:
    near = get_close_matches(name, FIELDS, 1, _LIKE)
    hint = f"; did you mean {near[0]}?" if near else f": one of {', '.join(FIELDS)}"
    return BadInput(f"there is no field {name!r}{hint}")


def _for_json(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(name): value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
    }
