"""A subscriber's life: asked, confirmed, paused, left, erased.

Before `confirm` one mail a day is queued at most, the one that asks for it; after `leave` none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count
from typing import Any, Literal, cast

from sqlalchemy import CursorResult, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from digest.delivery.suppression import address_key, is_suppressed
from digest.editions import local_date_of, next_due, zone_of
from digest.errors import BadInput
from digest.languages import Message, msgid
from digest.links import Claim
from digest.papers.filed import forget_filed
from digest.profiles.interests import MOST, interests_of, set_interest
from digest.settings import SubscriberDefaults
from digest.store import insert
from digest.store.deliveries import cancel, queue
from digest.store.tables import (
    AddressChange,
    Bounce,
    Breaker,
    Consent,
    Delivery,
    Interest,
    Paper,
    Signup,
    Subscriber,
    SubscriberState,
    VoteRow,
)
from digest.subscribers.roster import SubscriberView, held, held_as, known, view_of
from digest.subscribers.subscription import (
    Subscription,
    name_of,
    parse_subscription,
)

Instead = Literal["pause", "weekly"]
Asked = Literal["asked", "asked already", "subscribed already", "suppressed"]
AddedAs = Literal["added", "changed", "unchanged", "has left", "is suspended", "is suppressed"]

CONSENT = msgid("Send me Digest by e-mail. Every mail has a link that stops it.")
_STATES: Mapping[SubscriberState, str] = {
    "pending": msgid("pending"),
    "active": msgid("active"),
    "paused": msgid("paused"),
    "left": msgid("left"),
    "suspended": msgid("suspended"),
}

_A_DAY = timedelta(days=1)
_PAUSE_INSTEAD = timedelta(days=28)
_TIME_TO_CONFIRM = timedelta(days=7)
_LONGEST_RHYTHM = timedelta(days=8)
_LAST_YEAR = 2200
_WHEN = ("timezone", "hour", "frequency")
_SETTINGS = (*_WHEN, "length", "mix", "min_probability", "language")


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did, and the subscriber as it left them, None where there is none."""

    outcome: AddedAs
    subscriber: SubscriberView | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erased subscriber was known by, for looking whether a trace is left of it.

    `mails` are the Message-IDs, up to the @, of all mail to them.
    """

    address: str
    address_key: str
    mails: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The address in lower case, as it was written and as it is compared."""
        return tuple({self.address.lower(), self.address_key})


def subscribe(
    session: Session, subscription: Subscription, *, secret: bytes, now: datetime
) -> Asked:
    """Sign somebody up who may not own the address: one mail asks it, at most once a day.

    Nobody who ever was subscribed is changed, so that a stranger cannot: what is asked for is of
    effect for them when they confirm it. The answer is for the log: whoever asked must be told the
    same in every case.
    """
    if is_suppressed(session, subscription.address, secret):
        return "suppressed"
    row, _ = _row_for(session, subscription, now)
    if row.state in ("active", "paused"):
        return "subscribed already"
    if row.confirmed_at is None:
        session.execute(delete(Interest).where(Interest.subscriber_id == row.id))
        _settle(session, row, subscription, now)
    return _ask(session, row, now)


def add(
    session: Session,
    given: Mapping[str, object],
    defaults: SubscriberDefaults,
    *,
    secret: bytes,
    now: datetime,
    confirmed: bool = True,
) -> Added:
    """Take a subscriber on an operator's word; the same address again gets what is `given` anew.

    What is not given is the default for a new subscriber, and stays as it is for a known one.
    Whoever has left, or whose address is suspended, is not brought back but by their own
    confirmation, which `confirmed=False` asks for; whose address must not be mailed, not by that
    either. Raises BadInput as `parse_subscription` does.
    """
    asked = parse_subscription(given, defaults)
    before = known(session, asked.address)
    if is_suppressed(session, asked.address, secret):
        return Added("is suppressed", view_of(before) if before else None)
    if before is not None:
        asked = parse_subscription({**_settings_of(before), **given}, defaults)
    row, is_new = _row_for(session, asked, now)
    if confirmed and row.state in ("left", "suspended"):
        return Added("has left" if row.state == "left" else "is suspended", view_of(row))
    state = row.state
    changed = _settle(session, row, asked, now)
    if confirmed and row.state == "pending":
        _activate(row, now)
        _note(session, row, "added by operator", CONSENT, now, form="the operator's word")
    elif row.state not in ("active", "paused"):
        _ask(session, row, now)
    outcome: AddedAs = "changed" if changed or row.state != state else "unchanged"
    return Added("added" if is_new else outcome, view_of(row))


