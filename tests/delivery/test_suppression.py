from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from digest.delivery.suppression import address_hash, address_key, is_suppressed, lift, suppress
from digest.store import Sessions
from digest.store.tables import Suppression

SECRET = b"a secret of enough bytes"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("  ann@example.org\n", "ann@example.org"),
        ("ANN@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("løser@example.org", "løser@example.org"),
        ("LØSER@example.org", "løser@example.org"),
        ("Zoe\u0308@example.org", "zoë@example.org"),
        ("Not An Address", "not an address"),
    ],
)
def test_spellings_of_one_address_have_one_key(spelling: str, key: str) -> None:
    assert address_key(spelling) == key


@given(st.emails())
def test_the_key_of_a_key_is_itself(address: str) -> None:
    assert address_key(address_key(address)) == address_key(address)


def test_different_people_stay_apart() -> None:
    others = ("ann+digest@example.org", "ann@mail.example.org", "a.nn@example.org")
    assert len({address_key(address) for address in ("ann@example.org", *others)}) == 4


def test_a_suppressed_address_is_known_however_it_is_spelt(sessions: Sessions) -> None:
    with sessions() as session:
        suppress(session, "Ann@Bücher.example", SECRET, reason="complaint", now=NOON)
        assert is_suppressed(session, "ann@xn--bcher-kva.EXAMPLE", SECRET)
        assert not is_suppressed(session, "bob@bücher.example", SECRET)


def test_the_table_holds_no_address_and_says_nothing_without_the_secret(
    sessions: Sessions,
) -> None:
    with sessions() as session:
        suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)
        row = session.scalars(select(Suppression)).one()
        assert (len(row.address_hash), row.reason, row.at) == (64, "complaint", NOON)
        assert not {"ann", "example"} & set(repr(vars(row)).lower().split("'"))
        assert not is_suppressed(session, "ann@example.org", b"some other secret")
    assert address_hash("ann@example.org", SECRET) != address_hash("ann@example.org", b"x" * 16)


def test_suppressing_twice_keeps_the_first_reason(sessions: Sessions) -> None:
    with sessions() as session:
        for reason in ("complaint", "bounced"):
            suppress(session, "ann@example.org", SECRET, reason=reason, now=NOON)
        assert session.scalars(select(Suppression.reason)).all() == ["complaint"]


def test_lifting_allows_the_address_again_and_says_whether_it_had_to(sessions: Sessions) -> None:
    with sessions() as session:
        suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)
        assert lift(session, "ANN@example.org", SECRET) is True
        assert lift(session, "ann@example.org", SECRET) is False
        assert not is_suppressed(session, "ann@example.org", SECRET)
