"""No token that we did not make, or made for something else, opens anything."""

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from digest.errors import BadToken
from digest.links import _KINDS, Claim, Links

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=60)
OURS, THEIRS = (Links("https://d.example", [secret * 16]) for secret in (b"a", b"b"))
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
Forge = Callable[[random.Random, str, Claim], str]


def _raw(token: str) -> bytearray:
    return bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def _text(raw: bytes | bytearray) -> str:
    return urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()


def random_letters(rng: random.Random, token: str, _claim: Claim) -> str:
    return "".join(rng.choices(BASE64, k=len(token)))


def a_bit_flipped(rng: random.Random, token: str, _claim: Claim) -> str:
    raw = _raw(token)
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return _text(raw)


def a_letter_changed(rng: random.Random, token: str, _claim: Claim) -> str:
    place = rng.randrange(len(token))
    return token[:place] + rng.choice(BASE64.replace(token[place], "")) + token[place + 1 :]


def cut_off(rng: random.Random, token: str, _claim: Claim) -> str:
    return token[: rng.randrange(len(token))]


def extended(rng: random.Random, token: str, _claim: Claim) -> str:
    more = "".join(rng.choices(BASE64, k=rng.randint(1, 8)))
    return rng.choice((token + more, more + token))


def of_another_key(_rng: random.Random, _token: str, claim: Claim) -> str:
    return THEIRS.token(claim)


def of_another_key_with_our_key_id(_rng: random.Random, token: str, claim: Claim) -> str:
    raw = _raw(THEIRS.token(claim))
    raw[0] = _raw(token)[0]
    return _text(raw)


def for_another_purpose(rng: random.Random, token: str, _claim: Claim) -> str:
    """The kind in it swapped, its MAC kept."""
    raw = _raw(token)
    raw[1] = rng.choice([kind for kind in range(256) if kind != raw[1]])
    return _text(raw)


def encoded_otherwise(rng: random.Random, token: str, _claim: Claim) -> str:
    """The same bytes in another spelling, as a lenient reader of base64 would take them."""
    spelt = [
        token + "=" * rng.randint(1, 3),
        token + rng.choice(" \n\t"),
        rng.choice(" \n\t") + token,
        token[:5] + rng.choice("\n. !") + token[5:],
        _raw(token).hex(),
        token.swapcase(),
    ]
    if "-" in token or "_" in token:
        spelt.append(token.replace("-", "+").replace("_", "/"))
    return rng.choice(spelt)


def a_mac_cut_short(rng: random.Random, token: str, _claim: Claim) -> str:
    return _text(_raw(token)[: -rng.randint(1, 16)])


FORGED: tuple[Forge, ...] = (
    random_letters,
    a_bit_flipped,
    a_letter_changed,
    cut_off,
    extended,
    of_another_key,
    of_another_key_with_our_key_id,
    for_another_purpose,
    encoded_otherwise,
    a_mac_cut_short,
)


def any_claim(rng: random.Random) -> Claim:
    purpose, value = rng.choice(_KINDS)
    ids = (rng.randrange(1, 10**6), LATER, rng.randrange(10**6), rng.randrange(10**6))
    return Claim(purpose, *ids, value)


@pytest.mark.parametrize("n", [10_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_no_forged_or_altered_token_is_accepted(n: int) -> None:
    rng = random.Random(n)
    tried = 0
    while tried < n:
        claim = any_claim(rng)
        token = OURS.token(claim)
        assert OURS.read(token, claim.purpose, NOON) == claim
        for forge in FORGED:
            forged = forge(rng, token, claim)
            tried += 1
            if forged == token:  # a swap of case that changes nothing
                continue
            with pytest.raises(BadToken):
                OURS.read(forged, claim.purpose, NOON)
    assert tried >= n


def test_a_token_of_one_purpose_is_none_of_another() -> None:
    for purpose, value in _KINDS:
        token = OURS.token(Claim(purpose, 7, LATER, 8, 9, value))
        for other in {other for other, _ in _KINDS} - {purpose}:
            with pytest.raises(BadToken, match="something else"):
                OURS.read(token, other, NOON)
