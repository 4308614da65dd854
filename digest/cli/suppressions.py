"""`digest suppressions`: addresses that are never mailed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import (
    LIMIT,
    Columns,
    Json,
    Limit,
    note,
    now,
    one_more,
    opened,
    print_json,
    read_text,
    say,
    show,
    shown_time,
)
from digest.delivery.suppression import (
    add_suppression,
    import_suppressions,
    lift,
    list_suppressions,
    read_suppression,
)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Addresses that are never mailed."
)

IMPORTED = "imported"
_COLUMNS: Columns = {
    "hash": lambda entry: f"{entry.address_hash[:12]}…",
    "reason": "reason",
    "since (UTC)": "at",
}
_Address = Annotated[str, typer.Argument(help="An e-mail address.")]
_Reason = Annotated[str, typer.Option(help="Why, for the list; no address.")]


@app.command(epilog="Example: digest suppressions add ada@example.org --reason 'asked by phone'")
def add(
    ctx: typer.Context,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...")],
    reason: _Reason = "",
) -> None:
    """Never mail these addresses again, and take back what is queued; only a hash is kept."""
    with opened(ctx) as digest, digest.sessions() as session:
        new = [
            add_suppression(session, address, digest.secret, reason=reason, now=now())
            for address in addresses
        ]
    for address, is_new in zip(addresses, new, strict=True):
        say(f"{address}: {'suppressed' if is_new else 'was suppressed before'}")


@app.command("list", epilog="Example: digest suppressions list --limit 0 --json")
def list_(ctx: typer.Context, limit: Limit = LIMIT, as_json: Json = False) -> None:
    """List reasons and times, newest first; whose they are, nobody can read."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_suppressions(session, one_more(limit))
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty="No address is suppressed.")


@app.command(epilog="Example: digest suppressions check ada@example.org")
def check(ctx: typer.Context, address: _Address, as_json: Json = False) -> None:
    """Tell whether an address is suppressed."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        found = read_suppression(session, address, digest.secret)
    if as_json:
        about = {"reason": found and found.reason, "at": found and found.at}
        print_json([{"address": address, "suppressed": found is not None, **about}])
    elif found is None:
        say(f"{address}: not suppressed")
    else:
        say(f"{address}: suppressed since {shown_time(found.at)} UTC, {found.reason}")


@app.command(epilog="Example: digest suppressions remove ada@example.org")
def remove(ctx: typer.Context, address: _Address) -> None:
    """Allow an address again; a subscription that was suspended waits for `subscribers resume`."""
    with opened(ctx) as digest, digest.sessions() as session:
        was = lift(session, address, digest.secret)
    say(f"{address}: {'allowed again' if was else 'was not suppressed'}")


@app.command("import", epilog="Example: digest suppressions import unsubscribed.csv")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Addresses, or CSV with an address column; or -.")],
    reason: _Reason = IMPORTED,
) -> None:
    """Suppress the addresses of a file; lines at fault are told of and the others still taken."""
    text = sys.stdin.read() if str(file) == "-" else read_text(file)
    with opened(ctx) as digest:
        report = import_suppressions(digest.sessions, text, digest.secret, reason=reason, now=now())
    say(f"{report.added} added, {report.known} known")
    for problem in report.problems:
        note(f"digest: {file}, {problem}")
    if report.problems:
        raise typer.Exit(2)
