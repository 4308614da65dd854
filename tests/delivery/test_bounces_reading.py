import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.delivery.bounces.read import read_bounce
from digest.delivery.bounces.report import Finding
from digest.errors import BadInput
from tests.delivery.returned import ADA, OURS, complaint, dsn, mail, multipart, notice, returned


def one(raw: bytes) -> Finding:
    (finding,) = read_bounce(raw).findings
    return finding


# Delivery status notifications


def test_a_notification_tells_address_kind_status_and_words() -> None:
    report = read_bounce(dsn())
    (finding,) = report.findings
    assert finding == Finding(
        address=ADA,
        kind="hard",
        blame="address",
        status="5.1.1",
        said="no such address: 550 5.1.1 <ada@example.net>: User unknown",
    )
    assert report.message_ids == ("0123456789abcdef@example.org",)


@pytest.mark.parametrize(
    ("status", "said", "kind", "blame"),
    [
        # The address.
        ("5.1.1", "550 no", "hard", "address"),
        ("5.1.2", "550 no", "hard", "address"),
        ("5.1.6", "551 no", "hard", "address"),
        ("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", "hard", "address"),
        ("5.4.4", "Host or domain name not found. Name service error", "hard", "address"),
        (
            "5.0.0",
            "550 5.1.1 The email account that you tried to reach does not exist",
            "hard",
            "address",
        ),
        ("5.1.1", "550 5.1.1 no such user here; see our spam policy", "hard", "address"),
        ("5.7.27", "556 Domain does not accept mail (nullMX)", "hard", "address"),
        # The mailbox, which may take mail again.
        ("5.2.1", "550 5.2.1 The email account is disabled", "soft", "mailbox"),
        ("5.2.2", "552 no", "soft", "mailbox"),
        ("5.0.0", "552 Quota exceeded (mailbox for user is full)", "soft", "mailbox"),
        ("5.2.3", "552 no", "soft", "mailbox"),
        ("5.3.4", "552 message too big for system", "soft", "mailbox"),
        ("4.4.7", "delivery time expired", "soft", "mailbox"),
        ("4.3.1", "452 insufficient system storage", "soft", "mailbox"),
        ("5.4.6", "554 mail loop", "soft", "mailbox"),
        # Us: our server, our name, our mail.
        ("5.1.7", "550 no", "soft", "us"),
        ("5.1.8", "553 5.1.8 Domain of sender address does not exist", "soft", "us"),
        ("5.7.1", "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked", "soft", "us"),
        ("5.7.26", "550 5.7.26 Unauthenticated email is not accepted: DMARC", "soft", "us"),
        ("5.0.0", "554 Message rejected as spam", "soft", "us"),
        ("5.7.1", "554 Relay access denied", "soft", "us"),
        ("4.7.1", "451 4.7.1 Greylisted, please try again", "soft", "us"),
        ("5.6.0", "554 improper use of 8-bit data", "soft", "us"),
    ],
)
def test_only_what_is_about_the_address_is_hard_and_what_is_about_us_counts_for_nobody(
    status: str, said: str, kind: str, blame: str
) -> None:
    finding = one(dsn(status, f"smtp; {said}"))
    assert (finding.kind, finding.blame) == (kind, blame)


def test_a_delay_is_no_failure_and_what_arrived_is_no_bounce() -> None:
    waiting = one(dsn("4.4.1", "smtp; 421 busy", action="delayed"))
    assert (waiting.kind, waiting.blame) == ("delayed", "nobody")
    for action in ("delivered", "relayed", "expanded"):
        assert read_bounce(dsn("2.0.0", "smtp; 250 ok", action=action)).findings == ()


def test_an_unknown_user_after_the_data_or_with_another_status_is_a_filter_that_refuses() -> None:
    after_data = (
        "<ada@example.net>: host mx said: 550 User unknown (in reply to end of DATA command)"
    )
    at_rcpt = after_data.replace("end of DATA", "RCPT TO")
    said = "smtp; 550 User unknown"
    assert one(dsn("5.0.0", said, notice=after_data)).kind == "soft"
    assert one(dsn("5.0.0", said, notice=at_rcpt)).kind == "hard"
    assert one(dsn("5.2.0", said)).kind == "soft"
    assert one(dsn("5.1.1", said, notice=after_data)).kind == "hard"


