"""The bytes of a mail that came to the bounce address -> what it says of which address.

It reads delivery status notifications (RFC 3464, RFC 6533), feedback reports (RFC 5965), wishes to
be unsubscribed, and the notices of mail servers that have a form of their own, in which
flufl.bounce finds the address.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from itertools import islice
from urllib.parse import unquote

from flufl.bounce import all_failures

from digest.delivery.bounces.meaning import reason_of
from digest.delivery.bounces.parts import (
    LONGEST,
    Headers,
    fields,
    head_and_body,
    readable,
    take_apart,
)
from digest.delivery.bounces.relays import read_posted
from digest.delivery.bounces.report import CODE, ENHANCED, Finding, Report, failure, remark
from digest.errors import BadInput
from digest.store.tables import BounceKind
from digest.text import one_line

_MOST = 50
_LONGEST_PARAGRAPH = 1000
# The notices that flufl.bounce knows are short; of long ones it makes work for seconds.
_LONGEST_NOTICE = 10_000
_BLANK_LINES = re.compile(rb"(\r?\n)(?:[ \t]*\r?\n){2,}")


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail, its parts by what they are for."""

    raw: bytes
    headers: Headers
    statuses: list[str]
    feedback: list[str]
    notice: str
    returned: Headers
    enclosed: bytes

    def first(self, name: str) -> str:
        """A header of the mail itself, or nothing."""
        return readable(next(iter(self.headers.get(name, ())), ""))


def read_bounce(raw: bytes) -> Report:
    """Read one mail, however broken. Raises BadInput for what has no headers and so is no mail."""
    mail = _sort_out(raw)
    if mail.notice.lstrip().startswith("{"):
        # Amazon SNS mails what it posts elsewhere.
        with suppress(BadInput):
            return read_posted(mail.notice.encode())[0][1]
    findings = [*islice(_findings(mail), _MOST)]
    ids, marks = _message_ids(mail), _marks(mail)
    if mail.enclosed and not mail.statuses and not mail.feedback:
        # It may be a bounce that somebody, or some relay, passed on.
        inner = _sort_out(mail.enclosed, any_headers=True)
        if _is_daemon(inner.headers) and (found := [*islice(_findings(inner), _MOST)]):
            findings, ids, marks = found, ids + _message_ids(inner), marks + _marks(inner)
    return Report(tuple(findings), ids, marks)


# Taking it apart

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_OF_RETURNED = {"received", "return-path", "message-id", "x-received"}
_FIRST_FIELD = re.compile(r"^[A-Za-z][\w-]+[ \t]*:", re.MULTILINE)


def _sort_out(raw: bytes, *, any_headers: bool = False) -> _Mail:
    headers, parts = take_apart(raw)
    if not headers and not any_headers:
        raise BadInput("not a mail: it does not begin with headers")
    statuses: list[str] = []
    feedback: list[str] = []
    plain: list[str] = []
    html: list[str] = []
    returned: Headers = {}
    enclosed = b""
    for part in parts:
        if part.type in _STATUS_TYPES:
            statuses.append(part.text)
        elif part.type == "message/feedback-report":
            feedback.append(part.text)
        elif part.type.startswith("message/") or part.type == "text/rfc822-headers":
            returned = returned or head_and_body(part.content)[0]
            enclosed = enclosed or part.content
        elif part.headers is not headers and _OF_RETURNED & set(part.headers):
            # A mail that is enclosed without being called one.
            returned = returned or part.headers
        elif part.type.startswith("text/") or part.type == "text":
            notice, copy = _split(part.text)
            (html if part.type == "text/html" else plain).append(notice)
            if copy and not returned:
                returned, enclosed = fields(copy.partition("\n\n")[0]), copy.encode()
    notice = "\n\n".join(plain)
    if len(notice.split()) < 5:
        notice = "\n\n".join([*plain, *html])
    return _Mail(raw[:LONGEST], headers, statuses, feedback, notice, returned, enclosed)


def _split(text: str) -> tuple[str, str]:
    """A notice, and the mail that it quotes from its headers on."""
    # Somebody quotes the whole.
    if text.count("\n> ") > text.count("\n") / 2:
        text = re.sub(r"(?m)^> ?", "", text)
    start = 0
    for block in text.split("\n\n"):
        found = fields(block)
        if len(found) > 2 and _OF_RETURNED & set(found) and {"from", "to", "subject"} & set(found):
            # Lines of the notice may stand right above.
            first = _FIRST_FIELD.search(block)
            cut = start + (first.start() if first else 0)
            return text[:cut], text[cut:]
        start += len(block) + 2
    return text, ""


# What it says

