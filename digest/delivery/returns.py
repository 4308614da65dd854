"""What comes back, and how it names the delivery or the subscriber that it is about.

A mark is `b` or `u`, an id and a keyed MAC over it, in base32: mail systems on the way may write a
local part in lower case. It carries no address, and never expires: bounces come weeks later.
"""

import hmac
import re
from base64 import b32decode, b32encode
from binascii import Error as NotBase32
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal
from urllib.parse import quote

from digest.links import packed, unpacked

# Only who mails us can try one, once a mail: 80 bits are more than anyone can guess.
_MAC_SIZE = 10
# Its length is that of one byte of id to ten (2**63) with the MAC. Whatever stands around it, such
# as SRS or a forwarder's own mark, is parted from it by + = @ or a blank.
_MARK = re.compile(r"(?<![a-z0-9])[bu][a-z2-7]{18,32}(?![a-z0-9])", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Returned:
    """What a mark stands for: a delivery that comes back, or a subscriber who wants to leave."""

    kind: Literal["bounce", "unsubscribe"]
    id: int


def return_path(address: str, delivery_id: int, secret: bytes) -> str:
    """The envelope sender of one delivery (VERP): `bounces+b<mark>@example.org`.

    Its local part stays within the 64 octets of RFC 5321 for an `address` that the settings allow.
    """
    local, _, domain = address.rpartition("@")
    return f"{local}+{_mark(Returned('bounce', delivery_id), secret)}@{domain}"


def unsubscribe_mailto(address: str, subscriber_id: int, secret: bytes) -> str:
    """A mailto: URL (RFC 6068) that ends a subscription.

    The mark is in the subject, so that it works where addresses with a plus do not.
    """
    mark = _mark(Returned("unsubscribe", subscriber_id), secret)
    return f"mailto:{quote(address, safe='@+')}?subject=unsubscribe%20{mark}"


def read_mark(text: str, secret: bytes) -> Returned | None:
    """The first mark of ours in an address, a subject or any other text; None without one."""
    for found in _MARK.finditer(text):
        mark = found[0].lower()
        named = _named(mark)
        if named and hmac.compare_digest(_mark(named, secret), mark):
            return named
    return None


def _mark(named: Returned, secret: bytes) -> str:
    key = blake2b(secret, digest_size=32, person=b"returns").digest()
    body = packed(named.id)
    mac = blake2b(body, digest_size=_MAC_SIZE, key=key, person=named.kind.encode()).digest()
    return f"{named.kind[0]}{b32encode(body + mac).decode().rstrip('=').lower()}"


def _named(mark: str) -> Returned | None:
    """What a mark says, whoever made it."""
    try:
        raw = b32decode(mark[1:].upper() + "=" * (-len(mark[1:]) % 8))
    except NotBase32:
        return None
    ids = unpacked(raw[:-_MAC_SIZE])
    return Returned("bounce" if mark[0] == "b" else "unsubscribe", ids[0]) if ids else None
