from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from digest.delivery.suppression import suppress
from digest.delivery.why import Account, why
from digest.store import Sessions, open_database
from digest.store.deliveries import queue
from digest.store.tables import (
    Attempt,
    Bounce,
    Consent,
    Delivery,
    EditionRow,
    Subscriber,
    VoteRow,
)
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

SECRET = b"a secret of enough bytes"
# Sunday 1 March 2026, 13:00 in Berlin, where the reader lives; their hour is 7:00.
TODAY = NOON.date()
TOMORROW = TODAY + timedelta(days=1)
YESTERDAY = TODAY - timedelta(days=1)

Prepare = Callable[[Session], object]


def reader(**values: object) -> Prepare:
    values = {
        "created_at": NOON - timedelta(days=9),
        "confirmed_at": NOON - timedelta(days=9),
        **values,
    }
    return lambda session: session.execute(update(Subscriber).values(**values))


def mail(state: str, reply: str = "", **values: object) -> Prepare:
    def prepare(session: Session) -> None:
        reader()(session)
        add_edition(session, 1, [add_paper(session, "On graphs")], queued=True)
        session.execute(update(Delivery).values(state=state, **values))
        if reply:
            session.add(Attempt(delivery_id=1, at=NOON, state=state, code=None, reply=reply))

    return prepare


def both(first: Prepare, second: Prepare) -> Prepare:
    def prepare(session: Session) -> None:
        first(session)
        second(session)

    return prepare


def suppressed(session: Session) -> None:
    suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)


def empty_edition(session: Session) -> None:
    add_edition(session, 1, [])
    session.execute(update(EditionRow).values(note="Nothing new came close to your interests."))


SEVEN = datetime(2026, 3, 2, 6, tzinfo=UTC)
STATES: list[tuple[str, Prepare, date, str]] = [
    ("queued", mail("queued"), TODAY, "The mail is waiting to be sent."),
    ("claimed", mail("claimed"), TODAY, "The mail is about to be sent."),
    ("in flight", mail("in_flight"), TODAY, "The mail is being sent right now."),
    ("sent", mail("sent", "250 ok"), TODAY, "The mail was sent. Last reply: 250 ok"),
    (
        "deferred",
        mail("deferred", "451 later"),
        TODAY,
        "The mail could not be handed over yet and will be tried again. Last reply: 451 later",
    ),
    ("failed", mail("failed", "550 no"), TODAY, "The mail was refused. Last reply: 550 no"),
    (
        "uncertain",
        mail("uncertain"),
        TODAY,
        "The mail may or may not have arrived: the server's answer to it was lost.",
    ),
    (
        "expired",
        mail("cancelled", settled_at=NOON, expires_at=NOON),
        TODAY,
        "The mail was taken back before it was sent. It could not be handed over in time.",
    ),
    (
        "cancelled by leaving",
        both(mail("cancelled", settled_at=NOON), reader(state="left", left_at=NOON)),
        TODAY,
        "The mail was taken back before it was sent. They have unsubscribed.",
    ),
    (
        "cancelled by a pause",
        both(mail("cancelled", settled_at=NOON), reader(state="paused")),
        TODAY,
        "The mail was taken back before it was sent. Their digest is paused.",
    ),
    (
        "cancelled by suppression",
        both(mail("cancelled", settled_at=NOON), suppressed),
        TODAY,
        "The mail was taken back before it was sent. The address is on the suppression list.",
    ),
    (
        "cancelled by a pause that is over",
        mail("cancelled", settled_at=NOON),
        TODAY,
        "The mail was taken back before it was sent.",
    ),
    (
        "an empty edition",
        empty_edition,
        TODAY,
        "No mail, for there was nothing to send: Nothing new came close to your interests.",
    ),
    (
        "pending",
        reader(state="pending", confirmed_at=None),
        TODAY,
        "No mail: the subscription has not been confirmed; a mail has asked them to.",
    ),
    (
        "left",
        reader(state="left", left_at=NOON - timedelta(days=2)),
        TODAY,
        "No mail: they have unsubscribed.",
    ),
    (
        "left since",
        reader(state="left", left_at=NOON),
        YESTERDAY,
        (
            "No mail: no edition was built that day. "
            "Is `digest serve` running, or `digest tick` called?"
        ),
    ),
    ("suspended", reader(state="suspended"), TODAY, "No mail: their address is suspended."),
    ("paused", reader(state="paused"), TODAY, "No mail: their digest is paused."),
    (
        "paused until",
        reader(state="paused", paused_until=TOMORROW),
        TODAY,
        "No mail: their digest is paused until 2026-03-02.",
    ),
    (
        "paused until that day",
        reader(state="paused", paused_until=TOMORROW, next_due_at=SEVEN),
        TOMORROW,
        "No mail yet: it is due at 07:00 (Europe/Berlin).",
    ),
    ("suppressed", suppressed, TODAY, "No mail: the address is on the suppression list."),
    ("not yet subscribed", reader(), date(2026, 1, 1), "No mail: they had not subscribed yet."),
    (
        "weekly, on a Sunday",
        reader(frequency="weekly", next_due_at=SEVEN),
        TODAY,
        "No mail: their digest comes on Mondays, next on Monday 02 March.",
    ),
    (
        "weekdays, on a Sunday",
        reader(frequency="weekdays", next_due_at=SEVEN),
        TODAY,
        "No mail: their digest comes from Monday to Friday, next on Monday 02 March.",
    ),
    (
        "due later today",
        reader(hour=20, next_due_at=datetime(2026, 3, 1, 19, tzinfo=UTC)),
        TODAY,
        "No mail yet: it is due at 20:00 (Europe/Berlin).",
    ),
    (
        "due tomorrow",
        reader(next_due_at=SEVEN),
        TOMORROW,
        "No mail yet: it is due at 07:00 (Europe/Berlin).",
    ),
    (
        "resumed after their hour",
        reader(next_due_at=SEVEN),
        TODAY,
        "No mail: their next digest is due on Monday 02 March at 07:00 (Europe/Berlin).",
    ),
    (
        "due now",
        reader(next_due_at=NOON),
        TODAY,
        (
            "No mail yet: it is due, and the next tick builds it. "
            "Is `digest serve` running, or `digest tick` called?"
        ),
    ),
    (
        "missed",
        reader(),
        YESTERDAY,
        (
            "No mail: no edition was built that day. "
            "Is `digest serve` running, or `digest tick` called?"
        ),
    ),
]


