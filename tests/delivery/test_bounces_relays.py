import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.delivery.bounces.relays import read_posted
from digest.delivery.bounces.report import Report
from digest.errors import BadInput

ADA = "ada@example.net"


def posted(body: object) -> list[Report]:
    return [report for _, report in read_posted(json.dumps(body).encode())]


def told(body: object) -> list[tuple[str, str, str, str]]:
    return [
        (found.address, found.kind, found.blame, found.status)
        for report in posted(body)
        for found in report.findings
    ]


def ses(kind: str, **parts: object) -> dict[str, Any]:
    headers = [
        {"name": "Message-ID", "value": "<abc@example.org>"},
        {"name": "List-Unsubscribe", "value": "<mailto:d@example.org?subject=unsubscribe%20mark>"},
    ]
    mail = {"source": "digest+bmark@example.org", "messageId": "0100-x", "headers": headers}
    return {"notificationType": kind, "mail": mail, **parts}


BOUNCE = ses(
    "Bounce",
    bounce={
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": ADA,
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 unknown user",
            }
        ],
    },
)


def test_our_own_form_is_one_event_or_a_list() -> None:
    event = {"type": "hard", "address": ADA, "status": "5.1.1", "reason": "550 no such user"}
    assert told(event) == [(ADA, "hard", "address", "5.1.1")]
    events = [
        event,
        {"type": "soft", "address": ADA, "reason": "552 mailbox full"},
        {"type": "soft", "address": ADA, "reason": "550 5.7.1 blocked by policy"},
        {"type": "delayed", "address": ADA},
        {"type": "complaint", "message_id": "<abc@example.org>"},
        {"type": "unsubscribe", "address": ADA},
    ]
    assert told(events) == [
        (ADA, "hard", "address", "5.1.1"),
        (ADA, "soft", "mailbox", "5.0.0"),
        (ADA, "soft", "us", "5.7.1"),
        (ADA, "delayed", "nobody", ""),
        ("", "complaint", "nobody", ""),
        (ADA, "unsubscribe", "nobody", ""),
    ]
    assert posted(events)[4].message_ids == ("abc@example.org",)


def test_amazon_ses_directly_and_through_sns() -> None:
    complaint = ses("Complaint", complaint={"complainedRecipients": [{"emailAddress": ADA}]})
    for wrapped in (False, True):
        shape = (lambda e: {"Type": "Notification", "Message": json.dumps(e)}) if wrapped else dict
        assert told(shape(BOUNCE)) == [(ADA, "hard", "address", "5.1.1")]
        assert told(shape(complaint)) == [(ADA, "complaint", "nobody", "")]
        (report,) = posted(shape(BOUNCE))
        assert report.message_ids == ("abc@example.org",)
        assert "digest+bmark@example.org" in report.marks
        assert any("unsubscribe mark" in text for text in report.marks)
    assert told(ses("Delivery", delivery={"recipients": [ADA]})) == []


def test_amazon_sns_asking_to_be_confirmed_is_logged_and_never_followed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = "https://sns.example/?Action=ConfirmSubscription"
    assert told({"Type": "SubscriptionConfirmation", "SubscribeURL": url}) == []
    assert url in caplog.text


def test_postmark() -> None:
    def event(**values: object) -> dict[str, object]:
        return {"RecordType": "Bounce", "Email": ADA, "ID": 1, **values}

    assert told(event(Type="HardBounce", Details="smtp;550 5.1.1 unknown user")) == [
        (ADA, "hard", "address", "5.1.1")
    ]
    assert told(event(Type="HardBounce", Details="")) == [(ADA, "hard", "address", "")]
    assert told(event(Type="SoftBounce", Details="smtp;552 5.2.2 mailbox full"))[0][1] == "soft"
    assert told(event(Type="SpamNotification", Description="blocked as spam"))[0][2] == "us"
    assert told(event(Type="Transient"))[0][1] == "delayed"
    assert told(event(Type="AutoResponder")) == []
    assert told({"RecordType": "SpamComplaint", "Email": ADA})[0][1] == "complaint"
    change = {"RecordType": "SubscriptionChange", "Recipient": ADA, "SuppressSending": True}
    assert told({**change, "SuppressionReason": "ManualSuppression"})[0][:2] == (ADA, "unsubscribe")
    assert told({**change, "SuppressionReason": "HardBounce"}) == []


def test_mailgun() -> None:
    def event(name: str, severity: str = "", **status: object) -> dict[str, object]:
        data = {
            "event": name,
            "severity": severity,
            "recipient": ADA,
            "delivery-status": status,
            "message": {"headers": {"message-id": "abc@example.org"}},
        }
        return {"signature": {"timestamp": "1", "token": "t", "signature": "s"}, "event-data": data}

    unknown = event("failed", "permanent", code=550, message="5.1.1 The account does not exist")
    assert told(unknown) == [(ADA, "hard", "address", "5.1.1")]
    assert posted(unknown)[0].message_ids == ("abc@example.org",)
    spam = event("failed", "permanent", code=550, message="5.7.1 rejected as spam")
    assert told(spam) == [(ADA, "soft", "us", "5.7.1")]
    assert told(event("failed", "temporary", code=421, message="try later"))[0][1] == "delayed"
    assert told(event("complained"))[0][1] == "complaint"
    assert told(event("unsubscribed"))[0][1] == "unsubscribe"
    assert told(event("opened")) == []


def test_sendgrid_posts_lists() -> None:
    base = {"email": ADA, "smtp-id": "<abc@example.org>", "sg_event_id": "1"}
    events = [
        {**base, "event": "bounce", "status": "5.0.0", "reason": "550 unknown user"},
        {**base, "event": "bounce", "type": "blocked", "reason": "554 5.7.1 IP on a blacklist"},
        {**base, "event": "dropped", "reason": "Bounced Address"},
        {**base, "event": "deferred", "response": "450 busy"},
        {**base, "event": "spamreport"},
        {**base, "event": "delivered"},
    ]
    assert [(kind, blame) for _, kind, blame, _ in told(events)] == [
        ("hard", "address"),
        ("soft", "us"),
        ("soft", "mailbox"),
        ("delayed", "nobody"),
        ("complaint", "nobody"),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1", "must be a JSON object"),
        (b"[null]", "must be a JSON object"),
        (b"{}", "no relay that is known"),
        (b'{"type": "nice"}', "type: one of hard, soft, delayed, complaint, unsubscribe"),
        (b'{"type": "hard"}', "an address or a message_id"),
        (b'{"Type": "Notification", "Message": "x"}', "as SES writes it"),
        (json.dumps([BOUNCE] * 1001).encode(), "more than 1000"),
    ],
)
def test_what_is_no_event_is_refused_with_what_it_should_be(body: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_posted(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
NAMES = (
    *("Type", "Message", "notificationType", "eventType", "bounce", "mail", "headers", "type"),
    *("event-data", "RecordType", "event", "email", "bouncedRecipients", "address", "reason"),
)


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from(["Bounce", "hard", "failed"]))
)
def test_any_json_is_read_or_refused(event: dict[str, object]) -> None:
    with suppress(BadInput):
        read_posted(json.dumps(event).encode())
