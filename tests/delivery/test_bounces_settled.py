import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import func, select, update

from digest import subscribers
from digest.delivery.bounces.mailboxes import Mail
from digest.delivery.bounces.read import read_bounce
from digest.delivery.returns import return_path, unsubscribe_mailto
from digest.delivery.standing import POINTS_SUSPEND
from digest.delivery.suppression import is_suppressed
from digest.errors import ServiceUnreachable, Unknown
from digest.settings import BounceSettings, SubscriberDefaults
from digest.store import Sessions
from digest.store.deliveries import queue
from digest.store.tables import Bounce, Consent, Delivery, Subscriber
from digest.subscribers.returns import (
    Settled,
    list_bounces,
    settle,
    settle_posted,
    take_in,
    take_in_mailboxes,
)
from tests.delivery.returned import OURS, complaint, dsn, mail, returned
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

SECRET = b"a secret of enough bytes"
ADA = "ada@example.net"
A_DAY = timedelta(days=1)
FULL = ("5.2.2", "smtp; 552 5.2.2 mailbox full")


@pytest.fixture
def delivery(sessions: Sessions) -> int:
    """The mail of an edition to Ada, sent at noon; another of hers is queued."""
    with sessions() as session:
        paper = add_paper(session, "On graphs")
        ada = add_subscriber(session, ADA)
        add_edition(session, ada, [paper], queued=True)
        session.execute(update(Delivery).values(state="sent", settled_at=NOON))
        add_edition(session, ada, [paper], days_later=1, queued=True)
        return session.scalars(select(Delivery.id).order_by(Delivery.id)).first() or 0


def marked(delivery: int) -> str:
    return return_path(OURS, delivery, SECRET)


def came(sessions: Sessions, raw: bytes, now: datetime = NOON, *, trusted: bool = False) -> Settled:
    with sessions() as session:
        return settle(session, read_bounce(raw), raw, secret=SECRET, now=now, trusted=trusted)


def ada(sessions: Sessions) -> Subscriber:
    with sessions.reading() as session:
        return session.scalars(select(Subscriber).where(Subscriber.address == ADA)).one()


def suppressed(sessions: Sessions, address: str = ADA) -> bool:
    with sessions.reading() as session:
        return is_suppressed(session, address, SECRET)


def mails(sessions: Sessions) -> list[str]:
    with sessions.reading() as session:
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


def rows(sessions: Sessions) -> list[Bounce]:
    with sessions.reading() as session:
        return list(session.scalars(select(Bounce).order_by(Bounce.id)))


# Hard


def test_a_hard_bounce_suppresses_suspends_and_takes_back_what_is_queued(
    sessions: Sessions, delivery: int
) -> None:
    assert came(sessions, dsn(to=marked(delivery))) == Settled("hard", "suppressed")
    assert suppressed(sessions)
    assert (ada(sessions).state, ada(sessions).next_due_at) == ("suspended", None)
    assert mails(sessions) == ["sent", "cancelled"]
    (row,) = rows(sessions)
    assert (row.delivery_id, row.subscriber_id, row.at) == (delivery, ada(sessions).id, NOON)
    assert (row.kind, row.status) == ("hard", "5.1.1")


def test_a_bounce_counts_once_however_often_it_is_read(sessions: Sessions, delivery: int) -> None:
    raw = dsn(*FULL, to=marked(delivery))
    assert came(sessions, raw) == Settled("soft", "counted")
    assert came(sessions, raw, NOON + 3 * A_DAY) == Settled("soft", "read before")
    assert ada(sessions).bounce_points == 1
    assert len(rows(sessions)) == 1


def test_two_who_read_the_same_bounce_at_once_settle_it_once(
    sessions: Sessions, delivery: int
) -> None:
    raw = dsn(*FULL, to=marked(delivery))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _n: came(sessions, raw).done, range(4)))
    assert sorted(done) == ["counted", "read before", "read before", "read before"]
    assert ada(sessions).bounce_points == 1


def test_a_confirmation_that_bounces_suppresses_the_address(sessions: Sessions) -> None:
    with sessions() as session:
        asked = subscribers.parse_subscription({"address": ADA}, SubscriberDefaults())
        subscribers.subscribe(session, asked, secret=SECRET, now=NOON)
        (asking,) = session.scalars(select(Delivery.id))
    assert came(sessions, dsn(to=marked(asking))).done == "suppressed"
    assert suppressed(sessions)
    assert ada(sessions).state == "suspended"


# Soft


