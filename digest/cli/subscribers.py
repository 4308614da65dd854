"""`digest subscribers`: who gets the digest, and how."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from digest import subscribers as room
from digest.cli.door import (
    LIMIT,
    Address,
    Columns,
    Json,
    Limit,
    err,
    now,
    one_more,
    opened,
    out,
    print_json,
    show,
    shown_time,
)
from digest.errors import BadInput, Unknown
from digest.store.tables import SubscriberState

app = typer.Typer(no_args_is_help=True, help="Who gets the digest, and how.")

_COLUMNS: Columns = {
    "address": "address",
    "state": "state",
    "frequency": "frequency",
    "hour": lambda who: f"{who.hour:02}:00 {who.timezone}",
    "papers": "length",
    "mix": "mix",
    "next": "next_due_at",
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
    ask: Annotated[
        bool, typer.Option("--ask", help="Mail them for their consent before the first digest.")
    ] = False,
) -> None:
    """Add a subscriber on your word that they want it; again, it changes their settings."""
    given: dict[str, Any] = {
        "address": address,
        "timezone": timezone,
        "hour": hour,
        "frequency": frequency,
        "length": length,
        "mix": mix,
        "interest": "\n".join(interest or []),
    }
    given = {name: value for name, value in given.items() if value is not None}
    with opened(ctx) as digest, digest.sessions() as session:
        defaults = digest.settings.defaults
        try:
            known = room.find(session, address)
        except Unknown:
            known = None
        if known is not None:
            defaults = defaults.model_copy(
                update={name: getattr(known, name) for name in type(defaults).model_fields}
            )
        asked = room.parse_subscription(given, defaults)
        added = room.add(session, asked, now=now(), confirmed=not ask)
    if added.outcome in ("has left", "is suspended"):
        raise BadInput(
            f"{address} {added.outcome}: only their own confirmation brings them back (--ask)"
        )
    first = shown_time(added.subscriber.next_due_at)
    tail = f"; the first digest is due at {first} UTC" if added.outcome == "added" else ""
    out.print(f"{added.subscriber.address}: {added.outcome}{'' if ask else tail}")


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
    if state is not None and state not in get_args(SubscriberState):
        raise BadInput(f"--state: one of {', '.join(get_args(SubscriberState))}, not {state!r}")
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = room.list_subscribers(session, state, one_more(limit))  # type: ignore[arg-type] # checked above
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty="Nobody is subscribed.")


@app.command("show", epilog="Example: digest subscribers show ada@example.org")
def show_(ctx: typer.Context, address: Address, as_json: Json = False) -> None:
    """Show a subscriber's settings."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        show([room.find(session, address)], _COLUMNS, as_json=as_json)


@app.command(epilog="Example: digest subscribers pause ada@example.org --until 2026-12-27")
def pause(
    ctx: typer.Context,
    address: Address,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day to begin again; else until resumed."),
    ] = None,
) -> None:
    """Hold a subscriber's mail back."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = room.pause(session, address, until.date() if until else None, now=now())
    out.print(f"{who.address}: paused{f' until {who.paused_until}' if who.paused_until else ''}")


@app.command(epilog="Example: digest subscribers resume ada@example.org")
def resume(ctx: typer.Context, address: Address) -> None:
    """Mail a paused subscriber again."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = room.resume(session, address, now=now())
    out.print(f"{who.address}: active; the next digest is due at {shown_time(who.next_due_at)} UTC")


@app.command(epilog="Example: digest subscribers remove ada@example.org --erase")
def remove(
    ctx: typer.Context,
    address: Address,
    erase: Annotated[bool, typer.Option("--erase", help="Delete all that is stored of them.")] = (
        False
    ),
) -> None:
    """Unsubscribe somebody: they get no more mail, and what is queued is taken back."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = room.find(session, address)
        if erase:
            room.erase(session, address)
        else:
            room.leave(session, who.id, now=now(), why="removed by the operator")
    out.print(f"{who.address}: {'erased' if erase else 'left'}")


@app.command("import", epilog="Example: digest subscribers import lab.csv")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with a heading, addresses, or JSON lines.")],
) -> None:
    """Add the subscribers of a file; lines at fault are told of and the others still taken on."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    with opened(ctx) as digest, digest.sessions() as session:
        report = room.import_subscribers(
            session, text, defaults=digest.settings.defaults, now=now()
        )
    said = ", ".join(f"{n} {outcome}" for outcome, n in report.outcomes.items()) or "nobody"
    out.print(said)
    for problem in report.problems:
        err.print(f"digest: {file}, {problem}")
    if report.problems:
        raise typer.Exit(2)


@app.command(epilog="Example: digest subscribers export ada@example.org > ada.json")
def export(ctx: typer.Context, address: Address) -> None:
    """Print all that is stored of a subscriber, as JSON."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        print_json(room.export(session, address))