def confirm(session: Session, claim: Claim, *, now: datetime) -> SubscriberView:
    """Make a pending subscriber active; their first edition is due at once. Safe to repeat.

    Raises Unknown for one who is gone, BadInput for one who has left since.
    """
    row = held(session, claim.subscriber_id)
    if row.state == "left":
        raise BadInput(
            msgid("this address was unsubscribed after that mail; please subscribe again")
        )
    if row.state == "pending":
        _take_on(session, row, now)
        _activate(row, now)
        _note(session, row, "confirmed", CONSENT, now, form="the button that the mail leads to")
    return view_of(row)


def leave(
    session: Session, who: Claim | int, *, now: datetime, why: str, goodbye: bool = False
) -> SubscriberView:
    """Stop all mail at once, what is queued included. Safe to repeat. Raises Unknown.

    With `goodbye` a last mail says so to one who was subscribed: it may have been a machine that
    pressed. Nobody else gets it, nor who leaves by their mail program.
    """
    row = held(session, who.subscriber_id if isinstance(who, Claim) else who)
    if row.state != "left":
        subscribed = row.state in ("active", "paused")
        row.state, row.left_at, row.next_due_at, row.paused_until = "left", now, None, None
        _note(session, row, "left", why, now)
        cancel(session, row.id, now)
        if goodbye and subscribed:
            queue(session, kind="goodbye", subscriber_id=row.id, now=now)
    return view_of(row)


def get_less(session: Session, claim: Claim, instead: Instead, *, now: datetime) -> SubscriberView:
    """Rather than leave, pause for four weeks, or get one mail a week. Safe to repeat.

    Raises Unknown, and BadInput for one who is neither active nor paused.
    """
    row = held(session, claim.subscriber_id)
    if row.state not in ("active", "paused"):
        raise _is_not(row, msgid("%(address)s is %(state)s: there is no mail to get less of"))
    if instead == "weekly":
        return change(session, row.id, {"frequency": "weekly"}, now=now)
    until = local_date_of(row.timezone, now) + _PAUSE_INSTEAD
    return pause(session, row.id, until, now=now)


def send_fresh_link(session: Session, claim: Claim, *, now: datetime) -> bool:
    """Mail a link to their preferences to the subscriber of an old link; whether one was queued.

    Once a day at most, and only to one who is subscribed. Whoever asks must be told the same in
    every case.
    """
    row = session.get(Subscriber, claim.subscriber_id, with_for_update=True)
    if row is None or row.state not in ("active", "paused"):
        return False
    lately = select(Delivery.id).where(
        Delivery.subscriber_id == row.id,
        Delivery.kind == "fresh_link",
        Delivery.created_at > now - _A_DAY,
    )
    if session.scalars(lately).first() is not None:
        return False
    queue(session, kind="fresh_link", subscriber_id=row.id, now=now)
    return True


def pause(session: Session, who: str | int, until: date | None, *, now: datetime) -> SubscriberView:
    """Hold the mail back, queued mail included, until their local date `until` or for good.

    Raises BadInput for a day that is not to come, or farther away than any clock is sure of.
    """
    row = held_as(session, who)
    if row.state not in ("active", "paused"):
        raise _is_not(
            row, msgid("%(address)s is %(state)s: only an active subscriber can be paused")
        )
    today = local_date_of(row.timezone, now)
    if until is not None and until <= today:
        raise BadInput(msgid("must be a day to come, not %(given)s", given=until), field="until")
    if until is not None and until.year > _LAST_YEAR:
        said = msgid("must be no later than %(year)s", year=_LAST_YEAR)
        raise BadInput(said, field="until")
    row.state, row.paused_until = "paused", until
    row.next_due_at = _back_at(row, until) if until else None
    if session.is_modified(row):
        # Their pause is no silence.
        _sign(row, row.next_due_at or now)
    cancel(session, row.id, now)
    return view_of(row)


