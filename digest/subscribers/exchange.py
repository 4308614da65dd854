"""Subscribers as files: all that is stored of one, and lists of many to take on."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.settings import SubscriberDefaults
from digest.store.tables import (
    Bounce,
    Consent,
    Delivery,
    EditionItemRow,
    EditionRow,
    Interest,
    Mute,
    Paper,
    VoteRow,
)
from digest.subscribers.life import add, find
from digest.subscribers.subscription import FIELDS


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many lines ended in which outcome of `add`, and what was wrong with the others."""

    outcomes: Mapping[str, int]
    problems: tuple[str, ...]


def export(session: Session, address: str) -> dict[str, Any]:
    """Everything that is stored of a subscriber, as JSON can hold it. Raises Unknown."""
    who = find(session, address)
    paper = (Paper.title, Paper.arxiv_id, Paper.doi, Paper.url)
    parts = {
        "consents": select(Consent.kind, Consent.wording, Consent.at)
        .where(Consent.subscriber_id == who.id)
        .order_by(Consent.id),
        "interests": select(Interest.name, Interest.text, Interest.created_at)
        .where(Interest.subscriber_id == who.id)
        .order_by(Interest.id),
        "mutes": select(Mute.kind, Mute.text, Mute.created_at)
        .where(Mute.subscriber_id == who.id)
        .order_by(Mute.kind, Mute.created_at, Mute.text),
        "votes": select(VoteRow.value, VoteRow.via, VoteRow.at, *paper)
        .join(Paper, Paper.id == VoteRow.paper_id)
        .where(VoteRow.subscriber_id == who.id)
        .order_by(VoteRow.at, VoteRow.paper_id),
        "editions": select(
            EditionRow.local_date, EditionItemRow.position, EditionItemRow.reasons, *paper
        )
        .join(EditionItemRow, EditionItemRow.edition_id == EditionRow.id)
        .join(Paper, Paper.id == EditionItemRow.paper_id)
        .where(EditionRow.subscriber_id == who.id)
        .order_by(EditionRow.local_date, EditionItemRow.position),
        "bounces": select(Bounce.at, Bounce.kind, Bounce.status, Bounce.said)
        .where(Bounce.subscriber_id == who.id)
        .order_by(Bounce.id),
        "deliveries": select(
            Delivery.kind, Delivery.state, Delivery.created_at, Delivery.settled_at
        )
        .where(Delivery.subscriber_id == who.id)
        .order_by(Delivery.id),
    }
    rows = {name: session.execute(query).mappings() for name, query in parts.items()}
    return {"subscriber": _for_json(asdict(who))} | {
        name: [_for_json(row) for row in found] for name, found in rows.items()
    }


def import_subscribers(
    session: Session, text: str, *, defaults: SubscriberDefaults, now: datetime
) -> ImportReport:
    """`add` every line of `text`, and tell of those that cannot be.

    `text` is CSV with a heading (`address,timezone,...`), addresses alone, or JSON objects, one a
    line. A field left out or empty is the default, or stays as it is for a known subscriber;
    `none` as `min_probability` switches it off.
    """
    outcomes: Counter[str] = Counter()
    problems = []
    for line, values in _rows(text.removeprefix("\ufeff")):
        try:
            if isinstance(values, BadInput):
                raise values
            given = {name: value for name, value in values.items() if value not in ("", None)}
            added = add(session, given, defaults, now=now)
        except BadInput as error:
            problems.append(f"line {line}: {error}")
        else:
            outcomes[added.outcome] += 1
    return ImportReport(dict(outcomes), tuple(problems))


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | BadInput]]:
    """Line numbers with what stands there, or with why it cannot be read."""
    if text.lstrip().startswith("{"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _object(line)
        return
    table = csv.reader(text.splitlines(keepends=True))
    names: list[str] = []
    try:
        for cells in table:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if not names:
                names = [cell.lower() for cell in row] if "@" not in "".join(row) else ["address"]
                for name in names:
                    if fault := _no_field(name):
                        yield table.line_num, fault
                if names != ["address"] or "@" not in row[0]:
                    continue
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
    return next(filter(None, map(_no_field, values)), values)


def _no_field(name: str) -> BadInput | None:
    if name in FIELDS:
        return None
    near = get_close_matches(name, FIELDS, 1)
    hint = f"; did you mean {near[0]}?" if near else f": one of {', '.join(FIELDS)}"
    return BadInput(f"there is no field {name!r}{hint}")


def _for_json(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(name): value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
    }
