"""Mails that came back, written by hand in the forms in which they come."""

OURS = "digest@example.org"
ADA = "ada@example.net"


def mail(*headers: str, body: str = "") -> bytes:
    """A mail with these headers."""
    return ("\n".join(headers) + "\n\n" + body).encode()


def returned(to: str = ADA, *headers: str) -> str:
    """A mail of ours, as a bounce encloses it."""
    lines = (
        "Return-Path: <digest@example.org>",
        "Received: from digest.example.org by mx.example.net; Sun, 1 Mar 2026 12:00:00 +0000",
        "Message-ID: <0123456789abcdef@example.org>",
        f"From: Digest <{OURS}>",
        f"To: {to}",
        "Subject: Six papers for you",
        *headers,
    )
    return "\n".join(lines) + "\n\nPapers.\n"


def multipart(*parts: tuple[str, str], report: str = "delivery-status", to: str = OURS) -> bytes:
    """A multipart/report of parts, each its media type and its content."""
    body = "".join(f"--=_b\nContent-Type: {type_}\n\n{content}\n" for type_, content in parts)
    return mail(
        "Return-Path: <>",
        "From: Mail Delivery System <MAILER-DAEMON@mx.example.net>",
        f"To: {to}",
        "Subject: Undelivered Mail Returned to Sender",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={report}; boundary="=_b"',
        body=body + "--=_b--\n",
    )


def dsn(
    status: str = "5.1.1",
    said: str = "smtp; 550 5.1.1 <ada@example.net>: User unknown",
    *,
    action: str = "failed",
    address: str = ADA,
    to: str = OURS,
    notice: str = "This is the mail system. Your message could not be delivered.",
    copy: str | None = None,
) -> bytes:
    """A delivery status notification (RFC 3464) of one recipient."""
    fields = (
        "Reporting-MTA: dns; mx.example.net\n\n"
        f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: {said}\n"
    )
    return multipart(
        ("text/plain; charset=utf-8", notice),
        ("message/delivery-status", fields),
        ("message/rfc822", returned() if copy is None else copy),
        to=to,
    )


def complaint(type_: str = "abuse", *, copy: str | None = None, address: str = ADA) -> bytes:
    """A feedback report (RFC 5965)."""
    fields = (
        f"Feedback-Type: {type_}\nUser-Agent: Loop/1.0\nVersion: 1\nOriginal-Mail-From: <{OURS}>\n"
    )
    if address:
        fields += f"Original-Rcpt-To: <{address}>\n"
    return multipart(
        ("text/plain", "This is an email abuse report."),
        ("message/feedback-report", fields),
        ("message/rfc822", returned() if copy is None else copy),
        report="feedback-report",
    )


def notice(text: str, *, subject: str = "failure notice", daemon: str = "MAILER-DAEMON") -> bytes:
    """A bounce in no standard form, with our mail below its text."""
    return mail(
        "Return-Path: <>",
        f"From: {daemon}@mx.example.net",
        f"To: {OURS}",
        f"Subject: {subject}",
        body=f"{text}\n\n--- Below this line is a copy of the message.\n\n{returned()}",
    )
