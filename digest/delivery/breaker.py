"""The breaker: where the fault is ours, sending pauses, instead of failing mail after mail.

A pause is kept in the database, so that all processes keep it; it doubles while nothing mends.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from digest.delivery.policy import Outcome
from digest.store import insert
from digest.store.tables import Breaker as Row

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)
# No pause that ends by itself is so long: see the guard's.
FAR = timedelta(days=2)

Name = Literal["sending", "complaints", "bounces"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when nothing is sent, and why; `failures` counts the pauses in a row."""

    until: datetime
    failures: int
    reason: str


class Breaker:
    """Counts the outcomes of a run and says when to pause: the fault is ours, whoever the next is.

    After a pause the first outcome decides: one more failure and sending pauses again.
    """

    IN_A_ROW, OF_LAST, SHARE = 5, 50, 0.2

    def __init__(self, *, on_trial: bool) -> None:
        """Count from nothing; `on_trial` after a pause."""
        self.reason = ""
        self._allowed = 1 if on_trial else self.IN_A_ROW
        self._in_a_row = 0
        self._last: deque[bool] = deque(maxlen=self.OF_LAST)

    def note(self, outcome: Outcome) -> None:
        """Count one outcome; `reason` is set once it is too much."""
        ours = outcome.blame == "us"
        self._last.append(ours)
        self._in_a_row = self._in_a_row + 1 if ours else 0
        if not ours:
            self._allowed = self.IN_A_ROW
        said = f"{outcome.code or 'no reply'} {outcome.reply}".strip()
        if self._in_a_row >= self._allowed:
            times = f"{self._in_a_row} mails in a row" if self._in_a_row > 1 else "the first mail"
            self.reason = f"{times} could not be handed over, the last for: {said}"
        elif sum(self._last) >= self.SHARE * self.OF_LAST:
            self.reason = (
                f"{sum(self._last)} of the last {len(self._last)} mails could not be handed over, "
                f"the last for: {said}"
            )


def read_pause(session: Session) -> Pause | None:
    """The pause that is on, or that ended without a success since; None where all is well."""
    rows = select(Row).where(Row.failures > 0).order_by(Row.until.desc()).limit(1)
    row = session.scalar(rows)
    return Pause(row.until, row.failures, row.reason) if row else None


def pause(session: Session, reason: str, now: datetime) -> Pause:
    """Pause sending, twice as long as the last time in a row; one that is on already stays."""
    row = session.get(Row, "sending")
    if row and row.until > now:
        return Pause(row.until, row.failures, row.reason)
    failures = row.failures + 1 if row else 1
    until = now + min(FIRST_PAUSE * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE)
    return begin_pause(session, "sending", reason, until, failures)


def begin_pause(
    session: Session, name: Name, reason: str, until: datetime, failures: int = 1
) -> Pause:
    """Pause sending until an instant."""
    values = {"until": until, "failures": failures, "reason": reason}
    session.execute(
        insert(session, Row)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )
    return Pause(until, failures, reason)


def end_pause(session: Session, name: Name = "sending") -> bool:
    """Forget a pause, for it goes again or is over; whether there was one."""
    over = delete(Row).where(Row.name == name, Row.failures > 0).returning(Row.name)
    return session.scalar(over) is not None


def is_on_trial(session: Session) -> bool:
    """Whether sending was paused, and nothing has been sent since."""
    return session.get(Row, "sending") is not None


def resume(session: Session, now: datetime) -> None:
    """Send again on a person's word, whatever it was paused for."""
    end_pause(session)
    # When that was stays: what they have been told of must not stop it again.
    session.execute(update(Row).where(Row.failures > 0).values(until=now, failures=0))


def trim(session: Session, now: datetime) -> None:
    """End pauses that last longer than any: a clock that was far ahead has left them behind."""
    # One for complaints lasts until a person ends it.
    ends = (Row.name != "complaints") | (Row.failures == 0)
    session.execute(update(Row).where(ends, Row.until > now + FAR).values(until=now))


def heard_until(session: Session, name: Name) -> datetime | None:
    """When a person last ended a pause of that name, if it has not begun again."""
    return session.scalar(select(Row.until).where(Row.name == name, Row.failures == 0))
