"""Everything that happened to one subscriber on one day, and why there was a mail or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.delivery.suppression import is_suppressed
from digest.editions import Edition, due_on, local_date_of, next_due, read_edition, zone_of
from digest.settings import Frequency
from digest.store.tables import (
    Attempt,
    Bounce,
    Consent,
    Delivery,
    DeliveryState,
    EditionRow,
    Paper,
    Subscriber,
    VoteRow,
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in words."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Loser:
    """A paper that was considered and not shown, and why."""

    paper_id: int
    title: str
    score: float
    why: str


@dataclass(frozen=True, slots=True)
class Account:
    """The day in full; `answer` is the one line that a person asked for."""

    address: str
    local_date: date
    answer: str
    events: tuple[Event, ...]
    edition: Edition | None
    losers: tuple[Loser, ...]


def why(
    session: Session, subscriber_id: int, local_date: date, *, secret: bytes, now: datetime
) -> Account:
    """Account for a subscriber's day, from what was kept of it."""
    row = session.get_one(Subscriber, subscriber_id)
    edition_row = session.scalar(
        select(EditionRow).where(
            EditionRow.subscriber_id == subscriber_id, EditionRow.local_date == local_date
        )
    )
    edition = read_edition(session, edition_row.id) if edition_row else None
    mails = _mails(session, row, local_date, edition)
    mail = next((mail for mail in mails if mail.edition_id), None)
    suppressed = is_suppressed(session, row.address, secret)
    if mail:
        answer = _of_mail(session, row, mail, suppressed=suppressed)
    elif edition:
        answer = f"No mail, for there was nothing to send: {edition.note}"
    else:
        answer = f"No mail{_of_none(row, local_date, now, suppressed=suppressed)}"
    return Account(
        address=row.address,
        local_date=local_date,
        answer=answer,
        events=tuple(_events(session, row, local_date, mails, edition)),
        edition=edition,
        losers=tuple(_losers(session, edition_row)) if edition_row else (),
    )


_ANSWERS: dict[DeliveryState, str] = {
    "queued": "The mail is waiting to be sent.",
    "claimed": "The mail is about to be sent.",
    "in_flight": "The mail is being sent right now.",
    "sent": "The mail was sent.",
    "deferred": "The mail could not be handed over yet and will be tried again.",
    "failed": "The mail was refused.",
    "uncertain": "The mail may or may not have arrived: the server's answer to it was lost.",
    "cancelled": "The mail was taken back before it was sent.",
}
_FREQUENCIES: dict[Frequency, str] = {
    "daily": "every day",
    "weekdays": "from Monday to Friday",
    "weekly": "on Mondays",
}


def _of_mail(session: Session, row: Subscriber, mail: Delivery, *, suppressed: bool) -> str:
    said = _ANSWERS[mail.state]
    if mail.state == "cancelled":
        return f"{said} {_of_cancelled(row, mail, suppressed=suppressed)}".strip()
    last = session.scalar(
        select(Attempt.reply).where(Attempt.delivery_id == mail.id).order_by(Attempt.id.desc())
    )
    return f"{said} Last reply: {last}" if last else said


def _of_cancelled(row: Subscriber, mail: Delivery, *, suppressed: bool) -> str:
    if mail.settled_at and mail.settled_at >= mail.expires_at:
        return "It could not be handed over in time."
    if suppressed:
        return "The address is on the suppression list."
    now_are = {"left": "They have unsubscribed.", "paused": "Their digest is paused."}
    return now_are.get(row.state, "")


def _of_none(row: Subscriber, day: date, now: datetime, *, suppressed: bool) -> str:
    began = local_date_of(row.timezone, row.confirmed_at or row.created_at)
    if day < began:
        return ": they had not subscribed yet."
    if row.state == "pending":
        return ": the subscription has not been confirmed; a mail has asked them to."
    if row.state == "left" and (not row.left_at or day >= local_date_of(row.timezone, row.left_at)):
        return ": they have unsubscribed."
    if row.state == "suspended":
        return ": their address is suspended."
    if row.state == "paused" and (not row.paused_until or day < row.paused_until):
        until = f" until {row.paused_until}" if row.paused_until else ""
        return f": their digest is paused{until}."
    if suppressed:
        return ": the address is on the suppression list."
    return _of_schedule(row, day, now)


