"""A delivery to the mail that it is: what was frozen, signed links, the operator's names.

Everything in it comes from the database and the settings, so a second try sends the same bytes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import starmap
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.delivery.returns import return_path, unsubscribe_mailto
from digest.editions import Edition, read_editions
from digest.errors import BadInput, Unknown
from digest.languages import language
from digest.links import Claim, Links
from digest.mail.content import (
    ChangeFromMail,
    ChangeToMail,
    ConfirmationMail,
    FreshLinkMail,
    GoodbyeMail,
    Mail,
    SunsetMail,
    VoteLinks,
)
from digest.mail.dkim import Signature, Signer
from digest.mail.edition import EditionLinks, edition_mail
from digest.mail.message import Addressing, MailingList, WireMessage, compose, wire_address
from digest.mail.press import version
from digest.mail.render import Rendered, render
from digest.settings import MailSettings
from digest.store import insert
from digest.store.tables import (
    AddressChange,
    Delivery,
    EditionItemRow,
    EditionRow,
    MailKind,
    Press,
    Subscriber,
)
from digest.text import one_line

# Mail is read, and left by its link, long after it came.
LINKS_LIVE = timedelta(days=90)
CONFIRM_WITHIN = timedelta(days=7)
CHANGE_WITHIN = timedelta(days=7)
# What nobody asked for at the moment has to be left with one click.
_BULK: tuple[MailKind, ...] = ("edition", "sunset")


@dataclass(frozen=True, slots=True)
class Postage:
    """What every letter of an operator has in common; `secret` keys the marks of what returns."""

    links: Links
    settings: MailSettings
    secret: bytes = field(repr=False)
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """All that one mail is made of.

    `edition` is the one that the mail is, `newest_id` the one that a fresh link leads to, and
    `language` the reader's, None for the operator's. A change of address that is asked for has a
    number and the new address.
    """

    delivery_id: int
    subscriber_id: int
    kind: MailKind
    message_id: str
    created_at: datetime
    recipient: str
    change_id: int | None
    new_address: str | None
    edition: Edition | None
    language: str | None = None
    newest_id: int | None = None


def read_letters(session: Session, delivery_ids: Collection[int]) -> list[Letter]:
    """What these deliveries are made of, in their order, in three queries."""
    query = (
        select(
            Delivery.id,
            Delivery.subscriber_id,
            Delivery.kind,
            Delivery.message_id,
            Delivery.created_at,
            Subscriber.address,
            AddressChange.id.label("change_id"),
            AddressChange.address.label("new_address"),
            Delivery.edition_id,
            Subscriber.language,
        )
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .outerjoin(AddressChange, AddressChange.subscriber_id == Subscriber.id)
        .where(Delivery.id.in_(delivery_ids))
    )
    rows = {row.id: row for row in session.execute(query)}
    editions = read_editions(session, [row.edition_id for row in rows.values() if row.edition_id])
    newest = _newest(session, [id_ for id_, row in rows.items() if row.kind == "fresh_link"])
    found = (rows[id_] for id_ in delivery_ids if id_ in rows)
    return [
        Letter(*row[:8], editions.get(row.edition_id), row.language, newest.get(row.id))
        for row in found
    ]


def _newest(session: Session, delivery_ids: Collection[int]) -> dict[int, int]:
    """By delivery, its reader's newest edition with papers when it was queued."""
    if not delivery_ids:
        return {}
    query = (
        select(Delivery.id, func.max(EditionRow.id))
        .join(EditionRow, EditionRow.subscriber_id == Delivery.subscriber_id)
        .join(EditionItemRow, EditionItemRow.edition_id == EditionRow.id)
        .where(Delivery.id.in_(delivery_ids), EditionRow.built_at <= Delivery.created_at)
        .group_by(Delivery.id)
    )
    return dict(session.execute(query).all())


def compose_letter(letter: Letter, postage: Postage) -> WireMessage:
    """Compose the mail of a delivery, not yet signed: the same letter gives the same bytes.

    Raises BadInput for what cannot stand in a mail.
    """
    links, settings = postage.links, postage.settings
    from_address = wire_address(settings.from_address)
    returns_to = wire_address(settings.returns_to)
    domain = from_address.rpartition("@")[2]
    who, issued = letter.subscriber_id, letter.created_at
    mailing_list = None
    if letter.edition is not None:
        rendered = render_edition(letter.edition, links, settings, issued=issued)
    else:
        rendered = render(_other_mail(letter, links, settings))
    if letter.kind in _BULK:
        mailing_list = MailingList(
            list_id=f"digest.{domain}",
            unsubscribe_url=links.url(Claim("unsubscribe", who, issued + LINKS_LIVE)),
            unsubscribe_mailto=unsubscribe_mailto(returns_to, who, postage.secret),
        )
    return compose(
        rendered,
        Addressing(
            envelope_sender=return_path(returns_to, letter.delivery_id, postage.secret)
            if settings.verp
            else returns_to,
            sender_name=settings.from_name,
            sender_address=from_address,
            recipient=_recipient(letter),
            message_id=f"{letter.message_id}@{domain}",
            date=issued,
            reply_to=settings.reply_to,
            feedback_id=f"{issued:%Y-%m-%d}:{domain}:{letter.kind}:digest",
            mailing_list=mailing_list,
        ),
    )


