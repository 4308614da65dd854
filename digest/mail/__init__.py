"""Mail: an edition to HTML and text, to the bytes that cross the wire. Sending is delivery's."""

from digest.mail.content import ConfirmationMail, EditionMail, VoteLinks
from digest.mail.dkim import Signer
from digest.mail.edition import EditionLinks, edition_mail
from digest.mail.message import Addressing, MailingList, WireMessage, compose
from digest.mail.render import Rendered, render, templates_folder

__all__ = [
    "Addressing",
    "ConfirmationMail",
    "EditionLinks",
    "EditionMail",
    "MailingList",
    "Rendered",
    "Signer",
    "VoteLinks",
    "WireMessage",
    "compose",
    "edition_mail",
    "render",
    "templates_folder",
]
