"""`digest backup`: the whole database, and its key, in one file."""

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import now, print_json, progress, say, settings_of
from digest.engine.backup import back_up

app = typer.Typer(add_completion=False)


@app.command("backup", epilog="Example, for cron: 30 3 * * * digest backup /var/backups/digest")
def backup_(
    ctx: typer.Context,
    to: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A new file, *.gz, or a folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write all that is stored at this instant to a file, while Digest goes on working.

    It can be restored into SQLite and PostgreSQL alike: that is also how to move from one to the
    other. Only its owner can read it: it holds addresses, and the key where that is in digest.key.
    """
    with progress("Saving", None) as step:
        made = back_up(settings_of(ctx), to, now=now(), progress=step)
    size = made.file.stat().st_size
    if as_json:
        print_json(
            {"file": str(made.file), "bytes": size, "revision": made.revision, "rows": made.rows}
        )
        return
    say(f"{made.file}: {sum(made.rows.values())} rows, {size / 1e6:.1f} MB")
    if not made.with_key:
        say("The key that signs the links is in your settings: keep it, too")
