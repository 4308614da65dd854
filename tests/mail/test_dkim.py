import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import BadSettings
from digest.mail import Addressing, MailingList, Rendered, Signer, compose
from digest.mail.wire import whole
from digest.settings import DkimSettings
from tests.mail.dkim_keys import DOMAIN, SIGNER, pem, rsa_key, verified

AT = datetime(2026, 11, 21, 6, tzinfo=UTC)
HEADERS = Addressing(
    envelope_sender="bounces@example.org",
    sender_name="Digest",
    sender_address="digest@example.org",
    recipient="reader@example.org",
    message_id="0a1b2c@example.org",
    date=AT,
    feedback_id="2026-11-21:example.org:edition:digest",
    mailing_list=MailingList(
        "digest.example.org",
        "https://digest.example.org/unsubscribe/abc",
        "mailto:leave@example.org?subject=unsubscribe%20abc",
    ),
)
RENDERED = Rendered("Eight papers", whole("Hello\n"), whole("<p>Hello</p>\n"))
MAIL = compose(RENDERED, HEADERS).raw
SIGNED = SIGNER.sign(MAIL, at=AT) + MAIL
wild = st.text(st.characters(exclude_categories=()))


def tags(signature: bytes) -> dict[str, str]:
    """The tags of each DKIM-Signature, white space dropped."""
    text = re.sub(r"\s", "", signature.decode().partition(":")[2])
    return dict(tag.partition("=")[::2] for tag in text.split(";"))


def signatures(raw: bytes) -> list[bytes]:
    head = raw.partition(b"\r\n\r\n")[0]
    return [f for f in re.split(rb"\r\n(?![ \t])", head) if f.startswith(b"DKIM-Signature:")]


@settings(max_examples=60)
@given(wild, wild, wild)
def test_both_signatures_hold_whatever_a_mail_says(subject: str, name: str, text: str) -> None:
    raw = compose(
        Rendered(subject, whole(text), whole(text)), replace(HEADERS, sender_name=name)
    ).raw
    assert verified(SIGNER.sign(raw, at=AT) + raw, SIGNER) == [True, True]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"<p>Hello", b"<p>Hallo"),
        lambda raw: raw + b"more\r\n",
        lambda raw: raw.replace(b"Subject: Eight", b"Subject: Seven"),
        lambda raw: raw.replace(b"/unsubscribe/abc", b"/unsubscribe/abd"),
        lambda raw: raw.replace(b"List-Unsubscribe=One-Click", b"List-Unsubscribe=No"),
        lambda raw: raw.replace(b"From: Digest", b"From: Another"),
        lambda raw: raw.replace(b"To: reader@", b"To: other@"),
        lambda raw: raw.replace(b":edition:", b":other:"),
        lambda raw: raw.replace(b"multipart/alternative", b"multipart/mixed"),
        lambda raw: raw.replace(b"t=1795240800", b"t=1795240801"),
        lambda raw: b"From: x@evil.example\r\n" + raw,
        lambda raw: b"Subject: Another\r\n" + raw,
        lambda raw: b"Reply-To: x@evil.example\r\n" + raw,
    ],
)
def test_what_is_changed_or_added_on_the_way_breaks_both(
    change: Callable[[bytes], bytes],
) -> None:
    changed = change(SIGNED)
    assert changed != SIGNED
    assert verified(SIGNED, SIGNER) == [True, True]
    assert verified(changed, SIGNER) == [False, False]


def test_headers_that_are_folded_anew_or_added_by_servers_break_nothing() -> None:
    travelled = b"Received: from a\r\n by b\r\n" + SIGNED.replace(
        b"Subject: Eight papers", b"SUBJECT:  Eight\r\n\tpapers "
    )
    assert verified(travelled, SIGNER) == [True, True]


def test_both_keys_sign_the_same_and_each_says_which_it_is() -> None:
    rsa, ed25519 = map(tags, signatures(SIGNED))
    assert (rsa["a"], rsa["s"]) == ("rsa-sha256", "digest")
    assert (ed25519["a"], ed25519["s"]) == ("ed25519-sha256", "digest-ed25519")
    for tag in ("v", "c", "d", "t", "h", "bh"):
        assert rsa[tag] == ed25519[tag]
    assert rsa["d"] == DOMAIN
    assert rsa["t"] == str(int(AT.timestamp()))