def test_soft_bounces_are_a_point_a_day_and_five_suspend(sessions: Sessions, delivery: int) -> None:
    done = []
    for day in range(POINTS_SUSPEND):
        for hour in range(2):
            at = NOON + day * A_DAY + timedelta(hours=hour)
            raw = dsn(*FULL, to=marked(delivery), notice=f"could not be delivered at {at}")
            done.append(came(sessions, raw, at).done)
    # Once suspended nothing is sent, but what was under way may still come back.
    assert done == ["counted", "recorded"] * (POINTS_SUSPEND - 1) + ["suspended", "recorded"]
    assert (ada(sessions).state, ada(sessions).bounce_points) == ("suspended", POINTS_SUSPEND)
    assert mails(sessions) == ["sent", "cancelled"]
    assert not suppressed(sessions)


@pytest.mark.parametrize(
    "raw",
    [
        dsn("5.7.1", "smtp; 550 5.7.1 blocked using a blacklist"),
        dsn("5.1.8", "smtp; 553 5.1.8 sender rejected"),
        dsn("4.4.1", "smtp; 421 busy", action="delayed"),
        complaint("not-spam"),
        complaint("auth-failure"),
    ],
)
def test_what_is_about_us_or_only_late_is_recorded_and_counts_against_nobody(
    sessions: Sessions, delivery: int, raw: bytes
) -> None:
    raw = raw.replace(b"To: digest@example.org", f"To: {marked(delivery)}".encode())
    assert came(sessions, raw).done == "recorded"
    assert (ada(sessions).state, ada(sessions).bounce_points) == ("active", 0)
    assert len(rows(sessions)) == 1


def test_resuming_forgets_the_points(sessions: Sessions, delivery: int) -> None:
    for day in range(POINTS_SUSPEND):
        came(sessions, dsn(*FULL, to=marked(delivery), notice=f"failed: {day}"), NOON + day * A_DAY)
    with sessions() as session:
        subscribers.resume(session, ADA, secret=SECRET, now=NOON + 9 * A_DAY)
    assert (ada(sessions).state, ada(sessions).bounce_points) == ("active", 0)


# Complaints and wishes


def test_a_complaint_unsubscribes_and_suppresses(sessions: Sessions, delivery: int) -> None:
    copy = returned().replace(f"<{OURS}>", f"<{marked(delivery)}>")
    assert came(sessions, complaint(copy=copy, address="")) == Settled("complaint", "unsubscribed")
    assert (ada(sessions).state, mails(sessions)) == ("left", ["sent", "cancelled"])
    assert suppressed(sessions)
    with sessions.reading() as session:
        last = session.scalars(select(Consent).order_by(Consent.id.desc())).first()
    assert last is not None
    assert (last.kind, last.wording, last.at) == ("left", "complaint by mail", NOON)


def test_the_link_in_a_mail_that_is_complained_of_is_enough(
    sessions: Sessions, delivery: int
) -> None:
    link = unsubscribe_mailto(OURS, ada(sessions).id, SECRET)
    copy = returned("undisclosed", f"List-Unsubscribe: <{link}>")
    assert came(sessions, complaint(copy=copy, address="")).done == "unsubscribed"


def test_a_mail_that_asks_for_it_unsubscribes_and_does_not_suppress(
    sessions: Sessions, delivery: int
) -> None:
    subject = unsubscribe_mailto(OURS, ada(sessions).id, SECRET).partition("subject=")[2]
    raw = mail(f"From: {ADA}", f"To: {OURS}", f"Subject: {subject.replace('%20', ' ')}")
    assert came(sessions, raw) == Settled("unsubscribe", "unsubscribed")
    assert (ada(sessions).state, suppressed(sessions)) == ("left", False)
    assert came(sessions, raw).done == "read before"


def test_an_answer_to_a_mail_is_nothing_and_leaves_no_row(
    sessions: Sessions, delivery: int
) -> None:
    raw = mail(f"From: {ADA}", f"To: {marked(delivery)}", "Subject: Out of office", body="Away.")
    assert came(sessions, raw) == Settled(None, "not a bounce")
    assert rows(sessions) == []


# Whose it is


def test_our_message_id_is_as_good_as_a_mark(sessions: Sessions, delivery: int) -> None:
    with sessions.reading() as session:
        message_id = session.get_one(Delivery, delivery).message_id
    copy = returned("someone@example.com").replace("0123456789abcdef", message_id)
    assert came(sessions, dsn(address="someone@example.com", copy=copy)).done == "suppressed"
    assert rows(sessions)[0].delivery_id == delivery


def test_of_several_recipients_the_subscriber_counts_and_else_the_mildest(
    sessions: Sessions, delivery: int
) -> None:
    def both(first: str, second: str) -> bytes:
        raw = dsn(to=marked(delivery), address=first).decode()
        other = f"Final-Recipient: rfc822; {second}\nAction: failed\nStatus: 5.2.2\n"
        return raw.replace("Final-Recipient", f"{other}\nFinal-Recipient", 1).encode()

    assert came(sessions, both("x@example.com", "y@example.com")).kind == "soft"
    assert came(sessions, both(ADA, "y@example.com")) == Settled("hard", "suppressed")