def resume(session: Session, who: str | int, *, secret: bytes, now: datetime) -> SubscriberView:
    """Mail again, from their next hour on, after a pause or a suspension. Safe to repeat.

    Raises BadInput where the address is on the suppression list, or is not theirs to be mailed.
    """
    row = held_as(session, who)
    if is_suppressed(session, row.address, secret):
        raise BadInput(
            msgid(
                "%(address)s is on the suppression list; the operator takes it off: "
                "digest suppressions remove",
                address=row.address,
            )
        )
    if row.state in ("paused", "suspended"):
        row.state, row.paused_until, row.next_due_at = "active", None, _next_due(row, now)
        row.bounce_points = 0
        _sign(row, now)
    elif row.state != "active":
        raise _is_not(
            row, msgid("%(address)s is %(state)s: only they themselves can subscribe again")
        )
    return view_of(row)


def wake(session: Session, now: datetime) -> int:
    """End the pauses whose time is over; their edition is due at this very tick."""
    over = update(Subscriber).where(Subscriber.state == "paused", Subscriber.next_due_at <= now)
    result = session.execute(over.values(state="active", paused_until=None))
    return cast("CursorResult[Any]", result).rowcount


def replan(session: Session, now: datetime) -> int:
    """Set anew what no rhythm has: a date that a clock gone far ahead has left behind."""
    query = select(Subscriber.id, Subscriber.timezone, Subscriber.hour, Subscriber.frequency).where(
        Subscriber.state == "active", Subscriber.next_due_at > now + _LONGEST_RHYTHM
    )
    anew = [
        {"id": row.id, "next_due_at": next_due(row.timezone, row.hour, row.frequency, now)}
        for row in session.execute(query)
    ]
    if anew:
        session.execute(update(Subscriber), anew)
    return len(anew)


def change(
    session: Session, who: str | int, changes: Mapping[str, object], *, now: datetime
) -> SubscriberView:
    """Set what `changes` names of a subscriber's settings; an `interest` is added to theirs."""
    row = held_as(session, who)
    asked = {**_settings_of(row), **changes, "address": row.address}
    # Saving what is there already may have been a machine that presses everything.
    if _settle(session, row, parse_subscription(asked, SubscriberDefaults()), now):
        _sign(row, now)
    return view_of(row)


def erase(session: Session, who: str | int) -> Erased:
    """Delete all that is stored of a subscriber, and what others said of them. Raises Unknown.

    What may be left is for `digest.engine.erase`: mails in a folder, and the database's own files.
    """
    row = held_as(session, who)
    mails = select(Delivery.message_id).where(Delivery.subscriber_id == row.id)
    erased = Erased(row.address, row.address_key, tuple(session.scalars(mails)))
    session.execute(delete(Subscriber).where(Subscriber.id == row.id))
    key = row.address_key
    for asked in (AddressChange, Signup):
        session.execute(delete(asked).where(asked.address_key == key))
    forget_filed(session)
    for table, told in ((Bounce, Bounce.said), (Breaker, Breaker.reason)):
        names = [func.lower(told).contains(name, autoescape=True) for name in erased.names]
        session.execute(update(table).where(or_(*names)).values({told: ""}))
    return erased


def expire_pending(session: Session, now: datetime) -> int:
    """Forget sign-ups that nobody confirmed within a week.

    Who had left has left again, and who was suspended is so again: a stranger may have asked.
    """
    asked_lately = exists().where(
        Consent.subscriber_id == Subscriber.id,
        Consent.kind == "asked",
        Consent.at > now - _TIME_TO_CONFIRM,
    )
    stale = (Subscriber.state == "pending", ~asked_lately)
    back = update(Subscriber).where(*stale, Subscriber.left_at.is_not(None)).values(state="left")
    again = update(Subscriber).where(*stale, Subscriber.confirmed_at.is_not(None))
    n = 0
    for statement in (back, again.values(state="suspended"), delete(Subscriber).where(*stale)):
        n += cast("CursorResult[Any]", session.execute(statement)).rowcount
    return n


def _is_not(row: Subscriber, message: str) -> BadInput:
    return BadInput(msgid(message, address=row.address, state=Message(_STATES[row.state])))


def asked_in(signup: Signup) -> Subscription:
    """The subscription that a stored form asks for; it was checked before it was stored."""
    return Subscription(**{name: v for name, v in signup.asked.items() if name != "picks"})


