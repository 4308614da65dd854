"""`digest status`: the day at a glance."""

import io
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from digest.cli.door import Columns, facts, now, opened, print_json, say, show, shown_time
from digest.engine.status import Status, read_status

app = typer.Typer(add_completion=False)

_EVERY_SECONDS = 2.0
_SOURCES: Columns = {
    "source": "name",
    "verdict": "verdict",
    "last run (UTC)": "last_run_at",
    "listings": "n_listings",
}


@app.command("status", epilog="Example: digest status --watch")
def status_(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again; Ctrl-C ends.")] = (
        False
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what is due, built, sent, deferred and uncertain, who voted, and how the sources are.

    Of the last 24 hours. The status is 1 where sending is paused, readers complain, a job failed,
    or nobody knows whether a mail has arrived.
    """
    with opened(ctx) as digest:

        def look() -> Status:
            with digest.sessions.reading() as session:
                return read_status(session, digest.settings, now())

        status = look()
        if watch and not as_json:
            _watch(look)
        elif as_json:
            rates = status.rates
            print_json(
                {
                    **asdict(status),
                    "complaint_rate": rates.complaint_rate,
                    "bounce_rate": rates.bounce_rate,
                }
            )
        else:
            _tell(status)
    if status.pause or status.alarm or status.uncertain or status.failed_jobs:
        raise typer.Exit(1)


def _watch(look: Callable[[], Status]) -> None:
    with Live(console=Console(), auto_refresh=False, screen=True) as live:
        while True:
            said = io.StringIO()
            with redirect_stdout(said):
                _tell(look())
            live.update(Text(said.getvalue()), refresh=True)
            time.sleep(_EVERY_SECONDS)


def _tell(status: Status) -> None:
    rates = status.rates
    since = f", the oldest since {shown_time(status.waiting_since)}" if status.waiting_since else ""
    facts(
        {
            "at": f"{shown_time(status.at)} UTC",
            "subscribers": _counts(status.subscribers),
            "asked for a sign": status.asked or None,
            "paused as silent": status.silent or None,
            "suppressed": status.suppressed or None,
            "editions due": status.due,
            "new papers": status.papers,
            "editions built": status.built,
            "mails": _counts(status.mails),
            "waiting": f"{status.waiting}{since}",
            "uncertain": status.uncertain,
            "votes": _counts(status.votes),
            "complaints": f"{rates.complaints} about {rates.mails} mails of a week "
            f"({rates.complaint_rate:.2%})",
            "hard bounces": f"{rates.hard_bounces} of {rates.mails_of_day} mails "
            f"({rates.bounce_rate:.1%})",
            "readers": status.alarm,
            "paused": status.pause,
        }
    )
    for job in status.failed_jobs:
        say(f"{job.key}: failed, {job.failures} in a row; not before {shown_time(job.until)} UTC")
    if status.sources:
        say("")
        show(status.sources, _SOURCES, as_json=False)


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counted.items()) or "none"
