"""`digest tick`: do once what the scheduler would do now."""

import logging

import typer

from digest.cli.door import Columns, Json, err, now, opened, show, shown_time
from digest.engine import tick

app = typer.Typer()


@app.command("tick", epilog="Example, for cron: */10 * * * * cd /srv/digest && digest tick")
def tick_(ctx: typer.Context, as_json: Json = False) -> None:
    """Do once what is due now: read sources, embed, build editions, send. Safe to repeat.

    The status is 1 where something failed; it is tried again later.
    """
    logging.getLogger("digest").setLevel(logging.CRITICAL)
    with opened(ctx) as digest:
        report = tick(
            digest, now, told=lambda job: err.print(f"{job.job.key}: {job.error or job.result}")
        )
    rows = [
        {"job": done.job.key, "result": done.result, "error": done.error} for done in report.done
    ]
    columns: Columns = {"job": "job", "result": lambda row: row["error"] or row["result"]}
    show(rows, columns, as_json=as_json, empty="Nothing is due.")
    for key, until, failures in report.held:
        after = f"failed {failures} times" if failures else "in another process"
        err.print(f"{key}: {after}; not before {shown_time(until)} UTC")
    if report.failed:
        raise typer.Exit(1)
