"""A checkup of what this installation needs, each finding with what to do about it."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from digest.delivery.bounces.mailboxes import read_settings
from digest.delivery.breaker import read_pause
from digest.delivery.guard import read_rates
from digest.delivery.outbox import list_deliveries
from digest.delivery.returns import return_path
from digest.delivery.transport import Transport
from digest.engine.app import App, open_app
from digest.engine.dns import Records, check_dns
from digest.engine.findings import Finding, Health
from digest.engine.reach import CLOCK_MAY_DIFFER, check_pages, check_relay
from digest.errors import DigestError, SourceUnreachable
from digest.papers.collect import files_of, list_sources
from digest.papers.encoder import Encoder
from digest.settings import BounceSettings, Settings, without_password
from digest.sources.fetch import check_address
from digest.store import revision_of
from digest.store.tables import Delivery, ListingRow, Subscriber
from digest.traces import check_traces, wanted

_MANY = 100
# Longer than any job is held back after its first failures: then nobody is at it.
LATE = timedelta(hours=1)
_LITTLE_ROOM, _NO_ROOM = 1_000_000_000, 100_000_000


def checkup(
    settings: Settings,
    *,
    now: datetime,
    encoder: Encoder | None = None,
    records: Records | None = None,
) -> Iterator[Finding]:
    """Look at every part in turn; a part that fails never keeps the next from being looked at.

    `encoder` stands in for the one that the settings name, `records` for the live DNS.
    """
    yield Finding("settings", "ok", "read and consistent")
    yield from _settings(settings)
    try:
        app = open_app(settings, encoder=encoder)
    except (DigestError, SQLAlchemyError) as error:
        fix = "mend what it names in the settings"
        yield Finding("database", "fault", _first_line(error), fix)
        return
    try:
        for part, check in (
            ("database", lambda: _database(app)),
            ("engine", lambda: _engine(app)),
            ("encoder", lambda: _encoder(app)),
            ("mail", lambda: _mail(app, now)),
            ("relay", lambda: check_relay(settings.smtp, now)),
            ("dns", lambda: check_dns(settings, app.signer, records)),
            ("pages", lambda: check_pages(settings, now)),
            ("bounces", lambda: _returns(app)),
            ("bounces", lambda: _mailboxes(settings.bounces)),
            ("queue", lambda: _queue(app, now)),
            ("disk", lambda: _disk(app)),
            ("sources", lambda: _sources(app)),
            ("clock", lambda: _clock(app, now)),
            ("traces", _traces),
        ):
            yield from _guarded(part, check)
    finally:
        app.sessions.engine.dispose()


def _guarded(part: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (DigestError, SQLAlchemyError, OSError) as error:
        yield Finding(part, "fault", _first_line(error), "see the message")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _settings(settings: Settings) -> Iterator[Finding]:
    if settings.smtp.host is None:
        return
    if _is_local(urlsplit(settings.base_url).hostname or ""):
        yield Finding(
            "links",
            "warning",
            f"links in mails lead to {settings.base_url}, which only this machine can open",
            "set base_url to the address of the web pages as readers reach it",
        )
    if settings.mail.from_address.endswith("localhost.localdomain"):
        yield Finding(
            "sender",
            "fault",
            f"mail would come from {settings.mail.from_address}",
            "set mail.from_address to an address of a domain that you send for",
        )
    if not settings.mail.postal_address:
        yield Finding(
            "sender",
            "warning",
            "mails carry no postal address",
            "set mail.postal_address: bulk mail needs one in many countries",
        )


def _database(app: App) -> Iterator[Finding]:
    shown = app.sessions.engine.url.render_as_string(hide_password=True)
    with app.sessions() as session:
        session.connection()  # a writing transaction can be had
    yield Finding("database", "ok", f"{shown}, revision {revision_of(app.sessions)}")


def _engine(app: App) -> Iterator[Finding]:
    aside, shown = app.engine.check(), without_password(app.settings.engine)
    if aside:
        yield Finding(
            "engine",
            "warning",
            f"{shown}, which put aside jobs that killed every worker: {aside}",
            "the workers' log, and the kernel's of memory, say why; then purge the queue that "
            "ends in .dead: what is due is submitted again by itself",
        )
    else:
        yield Finding("engine", "ok", shown)


def _encoder(app: App) -> Iterator[Finding]:
    identity = app.encoder.identity  # tells of missing files before torch is imported
    vector = app.encoder.encode(["a test"])[0]
    said = f"{identity}, {len(vector)} dimensions"
    if abs(float(np.linalg.norm(vector)) - 1.0) > 1e-3:
        yield Finding("encoder", "fault", f"{said}: not unit vectors", "choose another encoder")
    else:
        yield Finding("encoder", "ok", said)


def _mail(app: App, now: datetime) -> Iterator[Finding]:
    smtp = app.settings.smtp
    place = f"{smtp.host}:{smtp.port}" if smtp.host else f"Maildir {app.settings.mail.maildir}"
    fault = asyncio.run(_reach(app.transport(), _return_path(app)))
    with app.sessions.reading() as session:
        pause = read_pause(session)
        alarm = read_rates(session, now).alarm
    if alarm:
        yield Finding("readers", "warning", alarm, "see digest bounces list, and what was sent")
    if pause:
        said = f"sending is paused until {pause.until:%Y-%m-%d %H:%M} UTC: {pause.reason}"
        yield Finding("mail", "fault", said, "mend that, then digest deliver --resume")
    if fault:
        fix = (
            "check [smtp] host, port, security, username, password, and mail.verp"
            if smtp.host
            else "make the folder writable, or set mail.maildir"
        )
        yield Finding("mail", "fault", f"{place}: {fault}", fix)
    else:
        yield Finding("mail", "ok", f"{place} takes mail")


def _returns(app: App) -> Iterator[Finding]:
    if app.settings.smtp.host is None:
        return
    bounces, address = app.settings.bounces, app.settings.mail.returns_to
    if not (bounces.maildir or bounces.imap_host or bounces.webhook_secret):
        yield Finding(
            "bounces",
            "warning",
            f"nobody reads the bounces and unsubscriptions that come to {address}",
            "set [bounces] in the settings, or pipe that mailbox into digest bounces ingest -",
        )
    with app.sessions.reading() as session:
        uncertain = len(list_deliveries(session, states=["uncertain"], limit=_MANY))
    if uncertain:
        n = f"{uncertain} or more" if uncertain == _MANY else str(uncertain)
        said = f"{n} mails may or may not have arrived"
        yield Finding("mail", "warning", said, "see digest deliveries uncertain")


def _mailboxes(bounces: BounceSettings) -> Iterator[Finding]:
    """Whether what comes back can be read; one mail is looked at and left as it is."""
    if places := [str(place) for place in (bounces.maildir, bounces.imap_host) if place]:
        next(read_settings(bounces), None)
        yield Finding("bounces", "ok", f"{' and '.join(places)} can be read")


async def _reach(transport: Transport, envelope_sender: str) -> str:
    async with transport:
        return await transport.check(envelope_sender)


def _return_path(app: App) -> str:
    """An envelope sender as mails have it: a server may take no marks in it."""
    mail = app.settings.mail
    return return_path(mail.returns_to, 0, app.secret) if mail.verp else mail.returns_to


def _sources(app: App) -> Iterator[Finding]:
    sources = app.settings.sources
    if not sources:
        fix = "add a [[sources]] table to digest.toml, or use digest ingest page"
        yield Finding("sources", "warning", "none is set", fix)
    with app.sessions.reading() as session:
        last_runs = {view.name: view for view in list_sources(session, sources)}
    for source in sources:
        last = last_runs[source.name]
        try:
            if source.path:
                files_of(source.path)
            else:
                check_address(str(source.url), allow=app.settings.fetch.allow)
        except SourceUnreachable as error:
            fix = f"mend its {'path' if source.path else 'url'}"
            yield Finding("sources", "warning", f"{source.name}: {error}", fix)
            continue
        if last.verdict in ("unreachable", "unreadable", "stale"):
            said = f"{source.name}: {last.verdict} at its last run: {last.detail}"
            yield Finding("sources", "warning", said, f"try digest sources run {source.name}")
        else:
            yield Finding("sources", "ok", f"{source.name}: {last.place}")


def _queue(app: App, now: datetime) -> Iterator[Finding]:
    """Mails and editions that should have been done long ago."""
    with app.sessions.reading() as session:
        waiting = Delivery.state.in_(("queued", "deferred"))
        n, oldest = session.execute(
            select(func.count(), func.min(Delivery.created_at)).where(waiting)
        ).one()
        late = session.scalar(
            select(func.count())
            .select_from(Subscriber)
            .where(Subscriber.state == "active", Subscriber.next_due_at < now - LATE)
        )
    if late:
        said = f"{late} subscribers wait for an edition since more than an hour"
        yield Finding("queue", "fault", said, "see that digest serve runs, and what it logs")
    if n and now - oldest > LATE:
        said = f"{n} mails wait, the oldest since {oldest:%Y-%m-%d %H:%M} UTC"
        yield Finding("queue", "warning", said, "see digest deliveries list, and why they wait")
    elif not late:
        yield Finding("queue", "ok", f"{n} mails wait")


def _disk(app: App) -> Iterator[Finding]:
    url = app.sessions.engine.url
    places = {}
    if url.get_backend_name() == "sqlite" and url.database:
        places["the database"] = Path(url.database).parent
    if app.settings.smtp.host is None and app.settings.mail.maildir.exists():
        places["the Maildir"] = app.settings.mail.maildir
    for name, folder in places.items():
        free = shutil.disk_usage(folder).free
        said = f"{free / 1e9:.1f} GB are free for {name}"
        if free < _LITTLE_ROOM:
            health: Health = "fault" if free < _NO_ROOM else "warning"
            yield Finding("disk", health, said, f"make room where {folder} is")
        else:
            yield Finding("disk", "ok", said)


def _clock(app: App, now: datetime) -> Iterator[Finding]:
    with app.sessions.reading() as session:
        newest = session.scalar(select(func.max(ListingRow.seen_at)))
        # A server's clock; SQLite's is our own.
        theirs = session.scalar(select(func.now())) if app.sessions.is_postgresql else None
    if theirs and abs(theirs - now) > CLOCK_MAY_DIFFER:
        yield Finding(
            "clock",
            "fault",
            f"it is {now:%Y-%m-%d %H:%M} UTC here, and {theirs:%Y-%m-%d %H:%M} at the database",
            "set both machines' clocks (timedatectl set-ntp true)",
        )
    if newest and newest - now > CLOCK_MAY_DIFFER:
        yield Finding(
            "clock",
            "fault",
            f"it is {now:%Y-%m-%d %H:%M} UTC here, but papers came in at {newest:%Y-%m-%d %H:%M}",
            "set this machine's clock (timedatectl set-ntp true)",
        )
    else:
        yield Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def _traces() -> Iterator[Finding]:
    if variable := wanted():
        check_traces()
        yield Finding("traces", "ok", f"the collector that {variable} names takes them")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
