"""`digest deliver`: send the mails that are due."""

import asyncio
from typing import Annotated

import typer

from digest.cli.door import Json, Limit, note, now, opened, progress, show, stopped_by_signals
from digest.delivery.breaker import resume as resume_sending
from digest.delivery.outbox import n_due
from digest.delivery.sending import DeliveryReport, deliver

app = typer.Typer(add_completion=False)


@app.command("deliver", epilog="Example: digest deliver --limit 10")
def deliver_(
    ctx: typer.Context,
    limit: Limit = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="End whatever pauses sending, and send.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send the mails that are due, each once; to the server of the settings, else to a Maildir.

    A signal ends it when what is in flight is done; a second one at once, which loses nothing.
    The status is 1 where a mail failed, nobody knows what became of it, readers complain, or
    sending is paused.
    """
    with opened(ctx) as digest:
        with digest.sessions() as session:
            if resume:
                resume_sending(session, now())
            due = n_due(session, now())
        with progress("Sending", min(due, limit or due)) as step, stopped_by_signals() as stopped:
            report = asyncio.run(
                deliver(
                    digest.sessions,
                    digest.transport(),
                    digest.postage,
                    clock=now,
                    pace=digest.pace(),
                    limit=limit or None,
                    stop=stopped,
                    progress=step,
                )
            )
    _tell(report, as_json=as_json)
    ill = report.doubts or report.pause or report.alarm
    if ill or report.states["failed"] or report.states["uncertain"]:
        raise typer.Exit(1)


def _tell(report: DeliveryReport, *, as_json: bool) -> None:
    rows = [{"state": state, "mails": n} for state, n in sorted(report.states.items()) if n]
    empty = "Nothing was sent." if report.pause else "No mail is due."
    show(rows, {"state": "state", "mails": "mails"}, as_json=as_json, empty=empty)
    if report.released and not report.pause:
        note(f"{report.released} more are due: digest deliver goes on with them")
    if report.states["uncertain"]:
        note("Nobody knows whether some have arrived: see digest deliveries uncertain")
    if report.alarm:
        note(f"Readers complain: {report.alarm}")
    if report.pause:
        note(
            f"Sending is paused until {report.pause.until:%Y-%m-%d %H:%M} UTC: "
            f"{report.pause.reason}. When that is mended: digest deliver --resume"
        )
    for doubt in report.doubts:
        note(f"This must never be, please report it: {doubt}")
