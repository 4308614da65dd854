"""A proof of work that a browser does before it signs somebody up (ALTCHA, altcha.org/docs).

A challenge is signed, so none is stored until it has been solved; then it counts once.
"""

import json
from base64 import b64decode
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal

from altcha.v1 import ChallengeOptions, Payload, create_challenge, verify_solution
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.orm import Session

from digest.subscribers.throttle import spend, throttle_key

# A phone tries so many in about a second.
HARDEST = 50_000
GOOD_FOR = timedelta(hours=1)
_LONGEST = 2_000


class _Payload(BaseModel):
    algorithm: Literal["SHA-256"]
    challenge: str
    number: int = Field(ge=0, le=HARDEST)
    salt: str
    signature: str


def new_challenge(secret: bytes, now: datetime) -> dict[str, object]:
    """A challenge as a browser is given it: which number, after the salt, has this SHA-256?"""
    options = ChallengeOptions(
        algorithm="SHA-256", max_number=HARDEST, hmac_key=_key(secret), expires=now + GOOD_FOR
    )
    given: dict[str, object] = create_challenge(options).to_dict()
    return given


def is_proof(session: Session, payload: str, *, secret: bytes, now: datetime) -> bool:
    """Whether a payload (base64 of JSON) solves a challenge of ours and is in time and new."""
    try:
        raw = b64decode(payload[:_LONGEST], validate=True)
        solved = _Payload.model_validate(json.loads(raw))
    except (ValueError, ValidationError, RecursionError):
        return False
    given = Payload(**solved.model_dump())
    good, _ = verify_solution(given, _key(secret), check_expires=False)
    _, expires, _ = given.parse_salt()
    if not good or expires is None or now.timestamp() >= expires:
        return False
    # Remembered for longer than it is good.
    key, an_hour = throttle_key("proof", solved.challenge, secret), GOOD_FOR / timedelta(hours=1)
    return spend(session, key, per_hour=0.5 / an_hour, burst=1, now=now) is not None


def _key(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=32, person=b"proofs").digest()
