"""Links: signed claims <-> URLs; what a link allows, whoever holds it, without a login.

A token is `key id, kind, expiry, ids` and a keyed MAC over them, in URL-safe base64. It carries no
address, is the same whenever it is made, and there is one token for a claim and a key.

What a claim allows, each named after its page:

    confirm      to confirm one subscription
    edition      to see one edition, vote on its papers, mute what they name, and go on to what the
                 same mail's links allow: preferences and unsubscribe
    vote         the same; its page opens with that vote chosen
    unsubscribe  to get less mail: none, a pause, or one a week
    preferences  to see and change all that is stored, export it and delete it
    change_from  to say, as the old address, that a change of address is wanted
    change_to    to say so as the new one
    feed         to read their papers as a feed, and to search; it stands in no mail
"""

import hmac
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Literal
from urllib.parse import urlsplit

from digest.errors import BadSettings, BadToken
from digest.languages import msgid

Purpose = Literal[
    "confirm", "edition", "vote", "unsubscribe", "preferences", "change_from", "change_to", "feed"
]
Choice = Literal["up", "down", "saved", ""]

# A token stores the place in this list: add at its end, never reorder.
_KINDS: tuple[tuple[Purpose, Choice], ...] = (
    ("confirm", ""),
    ("edition", ""),
    ("vote", "up"),
    ("vote", "down"),
    ("vote", "saved"),
    ("unsubscribe", ""),
    ("preferences", ""),
    ("change_from", ""),
    ("change_to", ""),
    ("feed", ""),
)
_KIND_OF = {kind: i for i, kind in enumerate(_KINDS)}
_VOTES = tuple(_KIND_OF["vote", value] for value in ("up", "down", "saved"))
_HEAD = Struct(">BBI")  # key id, kind, expiry in Unix seconds
_MAC_SIZE = 16
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_SHORTEST_SECRET = 16
_LONGEST_TOKEN = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """What the holder of a link may do, and until when (whole seconds, exclusive)."""

    purpose: Purpose
    subscriber_id: int
    expires_at: datetime
    edition_id: int = 0
    paper_id: int = 0
    value: Choice = ""
    change_id: int = 0


class Links:
    """Makes links under one base URL and reads them back."""

    def __init__(self, base_url: str, secrets: Sequence[bytes]) -> None:
        """Sign with the first of `secrets`; links of the others, rotated out, still hold."""
        if not secrets or min(map(len, secrets)) < _SHORTEST_SECRET:
            raise BadSettings(
                f"secret_key: at least {_SHORTEST_SECRET} random bytes, or links can be forged"
            )
        self.base_url = base_url.rstrip("/")
        self.base_path = urlsplit(self.base_url).path
        keys = [blake2b(secret, digest_size=32, person=b"links").digest() for secret in secrets]
        self._key_ids = [_key_id(key) for key in keys]
        # Half the work of a MAC is to take in the key.
        self._keyed = [blake2b(digest_size=_MAC_SIZE, key=key, person=b"claim") for key in keys]

    def url(self, claim: Claim) -> str:
        """The link for a mail."""
        return f"{self.base_url}/{claim.purpose}/{self.token(claim)}"

    def path(self, claim: Claim) -> str:
        """The same link for a page of ours, whatever host name it was opened under."""
        return f"{self.base_path}/{claim.purpose}/{self.token(claim)}"

    def votes(self, claim: Claim, paper_ids: Iterable[int]) -> list[tuple[str, str, str]]:
        """The links of each paper to vote it up, down and saved; `claim` is of its edition.

        The same as `url` gives for each: most links of a mail are these.
        """
        before = f"{self.base_url}/vote/"
        of_edition = self._head(claim)[_HEAD.size :]
        until = int(claim.expires_at.timestamp())
        heads = [_HEAD.pack(self._key_ids[0], kind, until) + of_edition for kind in _VOTES]
        return [
            (
                before + self._signed(heads[0] + paper),
                before + self._signed(heads[1] + paper),
                before + self._signed(heads[2] + paper),
            )
            for paper in map(packed, paper_ids)
        ]

    def token(self, claim: Claim) -> str:
        """Sign a claim."""
        change = packed(claim.change_id) if claim.change_id else b""
        return self._signed(self._head(claim) + packed(claim.paper_id) + change)

    def _head(self, claim: Claim) -> bytes:
        kind = _KIND_OF[claim.purpose, claim.value]
        head = _HEAD.pack(self._key_ids[0], kind, int(claim.expires_at.timestamp()))
        return head + packed(claim.subscriber_id) + packed(claim.edition_id)

    def _signed(self, body: bytes) -> str:
        return _encoded(body + _mac(body, self._keyed[0]))

    def read(self, token: str, purpose: Purpose, now: datetime) -> Claim:
        """Give the claim back. Raises BadToken: `expired` if it was ours and its time is over."""
        claim = self.read_signed(token)
        if claim.purpose != purpose:
            other = msgid(
                "this link is for something else: %(purpose)s, not %(wanted)s",
                purpose=claim.purpose,
                wanted=purpose,
            )
            raise BadToken(other)
        if now >= claim.expires_at:
            over = msgid("this link was good until %(day)s", day=claim.expires_at.date())
            raise BadToken(over, expired=True)
        return claim

    def read_signed(self, token: str) -> Claim:
        """The claim of a token of ours, even if its time is over. Raises BadToken."""
        body, mac = _split(token)
        may_be = zip(self._key_ids, self._keyed, strict=True)
        keyed = [one for id_, one in may_be if body[:1] == bytes([id_])]
        if not any(hmac.compare_digest(_mac(body, one), mac) for one in keyed):
            raise BadToken(msgid("this link is not one of ours, or a part of it is missing"))
        _, kind, expiry = _HEAD.unpack_from(body)
        purpose, value = _KINDS[kind]
        expires_at = datetime.fromtimestamp(expiry, UTC)
        subscriber_id, edition_id, paper_id, *more = unpacked(body[_HEAD.size :])
        return Claim(purpose, subscriber_id, expires_at, edition_id, paper_id, value, *more)


def _key_id(key: bytes) -> int:
    return blake2b(key, digest_size=1, person=b"key id").digest()[0]


def _mac(body: bytes, keyed: blake2b) -> bytes:
    mac = keyed.copy()
    mac.update(body)
    return mac.digest()


def _encoded(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


def _split(token: str) -> tuple[bytes, bytes]:
    """Part a token into body and MAC, both empty where it cannot be one of ours."""
    try:
        raw = (
            urlsafe_b64decode(token + "=" * (-len(token) % 4))
            if len(token) <= _LONGEST_TOKEN
            else b""
        )
    except (NotBase64, ValueError):
        raw = b""
    # Base64 reads several spellings as the same bytes; only the one that we write is ours.
    if len(raw) <= _HEAD.size + _MAC_SIZE or _encoded(raw) != token:
        return b"", b""
    return raw[:-_MAC_SIZE], raw[-_MAC_SIZE:]


# One mail's links repeat three ids two dozen times.
@lru_cache(1024)
def packed(number: int) -> bytes:
    """Seven bits a byte, lowest first; the high bit says that more follow."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def unpacked(parts: bytes) -> list[int]:
    """The numbers that were `packed` one after another; what is cut off at the end is dropped."""
    numbers, number, shift = [], 0, 0
    for byte in parts:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            numbers.append(number)
            number, shift = 0, 0
    return numbers
