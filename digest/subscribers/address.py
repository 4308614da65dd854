"""A change of address: asked for on the preferences page, made once both addresses have said so.

Whoever asks holds a link of the old address and types a new one. Neither proves that the one who
reads the new address wants mail, nor that it is not somebody else who found an old mail. So the old
and the new address each get a mail with a button, and the second press makes the change. From then
on the links of earlier mails are over: others may read the old mailbox one day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from digest.delivery.letters import CHANGE_WITHIN, CONFIRM_WITHIN, LINKS_LIVE
from digest.delivery.standing import has_moved_since
from digest.delivery.suppression import address_key, is_suppressed
from digest.errors import BadInput, BadToken, Unknown
from digest.languages import msgid
from digest.links import Claim, Links, Purpose
from digest.settings import Address
from digest.store import Sessions
from digest.store.deliveries import cancel, queue, readdress
from digest.store.tables import AddressChange, Consent, Delivery, Subscriber
from digest.subscribers.life import resume
from digest.subscribers.subscription import said_by

CONSENT_TO_CHANGE = "Send Digest to the new address from now on, and no more to the old one."

_A_DAY = timedelta(days=1)
_A_DAY_AT_MOST = 3
_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change that was asked for: to which address, who has said so, until when they can."""

    id: int
    subscriber_id: int
    old_address: str
    new_address: str
    expires_at: datetime
    old_said: bool
    new_said: bool

    @property
    def done(self) -> bool:
        """Whether both have said so."""
        return self.old_said and self.new_said


def ask_for_change(
    session: Session, subscriber_id: int, address: str, *, secret: bytes, now: datetime
) -> ChangeView:
    """Ask both addresses, once a day; a change to another address is dropped, with its mails.

    Whoever asks is told the same whether or not the new address is known here: one that must not
    be mailed, or is subscribed by itself, just gets none. Raises BadInput.
    """
    who = _held(session, subscriber_id)
    if who.state not in ("active", "paused"):
        only = msgid("only a subscription that is confirmed can move")
        raise BadInput(only, field="address")
    try:
        address = _ADDRESS.validate_python(address.strip())
    except ValidationError as error:
        raise BadInput(said_by(error.errors()[0]), field="address") from None
    key = address_key(address)
    if key == who.address_key:
        same = msgid("that is the address that Digest goes to now")
        raise BadInput(same, field="address")
    before = session.scalar(select(AddressChange).where(AddressChange.subscriber_id == who.id))
    if before is not None and before.address_key == key and before.asked_at > now - _A_DAY:
        return _view(before, who)
    asked = select(func.count()).where(
        Delivery.subscriber_id == who.id,
        Delivery.kind == "change_from",
        Delivery.created_at > now - _A_DAY,
    )
    if (session.scalar(asked) or 0) >= _A_DAY_AT_MOST:
        often = msgid("at most %(most)s changes a day; please try tomorrow", most=_A_DAY_AT_MOST)
        raise BadInput(often, field="address")
    may_write = _may_write(session, key, address, secret, now)
    if before is not None:
        session.delete(before)
        session.flush()
    cancel(session, who.id, now, kinds=("change_from", "change_to"))
    row = AddressChange(
        subscriber_id=who.id,
        address=address,
        address_key=key,
        asked_at=now,
        expires_at=now + CHANGE_WITHIN,
    )
    session.add(row)
    session.flush()
    queue(session, kind="change_from", subscriber_id=who.id, now=now)
    if may_write:
        queue(session, kind="change_to", subscriber_id=who.id, now=now)
    return _view(row, who)


def read_change(session: Session, claim: Claim) -> ChangeView:
    """The change that a link of one of its mails is about. Raises Unknown."""
    row = session.get(AddressChange, claim.change_id)
    who = session.get(Subscriber, claim.subscriber_id)
    if row is None or who is None or row.subscriber_id != who.id:
        raise Unknown(msgid("this change of address is done already, was replaced, or ran out"))
    return _view(row, who)


