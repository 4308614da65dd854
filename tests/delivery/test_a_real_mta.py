"""A real mail server, Debian's Postfix: what it stored, refused and sent back."""

import asyncio
from datetime import UTC, datetime
from email import message_from_bytes

import pytest
from sqlalchemy import select, update

from digest.delivery.letters import Postage, compose_letter, read_letters
from digest.delivery.returns import Returned, read_mark
from digest.delivery.sending import DeliveryReport, deliver
from digest.delivery.suppression import is_suppressed
from digest.delivery.transport import Smtp
from digest.evaluation.outbox_of import fill_outbox
from digest.links import Links
from digest.settings import BounceSettings, MailSettings
from digest.store import Sessions, open_database
from digest.store.tables import Attempt, Delivery, Subscriber
from digest.subscribers import returns
from tests.delivery.postfix import Postfix, postfix
from tests.delivery.servers import HOST, scripted
from tests.mail.dkim_keys import SIGNER, verified

pytestmark = pytest.mark.slow

N = 1000
SECRET = b"a secret of enough bytes"
POSTAGE = Postage(
    Links("https://digest.example.org", [SECRET]),
    MailSettings(from_address="digest@example.org"),
    SECRET,
    SIGNER,
)


def now() -> datetime:
    return datetime.now(UTC)


async def send(sessions: Sessions, server: Postfix) -> DeliveryReport:
    outlet = Smtp(HOST, server.port, security="none", connections=8)
    return await deliver(sessions, outlet, POSTAGE, clock=now)


def readdress(sessions: Sessions, address: str) -> None:
    """Give the one reader there is another address."""
    with sessions() as session:
        session.execute(update(Subscriber).values(address=address, address_key=address))


async def test_a_thousand_mails_arrive_once_byte_for_byte_and_signed(sqlite_url: str) -> None:
    sessions = open_database(sqlite_url)
    fill_outbox(sessions, N, now=now())
    with sessions.reading() as session:
        letters = read_letters(session, list(session.scalars(select(Delivery.id))))
    users = [letter.recipient.partition("@")[0] for letter in letters]
    with postfix(users) as server:
        report = await send(sessions, server)
        assert (report.states, report.doubts) == ({"sent": N}, ())
        server.wait_for(lambda: server.is_idle)
        stored = [server.mails(user) for user in users]
    assert [len(mails) for mails in stored] == [1] * N
    for letter, (mail,) in zip(letters, stored, strict=True):
        sent = compose_letter(letter, POSTAGE)
        assert mail.endswith(sent.raw)
        added = message_from_bytes(mail.removesuffix(sent.raw))
        assert added["Return-Path"] == f"<{sent.envelope_sender}>"
        assert read_mark(sent.envelope_sender, SECRET) == Returned("bounce", letter.delivery_id)
        assert verified(mail, SIGNER) == [True, True]
    sessions.engine.dispose()


async def test_a_user_that_it_does_not_know_is_suppressed(sessions: Sessions) -> None:
    fill_outbox(sessions, 1, now=now())
    with postfix([]) as server:
        report = await send(sessions, server)
    assert (report.states, report.pause) == ({"failed": 1}, None)
    with sessions.reading() as session:
        attempt = session.scalars(select(Attempt)).one()
        assert (attempt.code, attempt.reply[:6]) == (550, "5.1.1 ")
        assert session.scalars(select(Subscriber.state)).one() == "suspended"
        assert is_suppressed(session, "reader1@example.org", SECRET)


async def test_a_bounce_that_it_sends_later_is_read_from_our_mailbox(sessions: Sessions) -> None:
    fill_outbox(sessions, 1, now=now())
    readdress(sessions, "reader1@example.net")
    async with scripted({"RCPT": "552 5.2.2 <reader1@example.net>: mailbox full\r\n"}) as far:
        with postfix(["digest"], neighbour=far.port) as server:
            assert (await send(sessions, server)).states == {"sent": 1}
            await asyncio.to_thread(server.wait_for, lambda: bool(server.mails("digest")))
            settings = BounceSettings(maildir=server.maildir("digest"))
            settled = returns.take_in_mailboxes(sessions, settings, secret=SECRET, now=now())
    assert settled == {returns.Settled("soft", "counted"): 1}
    with sessions.reading() as session:
        (bounce,) = returns.list_bounces(session)
        assert bounce.address == "reader1@example.net"
        assert bounce.status == "5.2.2"
        assert bounce.delivery_id == session.scalars(select(Delivery.id)).one()
        assert session.scalars(select(Subscriber.bounce_points)).one() == 1