def test_what_was_refused_before_anybody_was_named_is_about_us() -> None:
    text = "SMTP error from remote mail server after MAIL FROM:<x@example.org>: 550 does not exist"
    assert one(dsn("5.0.0", "smtp; 550 example.org does not exist", notice=text)).blame == "us"


def test_each_recipient_has_its_finding() -> None:
    fields = (
        "Reporting-MTA: dns; mx\n\n"
        "Final-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n\n"
        "Original-Recipient: rfc822;b@example.net\nFinal-Recipient: rfc822;c@example.com\n"
        "Action: failed\nStatus: 5.2.2\n"
    )
    findings = read_bounce(multipart(("message/delivery-status", fields))).findings
    assert [(found.address, found.kind) for found in findings] == [
        ("a@example.net", "hard"),
        ("b@example.net", "soft"),
    ]


def test_the_more_telling_status_and_the_innermost_reply_win() -> None:
    assert one(dsn("5.0.0", "smtp; 550 5.2.2 mailbox full")).status == "5.2.2"
    quoted = "smtp; 554 4.4.7 Message expired. <421 4.4.2 Connection timed out>"
    assert one(dsn("4.4.7", quoted)).status == "4.4.2"
    assert one(dsn("", "smtp; 550 go away")).status == "5.0.0"
    assert one(dsn("5.1.1", "smtp; 550 from [192.5.1.2] 5.1.7.8 unknown user")).status == "5.1.1"


def test_a_notification_may_be_encoded_global_quoted_or_passed_on() -> None:
    plain = dsn().decode()
    passed_on = mail("From: relay@example.com", f"To: {OURS}", "Subject: Fwd", body=plain)
    quoted = mail(
        "From: relay@example.com",
        "Subject: look",
        body="See this:\n\n" + "\n".join(f"> {line}" for line in plain.split("\n")),
    )
    worldwide = plain.replace("message/delivery-status", "message/global-delivery-status")
    for text in (worldwide, plain.replace("\n", "\r\n"), passed_on.decode(), quoted.decode()):
        finding = one(text.encode())
        assert (finding.address, finding.kind, finding.status) == (ADA, "hard", "5.1.1")


# Feedback reports


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("abuse", "complaint"),
        ("fraud", "complaint"),
        ("opt-out", "unsubscribe"),
        ("not-spam", "unknown"),
        ("auth-failure", "unknown"),
        ("dmarc", "unknown"),
    ],
)
def test_a_feedback_report_is_a_complaint_only_where_a_reader_complained(
    type_: str, kind: str
) -> None:
    finding = one(complaint(type_))
    assert (finding.address, finding.kind, finding.blame) == (ADA, kind, "nobody")


def test_a_complaint_without_an_address_still_holds_our_marks() -> None:
    link = "List-Unsubscribe: <mailto:digest@example.org?subject=unsubscribe%20mark>"
    report = read_bounce(complaint(address="", copy=returned("undisclosed", link)))
    assert [found.address for found in report.findings] == [""]
    assert any("unsubscribe mark" in text for text in report.marks)


# Notices in forms of their own


