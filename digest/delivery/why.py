"""Everything that happened to one subscriber on one day, and why there was a mail or none."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.delivery.suppression import is_suppressed
from digest.editions import Edition, next_due, read_edition
from digest.store.tables import (
    Attempt,
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
    mail = (
        session.scalar(select(Delivery).where(Delivery.edition_id == edition_row.id))
        if edition_row
        else None
    )
    return Account(
        address=row.address,
        local_date=local_date,
        answer=(
            _of_mail(session, mail)
            if mail
            else _of_none(session, row, edition, local_date, secret=secret, now=now)
        ),
        events=tuple(_events(session, row, local_date, mail, edition)),
        edition=edition,
        losers=tuple(_losers(session, edition_row)) if edition_row and edition else (),
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


def _of_mail(session: Session, mail: Delivery) -> str:
    last = session.scalar(
        select(Attempt.reply).where(Attempt.delivery_id == mail.id).order_by(Attempt.id.desc())
    )
    return _ANSWERS[mail.state] + (f" Last reply: {last}" if last else "")


def _of_none(
    session: Session,
    row: Subscriber,
    edition: Edition | None,
    day: date,
    *,
    secret: bytes,
    now: datetime,
) -> str:
    if edition is not None:
        return f"No mail, for there was nothing to send: {edition.note}"
    paused = f" until {row.paused_until}" if row.paused_until else ""
    states = {
        "pending": "the subscription has not been confirmed; a mail has asked them to",
        "left": "they have unsubscribed",
        "suspended": "their address is suspended",
        "paused": f"their digest is paused{paused}",
    }
    if row.state in states:
        return f"No mail: {states[row.state]}."
    if is_suppressed(session, row.address, secret):
        return "No mail: the address is on the suppression list."
    return _of_schedule(row, day, now)


def _of_schedule(row: Subscriber, day: date, now: datetime) -> str:
    zone = ZoneInfo(row.timezone)
    midnight = datetime.combine(day, time(), zone)
    due = next_due(row.timezone, row.hour, row.frequency, midnight - timedelta(seconds=1))
    today = now.astimezone(zone).date()
    if day < (row.confirmed_at or row.created_at).astimezone(zone).date():
        return "No mail: they had not subscribed yet."
    if (shown := due.astimezone(zone)).date() != day:
        return f"No mail: their digest comes {row.frequency}, after that day on {shown:%A %d %B}."
    if now < due:
        return f"No mail yet: it is due at {shown:%H:%M} ({row.timezone})."
    if day == today and row.next_due_at and row.next_due_at > now:
        return f"No mail: they subscribed that day, their digest begins on {row.next_due_at:%d %B}."
    not_running = "Is `digest serve` running, or `digest tick` called?"
    if day == today:
        return f"No mail yet: it is due, and the next tick builds it. {not_running}"
    return f"No mail: no edition was built that day. {not_running}"


def _events(
    session: Session, row: Subscriber, day: date, mail: Delivery | None, edition: Edition | None
) -> list[Event]:
    zone = ZoneInfo(row.timezone)
    midnight = datetime.combine(day, time(), zone)
    that_day = midnight, midnight + timedelta(days=1)
    found = [
        Event(consent.at, f"consent: {consent.kind}")
        for consent in session.scalars(
            select(Consent).where(Consent.subscriber_id == row.id, Consent.at.between(*that_day))
        )
    ]
    found += [
        Event(at, f"voted {value} on “{title}”")
        for at, value, title in session.execute(
            select(VoteRow.at, VoteRow.value, Paper.title)
            .join(Paper, Paper.id == VoteRow.paper_id)
            .where(VoteRow.subscriber_id == row.id, VoteRow.at.between(*that_day))
        )
    ]
    if edition:
        found.append(
            Event(
                edition.built_at,
                f"edition built: {len(edition.items)} of {edition.n_candidates} new papers",
            )
        )
    if mail:
        found.append(Event(mail.created_at, "mail queued"))
        found += [
            Event(attempt.at, f"{attempt.state}: {attempt.reply}")
            for attempt in session.scalars(select(Attempt).where(Attempt.delivery_id == mail.id))
        ]
        if mail.state in ("cancelled", "uncertain") and mail.settled_at:
            found.append(Event(mail.settled_at, mail.state))
    return sorted(found, key=lambda event: event.at)


def _losers(session: Session, row: EditionRow) -> list[Loser]:
    ids = [loser["paper_id"] for loser in row.runners_up]
    copies = [loser["copy_of"] for loser in row.runners_up if loser["copy_of"]]
    named = select(Paper.id, Paper.title).where(Paper.id.in_([*ids, *copies]))
    titles = dict(session.execute(named).tuples().all())
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
