"""Doing a leased job from its beginning to the end of its lease: the same for every engine."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from digest.engine.jobs import LEASE, Job, give_back, hold_back, renew
from digest.engine.perform import perform
from digest.errors import DigestError
from digest.traces import Told, span

if TYPE_CHECKING:
    from digest.engine.app import App

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobReport:
    """What came of one job; `error` is empty where it succeeded."""

    job: Job
    result: str
    error: str = ""


def run(
    app: "App",
    job: Job,
    owner: str,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> JobReport | None:
    """Perform a job that `owner` has leased and end the lease; None where others have it by now.

    One that was begun before and not ended is done again. Raises ServiceUnreachable where the
    database is away; the lease then ends by itself.
    """
    began = clock()
    with app.sessions() as session:
        if stop():
            give_back(session, job, began, owner=owner, undone=True)
            return None
        if not renew(session, job, began, owner=owner):
            return None
    # What is left of a long job is due again, with a new lease and the right time.
    ends = began + LEASE / 2
    told: Told = {"digest.job": job.key, "digest.ids": job.ids, "digest.owner": owner}
    try:
        with span(f"job {job.kind}", told):
            result = perform(app, job, clock, stop=lambda: stop() or clock() >= ends)
    except DigestError as error:
        return _failed(app, job, owner, str(error), clock())
    except Exception as error:
        log.exception("job %s failed", job.key)
        return _failed(app, job, owner, f"{type(error).__name__}: {error}", clock())
    with app.sessions() as session:
        give_back(session, job, clock(), owner=owner)
    log.info("%s: %s", job.key, result)
    return JobReport(job, result)


def _failed(app: "App", job: Job, owner: str, said: str, now: datetime) -> JobReport:
    with app.sessions() as session:
        until = hold_back(session, job, now, owner=owner)
    log.warning("%s failed: %s; next try at %s", job.key, said, until)
    return JobReport(job, "", said)
