"""`digest doctor`: check this installation and say what to fix."""

from dataclasses import asdict

import typer

from digest.cli.door import Columns, Json, now, settings_of, show, status
from digest.engine.doctor import checkup

app = typer.Typer()


@app.command("doctor", epilog="Example: digest doctor")
def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Check settings, database, model, mail, sources and clock; the status is 1 on a fault."""
    with status("Looking"):
        findings = list(checkup(settings_of(ctx), now=now()))
    columns: Columns = {"part": "part", "health": "health", "found": "said", "to do": "fix"}
    show([asdict(finding) for finding in findings], columns, as_json=as_json)
    if any(finding.health == "fault" for finding in findings):
        raise typer.Exit(1)
