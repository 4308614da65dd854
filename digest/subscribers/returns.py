"""What came back, and what follows from it for a subscriber; each mail counts once.

Whose it is, is told by a mark of ours (VERP), or else by the Message-ID of ours that it returns:
nobody can guess either. An address alone can be written by anybody into a forged bounce. It then
counts a point at most, never the last, and only for somebody who was mailed lately: no stranger can
suppress, suspend or unsubscribe anybody. A relay that knows our password is believed.
"""

import logging
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from digest.delivery.bounces.mailboxes import Mail, read_settings
from digest.delivery.bounces.read import read_bounce
from digest.delivery.bounces.relays import read_posted
from digest.delivery.bounces.report import Finding, Report
from digest.delivery.returns import Returned, read_mark
from digest.delivery.standing import bounced_hard, bounced_soft, has_moved_since
from digest.delivery.suppression import address_key, suppress
from digest.errors import BadInput, DigestError
from digest.settings import BounceSettings
from digest.store import Sessions, insert
from digest.store.tables import Bounce, BounceKind, Delivery, Subscriber
from digest.subscribers.life import leave
from digest.subscribers.roster import find

log = logging.getLogger(__name__)

Done = Literal[
    "suppressed",
    "suspended",
    "counted",
    "unsubscribed",
    "recorded",
    "read before",
    "not a bounce",
    "not a mail",
    "left for later",
]

# Bounces of a mail come within a week; a month leaves room for slow and for batched ones.
_LATELY = timedelta(days=30)
# Where a mail speaks of several, the mildest counts: some copy of ours may have arrived.
_MILDEST: tuple[BounceKind, ...] = (
    *("unknown", "delayed", "soft", "hard"),
    *("unsubscribe", "complaint"),
)


@dataclass(frozen=True, slots=True)
class Settled:
    """What one mail was, and what was done; `kind` is None for what is no bounce."""

    kind: BounceKind | None
    done: Done


@dataclass(frozen=True, slots=True)
class BounceView:
    """What came back; `address` is that of the subscriber whose it is, None where nobody knows."""

    at: datetime
    address: str | None
    kind: BounceKind
    status: str
    said: str
    delivery_id: int | None


@dataclass(frozen=True, slots=True)
class _Match:
    """Whose a report is; `sure` where nobody else could have written it."""

    subscriber: Subscriber
    delivery_id: int | None
    sure: bool


def take_in(
    sessions: Sessions,
    mails: Iterable[Mail],
    *,
    secret: bytes,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda _n: None,
) -> Counter[Settled]:
    """Settle mails, each in a transaction of its own, and put each away when that is stored.

    One that we cannot deal with stays where it is and keeps none of the others waiting, and what
    comes after `stop` says so stays there too. Raises ServiceUnreachable where the database or the
    mailbox is gone; the rest then waits there.
    """
    settled: Counter[Settled] = Counter()
    for mail in mails:
        if stop():
            break
        try:
            done = _take_in(sessions, mail, secret, now)
        except DigestError:
            raise
        except Exception:
            log.exception("%s cannot be dealt with, and stays there", mail.name)
            done = Settled(None, "left for later")
        else:
            mail.put_away()
        settled[done] += 1
        progress(1)
    return settled


def _take_in(sessions: Sessions, mail: Mail, secret: bytes, now: datetime) -> Settled:
    try:
        report = read_bounce(mail.raw)
    except BadInput as error:
        log.warning("%s: %s", mail.name, error)
        return Settled(None, "not a mail")
    with sessions() as session:
        return settle(session, report, mail.raw, secret=secret, now=now)


def settle(
    session: Session,
    report: Report,
    known_by: bytes,
    *,
    secret: bytes,
    now: datetime,
    trusted: bool = False,
) -> Settled:
    """Store one report and do what follows from it, once however often it is read.

    `known_by` are the bytes that it was read from. `trusted` is for a relay that showed our
    password: then an address is enough.
    """
    if not report.findings:
        return Settled(None, "not a bounce")
    match = _match(session, report, secret, now, trusted=trusted)
    finding = _about(report, match)
    row = {
        "sha256": sha256(known_by).hexdigest(),
        "subscriber_id": match and match.subscriber.id,
        "delivery_id": match and match.delivery_id,
        "at": now,
        "kind": finding.kind,
        "status": finding.status,
        "said": finding.said,
    }
    new = insert(session, Bounce).values(row).on_conflict_do_nothing().returning(Bounce.id)
    if session.scalar(new) is None:
        return Settled(finding.kind, "read before")
    done = _follow(session, match, finding, secret, now) if match else "recorded"
    return Settled(finding.kind, done)


