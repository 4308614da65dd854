"""What one network may ask of us in an hour: the generic cell rate algorithm, kept in the database.

The database keeps it because several processes and machines share the limit; a network is known
there by a keyed hash alone.
"""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import case, delete
from sqlalchemy.orm import Session

from digest.store import insert
from digest.store.tables import Throttle

_HOUR = 3600.0


def network_of(host: str) -> str:
    """The network of an address: its /24 (IPv4) or /64 (IPv6); what is no address is its own.

    An IPv4 address within an IPv6 one (RFC 4291, 2.5.5.2) counts as IPv4.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def throttle_key(kind: str, name: str, secret: bytes) -> str:
    """The keyed hash under which an allowance is kept."""
    return hmac.new(
        secret, f"throttle:{kind}:{name}".encode("utf-8", "replace"), sha256
    ).hexdigest()


def spend(
    session: Session, key: str, *, per_hour: float, burst: float, cost: float = 1, now: datetime
) -> datetime | None:
    """Use up `cost` of an allowance of `burst` at once and `per_hour` later; None if it is spent.

    Gives the instant at which the allowance would be whole again. One statement, so that two who
    ask at once never get more than there is (ITU-T I.371, annex A.1).
    """
    at, step = now.timestamp(), _HOUR / per_hour
    if cost > burst:
        return None
    begun = case((Throttle.until > at, Throttle.until), else_=at)
    until = session.scalar(
        insert(session, Throttle)
        .values(key=key, until=at + step * cost)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={"until": begun + step * cost},
            where=Throttle.until <= at + step * (burst - cost),
        )
        .returning(Throttle.until)
    )
    return None if until is None else datetime.fromtimestamp(until, UTC)


def forget_whole(session: Session, now: datetime) -> None:
    """Forget the allowances that are whole again."""
    session.execute(delete(Throttle).where(Throttle.until <= now.timestamp()))
