"""The breaker: where the fault is ours, sending pauses, instead of failing mail after mail.

A pause is kept in the database, so that all processes keep it; it doubles while nothing mends.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from digest.delivery.policy import Outcome
from digest.store import insert
from digest.store.tables import Breaker as Row

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)

_NAME = "sending"


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
    row = session.get(Row, _NAME)
    return Pause(row.until, row.failures, row.reason) if row else None


def pause(session: Session, reason: str, now: datetime) -> Pause:
    """Pause sending, twice as long as the last time in a row; one that is on already stays."""
    before = read_pause(session)
    if before and before.until > now:
        return before
    failures = before.failures + 1 if before else 1
    until = now + min(FIRST_PAUSE * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE)
    values = {"until": until, "failures": failures, "reason": reason}
    session.execute(
        insert(session, Row)
        .values(name=_NAME, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )
    return Pause(until, failures, reason)


def end_pause(session: Session) -> bool:
    """Send again; whether there was a pause."""
    gone = session.scalar(delete(Row).where(Row.name == _NAME).returning(Row.name))
    return gone is not None
