"""`digest sources`: where papers come from."""

from typing import Annotated

import typer

from digest.cli.door import LIMIT, Columns, Json, Limit, note, now, opened, progress, show
from digest.errors import SourceUnreachable, Unknown
from digest.papers.collect import collect, list_sources

app = typer.Typer(no_args_is_help=True, help="Where papers come from, and how it went.")


@app.command("list", epilog="Example: digest sources list --json")
def list_(ctx: typer.Context, as_json: Json = False, limit: Limit = LIMIT) -> None:
    """List the sources of the settings and how the last run of each went."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_sources(session, digest.settings.sources)
    columns: Columns = {
        "name": "name",
        "place": "place",
        "hours": lambda row: ", ".join(map(str, row.hours)) + f" ({row.timezone})",
        "last run (UTC)": "last_run_at",
        "verdict": "verdict",
        "listings": "n_listings",
        "detail": "detail",
    }
    empty = "No source is set: add a [[sources]] table to digest.toml (see digest init)."
    show(rows, columns, as_json=as_json, limit=limit, empty=empty)


@app.command(epilog="Example: digest sources run trending")
def run(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; none: all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run sources now, whether or not they are due.

    A page that cannot be read is refused, with status 2; a source that does not answer, with 1.
    """
    reports, unreachable = [], False
    with opened(ctx) as digest:
        sources = {source.name: source for source in digest.settings.sources}
        for name in names or []:
            if name not in sources:
                known = ", ".join(sources) or "none"
                raise Unknown(f"no source is named {name!r} in the settings; there are: {known}")
        contact = digest.settings.mail.from_address
        wanted = [sources[name] for name in names or sources]
        with progress("Running", len(wanted)) as step:
            for source in wanted:
                try:
                    reports.append(collect(digest.sessions, source, contact=contact, at=now()))
                except SourceUnreachable as error:
                    note(f"digest: {source.name}: {error}")
                    unreachable = True
                step(1)
    columns: Columns = {
        "source": "source",
        "verdict": "verdict",
        "pages": lambda report: len(report.pages),
        "listings": "n_listings",
        "new papers": "n_new_papers",
    }
    show(reports, columns, as_json=as_json, empty="No source was run.")
    refused = [f"{report.source}: {problem}" for report in reports for problem in report.problems]
    for problem in refused:
        note(f"digest: {problem}")
    if refused or unreachable:
        raise typer.Exit(2 if refused else 1)
