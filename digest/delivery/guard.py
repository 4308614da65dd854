"""The guard: what readers and their providers say of our mail, and when that must end it.

Providers count complaints for each sender and block those who have many: below 0.1 % is asked for,
0.3 % must never be reached (Google, "Email sender guidelines"); mail to addresses that are gone
says that a list was not asked. Only what nobody can forge counts, see digest/subscribers/returns,
and no bounce of a sign-up, which may be a stranger's. A stop for complaints lasts until a person
ends it; one for bounces until that day's mail is over.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.delivery.breaker import Pause, begin_pause, end_pause, heard_until, read_pause
from digest.store.tables import Delivery, Suppression

log = logging.getLogger(__name__)

WEEK, DAY = timedelta(days=7), timedelta(days=1)
# Shares of mails; and how many it takes at least, so that one reader of a small list is no rate.
COMPLAINTS_ALARM, COMPLAINTS_STOP, BOUNCES_STOP = 0.001, 0.003, 0.05
LEAST_TO_ALARM, LEAST_TO_STOP, LEAST_BOUNCES = 2, 5, 10
_UNTIL_RESUMED = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Rates:
    """Mails of the last week that left, and complaints; mails of the last day, and hard bounces.

    The time is shorter where a person has resumed sending: what they knew does not count again.
    """

    mails: int
    complaints: int
    mails_of_day: int
    hard_bounces: int

    @property
    def complaint_rate(self) -> float:
        """Complaints a mail, 0 to 1."""
        return self.complaints / self.mails if self.mails else 0.0

    @property
    def bounce_rate(self) -> float:
        """Hard bounces a mail of the last day, 0 to 1."""
        return self.hard_bounces / self.mails_of_day if self.mails_of_day else 0.0

    @property
    def alarm(self) -> str:
        """What somebody should look into, in words; empty where all is well."""
        if self.complaints >= LEAST_TO_ALARM and self.complaint_rate >= COMPLAINTS_ALARM:
            return (
                f"{self.complaints} complaints about {self.mails} mails within a week, "
                f"{self.complaint_rate:.2%}: providers want fewer than {COMPLAINTS_ALARM:.1%}"
            )
        return ""


def read_rates(session: Session, now: datetime) -> Rates:
    """The rates of now."""
    week = max(now - WEEK, heard_until(session, "complaints") or now - WEEK)
    day = max(now - DAY, heard_until(session, "bounces") or now - DAY)
    return Rates(
        mails=_mails(session, ("sent", "uncertain"), week),
        complaints=_suppressed(session, "complaint", week),
        mails_of_day=_mails(session, ("sent", "uncertain", "failed"), day),
        hard_bounces=_suppressed(session, "bounced", day),
    )


def guard(session: Session, now: datetime) -> tuple[Rates, Pause | None]:
    """Look at the rates and stop sending where they are too high; the stop that is on, if any."""
    rates = read_rates(session, now)
    on = read_pause(session)
    if on and on.until > now:
        return rates, on
    end_pause(session, "bounces")
    if rates.complaints >= LEAST_TO_STOP and rates.complaint_rate >= COMPLAINTS_STOP:
        reason = f"{rates.alarm}, and block at {COMPLAINTS_STOP:.1%}"
        log.error("sending is stopped: %s", reason)
        return rates, begin_pause(session, "complaints", reason, now + _UNTIL_RESUMED)
    if rates.hard_bounces >= LEAST_BOUNCES and rates.bounce_rate > BOUNCES_STOP:
        reason = (
            f"{rates.hard_bounces} of {rates.mails_of_day} addresses of the last day are gone, "
            f"{rates.bounce_rate:.1%}: see where they came from"
        )
        log.error("sending is stopped for a day: %s", reason)
        return rates, begin_pause(session, "bounces", reason, now + DAY)
    return rates, None


def _mails(session: Session, states: tuple[str, ...], since: datetime) -> int:
    # A mail leaves within a day of being due, or not at all; there is an index on when it was.
    query = (
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.state.in_(states), Delivery.due_at > since)
    )
    return session.scalar(query) or 0


def _suppressed(session: Session, why: str, since: datetime) -> int:
    query = (
        select(func.count())
        .select_from(Suppression)
        .where(Suppression.at > since, Suppression.reason.startswith(why))
    )
    return session.scalar(query) or 0
