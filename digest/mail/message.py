"""A rendered mail to the bytes that cross the wire; who is written to, and when, is given.

We serialise ourselves: the standard library turns a long List-Unsubscribe into encoded words,
which breaks one-click unsubscribe (RFC 8058). Whatever the text, no header can be injected.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256

from email_validator import EmailNotValidError, validate_email

from digest.errors import BadInput
from digest.mail.render import Rendered
from digest.mail.wire import Text, encoded
from digest.text import one_line, web_link

# Of a header: RFC 2047 allows 76 to a line with encoded words, RFC 5322 wants 78 of the others.
_COLUMNS = 76
_MAX_PLAIN_NAME = 60
_MAX_URL = 900
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
# What nearly every address is: that it is one can be seen without decoding domains.
_PLAIN_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@.{1,189}\Z)[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*"
    r"@(?!.*[^.]{64})([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}"
)
_MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,255}")
_MAILTO = re.compile(r"mailto:[!-;=?-~]{3,900}")
_FEEDBACK_ID = re.compile(r"[!-~]{1,300}")


@dataclass(frozen=True, slots=True)
class MailingList:
    """What makes a mail bulk mail that one click ends; a mail that was asked for has none.

    `unsubscribe_url` takes the POST of RFC 8058; `unsubscribe_mailto` is a whole mailto: URL.
    """

    list_id: str
    unsubscribe_url: str
    unsubscribe_mailto: str | None = None


@dataclass(frozen=True, slots=True)
class Addressing:
    """From whom, to whom, when and as what: all that the headers say; `message_id` without <>.

    `feedback_id` is what a receiver counts complaints by, in Google's form:
    campaign:customer:kind of mail:sender. It names no person.
    """

    envelope_sender: str
    sender_name: str
    sender_address: str
    recipient: str
    message_id: str
    date: datetime
    reply_to: str | None = None
    feedback_id: str | None = None
    mailing_list: MailingList | None = None


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One mail to one recipient, as it will cross the wire."""

    envelope_sender: str
    recipient: str
    raw: bytes
    message_id: str
    smtputf8: bool = False


def compose(rendered: Rendered, headers: Addressing) -> WireMessage:
    """Serialise a mail; the same inputs give the same bytes.

    Raises BadInput for an address, id or link that cannot stand in a header.
    """
    recipient = wire_address(headers.recipient)
    sender = wire_address(headers.sender_address)
    reply_to = headers.reply_to and wire_address(headers.reply_to)
    envelope_sender = wire_address(headers.envelope_sender)
    feedback_id = headers.feedback_id and _matching(
        _FEEDBACK_ID, headers.feedback_id, "a feedback id"
    )
    message_id = _matching(_MESSAGE_ID, ascii_domain(headers.message_id), "a message id")
    if headers.date.tzinfo is None:
        raise BadInput("the date of a mail needs a time zone")
    # Who wrote a part could not know the boundary: the id was drawn later.
    boundary = f"=_{sha256(message_id.encode()).hexdigest()[:32]}"
    lines = [
        _mailbox("From", headers.sender_name, sender),
        f"To: {recipient}",
        *([f"Reply-To: {reply_to}"] if reply_to else []),
        _unstructured("Subject", rendered.subject),
        f"Date: {_date(headers.date)}",
        f"Message-ID: <{message_id}>",
        *([f"Feedback-ID: {feedback_id}"] if feedback_id else []),
        *(_list_lines(headers.mailing_list, headers.sender_name) if headers.mailing_list else []),
        # Both ask for no "out of office" in return: the second is for Exchange.
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: OOF, AutoReply",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
        "",
        "",
    ]
    raw = b"".join(
        (
            "\r\n".join(lines).encode(),
            _part(boundary, "plain", rendered.text_part),
            _part(boundary, "html", rendered.html_part),
            f"--{boundary}--\r\n".encode(),
        )
    )
    return WireMessage(
        envelope_sender=envelope_sender,
        recipient=recipient,
        raw=raw,
        message_id=message_id,
        smtputf8=not f"{envelope_sender}{sender}{recipient}{reply_to}".isascii(),
    )