def agree_to_change(session: Session, claim: Claim, *, secret: bytes, now: datetime) -> ChangeView:
    """One address says so; the second of the two makes the change, and forgets the old address.

    What is still to be sent goes to the new one, and who was suspended is mailed again. Safe to
    repeat until then. Raises Unknown as `read_change` does, and BadInput where the new
    address must not be mailed or is subscribed by itself.
    """
    who = _held(session, claim.subscriber_id)
    read_change(session, claim)
    row = session.get_one(AddressChange, claim.change_id, populate_existing=True)
    if claim.purpose == "change_from":
        row.old_said_at = row.old_said_at or now
    else:
        row.new_said_at = row.new_said_at or now
    view = _view(row, who)
    if not view.done:
        return view
    if is_suppressed(session, row.address, secret):
        raise BadInput(
            msgid("the new address must not be mailed: mail to it came back, or was refused")
        )
    other = _other(session, row.address_key)
    if other is not None:
        if other.state in ("active", "paused"):
            raise BadInput(
                msgid("the new address is subscribed by itself; unsubscribe that one first")
            )
        session.delete(other)
        session.flush()
    who.address, who.address_key = row.address, row.address_key
    who.bounce_points, who.bounced_at = 0, None
    form = "the buttons in the mails to both addresses"
    session.add(
        Consent(subscriber_id=who.id, at=now, kind="moved", wording=CONSENT_TO_CHANGE, form=form)
    )
    session.delete(row)
    session.flush()
    readdress(session, who.id, now)
    if who.state == "suspended":
        # It was for the address that is theirs no more.
        resume(session, who.id, secret=secret, now=now)
    return view


def read_claim(
    sessions: Sessions, links: Links, token: str, purpose: Purpose, *, now: datetime
) -> Claim:
    """What the link of a mail, or of the page that it opened, allows.

    Raises BadToken, `expired` also where the address has changed since that mail.
    """
    claim = links.read(token, purpose, now)
    mailed_at = claim.expires_at - (CONFIRM_WITHIN if purpose == "confirm" else LINKS_LIVE)
    with sessions.reading() as session:
        # A link knows of whole seconds.
        if has_moved_since(session, claim.subscriber_id, mailed_at + timedelta(seconds=1)):
            raise BadToken("this link was mailed to an earlier address", expired=True)
    return claim


def pending_change(session: Session, subscriber_id: int) -> ChangeView | None:
    """The change that a subscriber has asked for, if any."""
    row = session.scalar(select(AddressChange).where(AddressChange.subscriber_id == subscriber_id))
    return None if row is None else _view(row, session.get_one(Subscriber, subscriber_id))


def expire_changes(session: Session, now: datetime) -> None:
    """Forget the changes that not both have agreed to in time."""
    session.execute(delete(AddressChange).where(AddressChange.expires_at <= now))


def _may_write(session: Session, key: str, address: str, secret: bytes, now: datetime) -> bool:
    """Whether an address may be asked: by nobody else within the day, and not against its will."""
    other = _other(session, key)
    asked = select(AddressChange.id).where(
        AddressChange.address_key == key, AddressChange.asked_at > now - _A_DAY
    )
    return not (
        is_suppressed(session, address, secret)
        or (other is not None and other.state in ("active", "paused"))
        or session.scalars(asked).first() is not None
    )


def _other(session: Session, key: str) -> Subscriber | None:
    return session.scalar(select(Subscriber).where(Subscriber.address_key == key))


def _held(session: Session, subscriber_id: int) -> Subscriber:
    row = session.get(Subscriber, subscriber_id, with_for_update=True)
    if row is None:
        raise Unknown(msgid("this subscription no longer exists"))
    return row


def _view(row: AddressChange, who: Subscriber) -> ChangeView:
    return ChangeView(
        row.id,
        who.id,
        who.address,
        row.address,
        row.expires_at,
        row.old_said_at is not None,
        row.new_said_at is not None,
    )
