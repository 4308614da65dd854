"""A delivery to the mail that it is: what was frozen, signed links, the operator's names.

Everything in it comes from the database and the settings, so a second try sends the same bytes.
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from digest.editions import Edition, read_edition
from digest.links import Claim, Links
from digest.mail.content import ConfirmationMail, EditionLinks, VoteLinks, edition_mail
from digest.mail.message import Addressing, MailingList, WireMessage, compose
from digest.mail.render import Rendered, render
from digest.settings import MailSettings
from digest.store.tables import Delivery, Subscriber

# Mail is read, and left by its link, long after it came.
LINKS_LIVE = timedelta(days=90)
CONFIRM_WITHIN = timedelta(days=7)


def letter(session: Session, delivery_id: int, links: Links, settings: MailSettings) -> WireMessage:
    """Compose the mail of a delivery. Raises BadInput for what cannot stand in a mail."""
    delivery = session.get_one(Delivery, delivery_id)
    subscriber = session.get_one(Subscriber, delivery.subscriber_id)
    domain = settings.from_address.rpartition("@")[2]
    mailing_list = None
    if delivery.edition_id is not None:
        edition = read_edition(session, delivery.edition_id)
        rendered = render_edition(edition, links, settings, issued=delivery.created_at)
        mailing_list = MailingList(
            list_id=f"digest.{domain}",
            unsubscribe_url=links.url(
                Claim("unsubscribe", subscriber.id, delivery.created_at + LINKS_LIVE)
            ),
        )
    else:
        claim = Claim("confirm", subscriber.id, delivery.created_at + CONFIRM_WITHIN)
        rendered = render(
            ConfirmationMail(links.url(claim), CONFIRM_WITHIN.days, settings.postal_address)
        )
    return compose(
        rendered,
        Addressing(
            envelope_sender=settings.from_address,
            sender_name=settings.from_name,
            sender_address=settings.from_address,
            recipient=subscriber.address,
            message_id=f"{delivery.message_id}@{domain}",
            date=delivery.created_at,
            reply_to=settings.reply_to,
            mailing_list=mailing_list,
        ),
    )


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
