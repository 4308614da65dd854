"""`digest why`: what happened to a subscriber on a day."""

from dataclasses import asdict, replace
from datetime import date
from typing import Annotated

import typer

from digest.cli.door import (
    DAY,
    Address,
    Columns,
    Json,
    Limit,
    now,
    opened,
    parse_day,
    print_json,
    say,
    show,
)
from digest.delivery.why import why
from digest.editions import in_words, local_date_of
from digest.subscribers import find

app = typer.Typer(add_completion=False)


@app.command("why", epilog="Example: digest why ada@example.org 2026-11-20")
def why_(
    ctx: typer.Context,
    address: Address,
    day: Annotated[
        date | None,
        typer.Argument(
            parser=parse_day, metavar=f"[{DAY}]", help="Their local date; today if not given."
        ),
    ] = None,
    as_json: Json = False,
    limit: Limit = 10,
) -> None:
    """Tell what happened to a subscriber on a day: the mail, or why none, and each reason."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        who = find(session, address)
        day = day or local_date_of(who.timezone, now())
        account = why(session, who.id, day, secret=digest.secret, now=now())
    if as_json:
        losers = account.losers[: limit or None]
        print_json([asdict(replace(account, losers=losers))])
        return
    say(f"{account.address}, {account.local_date}: {account.answer}")
    if account.events:
        say("")
        show(account.events, {"at (UTC)": "at", "what": "what"}, as_json=False)
    if account.edition and account.edition.items:
        say("\nIn the mail\n")
        columns: Columns = {
            "": "position",
            "lane": "lane",
            "score": "score",
            "paper": "title",
            "why": lambda item: "; ".join(
                f"{in_words(reason)} ({reason.share:.0%})" for reason in item.reasons
            ),
        }
        show(account.edition.items, columns, as_json=False)
    if account.losers:
        say("\nNot in the mail, the best first\n")
        columns = {"score": "score", "paper": "title", "why": "why"}
        show(account.losers, columns, as_json=False, limit=limit)
