"""Doing a job: one function a kind, the same for every engine, each safe to repeat."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from digest.delivery import breaker
from digest.delivery.outbox import sweep
from digest.delivery.sending import deliver
from digest.editions import build_editions
from digest.engine.jobs import Job, trim, trusts_clock
from digest.errors import Unknown
from digest.papers.collect import collect
from digest.papers.embedding import embed_pending
from digest.papers.written import write_pending
from digest.profiles.interests import embed_interests
from digest.store.retention import forget
from digest.subscribers import (
    expire_changes,
    expire_pending,
    expire_signups,
    follow_sunset,
    look_at,
    replan,
    wake,
)
from digest.subscribers.returns import take_in_mailboxes
from digest.subscribers.throttle import forget_whole
from digest.traces import tell

if TYPE_CHECKING:
    from digest.engine.app import App


def perform(
    app: "App",
    job: Job,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """Do a job and say in a few words what came of it; `stop` ends a long one early.

    Raises what the job's room raises.
    """
    now = clock()
    match job.kind:
        case "ingest":
            return _collect(app, job.name, clock)
        case "signup":
            return look_at(app.sessions, *job.ids, secret=app.secret, now=now)
        case "embed":
            return _counted({"embedded": _embed(app, job, clock)})
        case "compose":
            built = build_editions(app.sessions, job.ids, app.encoder.identity, now=now)
            return _counted(asdict(built))
        case "deliver":
            return _deliver(app, clock, stop)
        case "summaries":
            wrote = write_pending(app.sessions, app.settings.summaries, clock, stop=stop)
            return _counted(asdict(wrote))
        case "bounces":
            read = take_in_mailboxes(
                app.sessions, app.settings.bounces, secret=app.secret, now=now, stop=stop
            )
            came: Counter[str] = Counter()
            for one, n in read.items():
                came[one.done] += n
            return _counted(came)
        case "housekeeping":
            gone = forget(app.sessions, app.settings.retention, now=now, stop=stop)
            with app.sessions() as session:
                sunset = follow_sunset(session, app.settings.sunset, now=now)
            counts = {f"{table} forgotten": n for table, n in gone.items()}
            if sunset.asked or sunset.paused:
                counts |= {"asked whether they still read": sunset.asked, "paused": sunset.paused}
            return _counted(counts)


def housekeep(app: "App", now: datetime) -> None:
    """Settle what time, a wrong clock or a crash left behind; cheap, done as every tick begins."""
    with app.sessions() as session:
        trim(session, now)
        breaker.trim(session, now)
        replan(session, now)
        if trusts_clock(session, now):
            wake(session, now)
            expire_pending(session, now)
            expire_changes(session, now)
            expire_signups(session, now)
        forget_whole(session, now)
        sweep(session, now)


def _counted(counts: Mapping[str, int]) -> str:
    """The counts in a few words, which the span of the job is told, too."""
    tell({f"digest.{what.replace(' ', '_')}": n for what, n in counts.items()})
    return ", ".join(f"{n} {what}" for what, n in counts.items()) or "none"


def _embed(app: "App", job: Job, clock: Callable[[], datetime]) -> int:
    if job.name == "interests":
        return embed_interests(app.sessions, app.encoder, ids=job.ids)
    return embed_pending(app.sessions, app.encoder, clock=clock, ids=job.ids)


def _deliver(app: "App", clock: Callable[[], datetime], stop: Callable[[], bool]) -> str:
    report = asyncio.run(
        deliver(app.sessions, app.transport(), app.postage, clock=clock, pace=app.pace(), stop=stop)
    )
    states = {str(state): n for state, n in report.states.items()}
    said = [_counted(states)] if states else []
    if report.pause:
        said.append(f"paused until {report.pause.until:%H:%M} UTC: {report.pause.reason}")
    return ", ".join([*said, *report.doubts]) or "none"


def _collect(app: "App", name: str, clock: Callable[[], datetime]) -> str:
    source = next((source for source in app.settings.sources if source.name == name), None)
    if source is None:
        raise Unknown(f"no source is named {name!r} in the settings")
    report = collect(
        app.sessions,
        source,
        contact=app.settings.mail.from_address,
        allow=app.settings.fetch.allow,
        clock=clock,
    )
    tell({"digest.source": name, "digest.verdict": report.verdict})
    counts = {"listings": report.n_listings, "new papers": report.n_new_papers}
    said = f"{report.verdict}: {_counted(counts)}"
    return said if report.verdict == "fresh" else f"{said}; {report.detail}"
