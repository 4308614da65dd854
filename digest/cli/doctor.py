"""`digest doctor`: check this installation and say what to fix."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import Columns, Json, now, settings_of, show, status
from digest.engine.dns import FileRecords
from digest.engine.doctor import checkup

app = typer.Typer(add_completion=False)


@app.command("doctor", epilog="Example: digest doctor")
def doctor(
    ctx: typer.Context,
    dns: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A zone file of records to publish, not the live DNS."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check settings, database, model, mail, DNS, TLS, queue, disk, sources and clock.

    Each finding says what to do. The status is 1 on a fault.
    """
    records = FileRecords(dns) if dns else None
    with status("Looking"):
        findings = list(checkup(settings_of(ctx), now=now(), records=records))
    columns: Columns = {"part": "part", "health": "health", "found": "said", "to do": "fix"}
    show([asdict(finding) for finding in findings], columns, as_json=as_json)
    if any(finding.health == "fault" for finding in findings):
        raise typer.Exit(1)
