"""A delivery to the mail that it is: what was frozen, signed links, the operator's names.

Everything in it comes from the database and the settings, so a second try sends the same bytes.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.delivery.returns import return_path, unsubscribe_mailto
from digest.editions import Edition, read_editions
from digest.links import Claim, Links
from digest.mail.content import ConfirmationMail, EditionLinks, VoteLinks, edition_mail, one_line
from digest.mail.dkim import Signer
from digest.mail.message import Addressing, MailingList, WireMessage, compose, wire_address
from digest.mail.render import Rendered, render
from digest.settings import MailSettings
from digest.store.tables import Delivery, MailKind, Subscriber

# Mail is read, and left by its link, long after it came.
LINKS_LIVE = timedelta(days=90)
CONFIRM_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Postage:
    """What every letter of an operator has in common; `secret` keys the marks of what returns."""

    links: Links
    settings: MailSettings
    secret: bytes = field(repr=False)
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """All that one mail is made of; the mail that asks for confirmation has no edition."""

    delivery_id: int
    subscriber_id: int
    kind: MailKind
    message_id: str
    created_at: datetime
    recipient: str
    edition: Edition | None


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
            Delivery.edition_id,
        )
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(Delivery.id.in_(delivery_ids))
    )
    rows = {row.id: row for row in session.execute(query)}
    editions = read_editions(session, [row.edition_id for row in rows.values() if row.edition_id])
    found = (rows[id_] for id_ in delivery_ids if id_ in rows)
    return [Letter(*row[:-1], editions.get(row.edition_id)) for row in found]


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
        mailing_list = MailingList(
            list_id=f"digest.{domain}",
            unsubscribe_url=links.url(Claim("unsubscribe", who, issued + LINKS_LIVE)),
            unsubscribe_mailto=unsubscribe_mailto(returns_to, who, postage.secret),
        )
    else:
        claim = Claim("confirm", who, issued + CONFIRM_WITHIN)
        rendered = render(
            ConfirmationMail(
                links.url(claim), CONFIRM_WITHIN.days, one_line(settings.postal_address)
            )
        )
    return compose(
        rendered,
        Addressing(
            envelope_sender=return_path(returns_to, letter.delivery_id, postage.secret)
            if settings.verp
            else returns_to,
            sender_name=settings.from_name,
            sender_address=from_address,
            recipient=letter.recipient,
            message_id=f"{letter.message_id}@{domain}",
            date=issued,
            reply_to=settings.reply_to,
            feedback_id=f"{issued:%Y-%m-%d}:{domain}:{letter.kind}:digest",
            mailing_list=mailing_list,
        ),
    )


def sign_letter(message: WireMessage, letter: Letter, postage: Postage) -> WireMessage:
    """Put the DKIM signatures before a mail: always the same for the same letter.

    Kept apart because it can be done beside everything else: RSA lets other threads run.
    """
    if postage.signer is None:
        return message
    signatures = postage.signer.sign(message.raw, at=letter.created_at)
    return replace(message, raw=signatures + message.raw)


def render_edition(
    edition: Edition, links: Links, settings: MailSettings, *, issued: datetime
) -> Rendered:
    """An edition as subject, text and HTML, its links good for `LINKS_LIVE` from `issued`."""
    until = issued + LINKS_LIVE
    who, which = edition.subscriber_id, edition.edition_id
    signed = EditionLinks(
        edition_url=links.url(Claim("edition", who, until, which)),
        unsubscribe_url=links.url(Claim("unsubscribe", who, until)),
        preferences_url=None,
        votes={
            item.paper_id: VoteLinks(
                up=links.url(Claim("vote", who, until, which, item.paper_id, "up")),
                down=links.url(Claim("vote", who, until, which, item.paper_id, "down")),
                saved=links.url(Claim("vote", who, until, which, item.paper_id, "saved")),
            )
            for item in edition.items
        },
    )
    return render(edition_mail(edition, signed, settings.postal_address))