NOTICES = {
    "qmail": """
Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message.

<ada@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)
""",
    "qmail, of another server": """
<ada@example.net>:
192.0.2.9 does not like recipient.
Remote host said: 550 unknown user
Giving up on 192.0.2.9.
""",
    "Exim": """
A message that you sent could not be delivered to one or more of its
recipients. The following address(es) failed:

  ada@example.net
    SMTP error from remote mail server after RCPT TO:<ada@example.net>:
    550 5.1.1 user unknown
""",
    "Exim, at home": """
  ada@example.net
    mailbox is full: retry timeout exceeded
""",
    "Exchange": """
Your message

  To: ada@example.net

did not reach the following recipient(s):

ada@example.net on Sun, 1 Mar 2026 12:00:00 +0000
    The recipient name is not recognized
""",
    "Domino": """
Your message was not delivered to:

  ada@example.net

because:

  User ada (ada@example.net) not listed in Domino Directory
""",
    "Yahoo": """
Unable to deliver message to the following address(es).

<ada@example.net>:
Sorry your message to ada@example.net cannot be delivered. This account has been
disabled or discontinued.
""",
    "SMTP32": """
Delivery failed 20 attempts: ada@example.net
""",
    "in Japanese": """
送信先のメールボックスが一杯です。

  <ada@example.net>
""",
    "in German": """
<ada@example.net>:
550 Empfaenger unbekannt
""",
    "of names": """
DNS Error: Domain name not found

   ada@example.net
""",
}
MEANT = {
    "qmail": ("hard", "5.1.1"),
    "qmail, of another server": ("hard", "5.0.0"),
    "Exim": ("hard", "5.1.1"),
    "Exim, at home": ("soft", ""),
    "Exchange": ("hard", ""),
    "Domino": ("hard", ""),
    "Yahoo": ("soft", ""),
    "SMTP32": ("soft", ""),
    "in Japanese": ("soft", ""),
    "in German": ("hard", "5.0.0"),
    "of names": ("hard", ""),
}


@pytest.mark.parametrize("name", NOTICES)
def test_notices_without_a_standard_are_read_by_their_words(name: str) -> None:
    finding = one(notice(NOTICES[name]))
    assert (finding.address, finding.kind, finding.status) == (ADA, *MEANT[name])


def test_a_warning_that_a_mail_waits_is_a_delay() -> None:
    text = (
        "Your message has not yet been delivered to:\n\n  ada@example.net\n\n"
        "No action is required on your part. Delivery attempts will continue."
    )
    assert one(notice(text, subject="Warning: message delayed 24 hours")).kind == "delayed"


def test_the_failed_address_is_told_by_its_header_or_by_the_mail_that_is_returned() -> None:
    text = "Your message could not be delivered."
    named = notice(text).replace(b"Subject:", b"X-Failed-Recipients: bob@example.net\nSubject:")
    assert one(named).address == "bob@example.net"
    assert one(notice(text)).address == ADA


def test_html_is_read_where_there_is_nothing_else() -> None:
    html = (
        "<html><head><style>p {color: red}</style></head><body><p>Delivery has failed to these"
        " recipients:</p><p>&lt;ada@example.net&gt;</p><p>550 5.1.1 user&nbsp;unknown</p></body>"
    )
    raw = multipart(("text/html; charset=iso-8859-1", html), report="x")
    assert (one(raw).address, one(raw).kind) == (ADA, "hard")


# What is none


@pytest.mark.parametrize(
    "headers",
    [
        ("From: Ada <ada@example.net>", "Subject: Re: Six papers for you"),
        ("From: Ada <ada@example.net>", "Subject: Out of office", "Auto-Submitted: auto-replied"),
        ("From: ada@example.net", "Return-Path: <>", "Subject: Away until May 5"),
        ("From: postmaster@example.net", "Subject: Automatic reply: not delivered to my desk"),
        ("From: ada@example.net", "Subject: Re: Undelivered Mail Returned to Sender"),
        ("From: ada@example.net", "Subject: How do experiments fail?"),
    ],
)
def test_answers_and_ordinary_mail_are_no_bounces(headers: tuple[str, ...]) -> None:
    body = "I am away until Monday. Do call if something fails.\n"
    assert read_bounce(mail(*headers, f"To: {OURS}", body=body)).findings == ()


def test_a_wish_to_be_unsubscribed_is_one_however_it_was_sent() -> None:
    for headers in (("Auto-Submitted: auto-replied",), ("X-Apple-Unsubscribe: true",), ()):
        raw = mail("From: ada@example.net", f"To: {OURS}", "Subject: unsubscribe xyz", *headers)
        assert one(raw).kind == "unsubscribe"
        assert "unsubscribe xyz" in read_bounce(raw).marks


@pytest.mark.parametrize(
    "raw", [b"", b"\n\n\n", b"no headers at all", b"\x00" * 100, b"%PDF-1.4\n"]
)
def test_what_has_no_headers_is_no_mail(raw: bytes) -> None:
    with pytest.raises(BadInput, match="not a mail"):
        read_bounce(raw)


# Where our marks may stand


