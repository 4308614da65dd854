"""DKIM signatures (RFC 6376; Ed25519: RFC 8463): that this mail, and its way out, are ours.

The header is signed relaxed, for servers fold anew and change blanks. The body is signed simple,
that is as it stands: what relaxed would forgive, blanks at the ends of lines, quoted-printable does
not have, and relaxed would rewrite 40 kB of each mail to find that out.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from digest.errors import BadInput, BadSettings
from digest.mail.message import ascii_domain
from digest.settings import DkimSettings

# Those that a mail has; what servers on the way may add or change is left out (RFC 6376, 5.4.1).
_SIGNED = (
    *(b"from", b"to", b"reply-to", b"subject", b"date", b"message-id"),
    *(b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id"),
    *(b"auto-submitted", b"mime-version", b"content-type"),
)
# Named once more than they stand there, so that nobody can add another that is shown instead.
_OVERSIGNED = (b"from", b"reply-to", b"subject")
_SMALLEST_RSA_BITS = 2048
_DNS_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_BLANKS = re.compile(rb"[ \t]+")
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class _Key:
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey

    @property
    def algorithm(self) -> str:
        return "rsa" if isinstance(self.private, RSAPrivateKey) else "ed25519"

    @property
    def public(self) -> bytes:
        """As its DNS record has it: RFC 6376, 3.6.1 and RFC 8463, 4.2 differ in the wrapping."""
        public = self.private.public_key()
        if isinstance(self.private, RSAPrivateKey):
            return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, PKCS1v15(), SHA256())
        return self.private.sign(sha256(data).digest())


class Signature(NamedTuple):
    """A DKIM-Signature header up to the signature, what it covers, and the key to make it with."""

    begun: bytes
    covered: bytes
    key: _Key

    def header(self) -> bytes:
        """The whole header; an RSA signature takes long, and lets other threads run meanwhile."""
        signature = b64encode(self.key.sign(self.covered))
        return self.begun + b"\r\n ".join(re.findall(rb".{1,73}", signature)) + b"\r\n"


class Signer:
    """Signs mail for one domain with the keys of the settings: none, one or both."""

    def __init__(self, settings: DkimSettings, from_domain: str) -> None:
        """Load the keys, once. Raises BadSettings, which names the key of the settings."""
        try:
            domain = ascii_domain(settings.domain or from_domain)
        except BadInput:
            raise BadSettings(f"dkim.domain: {settings.domain!r} is no domain") from None
        self.domain = _name("domain", domain)
        self._keys: list[_Key] = []
        if settings.rsa_key:
            rsa_key = _loaded("rsa_key", settings.rsa_key)
            if not isinstance(rsa_key, RSAPrivateKey):
                raise BadSettings(f"dkim.rsa_key: {settings.rsa_key} holds no RSA key")
            if rsa_key.key_size < _SMALLEST_RSA_BITS:
                raise BadSettings(
                    f"dkim.rsa_key: {settings.rsa_key} has {rsa_key.key_size} bits; it needs "
                    f"{_SMALLEST_RSA_BITS}: openssl genrsa -out {settings.rsa_key} 2048"
                )
            self._keys.append(_Key(_name("rsa_selector", settings.rsa_selector), rsa_key))
        if settings.ed25519_key:
            ed25519_key = _loaded("ed25519_key", settings.ed25519_key)
            if not isinstance(ed25519_key, Ed25519PrivateKey):
                raise BadSettings(f"dkim.ed25519_key: {settings.ed25519_key} holds no Ed25519 key")
            selector = _name("ed25519_selector", settings.ed25519_selector)
            self._keys.append(_Key(selector, ed25519_key))

    def sign(self, raw: bytes, *, at: datetime) -> bytes:
        """The DKIM-Signature headers to put before the mail `raw`, one a key.

        `raw` ends with one line end, as `compose` makes it. The same mail and `at` give the same
        bytes.
        """
        return b"".join([signature.header() for signature in self.prepare(raw, at=at)])

    def prepare(self, raw: bytes, *, at: datetime) -> list[Signature]:
        """All of `sign` but the work of the keys, one a key."""
        if not self._keys:
            return []
        end = raw.index(_HEAD_END)
        fields = dict(map(_relaxed_field, _FIELD_END.split(raw[:end])))
        names = [name for name in _SIGNED if name in fields]
        covered = b"\r\n".join([fields[name] for name in names]) + b"\r\n"
        body = memoryview(raw)[end + len(_HEAD_END) :]
        body_hash = b64encode(sha256(body).digest()).decode()
        lines = _naming((*names, *_OVERSIGNED))
        signatures = []
        for key in self._keys:
            begun = "\r\n ".join(
                (
                    f"DKIM-Signature: v=1; a={key.algorithm}-sha256; c=relaxed/simple;",
                    f"d={self.domain};",
                    f"s={key.selector}; t={int(at.timestamp())};",
                    *lines,
                    f"bh={body_hash};",
                    "b=",
                )
            ).encode()
            # A signature covers its own header too, as it stands before the signature is in it.
            signatures.append(Signature(begun, covered + _relaxed(begun)[1], key))
        return signatures

    def dns_records(self) -> list[tuple[str, str]]:
        """The name and the text of the TXT record that publishes each key."""
        return [
            (
                f"{key.selector}._domainkey.{self.domain}",
                f"v=DKIM1; k={key.algorithm}; p={b64encode(key.public).decode()}",
            )
            for key in self._keys
        ]


@lru_cache(64)
def _naming(names: tuple[bytes, ...]) -> list[str]:
    """The tag of the headers that are signed, in lines."""
    return re.findall(r".{1,75}(?:(?<=:)|\Z)", f"h={b':'.join(names).decode()};")


def _relaxed(field: bytes) -> tuple[bytes, bytes]:
    """A header field by its name, canonical (RFC 6376, 3.4.2) and without its line end."""
    name, _, value = field.partition(b":")
    name = name.rstrip(b" \t").lower()
    if b"\r\n" in value or b"\t" in value or b"  " in value:
        value = _BLANKS.sub(b" ", value.replace(b"\r\n", b""))
    return name, name + b":" + value.strip(b" ")


# Most fields stand in every mail of a morning.
_relaxed_field = lru_cache(256)(_relaxed)


def _loaded(setting: str, file: Path) -> object:
    try:
        return load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise BadSettings(f"dkim.{setting}: cannot read {file}: {error.strerror}") from None
    except TypeError:
        raise BadSettings(f"dkim.{setting}: {file} is locked with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadSettings(f"dkim.{setting}: {file} holds no private key in PEM form") from None


def _name(setting: str, text: str) -> str:
    if not _DNS_NAME.fullmatch(text):
        raise BadSettings(f"dkim.{setting}: {text!r} cannot stand in a DNS name")
    return text