def settle_posted(
    session: Session, body: bytes, *, is_mail: bool, secret: bytes, now: datetime
) -> list[Settled]:
    """Settle what a relay that knows our password posts: a mail, or its events as JSON.

    A mail is believed no more than any other, for anybody may have sent it there. Raises BadInput.
    """
    if is_mail:
        return [settle(session, read_bounce(body), body, secret=secret, now=now)]
    return [
        settle(session, report, known_by, secret=secret, now=now, trusted=True)
        for known_by, report in read_posted(body)
    ]


def take_in_mailboxes(
    sessions: Sessions,
    settings: BounceSettings,
    *,
    secret: bytes,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
    tls: ssl.SSLContext | None = None,
) -> Counter[Settled]:
    """`take_in` what is new in the mailboxes that the settings name."""
    return take_in(sessions, read_settings(settings, tls=tls), secret=secret, now=now, stop=stop)


def list_bounces(
    session: Session, address: str | None = None, limit: int | None = None
) -> list[BounceView]:
    """What came back, newest first; of one subscriber or of all. Raises Unknown."""
    query = (
        select(
            Bounce.at,
            Subscriber.address,
            Bounce.kind,
            Bounce.status,
            Bounce.said,
            Bounce.delivery_id,
        )
        .outerjoin(Subscriber, Subscriber.id == Bounce.subscriber_id)
        .order_by(Bounce.at.desc(), Bounce.id.desc())
        .limit(limit)
    )
    if address is not None:
        query = query.where(Bounce.subscriber_id == find(session, address).id)
    return [BounceView(*row) for row in session.execute(query)]


def _follow(
    session: Session, match: _Match, finding: Finding, secret: bytes, now: datetime
) -> Done:
    who = match.subscriber
    if finding.kind in ("complaint", "unsubscribe") and match.sure:
        if finding.kind == "complaint":
            suppress(session, who.address, secret, reason="complaint", now=now)
        leave(session, who.id, now=now, why=f"{finding.kind} by mail")
        return "unsubscribed"
    if finding.kind == "hard" and match.sure:
        bounced_hard(session, who.id, secret=secret, status=finding.status, now=now)
        return "suppressed"
    if finding.blame in ("address", "mailbox"):
        points = who.bounce_points
        if bounced_soft(session, who.id, now=now, sure=match.sure):
            return "suspended"
        return "counted" if who.bounce_points > points else "recorded"
    return "recorded"


def _match(
    session: Session, report: Report, secret: bytes, now: datetime, *, trusted: bool
) -> _Match | None:
    marks = [mark for text in report.marks if (mark := read_mark(text, secret))]
    # A delivery says more than a subscriber.
    for mark in sorted(marks, key=lambda mark: mark.kind):
        if match := _of_mark(session, mark):
            return match
    for message_id in report.message_ids:
        ours = select(Delivery.id).where(Delivery.message_id == message_id.partition("@")[0])
        if (delivery_id := session.scalar(ours)) is not None:
            return _of_mark(session, Returned("bounce", delivery_id))
    for key in dict.fromkeys(address_key(found.address) for found in report.findings):
        query = select(Subscriber).where(Subscriber.address_key == key).with_for_update()
        who = session.scalar(query)
        if who is not None and (trusted or _mailed_lately(session, who.id, now)):
            return _Match(who, None, sure=trusted)
    return None


def _of_mark(session: Session, mark: Returned) -> _Match | None:
    """Whose a mark is, unless they have been erased; their row is held until this is settled."""
    subscriber_id, delivery_id = mark.id, None
    if mark.kind == "bounce":
        delivery = session.get(Delivery, mark.id)
        # What went to an address that is not theirs yet, or no longer, says nothing of the one
        # that is.
        if (
            delivery is None
            or delivery.kind == "change_to"
            or has_moved_since(session, delivery.subscriber_id, delivery.created_at)
        ):
            return None
        subscriber_id, delivery_id = delivery.subscriber_id, delivery.id
    who = session.get(Subscriber, subscriber_id, with_for_update=True)
    return None if who is None else _Match(who, delivery_id, sure=True)


def _mailed_lately(session: Session, subscriber_id: int, now: datetime) -> bool:
    mailed = exists().where(
        Delivery.subscriber_id == subscriber_id,
        Delivery.state.in_(("sent", "uncertain")),
        Delivery.settled_at > now - _LATELY,
    )
    return bool(session.scalar(select(mailed)))


def _about(report: Report, match: _Match | None) -> Finding:
    """What a report says of the subscriber, or where it names others (forwards), the mildest."""
    theirs = match.subscriber.address_key if match else ""
    named = [found for found in report.findings if address_key(found.address) == theirs]
    return min(
        named or report.findings,
        key=lambda found: (_MILDEST.index(found.kind), found.blame in ("address", "mailbox")),
    )