def test_marks_are_looked_for_wherever_a_mail_system_may_leave_them() -> None:
    marked = "digest+bmark@example.org"
    for name in ("To", "Delivered-To", "X-Original-To", "Envelope-To"):
        assert marked in " ".join(
            read_bounce(mail("From: a@b.example", f"{name}: <{marked}>")).marks
        )
    hop = f"Received: from a by b with ESMTP id 1\n\tfor <{marked}>; Sun, 1 Mar 2026 12:00:00 +0000"
    assert marked in read_bounce(mail("From: a@b.example", hop)).marks
    copy = returned().replace("Return-Path: <digest@", "Return-Path: <digest+bmark@")
    assert f"<{marked}>" in read_bounce(dsn(copy=copy)).marks


def test_the_message_id_may_stand_among_the_references_alone() -> None:
    raw = mail("From: a@b.example", "In-Reply-To: <abc@example.org>", "Subject: x", body="x")
    assert read_bounce(raw).message_ids == ("abc@example.org",)


# Hostile mail

SAMPLES = (
    dsn(),
    complaint(),
    notice("<ada@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)"),
    mail("From: a@b.example", "Subject: unsubscribe x"),
)


def readable(raw: bytes) -> None:
    try:
        report = read_bounce(raw)
    except BadInput:
        return
    for found in report.findings:
        assert found.said.isprintable()
        assert len(found.said) < 400
    # What is stored or asked for: no database takes these.
    told = [f"{found.address}{found.status}" for found in report.findings]
    assert "\0" not in "".join([*told, *report.message_ids]).encode().decode()


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    readable(raw)


@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_bounce_is_read_or_refused(sample: bytes, data: st.DataObject) -> None:
    raw = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 60)))
        junk = data.draw(
            st.binary(max_size=20)
            | st.sampled_from([b"\n\n", b"\x00", b"--=_b", b"=?", b"=?utf-7?q?+2AA-?="])
        )
        raw[start:end] = junk
    readable(bytes(raw))


@given(st.text(max_size=300))
def test_any_text_in_a_notice_is_read(text: str) -> None:
    readable(notice("could not be delivered: ") + text.encode("utf-8", "replace"))
    readable(
        dsn("5.1.1", text.replace("\n", " ").replace("\r", " ").encode("utf-8", "replace").decode())
    )


def nested(depth: int) -> bytes:
    head = "".join(
        f'Content-Type: multipart/mixed; boundary="{n}"\n\n--{n}\n' for n in range(depth)
    )
    return b"From: MAILER-DAEMON@x.example\nSubject: failure\n" + head.encode() + b"\n550 no"


@pytest.mark.parametrize(
    "raw",
    [
        nested(3000),
        b"From: <>\nSubject: failure notice\n\n" + b"ada@example.net: 550 no\n" * 400_000,
        b"From: <>\nSubject: failure notice\n\nundeliverable a@b.example" + b"\n" * 5_000_000,
        b"From: <>\nSubject: failure notice\n\n" + b"<" * 5_000_000,
        b"From: <>\nSubject: failure notice\n\n" + b"> " * 3_000_000,
        b"From: <>\nSubject: failure notice\n\n" + b"a@" * 3_000_000,
        b"From: <>\nSubject: failure\n\n" + b"user user user not " * 300_000,
        b"From: <>\nSubject: failure\n\n550 " + b"a." * 3_000_000,
        b"From: <>\nContent-Type: text/html\nSubject: failure\n\n" + b"<style>" * 700_000,
        b"From: <>\nSubject: failure\n" + b"X-A: b\n" * 1_000_000 + b"\n\nfailed",
        b"From: " + b"=?utf-8?q?" * 300_000 + b"\n\nfailed",
        b"From: <>\nSubject: failure\n\n"
        + b"From: postmaster@x.example\nReceived: a\nTo: b\n\n" * 90_000,
        dsn().replace(b"utf-8", b"punycode") + b"x" * 5_000_000,
        dsn().replace(b"charset=utf-8", b"charset=no-such-charset"),
        dsn().replace(b"message/delivery-status", b"message/delivery-status; x=\xff\x00"),
    ],
    ids=range(15),
)
def test_ten_megabytes_of_anything_are_read_in_a_moment(raw: bytes) -> None:
    readable(raw)
