"""Addresses that must not be mailed, kept only as a keyed hash: the list names nobody."""

import csv
import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.store import Sessions, insert
from digest.store.deliveries import cancel
from digest.store.tables import Subscriber, Suppression

_BY_HAND = "by the operator"
LINES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SuppressionView:
    """One entry of the list: it tells of whom only to who has the address and the secret."""

    address_hash: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SuppressionImport:
    """How many addresses are new on the list, how many were on it, and what is wrong with lines."""

    added: int
    known: int
    problems: tuple[str, ...]


def address_key(address: str) -> str:
    """The one spelling under which an address is known: lower case, its domain as A-labels."""
    try:
        parts = validate_email(address.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return address.strip().casefold()
    return f"{parts.local_part.casefold()}@{parts.ascii_domain.lower()}"


def address_hash(address: str, secret: bytes) -> str:
    """HMAC-SHA-256 of the address: without the secret nobody can try addresses against it."""
    return _hash_of(address_key(address), secret)


def _hash_of(key: str, secret: bytes) -> str:
    return hmac.new(secret, b"suppression:" + key.encode(), sha256).hexdigest()


def is_suppressed(session: Session, address: str, secret: bytes) -> bool:
    """Whether the address must not be mailed."""
    return session.get(Suppression, address_hash(address, secret)) is not None


def suppressed_among(session: Session, keys: Collection[str], secret: bytes) -> set[str]:
    """Those of the address keys (`address_key`) that must not be mailed."""
    hashes = {_hash_of(key, secret): key for key in keys}
    query = select(Suppression.address_hash).where(Suppression.address_hash.in_(hashes))
    return {hashes[found] for found in session.scalars(query)}


def suppress(session: Session, address: str, secret: bytes, *, reason: str, now: datetime) -> None:
    """Never mail the address again. Safe to repeat; the first reason stays."""
    row = {"address_hash": address_hash(address, secret), "reason": reason, "at": now}
    session.execute(insert(session, Suppression).values(row).on_conflict_do_nothing())


def lift(session: Session, address: str, secret: bytes) -> bool:
    """Allow the address again; whether it had been suppressed."""
    hash_ = address_hash(address, secret)
    found = session.scalar(select(Suppression.at).where(Suppression.address_hash == hash_))
    session.execute(delete(Suppression).where(Suppression.address_hash == hash_))
    return found is not None


def add_suppression(
    session: Session, address: str, secret: bytes, *, reason: str, now: datetime
) -> bool:
    """Suppress an address and take back what is queued for it; False if it was suppressed before.

    That it was the operator stands before the `reason`. Raises BadInput for what is no address.
    """
    try:
        validate_email(address.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise BadInput(f"{address!r} is no e-mail address: {error}") from None
    is_new = not is_suppressed(session, address, secret)
    # The guard counts the reasons that are ours: theirs may begin with the same words.
    told = f"{_BY_HAND}: {reason}" if reason else _BY_HAND
    suppress(session, address, secret, reason=told, now=now)
    whose = select(Subscriber.id).where(Subscriber.address_key == address_key(address))
    for subscriber_id in session.scalars(whose):
        cancel(session, subscriber_id, now)
    return is_new


def import_suppressions(
    sessions: Sessions, text: str, secret: bytes, *, reason: str, now: datetime
) -> SuppressionImport:
    """Suppress the addresses of a file: one a line, or CSV with a column named `address`.

    Each transaction takes a few, so that others who write need not wait for all.
    """
    n = {True: 0, False: 0}
    problems = []
    lines = _addresses(text.removeprefix("\ufeff"))
    while some := [*islice(lines, LINES_AT_ONCE)]:
        with sessions() as session:
            for line, address in some:
                try:
                    if isinstance(address, BadInput):
                        raise address
                    n[add_suppression(session, address, secret, reason=reason, now=now)] += 1
                except BadInput as error:
                    problems.append(f"line {line}: {error}")
    return SuppressionImport(n[True], n[False], tuple(problems))


def read_suppression(session: Session, address: str, secret: bytes) -> SuppressionView | None:
    """The entry of an address, None where it may be mailed."""
    row = session.get(Suppression, address_hash(address, secret))
    return None if row is None else SuppressionView(row.address_hash, row.reason, row.at)


def list_suppressions(session: Session, limit: int | None = None) -> list[SuppressionView]:
    """The list, newest first."""
    query = select(Suppression.address_hash, Suppression.reason, Suppression.at).order_by(
        Suppression.at.desc(), Suppression.address_hash
    )
    return [SuppressionView(*row) for row in session.execute(query.limit(limit))]


def _addresses(text: str) -> Iterator[tuple[int, str | BadInput]]:
    """Line numbers with the address that stands there, or with why none can be read."""
    table = csv.reader(text.splitlines(keepends=True))
    column: int | None = None
    try:
        for cells in table:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if column is None:
                names = [cell.lower() for cell in row]
                column = names.index("address") if "address" in names else 0
                if "address" in names:
                    continue
            yield table.line_num, row[column] if column < len(row) else BadInput("no address")
    except csv.Error as error:
        yield table.line_num, BadInput(f"not CSV, and nothing after it was read: {error}")