def forged(sessions: Sessions, now: datetime = NOON, *, text: str = "failed") -> Settled:
    return came(sessions, dsn(notice=text), now)


def test_a_forged_bounce_counts_a_point_at_most_and_never_suppresses(
    sessions: Sessions, delivery: int
) -> None:
    assert forged(sessions) == Settled("hard", "counted")
    assert forged(sessions, text="failed again") == Settled("hard", "recorded")
    assert (ada(sessions).state, ada(sessions).bounce_points) == ("active", 1)
    assert not suppressed(sessions)
    assert rows(sessions)[0].delivery_id is None


def test_forged_bounces_day_after_day_suspend_nobody_but_do_count(
    sessions: Sessions, delivery: int
) -> None:
    done = [
        forged(sessions, NOON + day * A_DAY, text=f"failed on day {day}").done
        for day in range(POINTS_SUSPEND + 2)
    ]
    assert done == ["counted"] * (POINTS_SUSPEND - 1) + ["recorded"] * 3
    assert ada(sessions).state == "active"
    ours = dsn(*FULL, to=marked(delivery), notice="failed: with our mark")
    assert came(sessions, ours, NOON + 8 * A_DAY).done == "suspended"


def test_a_forged_complaint_or_wish_unsubscribes_nobody(sessions: Sessions, delivery: int) -> None:
    assert came(sessions, complaint()).done == "recorded"
    wish = mail(f"From: {ADA}", f"To: {OURS}", "Subject: unsubscribe")
    assert came(sessions, wish).done == "recorded"
    stranger = return_path(OURS, delivery, b"some other secret of theirs")
    assert came(sessions, dsn(to=stranger)).done == "counted"
    assert (ada(sessions).state, suppressed(sessions)) == ("active", False)


def test_a_bounce_by_address_alone_counts_only_for_who_was_mailed_lately(
    sessions: Sessions, delivery: int
) -> None:
    assert forged(sessions, NOON + 31 * A_DAY).done == "recorded"
    with sessions() as session:
        session.execute(update(Delivery).values(state="failed"))
    assert forged(sessions, text="failed again").done == "recorded"
    assert ada(sessions).bounce_points == 0
    assert [row.subscriber_id for row in rows(sessions)] == [None, None]


def test_a_mark_of_somebody_who_was_erased_is_recorded_without_a_name(
    sessions: Sessions, delivery: int
) -> None:
    with sessions() as session:
        subscribers.erase(session, ADA)
    assert came(sessions, dsn(to=marked(delivery))).done == "recorded"
    assert rows(sessions)[0].subscriber_id is None


def test_a_late_bounce_of_somebody_who_was_erased_is_not_taken_for_the_next_ones(
    sessions: Sessions,
) -> None:
    with sessions() as session:
        ada = add_subscriber(session, ADA)
        delivery = queue(session, kind="fresh_link", subscriber_id=ada, now=NOON) or 0
        subscribers.erase(session, ada)
        bob = add_subscriber(session, "bob@example.net")
        queue(session, kind="fresh_link", subscriber_id=bob, now=NOON)
    assert came(sessions, dsn(to=marked(delivery), copy="")).done == "recorded"
    assert not suppressed(sessions, "bob@example.net")


def test_erasing_a_subscriber_erases_their_bounces_which_an_export_holds(
    sessions: Sessions, delivery: int
) -> None:
    came(sessions, dsn(to=marked(delivery)))
    with sessions.reading() as session:
        (told,) = subscribers.export(session, ADA)["bounces"]
    assert (told["kind"], told["status"]) == ("hard", "5.1.1")
    with sessions() as session:
        subscribers.erase(session, ADA)
    assert rows(sessions) == []


# A relay that knows our password


def test_a_relay_is_believed_by_address_alone_but_a_mail_it_passes_on_is_not(
    sessions: Sessions, delivery: int
) -> None:
    def posted(body: bytes, *, is_mail: bool = False) -> list[str]:
        with sessions() as session:
            settled = settle_posted(session, body, is_mail=is_mail, secret=SECRET, now=NOON)
        return [one.done for one in settled]

    assert posted(dsn(), is_mail=True) == ["counted"]
    with sessions() as session:
        session.execute(update(Delivery).values(settled_at=NOON - 90 * A_DAY))
    event = b'{"type": "hard", "address": "ADA@example.net", "status": "5.1.1"}'
    assert posted(event) == ["suppressed"]
    assert posted(event) == ["read before"]
    assert posted(b'{"type": "complaint", "address": "ada@example.net"}') == ["unsubscribed"]
    assert posted(b'{"type": "hard", "address": "nobody@example.net"}') == ["recorded"]


# Mailboxes


