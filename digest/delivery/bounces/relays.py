"""What relays post of our mail, as JSON: Amazon SES, Mailgun, Postmark, SendGrid, and our own form.

Our own, for any other relay, is one object or a list of them:

    {"type": "hard", "address": "ada@example.org", "message_id": "...", "status": "5.1.1",
     "reason": "550 5.1.1 user unknown"}

`type` is hard, soft, delayed, complaint or unsubscribe, and must be there with an `address` or a
`message_id`; the rest may be left out. A relay is told from others by the shape of what it posts.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import unquote

from digest.delivery.bounces.meaning import Reason
from digest.delivery.bounces.report import Finding, Report, failure, remark
from digest.errors import BadInput
from digest.text import one_line

log = logging.getLogger(__name__)

_Event = Mapping[str, Any]
_Kind = Literal["hard", "soft", "delayed", "complaint", "unsubscribe"]
_MOST = 1000
_OURS: dict[str, _Kind] = {kind: kind for kind in get_args(_Kind)}
_OTHERWISE: dict[_Kind, Reason] = {"hard": "no such address"}


def read_posted(body: bytes) -> list[tuple[bytes, Report]]:
    """Each event of a posted body with the bytes that it is known by, and what it says.

    Events that are none of a bounce, like an opened mail, have no findings. Raises BadInput for
    what is no JSON, or of no relay that is known.
    """
    posted = _parsed(body, "the body is not JSON")
    events = posted if isinstance(posted, list) else [posted]
    if len(events) > _MOST:
        raise BadInput(f"more than {_MOST} events at once")
    return [(json.dumps(event, sort_keys=True).encode(), read_event(event)) for event in events]


def read_event(event: object) -> Report:
    """One event of any relay. Raises BadInput."""
    if not isinstance(event, dict):
        raise BadInput("an event must be a JSON object")
    for known_by, read in _RELAYS:
        if known_by in event:
            return read(event)
    raise BadInput("an event of no relay that is known: see the README for our own form")


def _of_ours(event: _Event) -> Report:
    kind = _OURS.get(_text(event, "type"))
    if kind is None:
        raise BadInput(f"type: one of {', '.join(_OURS)}, not {event['type']!r}")
    address, message_id = _text(event, "address"), _text(event, "message_id")
    if not address and not message_id:
        raise BadInput("an event needs an address or a message_id")
    return _report(kind, address, _text(event, "reason"), _text(event, "status"), message_id)


def _of_sns(event: _Event) -> Report:
    """Amazon SNS, which wraps what SES says."""
    if event["Type"] != "Notification":
        # Whoever runs this decides whether it is theirs; we open no link that somebody sends us.
        log.warning("Amazon SNS asks to be confirmed: %s", one_line(_text(event, "SubscribeURL")))
        return Report(())
    return read_event(_parsed(_text(event, "Message"), "Message: must be JSON, as SES writes it"))


class _Names(NamedTuple):
    kind: _Kind
    recipients: str


_SES = {
    "bounce": _Names("soft", "bouncedRecipients"),
    "complaint": _Names("complaint", "complainedRecipients"),
    "deliveryDelay": _Names("delayed", "delayedRecipients"),
}


def _of_ses(event: _Event) -> Report:
    findings: list[Finding] = []
    for part, names in _SES.items():
        about = _object(event, part)
        kind = "hard" if _text(about, "bounceType") == "Permanent" else names.kind
        common = _text(about, "complaintFeedbackType") or _text(about, "bounceSubType")
        for one in _objects(about, names.recipients):
            said = _text(one, "diagnosticCode")
            said = said.partition(";")[2].strip() or said or common
            address, status = _text(one, "emailAddress"), _text(one, "status")
            findings.append(_finding(kind, address, said, status))
    mail = _object(event, "mail")
    # SES gives each mail a Message-ID of its own; ours is among the headers.
    headers = [(_text(one, "name"), _text(one, "value")) for one in _objects(mail, "headers")]
    ids = [value for name, value in headers if name.lower() == "message-id"]
    marks = [unquote(value) for name, value in headers if name.lower() == "list-unsubscribe"]
    return Report(tuple(findings), _ids(*ids), (_text(mail, "source"), *marks))


_POSTMARK: dict[str, _Kind] = {
    **dict.fromkeys(("HardBounce", "BadEmailAddress"), "hard"),
    **dict.fromkeys(("SoftBounce", "DnsError", "Undeliverable", "Unknown"), "soft"),
    **dict.fromkeys(("SpamNotification", "Blocked", "DMARCPolicy"), "soft"),
    **dict.fromkeys(("Transient", "ChallengeVerification"), "delayed"),
    "SpamComplaint": "complaint",
    "Unsubscribe": "unsubscribe",
}


def _of_postmark(event: _Event) -> Report:
    named = _text(event, "RecordType")
    kind = _POSTMARK.get(_text(event, "Type") if named == "Bounce" else named)
    if named == "SubscriptionChange" and _text(event, "SuppressionReason") == "ManualSuppression":
        kind = "unsubscribe"
    said = ": ".join(filter(None, (_text(event, name) for name in ("Description", "Details"))))
    return _report(kind, _text(event, "Email") or _text(event, "Recipient"), said)


_MAILGUN: dict[str, _Kind] = {
    "complained": "complaint",
    "unsubscribed": "unsubscribe",
    "failed": "delayed",
}


def _of_mailgun(event: _Event) -> Report:
    data = _object(event, "event-data")
    kind = _MAILGUN.get(_text(data, "event"))
    if kind == "delayed" and _text(data, "severity") == "permanent":
        kind = "hard"
    status = _object(data, "delivery-status")
    said = _text(status, "message") or _text(status, "description") or _text(data, "reason")
    headers = _object(_object(data, "message"), "headers")
    return _report(
        kind,
        _text(data, "recipient"),
        f"{_text(status, 'code')} {said}".strip(),
        _text(status, "enhanced-code"),
        _text(headers, "message-id"),
    )


_SENDGRID: dict[str, _Kind] = {
    "bounce": "hard",
    "blocked": "soft",
    "dropped": "soft",
    "deferred": "delayed",
    "spamreport": "complaint",
    "unsubscribe": "unsubscribe",
    "group_unsubscribe": "unsubscribe",
}


def _of_sendgrid(event: _Event) -> Report:
    named, type_ = _text(event, "event"), _text(event, "type")
    kind = _SENDGRID.get(type_ if named == "bounce" and type_ == "blocked" else named)
    said = _text(event, "reason") or _text(event, "response")
    ours = _text(event, "smtp-id")
    return _report(kind, _text(event, "email"), said, _text(event, "status"), ours)


_RELAYS: tuple[tuple[str, Callable[[_Event], Report]], ...] = (
    ("notificationType", _of_ses),
    ("eventType", _of_ses),
    ("event-data", _of_mailgun),
    ("RecordType", _of_postmark),
    ("Type", _of_sns),
    ("event", _of_sendgrid),
    ("type", _of_ours),
)


def _report(
    kind: _Kind | None, address: str, said: str, status: str = "", message_id: str = ""
) -> Report:
    if kind is None:
        return Report(())
    return Report((_finding(kind, address, said, status),), _ids(message_id))


def _finding(kind: _Kind, address: str, said: str, status: str = "") -> Finding:
    """What words and status say of a failure; what the relay says, where they say nothing."""
    if kind == "complaint" or kind == "unsubscribe":
        return remark(address, kind, said or kind)
    otherwise = _OTHERWISE.get(kind, "refused")
    return failure(address, said, status=status, delayed=kind == "delayed", otherwise=otherwise)


def _parsed(text: bytes | str, otherwise: str) -> object:
    try:
        # By mail it comes with lines broken anywhere.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise BadInput(otherwise) from None


def _text(values: _Event, name: str) -> str:
    value = values.get(name)
    return one_line(str(value)) if isinstance(value, str | int) else ""


def _object(values: _Event, name: str) -> _Event:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _objects(values: _Event, name: str) -> Iterator[_Event]:
    found = values.get(name)
    yield from (one for one in (found if isinstance(found, list) else ()) if isinstance(one, dict))


def _ids(*texts: str) -> tuple[str, ...]:
    return tuple(text.strip(" <>") for text in texts if text)
