"""`digest deliver`: send the mails that are due."""

import asyncio

import typer

from digest.cli.door import Json, Limit, now, opened, progress, show
from digest.delivery.outbox import deliver, due_deliveries

app = typer.Typer()


@app.command("deliver", epilog="Example: digest deliver --limit 10")
def deliver_(ctx: typer.Context, limit: Limit = 0, as_json: Json = False) -> None:
    """Send the mails that are due, each once; to the server of the settings, else to a Maildir.

    The status is 1 where a mail failed or nobody knows what became of it.
    """
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            ids = due_deliveries(session, now(), limit=limit or None)
        with progress("Sending", len(ids)) as step:
            report = asyncio.run(
                deliver(
                    digest.sessions,
                    digest.transport(),
                    ids,
                    digest.postage,
                    now=now(),
                    progress=step,
                )
            )
    rows = [{"state": state, "mails": n} for state, n in sorted(report.states.items())]
    show(rows, {"state": "state", "mails": "mails"}, as_json=as_json, empty="No mail is due.")
    if report.states["failed"] or report.states["uncertain"]:
        raise typer.Exit(1)
