"""`digest tick`: do once what the scheduler would do now."""

import logging

import typer

from digest.cli.door import (
    Json,
    note,
    now,
    opened,
    print_json,
    say,
    shown_time,
    status,
    stopped_by_signals,
)
from digest.engine import JobReport, tick

app = typer.Typer(add_completion=False)


@app.command("tick", epilog="Example, for cron: */10 * * * * cd /srv/digest && digest tick")
def tick_(ctx: typer.Context, as_json: Json = False) -> None:
    """Do once what is due now: read sources, embed, build editions, send. Safe to repeat.

    A signal ends it when what is in flight is done; a second one at once, which loses nothing.
    The status is 1 where something failed; it is tried again later.
    """
    # What a job's log says is told here.
    logging.getLogger("digest").setLevel(logging.CRITICAL)

    def tell(done: JobReport) -> None:
        if done.error:
            note(f"digest: {done.job.key}: {done.error}")
        elif not as_json:
            say(f"{done.job.key}: {done.result}")

    with opened(ctx) as digest, status("Working"), stopped_by_signals() as stopped:
        report = tick(digest, now, stop=stopped, told=tell)
    if as_json:
        print_json(
            [
                {"job": done.job.key, "result": done.result, "error": done.error}
                for done in report.done
            ]
        )
    elif report.submitted:
        note(f"{report.submitted} jobs were submitted: digest worker does them.")
    elif not report.done and not stopped():
        note("Nothing is due.")
    for key, until, failures in report.held:
        said = f"failed, {failures} in a row" if failures else "in another process"
        note(f"{key}: {said}; not before {shown_time(until)} UTC")
    if report.failed:
        raise typer.Exit(1)