class Box:
    """Mails, and the numbers of those that were put away."""

    def __init__(self, *raws: bytes) -> None:
        self.raws = raws
        self.away: list[int] = []

    def mails(self) -> list[Mail]:
        return [Mail(str(n), raw, partial(self.away.append, n)) for n, raw in enumerate(self.raws)]


class Away(Sessions):
    """A database that does not answer."""

    def __call__(self) -> NoReturn:
        raise ServiceUnreachable("the database did not answer")


def test_a_run_settles_each_mail_and_puts_it_away(sessions: Sessions, delivery: int) -> None:
    box = Box(dsn(to=marked(delivery)), b"no mail", mail("From: a@b.example", "Subject: hi"))
    steps: list[int] = []
    settled = take_in(sessions, box.mails(), secret=SECRET, now=NOON, progress=steps.append)
    assert settled == Counter(
        [Settled("hard", "suppressed"), Settled(None, "not a mail"), Settled(None, "not a bounce")]
    )
    assert (box.away, steps) == ([0, 1, 2], [1, 1, 1])


def test_a_mail_that_cannot_be_stored_stays_where_it_is(sessions: Sessions) -> None:
    box = Box(dsn())
    with pytest.raises(ServiceUnreachable):
        take_in(Away(sessions.engine), box.mails(), secret=SECRET, now=NOON)
    assert box.away == []


def failed(address: str, *headers: str) -> bytes:
    """A notice of failure to an address, in any spelling."""
    return mail(
        "From: MAILER-DAEMON@mx.example.net",
        f"X-Failed-Recipients: {address}",
        *headers,
        body="Your message could not be delivered.",
    )


@pytest.mark.parametrize(
    "raw",
    [
        failed("a\0da@example.net"),
        failed(ADA, "In-Reply-To: <a\0b@example.org>"),
        failed("=?utf-7?q?ada+2AA-=40example.net?="),
        failed("=?utf-8?q?ada=00=40example.net?="),
        mail("From: x@example.net", body='{"type": "hard", "address": "ada\\u0000@example.net"}'),
        mail("From: x@example.net", body='{"type": "hard", "message_id": "\\ud800"}'),
    ],
    ids=range(6),
)
def test_what_no_database_stores_keeps_no_other_mail_waiting(
    sessions: Sessions, delivery: int, raw: bytes
) -> None:
    box = Box(raw, dsn(*FULL, to=marked(delivery)))
    settled = take_in(sessions, box.mails(), secret=SECRET, now=NOON - A_DAY)
    assert Settled(None, "left for later") not in settled
    assert box.away == [0, 1]
    assert ada(sessions).bounce_points == 1


def test_a_mail_that_we_fail_on_stays_where_it_is_and_the_next_are_settled(
    sessions: Sessions, delivery: int
) -> None:
    nothing = None  # as unforeseen as a fault of ours
    box = Box(nothing, dsn(to=marked(delivery)))
    settled = take_in(sessions, box.mails(), secret=SECRET, now=NOON)
    assert settled == Counter([Settled(None, "left for later"), Settled("hard", "suppressed")])
    assert box.away == [1]


def test_a_run_that_is_told_to_stop_leaves_the_rest_where_it_is(
    sessions: Sessions, delivery: int
) -> None:
    box = Box(dsn(*FULL, to=marked(delivery)), dsn(to=marked(delivery)))
    settled = take_in(sessions, box.mails(), secret=SECRET, now=NOON, stop=lambda: box.away == [0])
    assert settled == Counter([Settled("soft", "counted")])
    assert box.away == [0]


def test_the_mailboxes_of_the_settings_are_taken_in(
    sessions: Sessions, delivery: int, tmp_path: Path
) -> None:
    for name in ("new", "cur"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.a").write_bytes(dsn(to=marked(delivery)))
    settings = BounceSettings(maildir=tmp_path)
    tls = ssl.create_default_context()
    for expected in (1, 0):
        settled = take_in_mailboxes(sessions, settings, secret=SECRET, now=NOON, tls=tls)
        assert settled[Settled("hard", "suppressed")] == expected
        assert sum(settled.values()) == expected


# Looking back


def test_bounces_are_listed_newest_first_for_all_or_for_one(
    sessions: Sessions, delivery: int
) -> None:
    came(sessions, dsn(*FULL, to=marked(delivery)))
    came(sessions, dsn(address="nobody@example.com"), NOON + A_DAY)
    with sessions.reading() as session:
        both = list_bounces(session)
        assert [(row.address, row.kind) for row in both] == [(None, "hard"), (ADA, "soft")]
        assert list_bounces(session, limit=1) == both[:1]
        assert list_bounces(session, "ADA@example.net") == both[1:]
        with pytest.raises(Unknown):
            list_bounces(session, "nobody@example.com")
        assert session.scalar(select(func.count()).select_from(Bounce)) == 2