def account(sessions: Sessions, prepare: Prepare, day: date = TODAY) -> Account:
    with sessions() as session:
        add_subscriber(session, "ann@example.org")
        prepare(session)
    with sessions.reading() as session:
        return why(session, 1, day, secret=SECRET, now=NOON)


@pytest.mark.parametrize(
    ("prepare", "day", "answer"),
    [state[1:] for state in STATES],
    ids=[state[0] for state in STATES],
)
def test_every_state_of_a_day_has_its_sentence(
    sqlite_url: str, prepare: Prepare, day: date, answer: str
) -> None:
    sessions = open_database(sqlite_url)
    assert account(sessions, prepare, day).answer == answer
    sessions.engine.dispose()


def test_the_day_is_told_in_order(sessions: Sessions) -> None:
    def prepare(session: Session) -> None:
        mail("sent")(session)
        at = NOON + timedelta(minutes=1)
        session.add(Attempt(delivery_id=1, at=at, state="deferred", code=451, reply="451 later"))
        session.flush()
        at += timedelta(minutes=5)
        session.add(Attempt(delivery_id=1, at=at, state="sent", code=250, reply="250 ok"))
        vote = {"paper_id": 1, "value": "up", "via": "web", "at": at + timedelta(hours=1)}
        session.add(VoteRow(subscriber_id=1, **vote))

    found = account(sessions, prepare)
    assert [event.what for event in found.events] == [
        "edition built: 1 of 120 new papers",
        "mail queued",
        "mail deferred: 451 later",
        "mail sent: 250 ok",
        "voted up on “On graphs”",
    ]
    assert found.edition is not None
    assert [item.title for item in found.edition.items] == ["On graphs"]


def test_a_confirmation_of_the_day_and_the_consent_are_told(sessions: Sessions) -> None:
    def prepare(session: Session) -> None:
        queue(session, kind="confirmation", subscriber_id=1, now=NOON)
        session.add(Consent(subscriber_id=1, at=NOON, kind="asked", wording="Yes."))

    found = account(sessions, both(reader(state="pending", confirmed_at=None), prepare))
    assert [event.what for event in found.events] == ["consent: asked", "confirmation mail queued"]


def test_what_came_back_is_told_on_the_day_it_came_and_on_that_of_its_mail(
    sessions: Sessions,
) -> None:
    with sessions() as session:
        add_subscriber(session, "ann@example.org")
        mail("sent", "250 ok")(session)
        late = NOON + timedelta(days=1)
        session.add(
            Bounce(
                sha256="x", subscriber_id=1, delivery_id=1, at=late, kind="soft",
                status="4.2.2", said="mailbox full",
            )
        )  # fmt: skip
    told = "mail came back (soft): 4.2.2 mailbox full"
    with sessions.reading() as session:
        days = {
            day: [event.what for event in why(session, 1, day, secret=SECRET, now=NOON).events]
            for day in (YESTERDAY, TODAY, TOMORROW)
        }
    assert [day for day, events in days.items() if told in events] == [TODAY, TOMORROW]


def test_a_day_is_the_readers_own(sessions: Sessions) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(hours=1)

    def prepare(session: Session) -> None:
        for at in (midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=1)):
            session.add(Consent(subscriber_id=1, at=at, kind=f"{at:%d %H:%M:%S}", wording=""))

    assert [event.what for event in account(sessions, prepare).events] == ["consent: 28 23:00:00"]


def test_the_losers_and_their_reasons_are_told(sessions: Sessions) -> None:
    def prepare(session: Session) -> None:
        papers = [add_paper(session, title) for title in ("Won", "Lost", "Copy")]
        add_edition(session, 1, papers[:1])
        losers = [
            {"paper_id": papers[1], "score": 0.2, "copy_of": None},
            {"paper_id": papers[2], "score": 0.1, "copy_of": papers[0]},
            {"paper_id": 404, "score": 0.0, "copy_of": None},
        ]
        session.execute(update(EditionRow).values(runners_up=losers))

    losers = account(sessions, prepare).losers
    assert [(loser.title, loser.why) for loser in losers] == [
        ("Lost", "others scored higher"),
        ("Copy", "says the same as “Won”"),
        ("(gone)", "others scored higher"),
    ]
