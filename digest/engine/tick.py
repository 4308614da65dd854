"""One tick: everything that is due now is done, station after station, each job once."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from digest.engine.app import App
from digest.engine.jobs import LEASE, Job, due, give_back, held_back, hold_back, take
from digest.engine.perform import housekeep, perform
from digest.errors import DigestError

log = logging.getLogger(__name__)

# Jobs wait for sources and mail servers more than for this machine.
THREADS = 4


@dataclass(frozen=True, slots=True)
class JobReport:
    """What came of one job; `error` is empty where it succeeded."""

    job: Job
    result: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did, in order, and the jobs that others hold or that wait after a failure."""

    done: tuple[JobReport, ...]
    held: tuple[tuple[str, datetime, int], ...]

    @property
    def failed(self) -> tuple[JobReport, ...]:
        """The jobs that went wrong."""
        return tuple(report for report in self.done if report.error)


def tick(
    app: App,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[JobReport], None] = lambda _report: None,
) -> TickReport:
    """Do what is due by `clock` until nothing is; `told` hears of each job as it ends.

    `stop` is asked between jobs and between mails. A job that fails is held back, and stops no
    other. Safe to run in several processes at once.
    """
    housekeep(app, clock())
    done: list[JobReport] = []
    seen: set[Job] = set()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="job") as pool:
        while not stop():
            with app.sessions.reading() as session:
                # A job of the same rows that is due again at once would be due for ever.
                jobs = due(session, app, clock(), done=seen)
            if not jobs:
                break
            seen.update(job for job in jobs if job.ids or job.name)
            results = list(pool.map(lambda job: _run(app, job, clock, stop), jobs))
            reports = [report for report in results if report is not None]
            if not reports:
                break
            for report in reports:
                told(report)
            done += reports
    with app.sessions.reading() as session:
        return TickReport(tuple(done), tuple(held_back(session, clock())))


def _run(
    app: App, job: Job, clock: Callable[[], datetime], stop: Callable[[], bool]
) -> JobReport | None:
    """Lease a job and perform it; None where another process has it."""
    began = clock()
    with app.sessions() as session:
        if stop() or not take(session, job, began):
            return None
    # What is left of a long job is due again, with a new lease and the right time.
    ends = began + LEASE / 2
    try:
        result = perform(app, job, clock, stop=lambda: stop() or clock() >= ends)
    except DigestError as error:
        return _failed(app, job, str(error), clock())
    except Exception as error:
        log.exception("job %s failed", job.key)
        return _failed(app, job, f"{type(error).__name__}: {error}", clock())
    with app.sessions() as session:
        give_back(session, job)
    log.info("%s: %s", job.key, result)
    return JobReport(job, result)


def _failed(app: App, job: Job, said: str, now: datetime) -> JobReport:
    with app.sessions() as session:
        until = hold_back(session, job, now)
    log.warning("%s failed: %s; next try at %s", job.key, said, until)
    return JobReport(job, "", said)
