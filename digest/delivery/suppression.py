"""Addresses that must not be mailed, kept only as a keyed hash: the list names nobody."""

import hmac
from datetime import datetime
from hashlib import sha256

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from digest.store import insert
from digest.store.tables import Suppression


def address_key(address: str) -> str:
    """The one spelling under which an address is known: lower case, its domain as A-labels."""
    try:
        parts = validate_email(address.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return address.strip().casefold()
    return f"{parts.local_part.casefold()}@{parts.ascii_domain.lower()}"


def address_hash(address: str, secret: bytes) -> str:
    """HMAC-SHA-256 of the address: without the secret nobody can try addresses against it."""
    return hmac.new(secret, b"suppression:" + address_key(address).encode(), sha256).hexdigest()


def is_suppressed(session: Session, address: str, secret: bytes) -> bool:
    """Whether the address must not be mailed."""
    return session.get(Suppression, address_hash(address, secret)) is not None


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
