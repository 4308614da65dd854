"""Erasing a subscriber for good: their rows, their mails in our folder, the database's own files.

What is not ours stays: mail in their mailbox, what mail servers log, the operator's backups.
"""

from digest.delivery.transport import Maildir
from digest.engine.app import App
from digest.store import wipe
from digest.subscribers import erase


def erase_for_good(app: App, who: str | int) -> bool:
    """Delete all that is stored of a subscriber; whether no file of the database holds them still.

    Once the rows are gone nothing brings them back, so the rest is safe to break off at any point.
    Raises Unknown.
    """
    with app.sessions() as session:
        erased = erase(session, who)
    Maildir(app.settings.mail.maildir).forget(erased.mails)
    return wipe(app.sessions, erased.names)