_FAILED = re.compile(
    r"undeliver|not (be |been )?deliver|fail(ed|ure)|return(ed|ing) (mail|message|to sender)"
    r"|did not reach|delivery (status|error|problem|report|warning|delay|has)|non.?delivery|bounce"
    r"|could ?n.t (be )?(deliver|sent)|could not|unable to|wasn.t (able|delivered)|system error"
    r"|was rejected|rejected your|message blocked|not (a )?member|permanent error|not accepting"
    r"|user unknown|unzustellbar|nicht zugestellt|no entregad|non remis|mancata consegna|n.o entreg"
    r"|送信できません|配信できません|宛先不明|エラー",
    re.IGNORECASE,
)
_DAEMON = re.compile(
    r"mailer.?daemon|post ?master|^<>$|mail.?(delivery|deliver|system|admin)|delivery.?(sub)?system"
    r"|mdaemon|bounce|ndr@|mail ?server",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"^(re|aw|sv|antw|odp)\s?:|auto(matic|mated)?[ -]?re(ply|sponse|spond)|automatisch|\baway\b"
    r"|out of (the )?office|vacation|abwesen|absence|自動(返信|応答)",
    re.IGNORECASE,
)
_WAITING = re.compile(
    r"(hasn't|has not|not yet)( yet)? been delivered|been (delayed|postponed)|delay reason"
    r"|warning message only|temporary (failure report|problem)|still (being tried|trying)"
    r"|will (be retried|continue|keep|retry)|no action is required|advisory.only"
    r"|(need to|should not|not need to) re.?send",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(r"complaint about message from", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(r"\s*unsubscribe\b", re.IGNORECASE)


def _findings(mail: _Mail) -> Iterator[Finding]:
    subject = mail.first("subject")
    if mail.feedback:
        yield from _of_feedback(mail)
    elif statuses := [*_recipients(mail.statuses)] or [*_recipients([mail.notice])]:
        everyone = [_addresses(status, *_RECIPIENTS) for status in statuses]
        others = [address for addresses in everyone for address in addresses]
        for status in statuses:
            yield from _of_status(status, mail.notice, others)
    elif _UNSUBSCRIBE.match(subject):
        yield remark("", "unsubscribe", "asked by mail")
    elif _COMPLAINT.search(subject) and mail.returned:
        for address in _addresses(mail.returned, "x-hmxmroriginalrecipient", "to")[:1] or [""]:
            yield remark(address, "complaint", subject)
    elif _is_bounce(mail, subject):
        yield from _of_notice(mail)


def _is_daemon(headers: Headers) -> bool:
    return any(_DAEMON.search(value.strip()) for value in headers.get("from", ()))


def _is_bounce(mail: _Mail, subject: str) -> bool:
    """Whether a mail in no standard form is a bounce: it has two marks of one, and is no answer."""
    if "x-failed-recipients" in mail.headers:
        return True
    words = [bool(_FAILED.search(text) or _WAITING.search(text)) for text in (subject, mail.notice)]
    sender = (
        _is_daemon(mail.headers),
        any(path.strip() == "<>" for path in mail.headers.get("return-path", ())),
        "multipart/report" in mail.first("content-type").lower(),
    )
    # People, too, write of failures; but hardly both in the subject and with an address.
    enough = any(sender) or _ADDRESS.search(mail.notice)
    return sum(words) + sum(sender) > 1 and bool(enough) and not _ANSWER.search(subject)


# Feedback reports

_OPT_OUT = ("opt-out", "opt-out-list")
_COMPLAINTS = ("abuse", "fraud", "virus", "other", "miscategorized", "")


def _of_feedback(mail: _Mail) -> Iterator[Finding]:
    """RFC 5965. What says that a mail was no spam, or failed a check, is no word of a reader."""
    for text in mail.feedback:
        found = fields(text.replace("\n\n", "\n"))
        type_ = " ".join(found.get("feedback-type", ())).lower().strip()
        kind: BounceKind = "unknown"
        if type_ in _OPT_OUT:
            kind = "unsubscribe"
        elif type_ in _COMPLAINTS:
            kind = "complaint"
        said = " ".join([type_ or "feedback", *found.get("user-agent", ())])
        rcpts = _addresses(found, "original-rcpt-to", "removal-recipient")
        for address in rcpts or _addresses(mail.returned, "to")[:1] or [""]:
            yield remark(address, kind, said)


# Delivery status notifications

_DONE = ("delivered", "relayed", "expanded")
_RECIPIENTS = ("original-recipient", "final-recipient", "x-actual-recipient")


def _recipients(texts: Iterable[str]) -> Iterator[Headers]:
    """The groups of fields that tell of a recipient each; those of the whole mail are left out."""
    for text in texts:
        for group in text.split("\n\n"):
            found = fields(re.sub(r"(?m)^[ \t]+(?=[A-Z][\w-]+:)", "", group))
            if not {"action", "status"} & set(found):
                continue
            if set(_RECIPIENTS) & set(found):
                yield found


def _of_status(found: Headers, notice: str, others: Sequence[str]) -> Iterator[Finding]:
    """RFC 3464: one recipient."""
    action = " ".join(found.get("action", ())).lower()
    given = " ".join(found.get("status", ()))
    if action.startswith(_DONE) or given.startswith("2."):
        return
    # Who was mailed comes first: whoever it was forwarded to may be a stranger.
    rcpts = _addresses(found, *_RECIPIENTS)
    address = rcpts[0] if rcpts else ""
    said = re.sub(r"^\s*[\w-]+\s*;", "", " ".join(found.get("diagnostic-code", ()))).strip()
    comment = given.strip("0123456789. ")
    about = "\n".join(_about(name, notice, others) for name in rcpts)
    if set(others) == set(rcpts) or not about:
        about = notice
    category = " ".join(found.get("x-powermta-bouncecategory", ()))
    yield failure(
        address,
        f"{category}: {said}" if category else said or _told(about) or comment,
        status=given,
        context=about,
        delayed=action.startswith("delayed"),
    )


# Notices in a form of their own

_ADDRESS = re.compile(r"[^\s<>()\[\]{}\",;:'|\\]{1,64}@[\w\[][\w.-]{0,250}\w")
_OURS = ("to", "delivered-to", "x-original-to", "envelope-to", "from", "sender", "return-path")
_OF_STAFF = re.compile(r"(?i)(mailer-daemon|post-?master|abuse|support|help|admin|contact|info)@")


def _of_notice(mail: _Mail) -> Iterator[Finding]:
    notice = mail.notice
    addresses = _failed_addresses(mail) or [""]
    delayed = bool(_WAITING.search(notice) or _WAITING.search(mail.first("subject")))
    for address in addresses:
        about = _about(address, notice, addresses) if len(addresses) > 1 else notice
        told = _told(about) or _told(notice) or mail.first("subject")
        yield failure(address, told, context=about or notice, delayed=delayed)


def _failed_addresses(mail: _Mail) -> list[str]:
    """Whom the mail did not reach, as the most reliable of several ways tells."""
    if named := _addresses(mail.headers, "x-failed-recipients"):
        return named
    try:
        short = _BLANK_LINES.sub(rb"\1\1", mail.raw)[:_LONGEST_NOTICE]
        temporary, permanent = all_failures(message_from_bytes(short))
    except Exception:  # noqa: BLE001 - other people's code on hostile bytes
        temporary, permanent = frozenset(), frozenset()
    known = [address.decode("utf-8", "replace") for address in temporary | permanent]
    known.sort(key=lambda address: (mail.notice.find(address), address))
    found = [a for a in known if a in mail.notice] or known or _ADDRESS.findall(mail.notice)
    senders = {name: values for name, values in mail.returned.items() if name != "to"}
    ours = {a.lower() for h in (mail.headers, senders) for a in _addresses(h, *_OURS)}
    others = [a for a in dict.fromkeys(found) if a.lower() not in ours and not _OF_STAFF.match(a)]
    to = _addresses(mail.returned, "to")
    lines = mail.notice.splitlines()
    first = [a for a in others if any(line.strip(" \t<*-").startswith(a) for line in lines)]
    likely = others if known else first or others[:1]
    return [a for a in likely if a in to] or likely or known or to[:1] or found[:1]


def _about(address: str, notice: str, others: Sequence[str] = ()) -> str:
    """What of a notice is about one address: from its name to that of the next."""
    start = notice.find(address) if address else -1
    if start < 0:
        return ""
    start += len(address)
    ends = (notice.find(other, start) for other in others if other != address)
    return notice[start : min((end for end in ends if end >= 0), default=len(notice))]


def _told(notice: str) -> str:
    """The paragraph of a notice that tells why: one with a reply code, else one with a reason."""
    paragraphs = [one_line(text[:_LONGEST_PARAGRAPH]) for text in notice.split("\n\n", _MOST)]
    for tells in (ENHANCED.search, CODE.search, reason_of):
        for paragraph in paragraphs:
            if tells(paragraph):
                return paragraph
    return ""


# Whose it is


def _addresses(found: Headers, *names: str) -> list[str]:
    values = (value for name in names for value in found.get(name, ()))
    return [*dict.fromkeys(a for value in values for a in _ADDRESS.findall(readable(value)))]


_MESSAGE_ID = re.compile(r"<?([^\s<>@]{1,250}@[^\s<>]{1,250})>?")
_REFERS = ("in-reply-to", "references", "x-original-message-id", "original-message-id")
_RECEIVED_FOR = re.compile(r"\bfor <?([^\s<>;]+@[^\s<>;]+)>?")
_TOWARDS = (
    *("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "apparently-to"),
    *("x-delivered-to", "x-failed-sender", "resent-to"),
)


def _message_ids(mail: _Mail) -> tuple[str, ...]:
    values = [*mail.returned.get("message-id", ())]
    for name in _REFERS:
        values += mail.headers.get(name, ())
    return tuple(dict.fromkeys(id_ for text in values for id_ in _MESSAGE_ID.findall(text)))[:_MOST]


def _marks(mail: _Mail) -> tuple[str, ...]:
    """Where a mark may stand: whom the mail came to, its subject, whose mail it returns."""
    found = [value for name in _TOWARDS for value in mail.headers.get(name, ())]
    for hop in mail.headers.get("received", ()):
        found += _RECEIVED_FOR.findall(hop)
    found.append(mail.first("subject"))
    for text in mail.feedback:
        found += fields(text).get("original-mail-from", ())
    found += mail.returned.get("return-path", ())
    found += map(unquote, mail.returned.get("list-unsubscribe", ()))
    return tuple(dict.fromkeys(text for text in found if text))[:_MOST]
