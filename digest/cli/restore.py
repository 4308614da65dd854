"""`digest restore`: a backup, into an empty database."""

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import print_json, progress, say, settings_of, shown_time
from digest.engine.backup import restore

app = typer.Typer(add_completion=False)


@app.command("restore", epilog="Example: digest restore digest-2026-11-20-033000.jsonl.gz")
def restore_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What digest backup wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read a backup into the database of the settings, which must be empty: all of it, or nothing.

    A backup of an older version is brought up to date on the way. Mails that were sent after it was
    made are not known to it: see `digest deliveries` before the next digests go out.
    """
    with progress("Restoring", None) as step:
        made = restore(settings_of(ctx, may_begin=True), file, progress=step)
    if as_json:
        print_json({"at": made.at, "revision": made.revision, "rows": made.rows})
    else:
        say(f"{sum(made.rows.values())} rows of {shown_time(made.at)} UTC are restored")
