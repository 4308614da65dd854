"""`digest why`: what happened to a subscriber on a day."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from digest.cli.door import Address, Columns, Json, Limit, now, opened, out, print_json, show
from digest.delivery.why import why
from digest.editions import in_words
from digest.subscribers import find

app = typer.Typer()


@app.command("why", epilog="Example: digest why ada@example.org 2026-11-20")
def why_(
    ctx: typer.Context,
    address: Address,
    date: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%d"], help="Their local date, YYYY-MM-DD.")
    ],
    as_json: Json = False,
    limit: Limit = 10,
) -> None:
    """Tell what happened to a subscriber on a day: the mail, or why none, and each reason."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        who = find(session, address)
        account = why(session, who.id, date.date(), secret=digest.secret, now=now())
    if as_json:
        print_json([asdict(account)])
        return
    out.print(f"{account.address}, {account.local_date}: {account.answer}\n")
    show(account.events, {"at (UTC)": "at", "what": "what"}, as_json=False, empty="No events.")
    if account.edition and account.edition.items:
        out.print("\nIn the mail")
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
        out.print("\nNot in the mail, the best first")
        columns = {"score": "score", "paper": "title", "why": "why"}
        show(account.losers, columns, as_json=False, limit=limit)
