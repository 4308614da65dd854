"""Signing up on a page: what was asked waits, unread, so that asking tells nobody anything.

A form is stored by the same statements whoever's address it names. A job looks at it later: it asks
an address that is not subscribed, and drops the rest. What the form held besides the address is of
effect when the address confirms, and not before; of several forms for it the newest counts.
"""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session

from digest.delivery.suppression import address_key
from digest.errors import Refused
from digest.papers.filed import is_filed
from digest.profiles.seeds import import_file
from digest.store import Sessions, insert
from digest.store.tables import Paper, Signup, Subscriber
from digest.subscribers.life import asked_in, subscribe
from digest.subscribers.subscription import MOST_PICKS, Subscription
from digest.subscribers.throttle import spend, throttle_key

Taken = Literal["taken", "too many from there", "too many"]

# A network's allowance at once, as a part of an hour's, and what a form without a proof costs.
BURST, UNPROVEN = 0.5, 5
# Mails of forms beyond an hour's wait for at most as long.
LONGEST_WAIT = timedelta(hours=6)
LARGEST_LIBRARY = 2_000_000
_TIME_TO_CONFIRM = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SignupForm:
    """What a page sent: the subscription, papers that they would read, and a library's bytes."""

    subscription: Subscription
    picks: tuple[int, ...] = ()
    library: bytes = b""


@dataclass(frozen=True, slots=True)
class SignupLimits:
    """Forms an hour from one network, and mails that ask for confirmation an hour in all."""

    per_network: int
    confirmations: int


def sign_up(
    session: Session,
    form: SignupForm,
    *,
    network: str,
    proven: bool | None,
    limits: SignupLimits,
    secret: bytes,
    now: datetime,
) -> Taken:
    """Keep a form until it is looked at; the same statements for whatever address.

    `network` is `network_of` whoever sent it; `proven` says whether a proof of work came with it,
    None where none is asked. Where more mails have been asked for than may leave in an hour, this
    one waits its turn, or is refused where that would be in more than `LONGEST_WAIT`.
    """
    allowed = spend(
        session,
        throttle_key("network", network, secret),
        per_hour=limits.per_network,
        burst=max(UNPROVEN, limits.per_network * BURST),
        cost=UNPROVEN if proven is False else 1,
        now=now,
    )
    if allowed is None:
        return "too many from there"
    at_once = max(1.0, limits.confirmations * BURST)
    turn = spend(
        session,
        throttle_key("confirmations", "", secret),
        per_hour=limits.confirmations,
        burst=at_once + limits.confirmations * (LONGEST_WAIT / timedelta(hours=1)),
        now=now,
    )
    if turn is None:
        return "too many"
    row = {
        "asked": asdict(form.subscription) | {"picks": list(form.picks)},
        "library": zlib.compress(form.library) if form.library else None,
        "asked_at": now,
        "due_at": max(now, turn - timedelta(hours=at_once / limits.confirmations)),
    }
    session.execute(
        insert(session, Signup)
        .values(address_key=address_key(form.subscription.address), **row)
        # What has been confirmed is being read, and is not a stranger's to change.
        .on_conflict_do_update(
            index_elements=["address_key"], set_=row, where=Signup.confirmed_at.is_(None)
        )
    )
    return "taken"


def due_signups(
    session: Session, now: datetime, *, limit: int | None = None, less: Collection[int] = ()
) -> list[int]:
    """The numbers of the forms to look at, and of the libraries to read, those of `less` left out.

    At most `limit`, those who wait longest first.
    """
    query = select(Signup.id).where(Signup.due_at <= now).order_by(Signup.due_at).limit(limit)
    if less:
        query = query.where(Signup.id.not_in(less))
    return list(session.scalars(query))


def look_at(sessions: Sessions, signup_id: int, *, secret: bytes, now: datetime) -> str:
    """Ask the address of a form, or read its library once it is confirmed; safe to repeat.

    Says in a few words what came of it.
    """
    with sessions() as session:
        # Who confirms holds their own row first, so here it comes first, too.
        theirs = select(Signup.address_key).where(Signup.id == signup_id).scalar_subquery()
        held = select(Subscriber.id).where(Subscriber.address_key == theirs).with_for_update()
        session.execute(held)
        row = session.get(Signup, signup_id, with_for_update=True)
        if row is None or row.due_at is None or row.due_at > now:
            return "done before"
        if row.confirmed_at is None:
            return _ask(session, row, secret, now)
        subscriber_id, library = row.subscriber_id, row.library
    said = _read(sessions, subscriber_id, library, now)
    with sessions() as session:
        session.execute(delete(Signup).where(Signup.id == signup_id))
    return said


def expire_signups(session: Session, now: datetime) -> int:
    """Forget the forms that nobody confirmed within a week."""
    gone = delete(Signup).where(
        Signup.asked_at <= now - _TIME_TO_CONFIRM,
        Signup.confirmed_at.is_(None),
        Signup.due_at.is_(None),
    )
    return cast("CursorResult[Any]", session.execute(gone)).rowcount


def known_papers(session: Session, picks: Sequence[int]) -> tuple[int, ...]:
    """Those of the numbers that are a listed paper's, in their order, each once.

    At most `MOST_PICKS`.
    """
    wanted = list(dict.fromkeys(picks))[:MOST_PICKS]
    found = set(session.scalars(select(Paper.id).where(Paper.id.in_(wanted), ~is_filed())))
    return tuple(id_ for id_ in wanted if id_ in found)


def _ask(session: Session, row: Signup, secret: bytes, now: datetime) -> str:
    said = subscribe(session, asked_in(row), secret=secret, now=now)
    if said in ("suppressed", "subscribed already"):
        session.delete(row)
    else:
        who = select(Subscriber.id).where(Subscriber.address_key == row.address_key)
        row.subscriber_id, row.due_at = session.scalar(who), None
    return said


def _read(
    sessions: Sessions, subscriber_id: int | None, library: bytes | None, now: datetime
) -> str:
    if subscriber_id is None or library is None:
        return "nothing to read"
    try:
        found = import_file(sessions, subscriber_id, zlib.decompress(library), now=now)
    except Refused as error:
        # The page said so when it was sent; nobody is there to be told now.
        return f"a library that cannot be read: {error}"
    return f"{found.votes} papers and {found.interests} interests read"
