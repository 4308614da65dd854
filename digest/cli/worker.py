"""`digest worker`: do the jobs that the scheduler submits, on this machine."""

from typing import Annotated

import typer

from digest.cli.door import log_to_stderr, now, settings_of
from digest.engine import open_app, open_engine

app = typer.Typer(add_completion=False)


@app.command("worker", epilog="Example: digest worker --queues compose,deliver --processes 4")
def worker_(
    ctx: typer.Context,
    queues: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Kinds of jobs, with commas: ingest, signup, embed, compose, deliver, "
            "summaries, bounces, housekeeping; else all.",
        ),
    ] = "",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; else one a core.")
    ] = None,
) -> None:
    """Do jobs of a cluster until stopped by Ctrl-C or SIGTERM; what is begun then is ended.

    For settings whose engine is a RabbitMQ; `digest serve` or `digest tick` submits the jobs.
    """
    settings = settings_of(ctx)
    log_to_stderr(settings.log.format)
    open_engine(settings.engine).work(
        lambda: open_app(settings),
        now,
        queues=[name.strip() for name in queues.split(",") if name.strip()],
        processes=processes,
    )
