"""`digest load-test`: a whole day for many invented readers, end to end."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import facts, note, print_json, progress, say, write_text

app = typer.Typer(add_completion=False)


@app.command("load-test", epilog="Example: digest load-test --subscribers 10000")
def load_test(
    subscribers: Annotated[int, typer.Option(min=1, help="Invented readers.")] = 1000,
    report: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the report goes, an HTML page.")
    ] = Path("load-test.html"),
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An empty database; else SQLite in a scratch folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read pages, embed, build editions, send and vote, for many readers, and report with charts.

    Mails go to a server of its own that puts off every tenth recipient and refuses every fiftieth.
    Your settings and your database are not used. The status is 1 where a mail was lost or doubled.
    """
    from digest.evaluation.load import as_html, run_load_test

    with progress("Readers", subscribers) as step:
        found = run_load_test(subscribers, database=database, told=lambda _stage, n: step(n))
    write_text(report, as_html(found))
    plain = {key: value for key, value in asdict(found).items() if key != "samples"}
    if as_json:
        print_json({**plain, "sound": found.is_sound})
    else:
        facts({name.replace("_", " "): value for name, value in plain.items()})
        say(f"{report}: the report, with charts")
    if not found.is_sound:
        note("A mail was lost or doubled: please report it")
        raise typer.Exit(1)