def _of_schedule(row: Subscriber, day: date, now: datetime) -> str:
    zone = zone_of(row.timezone)
    today = now.astimezone(zone).date()
    due = due_on(row.timezone, row.hour, row.frequency, day)
    if due is None:
        midnight = datetime.combine(day, time(), zone)
        following = next_due(row.timezone, row.hour, row.frequency, midnight, beyond=day)
        rhythm = _FREQUENCIES[row.frequency]
        return f": their digest comes {rhythm}, next on {following.astimezone(zone):%A %d %B}."
    if day >= today and row.next_due_at and row.next_due_at > max(now, due):
        upcoming = row.next_due_at.astimezone(zone)
        return f": their next digest is due on {upcoming:%A %d %B at %H:%M} ({row.timezone})."
    if now < due:
        return f" yet: it is due at {due.astimezone(zone):%H:%M} ({row.timezone})."
    not_running = "Is `digest serve` running, or `digest tick` called?"
    if day == today:
        return f" yet: it is due, and the next tick builds it. {not_running}"
    return f": no edition was built that day. {not_running}"


def _bounds(row: Subscriber, day: date) -> tuple[datetime, datetime]:
    """When a subscriber's day begins, and when the next one does."""
    midnight = datetime.combine(day, time(), zone_of(row.timezone))
    return midnight, midnight + timedelta(days=1)


def _mails(
    session: Session, row: Subscriber, day: date, edition: Edition | None
) -> Sequence[Delivery]:
    """The mail of the edition, and what else was queued for them on that day."""
    begins, ends = _bounds(row, day)
    of_day = (
        Delivery.edition_id.is_(None)
        & (Delivery.created_at >= begins)
        & (Delivery.created_at < ends)
    )
    if edition:
        of_day |= Delivery.edition_id == edition.edition_id
    query = select(Delivery).where(Delivery.subscriber_id == row.id, of_day).order_by(Delivery.id)
    return session.scalars(query).all()


def _events(
    session: Session,
    row: Subscriber,
    day: date,
    mails: Sequence[Delivery],
    edition: Edition | None,
) -> list[Event]:
    begins, ends = _bounds(row, day)
    found = [
        Event(consent.at, f"consent: {consent.kind}")
        for consent in session.scalars(
            select(Consent).where(
                Consent.subscriber_id == row.id, Consent.at >= begins, Consent.at < ends
            )
        )
    ]
    found += [
        Event(at, f"voted {value} on “{title}”")
        for at, value, title in session.execute(
            select(VoteRow.at, VoteRow.value, Paper.title)
            .join(Paper, Paper.id == VoteRow.paper_id)
            .where(VoteRow.subscriber_id == row.id, VoteRow.at >= begins, VoteRow.at < ends)
        )
    ]
    if edition:
        found.append(
            Event(
                edition.built_at,
                f"edition built: {len(edition.items)} of {edition.n_candidates} new papers",
            )
        )
    came_back = (Bounce.at >= begins) & (Bounce.at < ends)
    returned = select(Bounce).where(
        Bounce.subscriber_id == row.id,
        came_back | Bounce.delivery_id.in_([mail.id for mail in mails]),
    )
    for bounce in session.scalars(returned):
        said = " ".join(filter(None, (bounce.status, bounce.said)))
        found.append(Event(bounce.at, f"mail came back ({bounce.kind}): {said}".rstrip(": ")))
    for mail in mails:
        found += _events_of(session, mail)
    return sorted(found, key=lambda event: event.at)


def _events_of(session: Session, mail: Delivery) -> list[Event]:
    what = "mail" if mail.kind == "edition" else f"{mail.kind} mail"
    found = [Event(mail.created_at, f"{what} queued")]
    attempts = select(Attempt).where(Attempt.delivery_id == mail.id).order_by(Attempt.id)
    found += [
        Event(attempt.at, f"{what} {attempt.state}: {attempt.reply}")
        for attempt in session.scalars(attempts)
    ]
    if mail.state in ("cancelled", "uncertain") and mail.settled_at:
        found.append(Event(mail.settled_at, f"{what} {mail.state}"))
    return found


def _losers(session: Session, row: EditionRow) -> list[Loser]:
    ids = [loser["paper_id"] for loser in row.runners_up]
    copies = [loser["copy_of"] for loser in row.runners_up if loser["copy_of"]]
    named = select(Paper.id, Paper.title).where(Paper.id.in_([*ids, *copies]))
    titles = dict(session.execute(named).all())
    return [
        Loser(
            loser["paper_id"],
            titles.get(loser["paper_id"], "(gone)"),
            loser["score"],
            f"says the same as “{titles.get(loser['copy_of'], '(gone)')}”"
            if loser["copy_of"]
            else "others scored higher",
        )
        for loser in row.runners_up
    ]
