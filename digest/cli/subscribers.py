"""`digest subscribers`: who gets the digest, and how."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, get_args

import typer

from digest import subscribers as room
from digest.cli.door import (
    DAY,
    LIMIT,
    Address,
    Columns,
    Json,
    Limit,
    facts,
    note,
    now,
    one_more,
    opened,
    parse_day,
    print_json,
    read_text,
    say,
    show,
    shown_time,
)
from digest.engine.erase import erase_for_good
from digest.errors import BadInput
from digest.profiles.interests import faults_in_interest
from digest.store.tables import SubscriberState
from digest.subscribers.subscription import FIELDS

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Who gets the digest, and how.")

Ask = Annotated[
    bool, typer.Option("--ask", help="Mail them for their consent before the first digest.")
]
_COLUMNS: Columns = {
    "address": "address",
    "state": "state",
    "when": lambda who: f"{who.frequency} {who.hour:02}:00 {who.timezone}",
    "papers": "length",
    "mix": lambda who: f"{who.mix:g}",
    "next (UTC)": "next_due_at",
}


@app.command(epilog="Example: digest subscribers add ada@example.org --interest 'sparse retrieval'")
def add(
    ctx: typer.Context,
    address: Address,
    interest: Annotated[
        list[str] | None, typer.Option(help="What they read about; may be given again.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Like Europe/Berlin.")] = None,
    hour: Annotated[str | None, typer.Option(help="0 to 23, on their clock.")] = None,
    frequency: Annotated[str | None, typer.Option(help="daily, weekdays or weekly.")] = None,
    length: Annotated[str | None, typer.Option(help="Papers in a mail, 1 to 30.")] = None,
    mix: Annotated[
        str | None, typer.Option(help="0: only what is trending, 1: only what is theirs.")
    ] = None,
    min_probability: Annotated[
        str | None,
        typer.Option(help="Only papers at least so likely to be voted up, 0 to 1; none: off."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Of their mails and pages, like de; none: the operator's.")
    ] = None,
    ask: Ask = False,
) -> None:
    """Add a subscriber on your word that they want it; again, it changes their settings."""
    for text in interest or ():
        for fault in faults_in_interest("interest", text).values():
            raise BadInput(fault)
    given = {
        "address": address,
        "timezone": timezone,
        "hour": hour,
        "frequency": frequency,
        "length": length,
        "mix": mix,
        "min_probability": min_probability,
        "language": language,
        "interest": "\n".join(interest or []),
    }
    given = {name: value for name, value in given.items() if value is not None}
    with opened(ctx) as digest, digest.sessions() as session:
        added = room.add(
            session,
            given,
            digest.settings.defaults,
            secret=digest.secret,
            now=now(),
            confirmed=not ask,
        )
    who, tail = added.subscriber, ""
    if who is None or added.outcome == "is suppressed":
        raise BadInput(f"{address} is suppressed: digest suppressions remove takes it off the list")
    if added.outcome in ("has left", "is suspended"):
        raise BadInput(
            f"{address} {added.outcome}: only their own confirmation brings them back (--ask)"
        )
    if who.state == "pending":
        tail = "; a mail asks for their consent"
    elif added.outcome == "added":
        tail = f"; the first digest is due at {shown_time(who.next_due_at)} UTC"
    say(f"{who.address}: {added.outcome}{tail}")


@app.command("list", epilog="Example: digest subscribers list --state paused")
def list_(
    ctx: typer.Context,
    state: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(get_args(SubscriberState))}.")
    ] = None,
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> None:
    """List subscribers by address."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = room.list_subscribers(session, state, one_more(limit))
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty="Nobody is subscribed.")


@app.command("show", epilog="Example: digest subscribers show ada@example.org")
def show_(ctx: typer.Context, address: Address, as_json: Json = False) -> None:
    """Show a subscriber's settings."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        who = room.find(session, address)
    if as_json:
        print_json([asdict(who)])
        return
    facts(
        {
            "address": who.address,
            "state": who.state,
            "paused until": who.paused_until,
            "when": f"{who.frequency} at {who.hour:02}:00 {who.timezone}",
            "next": who.next_due_at and f"{shown_time(who.next_due_at)} UTC",
            "papers": f"at most {who.length}",
            "mix": f"{who.mix:.0%} theirs, {1 - who.mix:.0%} trending",
            "likely": None
            if who.min_probability is None
            else f"at least {who.min_probability:.0%}",
            "language": who.language,
            "asked": f"{shown_time(who.created_at)} UTC",
            "confirmed": who.confirmed_at and f"{shown_time(who.confirmed_at)} UTC",
        }
    )


@app.command(epilog="Example: digest subscribers pause ada@example.org --until 2026-12-27")
def pause(
    ctx: typer.Context,
    address: Address,
    until: Annotated[
        date | None,
        typer.Option(
            parser=parse_day, metavar=DAY, help="The day to begin again; else until resumed."
        ),
    ] = None,
) -> None:
    """Hold a subscriber's mail back."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = room.pause(session, address, until, now=now())
    say(f"{who.address}: paused{f' until {who.paused_until}' if who.paused_until else ''}")


@app.command(epilog="Example: digest subscribers resume ada@example.org")
def resume(ctx: typer.Context, address: Address) -> None:
    """Mail a paused subscriber again."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = room.resume(session, address, secret=digest.secret, now=now())
    say(f"{who.address}: active; the next digest is due at {shown_time(who.next_due_at)} UTC")


@app.command(epilog="Example: digest subscribers remove ada@example.org --erase")
def remove(
    ctx: typer.Context,
    address: Address,
    erase: Annotated[bool, typer.Option("--erase", help="Delete all that is stored of them.")] = (
        False
    ),
) -> None:
    """Unsubscribe somebody: they get no more mail, and what is queued is taken back."""
    with opened(ctx) as digest:
        with digest.sessions() as session:
            who = room.find(session, address)
            if not erase:
                room.leave(session, who.id, now=now(), why="removed by the operator")
        if erase and not erase_for_good(digest, who.id):
            note("digest: the address stands elsewhere in the database, such as in a page")
    say(f"{who.address}: {'erased' if erase else 'left'}")


@app.command("import", epilog="Example: digest subscribers import lab.csv")
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help=f"CSV under headings (address or email; {', '.join(FIELDS[1:])}), "
            "addresses alone, or JSON lines."
        ),
    ],
    ask: Ask = False,
) -> None:
    """Add the subscribers of a file; lines at fault are told of and the others still taken on."""
    text = read_text(file)
    with opened(ctx) as digest:
        report = room.import_subscribers(
            digest.sessions,
            text,
            defaults=digest.settings.defaults,
            secret=digest.secret,
            now=now(),
            confirmed=not ask,
        )
    said = ", ".join(f"{n} {outcome}" for outcome, n in report.outcomes.items()) or "nobody"
    say(said)
    if report.passed_over:
        note(f"Columns that say nothing to us: {', '.join(report.passed_over)}")
    for problem in report.problems:
        note(f"digest: {file}, {problem}")
    if report.problems:
        raise typer.Exit(2)


@app.command(epilog="Example: digest subscribers export ada@example.org > ada.json")
def export(ctx: typer.Context, address: Address) -> None:
    """Print all that is stored of a subscriber, as JSON."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        print_json(room.export(session, address))
