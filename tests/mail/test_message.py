import re
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from unicodedata import category

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest.errors import BadInput
from digest.mail import Addressing, MailingList, Rendered, WireMessage, compose, render
from digest.mail.content import one_line
from tests.mail.sample import ITEM, mail

UNSUBSCRIBE = "https://digest.example.org/unsubscribe/" + "t" * 60
LIST = MailingList("digest.example.org", UNSUBSCRIBE)
HEADERS = Addressing(
    envelope_sender="bounces+1@example.org",
    sender_name="Digest",
    sender_address="digest@example.org",
    recipient="reader@example.org",
    message_id="0a1b2c@example.org",
    date=datetime(2026, 11, 21, 6, tzinfo=UTC),
    mailing_list=LIST,
)
RENDERED = Rendered("Eight papers", "Hello\n", "<p>Hello</p>\n")
NAMES = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Precedence",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
]
INJECTION = "Hi\r\nBcc: victim@example.org\r\n\r\n<b>body</b>"
wild = st.text(st.characters(exclude_categories=()))
anything = st.one_of(
    wild,
    st.text('aé注\U0001f44d =?_"\\<>()@,;:.\t\r\n', max_size=300),
    wild.map(lambda text: f"{text}\r\nBcc: victim@example.org"),
    st.integers(1, 400).map(lambda n: "x" * n),
)


def parsed(message: WireMessage) -> EmailMessage:
    return BytesParser(policy=policy.default).parsebytes(message.raw)


def body(message: WireMessage, kind: str) -> str:
    part = parsed(message).get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def header_line(message: WireMessage, name: str) -> str:
    """A header as it stands on the wire, folds and all."""
    head = message.raw.partition(b"\r\n\r\n")[0].decode().replace("\r\n", "\n")
    found = re.search(rf"(?m)^{name}: (.*(?:\n[ \t].*)*)", head)
    assert found
    return found[1]


def sender_name(message: WireMessage) -> str:
    """The name beside the sender's address.

    Read the old way: `policy.default` leaves blanks between encoded words in names (RFC 2047, 6.2).
    """
    name, _ = parseaddr(header_line(message, "From").replace("\n", ""))
    return str(make_header(decode_header(name)))


