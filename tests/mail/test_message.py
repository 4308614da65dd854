import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from unicodedata import category

import pytest
from email_validator import validate_email
from fast_mail_parser import parse_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest.errors import BadInput
from digest.mail import Addressing, MailingList, Rendered, WireMessage, compose, render
from digest.mail.message import wire_address
from digest.mail.wire import whole
from digest.text import one_line
from tests.mail.dkim_keys import SIGNER, verified
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
RENDERED = Rendered("Eight papers", whole("Hello\n"), whole("<p>Hello</p>\n"))
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
    st.text(st.characters(exclude_categories=()), min_size=1).map(
        lambda text: (text * 10_000)[:10_000]
    ),
)


def parsed(message: WireMessage) -> EmailMessage:
    return BytesParser(policy=policy.default).parsebytes(message.raw)


def decoded(header: str) -> str:
    """A header's words as one text, encoded words put together as RFC 2047 says."""
    return str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", header))))


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
    return decoded(name)


def printable(text: str) -> str:
    """What of a text can cross: line ends are one kind, controls and lone surrogates are gone."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unix if c in "\t\n" or category(c) not in {"Cc", "Cs"})


def ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def in_references(html: str) -> str:
    """HTML with what is beyond ASCII as character references: the same to every browser."""
    return html.encode("ascii", "xmlcharrefreplace").decode()


@settings(max_examples=80, deadline=None)
@given(anything, anything, anything, anything)
@example(INJECTION, INJECTION, INJECTION, INJECTION)
@example("=?utf-8?q?sneaky?=", ".", "From here\n.\n..\n.x", "=3D=\n \n\t\n")
@example("a" * 400, 'The "Digest" of (new) papers, \\', "é" * 500, "x" * 2000)
@example("", "", "", "")
def test_any_text_makes_a_sound_mail_that_reads_back_the_same(
    subject: str, name: str, text: str, html: str
) -> None:
    message = compose(
        Rendered(subject, whole(text), whole(html)), replace(HEADERS, sender_name=name)
    )
    assert message.raw.isascii()
    assert message.raw.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", message.raw)
    assert max(map(len, message.raw.split(b"\r\n"))) <= 998
    assert not re.search(rb"[ \t]\r\n(?![ \t])|\nFrom ", message.raw), "what servers change"
    got = parsed(message)
    assert list(got.keys()) == NAMES
    assert got.defects == []
    assert got["Subject"] == one_line(subject)
    assert [a.addr_spec for a in got["From"].addresses] == ["digest@example.org"]
    assert sender_name(message) == one_line(name)
    assert [p.get_content_type() for p in got.iter_parts()] == ["text/plain", "text/html"]
    assert body(message, "plain") == ended(printable(text))
    assert body(message, "html") == ended(printable(html))


@settings(max_examples=60)
@given(anything, anything, anything, anything)
@example(INJECTION, INJECTION, INJECTION, INJECTION)
@example("\ufeff", "\ud800\udc00", "\x00\r\n.\r\n", "\ud83d" * 10_000)
@example("=?utf-8?q?sneaky?=", ".", "From here\n.\n..\n.x", "\U0001f44d" * 10_000)
def test_two_parsers_read_the_same_signed_mail_whatever_a_paper_says(
    title: str, summary: str, name: str, note: str
) -> None:
    rendered = render(mail(replace(ITEM, title=title, summary=summary), note=note))
    message = compose(rendered, replace(HEADERS, sender_name=name))
    raw = SIGNER.sign(message.raw, at=HEADERS.date) + message.raw
    here = BytesParser(policy=policy.compat32).parsebytes(raw)
    there = parse_email(raw)
    assert here.keys() == ["DKIM-Signature", "DKIM-Signature", *NAMES]
    assert Counter({name: len(values) for name, values in there.headers.items()}) == Counter(
        here.keys()
    )
    for header, values in there.headers.items():
        if header not in ("From", "List-Id", "Content-Type", "DKIM-Signature"):
            assert values == [decoded(value) for value in here.get_all(header, [])]
    assert there.subject == rendered.subject
    assert (there.from_.display_name or "", there.from_.address) == (
        one_line(name),
        "digest@example.org",
    )
    for kind, found in (("plain", there.text_plain), ("html", there.text_html)):
        assert [text.replace("\r\n", "\n") for text in found] == [body(message, kind)]
    assert body(message, "plain") == rendered.text
    assert body(message, "html") == in_references(rendered.html)
    assert there.attachments == []
    assert verified(raw, SIGNER) == [True, True]


@settings(deadline=None)
@given(anything)
def test_all_headers_but_that_of_the_unsubscribe_url_fit_in_78_columns(text: str) -> None:
    message = compose(Rendered(text, whole(text), whole(text)), replace(HEADERS, sender_name=text))
    head, _, _ = message.raw.partition(b"\r\n\r\n")
    others = [x for x in head.split(b"\r\n") if not x.startswith(b"List-Unsubscribe:")]
    assert max(map(len, others)) <= 78
    assert all(len(line) <= 76 for line in others if b"=?utf-8?" in line)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\nlines\n", "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("blank at the end \nof a line", "quoted-printable"),
        ("one\nFrom here on", "quoted-printable"),
        ("From here on", "quoted-printable"),
        ("é", "quoted-printable"),
    ],
)
def test_only_what_no_server_changes_goes_as_it_stands(text: str, encoding: str) -> None:
    message = compose(Rendered("", whole(text), whole("")), HEADERS)
    assert parsed(message).get_payload(0)["Content-Transfer-Encoding"] == encoding
    assert body(message, "plain") == ended(text)


@settings(max_examples=30, deadline=None)
@given(anything, anything)
def test_the_same_input_gives_the_same_bytes(subject: str, text: str) -> None:
    rendered = Rendered(subject, whole(text), whole(text))
    assert compose(rendered, HEADERS) == compose(rendered, HEADERS)


def test_a_real_edition_crosses_unchanged() -> None:
    rendered = render(mail(*[replace(ITEM, title="Étude № 9: 注意力 for “All”")] * 10))
    message = compose(rendered, HEADERS)
    assert parsed(message)["Subject"] == rendered.subject
    assert body(message, "plain") == rendered.text
    assert body(message, "html") == in_references(rendered.html)


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
    full = replace(HEADERS, reply_to="me@example.org", feedback_id="7:digest:example")
    got = parsed(compose(RENDERED, full))
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


@settings(max_examples=300)
@given(st.text("abA0.-_+@ \r\n<>,é", max_size=90) | st.emails())
@example("a@b.xn--a")
@example(f"{'a' * 65}@example.org")
@example(f"a@{'b' * 64}.org")
@example(f"a@{'b' * 63}.org")
def test_an_address_that_is_let_through_is_one_to_who_knows_them_well(text: str) -> None:
    try:
        shown = wire_address(text)
    except BadInput:
        return
    known = validate_email(text, check_deliverability=False, test_environment=True)
    assert shown == f"{known.local_part}@{known.ascii_domain}"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (replace(HEADERS, message_id="no at sign"), "a message id"),
        (replace(HEADERS, message_id="a@b>\r\nBcc: x@example.org"), "a message id"),
        (replace(HEADERS, mailing_list=replace(LIST, list_id="a b")), "a list id"),
        (replace(HEADERS, feedback_id="a\r\nb"), "a feedback id"),
        (replace(HEADERS, mailing_list=replace(LIST, unsubscribe_mailto="x")), "a mailto"),
        (replace(HEADERS, date=datetime(2026, 11, 21)), "time zone"),  # noqa: DTZ001 - the point
    ],
)
def test_what_cannot_stand_in_a_header_is_refused(headers: Addressing, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        compose(RENDERED, headers)