def test_every_header_that_means_something_is_covered_and_from_cannot_be_doubled() -> None:
    (first, _) = signatures(SIGNED)
    covered = tags(first)["h"].split(":")
    assert covered.count("from") == 2
    head = MAIL.partition(b"\r\n\r\n")[0].decode()
    present = {name.lower() for name in re.findall(r"(?m)^([\w-]+):", head)}
    assert present - set(covered) == {"precedence", "x-auto-response-suppress"}


def test_the_same_mail_is_signed_with_the_same_bytes_on_76_columns() -> None:
    assert SIGNER.sign(MAIL, at=AT) == SIGNER.sign(MAIL, at=AT)
    lines = SIGNER.sign(MAIL, at=AT).split(b"\r\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) <= 76
    assert all(line.startswith((b"DKIM-Signature: ", b" ")) for line in lines)


def test_the_records_are_what_dns_has_to_say(tmp_path: Path) -> None:
    (rsa, ed25519) = SIGNER.dns_records()
    assert rsa[0] == "digest._domainkey.example.org"
    assert rsa[1].startswith("v=DKIM1; k=rsa; p=MII")
    assert ed25519[0] == "digest-ed25519._domainkey.example.org"
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", ed25519[1])


def test_without_keys_nothing_is_signed() -> None:
    none = Signer(DkimSettings(), DOMAIN)
    assert none.sign(MAIL, at=AT) == b""
    assert none.dns_records() == []


def test_one_key_signs_alone_for_the_domain_of_the_settings_or_that_of_the_mail(
    tmp_path: Path,
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(Ed25519PrivateKey.generate()))
    for domain, expected in ((None, "xn--bcher-kva.example"), ("mail.example.org",) * 2):
        keys = DkimSettings(domain=domain, ed25519_key=file, ed25519_selector="a.b")
        signer = Signer(keys, "bücher.example")
        assert [name for name, _ in signer.dns_records()] == [f"a.b._domainkey.{expected}"]
        assert verified(signer.sign(MAIL, at=AT) + MAIL, signer) == [True]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rsa_key": "lost.pem"}, r"dkim.rsa_key: cannot read .*lost.pem: No such file"),
        ({"rsa_key": "."}, "dkim.rsa_key: cannot read .*: Is a directory"),
        ({"rsa_key": "text.pem"}, "dkim.rsa_key: .*text.pem holds no private key in PEM form"),
        ({"rsa_key": "public.pem"}, "dkim.rsa_key: .* holds no private key"),
        ({"rsa_key": "locked.pem"}, "dkim.rsa_key: .* is locked with a passphrase"),
        ({"rsa_key": "small.pem"}, "dkim.rsa_key: .* has 1024 bits; it needs 2048"),
        ({"rsa_key": "ed25519.pem"}, "dkim.rsa_key: .* holds no RSA key"),
        ({"ed25519_key": "rsa.pem"}, "dkim.ed25519_key: .* holds no Ed25519 key"),
        ({"ed25519_key": "text.pem"}, "dkim.ed25519_key: .* holds no private key"),
        ({"rsa_key": "rsa.pem", "rsa_selector": "a; b"}, "dkim.rsa_selector: 'a; b' cannot stand"),
        ({"ed25519_key": "ed25519.pem", "ed25519_selector": ""}, "dkim.ed25519_selector: ''"),
        ({"domain": "a\r\nb"}, "dkim.domain: .* cannot stand in a DNS name"),
        ({"domain": "bü cher"}, "dkim.domain: 'bü cher' is no domain"),
    ],
)
def test_a_key_that_cannot_sign_is_named_with_what_is_wrong(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    ed25519 = Ed25519PrivateKey.generate()
    (tmp_path / "text.pem").write_text("no key\n")
    (tmp_path / "rsa.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "small.pem").write_bytes(pem(rsa_key(1024)))
    (tmp_path / "locked.pem").write_bytes(pem(rsa_key(), b"secret"))
    (tmp_path / "ed25519.pem").write_bytes(pem(ed25519))
    public = pem(ed25519).replace(b"PRIVATE", b"PUBLIC")
    (tmp_path / "public.pem").write_bytes(public)
    laid = {k: tmp_path / v if k.endswith("_key") else v for k, v in given.items()}
    with pytest.raises(BadSettings, match=said):
        Signer(DkimSettings.model_validate(laid), DOMAIN)