def _other_mail(letter: Letter, links: Links, settings: MailSettings) -> Mail:
    """What a mail that is no edition says."""
    who, issued = letter.subscriber_id, letter.created_at
    spoken = letter.language or settings.language
    address = one_line(settings.postal_address)
    preferences = links.url(Claim("preferences", who, issued + LINKS_LIVE))
    match letter.kind:
        case "confirmation":
            claim = Claim("confirm", who, issued + CONFIRM_WITHIN)
            return ConfirmationMail(links.url(claim), CONFIRM_WITHIN.days, address, spoken)
        case "fresh_link":
            newest = letter.newest_id
            edition = newest and links.url(Claim("edition", who, issued + LINKS_LIVE, newest))
            return FreshLinkMail(edition or None, preferences, LINKS_LIVE.days, address, spoken)
        case "change_from":
            change = _change_link(letter, links)
            new = letter.new_address or ""
            return ChangeFromMail(change, new, CHANGE_WITHIN.days, address, spoken)
        case "change_to":
            return ChangeToMail(_change_link(letter, links), CHANGE_WITHIN.days, address, spoken)
        case "sunset":
            leave = links.url(Claim("unsubscribe", who, issued + LINKS_LIVE))
            return SunsetMail(preferences, leave, address, spoken)
        case "goodbye":
            return GoodbyeMail(f"{links.base_url}/", address, spoken)
        case _:
            raise BadInput(f"delivery {letter.delivery_id} has nothing to be made a mail of")


def _change_link(letter: Letter, links: Links) -> str:
    """Where one of the two addresses agrees; Raises BadInput where nothing is asked any more."""
    if letter.change_id is None or letter.kind not in ("change_from", "change_to"):
        raise BadInput(f"delivery {letter.delivery_id} asks for a change that is asked no more")
    until = letter.created_at + CHANGE_WITHIN
    claim = Claim(letter.kind, letter.subscriber_id, until, change_id=letter.change_id)
    return links.url(claim)


def _recipient(letter: Letter) -> str:
    return letter.new_address or "" if letter.kind == "change_to" else letter.recipient


class Unsigned(NamedTuple):
    """A mail that only needs the work of the keys: it can be done beside everything else."""

    message: WireMessage
    signatures: Sequence[Signature]

    def signed(self) -> WireMessage:
        """The mail with its DKIM signatures before it: always the same for the same letter."""
        headers = [signature.header() for signature in self.signatures]
        return replace(self.message, raw=b"".join((*headers, self.message.raw)))


def prepare_letter(letter: Letter, postage: Postage) -> Unsigned:
    """The mail of a delivery but for the work of the keys; raises what `compose_letter` does."""
    message = compose_letter(letter, postage)
    if postage.signer is None:
        return Unsigned(message, ())
    return Unsigned(message, postage.signer.prepare(message.raw, at=letter.created_at))


def render_edition(
    edition: Edition, links: Links, settings: MailSettings, *, issued: datetime
) -> Rendered:
    """An edition as subject, text and HTML, its links good for `LINKS_LIVE` from `issued`."""
    until = issued + LINKS_LIVE
    who, which = edition.subscriber_id, edition.edition_id
    here = Claim("edition", who, until, which)
    paper_ids = [item.paper_id for item in edition.items]
    signed = EditionLinks(
        edition_url=links.url(here),
        unsubscribe_url=links.url(Claim("unsubscribe", who, until)),
        preferences_url=links.url(Claim("preferences", who, until)),
        votes=dict(zip(paper_ids, starmap(VoteLinks, links.votes(here, paper_ids)), strict=True)),
    )
    spoken = language(edition.language or settings.language)
    return render(edition_mail(edition, signed, settings.postal_address, spoken))


def press_of(postage: Postage) -> str:
    """A hash of all that makes mails of what is frozen: templates, languages, settings, base URL.

    What a mail is made of besides is the secret: with another one its links are others.
    """
    settings = postage.settings.model_dump_json(exclude={"maildir"})
    made_by = "\n".join((version(), postage.links.base_url, settings))
    return sha256(made_by.encode()).hexdigest()


def note_press(session: Session, postage: Postage, now: datetime) -> None:
    """Remember that mails are made so from now on, if they were not before."""
    used = press_of(postage)
    if _press_at(session, now) != used:
        row = insert(session, Press).values(since=now, version=used)
        session.execute(row.on_conflict_do_update(index_elements=["since"], set_={"version": used}))


def mail_as_sent(
    session: Session, edition_id: int, postage: Postage
) -> tuple[WireMessage, datetime | None]:
    """The mail of an edition, signed, and when it left with other looks than today's, if it did.

    Raises Unknown for an edition of which there is no mail.
    """
    row = session.execute(
        select(Delivery.id, Delivery.settled_at).where(Delivery.edition_id == edition_id)
    ).first()
    if row is None:
        raise Unknown("there was no mail of this edition: nothing was in it")
    (letter,) = read_letters(session, [row.id])
    message = prepare_letter(letter, postage).signed()
    at = row.settled_at
    differs = at is not None and _press_at(session, at) not in (None, press_of(postage))
    return message, at if differs else None


def _press_at(session: Session, at: datetime) -> str | None:
    query = select(Press.version).where(Press.since <= at).order_by(Press.since.desc()).limit(1)
    found: str | None = session.scalar(query)
    return found
