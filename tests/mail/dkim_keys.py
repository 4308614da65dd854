"""Keys made for this run, a signer that has both, and dkimpy as the server that verifies."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from digest.mail.dkim import Signer
from digest.settings import DkimSettings

DOMAIN = "example.org"


def pem(key: RSAPrivateKey | Ed25519PrivateKey, passphrase: bytes = b"") -> bytes:
    locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def _signer() -> Signer:
    with TemporaryDirectory() as folder:
        rsa, ed25519 = Path(folder, "rsa.pem"), Path(folder, "ed25519.pem")
        rsa.write_bytes(pem(rsa_key()))
        ed25519.write_bytes(pem(Ed25519PrivateKey.generate()))
        return Signer(DkimSettings(rsa_key=rsa, ed25519_key=ed25519), DOMAIN)


SIGNER = _signer()


def verified(raw: bytes, signer: Signer) -> list[bool]:
    """Whether each signature of a mail holds, asking for the keys that `signer` publishes."""
    records = {f"{name}.": text for name, text in signer.dns_records()}

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode()].encode()

    def holds(n: int) -> bool:
        try:
            return dkim.DKIM(raw).verify(n, dnsfunc=look_up)
        except dkim.ValidationError:  # the body is another
            return False

    return [holds(n) for n in range(raw.count(b"DKIM-Signature:"))]
