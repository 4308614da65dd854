import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.delivery.returns import Returned, read_mark, return_path, unsubscribe_mailto
from digest.settings import MailSettings

SECRET = b"a secret of enough bytes"
ids = st.integers(0, 2**63)
wild = st.text(st.characters(exclude_categories=()))
around = st.text("\t\r\n <>()=+@.,:;-_/éΩ\u0130\u212a", max_size=30)


def bounce(n: int, secret: bytes = SECRET) -> str:
    return return_path("bounces@example.org", n, secret)


def leave(n: int, secret: bytes = SECRET) -> str:
    return unsubscribe_mailto("digest@example.org", n, secret)


@given(ids, around, around, st.booleans())
def test_a_mark_names_its_delivery_or_subscriber_whatever_stands_around_it(
    n: int, before: str, after: str, shouted: bool
) -> None:
    for address, expected in ((bounce(n), "bounce"), (leave(n), "unsubscribe")):
        text = f"{before} {address.replace('%20', ' ')} {after}"
        assert read_mark(text.upper() if shouted else text, SECRET) == Returned(expected, n)


@pytest.mark.parametrize(
    "seen",
    [
        "<{}>",
        "rfc822;{}",
        "SRS0=HHH=TT=example.org={}@forwarder.example",
        "prvs=1234567890={}",
        "{}@[127.0.0.1]",
    ],
)
def test_forwarders_may_wrap_the_return_path_in_marks_of_their_own(seen: str) -> None:
    assert read_mark(seen.format(bounce(70_000)), SECRET) == Returned("bounce", 70_000)


def test_marks_of_others_before_it_do_not_hide_ours() -> None:
    text = f"{bounce(1, b'the secret of somebody else')} {bounce(2)} {bounce(3)}"
    assert read_mark(text, SECRET) == Returned("bounce", 2)


@given(wild)
def test_hostile_text_names_nothing(text: str) -> None:
    assert read_mark(text, SECRET) is None


@given(ids, st.from_regex(r"[bu][a-z2-7]{18,32}", fullmatch=True))
def test_a_mark_that_we_did_not_make_names_nothing(n: int, made_up: str) -> None:
    assert read_mark(f"bounces+{made_up}@example.org", SECRET) is None
    assert read_mark(bounce(n, b"another secret, as long"), SECRET) is None


@given(ids, st.data())
def test_a_mark_with_one_letter_changed_names_nothing(n: int, data: st.DataObject) -> None:
    address = bounce(n)
    place = data.draw(st.integers(len("bounces+"), address.index("@") - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
    changed = address[:place] + letter + address[place + 1 :]
    assert (read_mark(changed, SECRET) is None) == (changed != address)


@given(ids)
def test_a_mark_for_one_thing_does_nothing_else(n: int) -> None:
    assert read_mark(bounce(n).replace("+b", "+u"), SECRET) is None
    assert read_mark(leave(n).replace("%20u", " b"), SECRET) is None


@given(ids, st.sampled_from(["bounces", "bounces+digest", "b" * 30, "ø" * 15]))
def test_the_return_path_fits_into_an_address_that_the_settings_allow(n: int, local: str) -> None:
    settings = MailSettings(bounce_address=f"{local}@example.org")
    address = return_path(settings.returns_to, n, SECRET)
    assert address.startswith(f"{local}+b")
    assert address.endswith("@example.org")
    assert len(address.rpartition("@")[0].encode()) <= 64
    assert read_mark(address, SECRET) == Returned("bounce", n)


@pytest.mark.parametrize("key", ["from_address", "bounce_address"])
def test_an_address_with_no_room_for_a_mark_is_refused_unless_none_is_added(key: str) -> None:
    for local in ("b" * 31, "ø" * 16):
        long = {key: f"{local}@example.org"}
        with pytest.raises(ValueError, match=f"{key}: at most 30 octets before the @"):
            MailSettings.model_validate(long)
        assert MailSettings.model_validate({**long, "verp": False}).returns_to == long[key]


def test_the_mailto_is_a_url_whatever_the_address() -> None:
    made = unsubscribe_mailto("a&b=c?d%+løser@example.org", 7, SECRET)
    assert re.fullmatch(
        r"mailto:a%26b%3Dc%3Fd%25\+l%C3%B8ser@example\.org\?subject=unsubscribe%20u[a-z2-7]+", made
    )


def test_marks_are_short_repeatable_and_name_no_address() -> None:
    assert bounce(70_000) == bounce(70_000)
    assert len(bounce(70_000)) < 45
    assert bounce(1) != bounce(2)