# The mails of an hour are queued together.
_date = lru_cache(maxsize=64)(format_datetime)


def _list_lines(mailing_list: MailingList, name: str) -> Iterator[str]:
    list_id = _matching(_DOMAIN, ascii_domain(mailing_list.list_id), "a list id")
    yield _mailbox("List-Id", name, list_id)
    url = mailing_list.unsubscribe_url
    if not url.isascii() or len(url) > _MAX_URL or web_link(url) is None:
        raise BadInput(f"not a web link for List-Unsubscribe: {url[:100]!r}")
    if mailto := mailing_list.unsubscribe_mailto:
        mailto = _matching(_MAILTO, mailto, "a mailto: link")
        yield f"List-Unsubscribe: <{url}>,\r\n <{mailto}>"
    else:
        yield f"List-Unsubscribe: <{url}>"
    yield "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    yield "Precedence: bulk"


def wire_address(text: str) -> str:
    """An address as headers and envelope have it, its domain always in ASCII. Raises BadInput."""
    return text if _PLAIN_ADDRESS.fullmatch(text) else _checked_address(text)


# An operator's own addresses stand in every mail, and take long to check where they are not plain.
@lru_cache(maxsize=64)
def _checked_address(text: str) -> str:
    try:
        # Special domains are let through: example.org and .test are what people try things with.
        known = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise BadInput(f"{text[:100]!r} is no e-mail address: {error}") from None
    return f"{known.local_part}@{known.ascii_domain}"


def ascii_domain(text: str) -> str:
    """An id with its domain as mail names it: bücher as xn--bcher-kva. Raises BadInput."""
    if text.isascii():
        return text
    local, at, domain = text.rpartition("@")
    return f"{local}{at}{wire_address(f'x@{domain}').removeprefix('x@')}"


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise BadInput(f"not {what}: {text[:100]!r}")
    return text


def _unstructured(header: str, text: str) -> str:
    text = one_line(text)
    return _fold(header, text.split() if _is_plain(text) else _encoded_words(header, text))


# Only recipients differ from mail to mail, and those have no names.
@lru_cache(maxsize=64)
def _mailbox(header: str, name: str, address: str) -> str:
    name = one_line(name)
    if not _is_plain(name) or len(name) > _MAX_PLAIN_NAME:
        words = list(_encoded_words(header, name))
    elif _ATOMS.fullmatch(name):
        words = [name]
    elif not name:
        words = []
    else:
        words = ['"' + re.sub(r'(["\\])', r"\\\1", name) + '"']
    return _fold(header, [*words, f"<{address}>"])


def _is_plain(text: str) -> bool:
    """Tell whether `text` can stand in a header as it is, folded between its words."""
    longest = max(map(len, text.split()), default=0)
    return text.isascii() and "=?" not in text and longest <= _MAX_PLAIN_NAME


def _encoded_words(header: str, text: str) -> Iterator[str]:
    """RFC 2047: every word stands for whole characters and fits on a line of `_COLUMNS`."""
    room = _room_for_encoded(len(header) + 2)
    while text:
        n = room
        while len(text[:n].encode()) > room:
            n -= 1
        yield _encoded_word(text[:n].encode())
        text, room = text[n:], _room_for_encoded(1)


def _room_for_encoded(column: int) -> int:
    return (_COLUMNS - column - len("=?utf-8?b??=")) // 4 * 3


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{b64encode(chunk).decode()}?="


def _fold(header: str, words: Iterable[str]) -> str:
    lines = [f"{header}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) <= _COLUMNS or lines == [f"{header}:"]:
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    return "\r\n".join(lines)


def _part(boundary: str, subtype: str, text: Text) -> bytes:
    encoding, body = encoded(text)
    head = (
        f"--{boundary}\r\n"
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n"
