"""Doing a job: one function a kind, the same for every engine, each safe to repeat."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from digest.delivery.outbox import sweep
from digest.delivery.sending import deliver
from digest.editions import build_editions
from digest.engine.app import App
from digest.engine.jobs import Job
from digest.errors import Unknown
from digest.papers.collect import collect
from digest.papers.embedding import embed_pending
from digest.profiles.interests import embed_interests
from digest.subscribers import expire_pending, replan, wake
from digest.subscribers.returns import take_in_mailboxes

# Papers between two looks at what else is due.
EMBED_AT_ONCE = 512


def perform(
    app: App,
    job: Job,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """Do a job and say in a few words what came of it; `stop` ends it early between two mails.

    Raises what the job's room raises.
    """
    now = clock()
    match job.kind:
        case "source":
            return _collect(app, job.name, now)
        case "embed":
            n = embed_interests(app.sessions, app.encoder)
            n += embed_pending(app.sessions, app.encoder, at=now, limit=EMBED_AT_ONCE)
            return f"{n} embedded"
        case "editions":
            built = build_editions(app.sessions, job.ids, app.encoder.identity, now=now)
            return f"{built.built} built, {built.empty} empty, {built.skipped} skipped"
        case "deliver":
            return _deliver(app, clock, stop)
        case "bounces":
            read = take_in_mailboxes(app.sessions, app.settings.bounces, secret=app.secret, now=now)
            return ", ".join(f"{n} {one.done}" for one, n in read.items()) or "none"


def housekeep(app: App, now: datetime) -> None:
    """Settle what time or a crash left behind; cheap, and done at the start of every tick."""
    with app.sessions() as session:
        wake(session, now)
        replan(session, now)
        expire_pending(session, now)
        sweep(session, now)


def _deliver(app: App, clock: Callable[[], datetime], stop: Callable[[], bool]) -> str:
    report = asyncio.run(
        deliver(app.sessions, app.transport(), app.postage, clock=clock, pace=app.pace(), stop=stop)
    )
    said = [f"{n} {state}" for state, n in report.states.items()]
    if report.pause:
        said.append(f"paused until {report.pause.until:%H:%M} UTC: {report.pause.reason}")
    return ", ".join([*said, *report.doubts]) or "none"


def _collect(app: App, name: str, now: datetime) -> str:
    source = next((source for source in app.settings.sources if source.name == name), None)
    if source is None:
        raise Unknown(f"no source is named {name!r} in the settings")
    report = collect(app.sessions, source, contact=app.settings.mail.from_address, at=now)
    return f"{report.verdict}: {report.n_listings} listings, {report.n_new_papers} new papers"
