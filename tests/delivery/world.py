"""Mails to send, an outlet that does as it is told, and a look at what became of the rows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from sqlalchemy import select

from digest.delivery.letters import Postage
from digest.delivery.outbox import sweep
from digest.delivery.policy import Blame, Outcome, State
from digest.delivery.sending import DeliveryReport, deliver
from digest.delivery.transport import Transport
from digest.links import Links
from digest.mail.message import WireMessage
from digest.settings import MailSettings
from digest.store import Sessions
from digest.store.tables import Attempt, Delivery
from tests.web.seed import NOON, add_editions, add_paper, add_subscribers

__all__ = ["NOON", "POSTAGE", "SECRET", "Post", "add_mails", "answer", "read", "send"]

SECRET = b"a secret of enough bytes"
POSTAGE = Postage(
    Links("https://digest.example.org", [SECRET]),
    MailSettings(from_address="digest@example.org"),
    SECRET,
    None,
)


def answer(
    state: State = "sent", reply: str = "250 ok", blame: Blame = "nobody", status: str | None = None
) -> Outcome:
    return Outcome(state, blame, "content", 250 if state == "sent" else 451, status, reply)


@dataclass
class Post:
    """An outlet that answers as told, and then sends; `before` sees each mail as it is handed."""

    answers: list[Outcome] = field(default_factory=list)
    before: Callable[[WireMessage], None] = lambda _message: None
    width: int = 1
    sent: list[WireMessage] = field(default_factory=list)

    async def send(self, message: WireMessage) -> Outcome:
        self.before(message)
        self.sent.append(message)
        return self.answers.pop(0) if self.answers else answer()

    def give_up(self) -> None:
        pass

    async def check(self, envelope_sender: str) -> str:  # noqa: ARG002 - takes all
        return ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    @property
    def recipients(self) -> list[str]:
        return [message.recipient for message in self.sent]


def add_mails(sessions: Sessions, n: int = 1) -> list[int]:
    """Editions for `n` readers, each with its queued mail; the deliveries' ids."""
    with sessions() as session:
        paper = add_paper(session, "On graphs")
        readers = add_subscribers(session, [f"r{i}@example.org" for i in range(n)])
        add_editions(session, readers, [paper], queued=True)
        return list(session.scalars(select(Delivery.id).order_by(Delivery.id)))


def send(sessions: Sessions, post: Transport, now: datetime = NOON, **more: Any) -> DeliveryReport:
    """One run at `now`; whatever it does, every mail must be accounted for."""
    report = asyncio.run(deliver(sessions, post, POSTAGE, clock=lambda: now, **more))
    assert report.due == report.states.total() + report.released
    assert report.doubts == ()
    return report


def read(sessions: Sessions, delivery_id: int) -> Delivery:
    with sessions.reading() as session:
        return session.get_one(Delivery, delivery_id)


def states(sessions: Sessions) -> list[str]:
    with sessions.reading() as session:
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


def replies(sessions: Sessions) -> list[tuple[str, str]]:
    with sessions.reading() as session:
        rows = session.execute(select(Attempt.state, Attempt.reply).order_by(Attempt.id))
        return [(state, reply) for state, reply in rows]


def sweep_at(sessions: Sessions, now: datetime) -> None:
    with sessions() as session:
        sweep(session, now)
