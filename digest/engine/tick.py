"""One tick: everything that is due now is leased and handed to the engine."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from digest.engine.app import App
from digest.engine.jobs import OWNER, Job, due, give_back, held_back, take
from digest.engine.perform import housekeep
from digest.engine.run import JobReport
from digest.errors import ServiceUnreachable
from digest.traces import span, tell


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick came to.

    The jobs that were done, in order; how many were submitted for others to do; and the jobs that
    others hold or that wait after a failure.
    """

    done: tuple[JobReport, ...]
    submitted: int
    held: tuple[tuple[str, datetime, int], ...]

    @property
    def failed(self) -> tuple[JobReport, ...]:
        """The jobs that went wrong."""
        return tuple(report for report in self.done if report.error)


@span("tick")
def tick(
    app: App,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[JobReport], None] = lambda _report: None,
) -> TickReport:
    """Have what is due by `clock` done until nothing is; `told` hears of each job as it ends.

    `stop` is asked between jobs and between mails. A job that fails is held back, and stops no
    other. Safe to run in several processes at once. Raises ServiceUnreachable where the database
    or the broker is away; what is due then still is at the next tick.
    """
    housekeep(app, clock())
    done: list[JobReport] = []
    seen: set[Job] = set()
    submitted = 0
    # One more mark than the process has: a job of an earlier tick may still be on its way.
    owner = f"{OWNER}:{secrets.token_hex(4)}"
    while not stop():
        with app.sessions.reading() as session:
            # A job of the same rows that is due again at once would be due for ever.
            jobs = due(session, app, clock(), done=seen)
        taken = _leased(app, jobs, owner, clock())
        if not taken:
            break
        seen.update(job for job in taken if job.ids or job.name)
        try:
            reports = app.engine.submit(app, taken, owner, clock, stop=stop)
        except ServiceUnreachable:
            _undo(app, taken, owner, clock())
            raise
        submitted += len(taken) - len(reports)
        for report in reports:
            told(report)
        done += reports
    with app.sessions.reading() as session:
        came = TickReport(tuple(done), submitted, tuple(held_back(session, clock())))
    tell(
        {
            "digest.owner": owner,
            "digest.done": len(done),
            "digest.failed": len(came.failed),
            "digest.submitted": submitted,
            "digest.held": len(came.held),
        }
    )
    return came


def _leased(app: App, jobs: list[Job], owner: str, now: datetime) -> list[Job]:
    """Those of the jobs that no other has leased meanwhile."""
    if not jobs:
        return []
    with app.sessions() as session:
        # In one order, so that two who lease at once do not wait for each other.
        won = {
            job.key
            for job in sorted(jobs, key=lambda job: job.key)
            if take(session, job, now, owner=owner)
        }
    return [job for job in jobs if job.key in won]


def _undo(app: App, jobs: list[Job], owner: str, now: datetime) -> None:
    """Give the leases back: a job that was handed on nevertheless finds that it is nobody's."""
    with app.sessions() as session:
        for job in jobs:
            give_back(session, job, now, owner=owner, undone=True)