def _take_on(session: Session, row: Subscriber, now: datetime) -> None:
    """Give effect to the newest form for their address; its library is read by the next tick."""
    query = select(Signup).where(Signup.subscriber_id == row.id, Signup.confirmed_at.is_(None))
    signup = session.scalar(query.with_for_update())
    if signup is None:
        return
    if row.confirmed_at is None:
        session.execute(delete(Interest).where(Interest.subscriber_id == row.id))
    _settle(session, row, asked_in(signup), now)
    kept = select(Paper.id).where(Paper.id.in_(signup.asked["picks"]))
    # What somebody likes before they ever had a digest says nothing of what is trending: an import.
    vote = {"subscriber_id": row.id, "value": "up", "via": "import", "at": now}
    if votes := [vote | {"paper_id": id_} for id_ in session.scalars(kept)]:
        session.execute(insert(session, VoteRow).on_conflict_do_nothing(), votes)
    if signup.library is None:
        session.delete(signup)
    else:
        signup.confirmed_at = signup.due_at = now


def _settings_of(row: Subscriber) -> dict[str, object]:
    return {name: getattr(row, name) for name in _SETTINGS}


def _row_for(session: Session, asked: Subscription, now: datetime) -> tuple[Subscriber, bool]:
    """The row of an address, made if need be, and whether it was; two who ask at once share it."""
    key = address_key(asked.address)
    new = insert(session, Subscriber).values(
        address=asked.address,
        address_key=key,
        state="pending",
        created_at=now,
        **{name: getattr(asked, name) for name in _SETTINGS},
    )
    made = session.scalar(
        new.on_conflict_do_nothing(index_elements=["address_key"]).returning(Subscriber.id)
    )
    query = select(Subscriber).where(Subscriber.address_key == key).with_for_update()
    fresh = session.scalars(query, execution_options={"populate_existing": True})
    return fresh.one(), made is not None


def _settle(session: Session, row: Subscriber, asked: Subscription, now: datetime) -> bool:
    """Store settings, and new interests as far as there is room; whether anything is new."""
    before = _settings_of(row)
    after = {name: getattr(asked, name) for name in _SETTINGS}
    for name, value in after.items():
        setattr(row, name, value)
    if any(before[name] != after[name] for name in _WHEN):
        if row.state == "active":
            row.next_due_at = _next_due(row, now)
        elif row.state == "paused" and row.paused_until:
            row.next_due_at = _back_at(row, row.paused_until)
    named = {view.name: view.text for view in interests_of(session, row.id)}
    told = [text for text in asked.interest.splitlines() if text not in named.values()]
    new = list(dict.fromkeys(told))[: MOST - len(named)]
    for text in new:
        # Two texts may begin alike: neither takes the place of the other.
        names = (f"{name_of(text)} ({n})" if n > 1 else name_of(text) for n in count(1))
        name = next(name for name in names if name not in named)
        set_interest(session, row.id, name, text, now)
        named[name] = text
    return bool(new) or before != after


def _ask(session: Session, row: Subscriber, now: datetime) -> Asked:
    row.state = "pending"
    # Whoever has just left by their own hand may come back at once; a stranger may not mail them.
    since = max(now - _A_DAY, row.left_at or now - _A_DAY)
    asked = select(Delivery.id).where(
        Delivery.subscriber_id == row.id,
        Delivery.kind == "confirmation",
        Delivery.created_at > since,
    )
    if session.scalars(asked).first() is not None:
        return "asked already"
    _note(session, row, "asked", CONSENT, now, form="the subscribe form, or the operator's word")
    queue(session, kind="confirmation", subscriber_id=row.id, now=now)
    return "asked"


def _activate(row: Subscriber, now: datetime) -> None:
    row.state, row.confirmed_at, row.left_at = "active", now, None
    row.paused_until, row.next_due_at = None, now
    _sign(row, now)


def _sign(row: Subscriber, now: datetime) -> None:
    """Note that a person did something; see `sunset`."""
    row.sign_at, row.sunset_at = now, None


def _next_due(row: Subscriber, after: datetime) -> datetime:
    return next_due(row.timezone, row.hour, row.frequency, after)


def _back_at(row: Subscriber, day: date) -> datetime:
    """When the first edition after a pause until that day is due."""
    midnight = datetime.combine(day, time.min, zone_of(row.timezone))
    return _next_due(row, midnight - timedelta(microseconds=1))


def _note(
    session: Session,
    row: Subscriber,
    kind: str,
    wording: str,
    now: datetime,
    *,
    form: str | None = None,
) -> None:
    session.add(Consent(subscriber_id=row.id, at=now, kind=kind, wording=wording, form=form))