def printable(text: str) -> str:
    """What of a text can cross: line ends are one kind, controls and lone surrogates are gone."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unix if c in "\t\n" or category(c) not in {"Cc", "Cs"})


@settings(max_examples=80, deadline=None)
@given(anything, anything, anything, anything)
@example(INJECTION, INJECTION, INJECTION, INJECTION)
@example("=?utf-8?q?sneaky?=", ".", "From here\n.\n..\n.x", "=3D=\n \n\t\n")
@example("a" * 400, 'The "Digest" of (new) papers, \\', "é" * 500, "x" * 2000)
@example("", "", "", "")
def test_any_text_makes_a_sound_mail_that_reads_back_the_same(
    subject: str, name: str, text: str, html: str
) -> None:
    message = compose(Rendered(subject, text, html), replace(HEADERS, sender_name=name))
    assert message.raw.isascii()
    assert message.raw.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", message.raw)
    assert max(map(len, message.raw.split(b"\r\n"))) <= len(f"List-Unsubscribe: <{UNSUBSCRIBE}>")
    got = parsed(message)
    assert list(got.keys()) == NAMES
    assert got.defects == []
    assert got["Subject"] == one_line(subject)
    assert [a.addr_spec for a in got["From"].addresses] == ["digest@example.org"]
    assert sender_name(message) == one_line(name)
    assert [p.get_content_type() for p in got.iter_parts()] == ["text/plain", "text/html"]
    for kind, content in (("plain", text), ("html", html)):
        assert body(message, kind) == printable(content).rstrip("\n") + "\n"


@settings(deadline=None)
@given(anything)
def test_all_lines_but_that_of_the_unsubscribe_url_fit_in_78_columns(text: str) -> None:
    message = compose(Rendered(text, text, text), replace(HEADERS, sender_name=text))
    others = [x for x in message.raw.split(b"\r\n") if not x.startswith(b"List-Unsubscribe:")]
    assert max(map(len, others)) <= 78
    assert all(len(line) <= 76 for line in others if b"=?utf-8?" in line)


@settings(max_examples=30, deadline=None)
@given(anything, anything)
def test_the_same_input_gives_the_same_bytes(subject: str, text: str) -> None:
    rendered = Rendered(subject, text, text)
    assert compose(rendered, HEADERS) == compose(rendered, HEADERS)


def test_a_real_edition_crosses_unchanged() -> None:
    rendered = render(mail(*[replace(ITEM, title="Étude № 9: 注意力 for “All”")] * 10))
    message = compose(rendered, HEADERS)
    assert parsed(message)["Subject"] == rendered.subject
    assert body(message, "plain") == rendered.text
    assert body(message, "html") == rendered.html


@settings(deadline=None)
@given(st.text("abc-_.~%/?&=,;:@!$", max_size=850))
def test_the_unsubscribe_link_is_neither_encoded_nor_folded_however_long(path: str) -> None:
    url = f"https://digest.example.org/unsubscribe/{path}"
    message = compose(RENDERED, replace(HEADERS, mailing_list=replace(LIST, unsubscribe_url=url)))
    assert header_line(message, "List-Unsubscribe") == f"<{url}>"
    assert header_line(message, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert parsed(message)["List-Unsubscribe"] == f"<{url}>"


def test_a_mailto_stands_beside_the_link_and_a_fold_only_between_them() -> None:
    both = replace(LIST, unsubscribe_mailto="mailto:leave@example.org?subject=abc")
    message = compose(RENDERED, replace(HEADERS, mailing_list=both))
    expected = f"<{UNSUBSCRIBE}>,\n <mailto:leave@example.org?subject=abc>"
    assert header_line(message, "List-Unsubscribe") == expected


@pytest.mark.parametrize(
    "url",
    [
        "http:/digest.example.org",
        "javascript:alert(1)",
        "https://digest.example.org/a>,<https://evil.example/",
        "https://digest.example.org/\r\nBcc: x@example.org",
        "https://bücher.example/",
        "https://digest.example.org/" + "a" * 1000,
    ],
)
def test_a_list_whose_link_cannot_stand_in_a_header_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="not a web link for List-Unsubscribe"):
        compose(RENDERED, replace(HEADERS, mailing_list=replace(LIST, unsubscribe_url=url)))


def test_a_mail_that_was_asked_for_is_no_list_mail() -> None:
    message = compose(RENDERED, replace(HEADERS, mailing_list=None))
    expected = [n for n in NAMES if not n.startswith("List-") and n != "Precedence"]
    assert list(parsed(message).keys()) == expected


def test_the_headers_say_who_when_and_what() -> None:
    full = replace(LIST, feedback_id="7:digest:example")
    got = parsed(compose(RENDERED, replace(HEADERS, reply_to="me@example.org", mailing_list=full)))
    assert got["From"] == "Digest <digest@example.org>"
    assert got["To"] == "reader@example.org"
    assert got["Reply-To"] == "me@example.org"
    assert got["Date"].datetime == HEADERS.date
    assert got["Message-ID"] == "<0a1b2c@example.org>"
    assert got["List-Id"] == "Digest <digest.example.org>"
    assert got["Feedback-ID"] == "7:digest:example"
    assert got["Auto-Submitted"] == "auto-generated"


def test_without_a_name_the_address_stands_alone() -> None:
    message = compose(RENDERED, replace(HEADERS, sender_name=" \r\n"))
    assert header_line(message, "From") == "<digest@example.org>"


def test_domains_beyond_ascii_go_out_as_a_labels() -> None:
    message = compose(
        RENDERED,
        replace(
            HEADERS,
            envelope_sender="bounces@bücher.example",
            sender_address="digest@bücher.example",
            recipient="reader@例え.example",
            message_id="0a1b2c@bücher.example",
            mailing_list=replace(LIST, list_id="digest.bücher.example"),
        ),
    )
    assert message.raw.isascii()
    assert not message.smtputf8
    assert message.envelope_sender == "bounces@xn--bcher-kva.example"
    assert message.recipient == "reader@xn--r8jz45g.example"
    assert message.message_id == "0a1b2c@xn--bcher-kva.example"
    assert header_line(message, "From") == "Digest <digest@xn--bcher-kva.example>"
    assert header_line(message, "List-Id") == "Digest <digest.xn--bcher-kva.example>"


@pytest.mark.parametrize("field", ["recipient", "sender_address", "envelope_sender", "reply_to"])
def test_a_local_part_beyond_ascii_is_flagged(field: str) -> None:
    changed = replace(HEADERS, **{field: "løser@bücher.example"})  # type: ignore[arg-type]
    message = compose(RENDERED, changed)
    assert message.smtputf8
    assert not compose(RENDERED, HEADERS).smtputf8
    if field != "envelope_sender":
        assert "løser@xn--bcher-kva.example" in message.raw.decode()


@pytest.mark.parametrize("field", ["recipient", "sender_address", "envelope_sender", "reply_to"])
@pytest.mark.parametrize(
    "address",
    [
        "nobody",
        "@example.org",
        "a@b@example.org",
        "a@example.org\r\nBcc: x@example.org",
        "a@example.org>, <x@example.org",
        "a@example.org, x@example.org",
        "Reader <a@example.org>",
        "a b@example.org",
        "a@" + "b" * 64 + ".org",
        "a@localhost",
        "\ud800@example.org",
    ],
)
def test_what_is_no_single_address_is_refused(field: str, address: str) -> None:
    changed = replace(HEADERS, **{field: address})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no e-mail address"):
        compose(RENDERED, changed)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (replace(HEADERS, message_id="no at sign"), "a message id"),
        (replace(HEADERS, message_id="a@b>\r\nBcc: x@example.org"), "a message id"),
        (replace(HEADERS, mailing_list=replace(LIST, list_id="a b")), "a list id"),
        (replace(HEADERS, mailing_list=replace(LIST, feedback_id="a\r\nb")), "a feedback id"),
        (replace(HEADERS, mailing_list=replace(LIST, unsubscribe_mailto="x")), "a mailto"),
        (replace(HEADERS, date=datetime(2026, 11, 21)), "time zone"),  # noqa: DTZ001 - the point
    ],
)
def test_what_cannot_stand_in_a_header_is_refused(headers: Addressing, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        compose(RENDERED, headers)
