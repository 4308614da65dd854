"""`digest ingest`: take in pages of papers."""

from pathlib import Path
from typing import Annotated

import typer

from digest.cli import sources
from digest.cli.door import Columns, Json, note, now, opened, progress, show
from digest.errors import BadInput, UnreadablePage
from digest.papers.collect import ingest_file
from digest.papers.ingest import IngestReport
from digest.settings import source_name

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Take in pages of papers.")


@app.command(
    "page", epilog="Example: digest ingest page saved/*.txt; digest tick then embeds and mails."
)
def ingest_pages(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Saved pages.")],
    source: Annotated[
        str, typer.Option(help="The source's name that the listings are stored under.")
    ] = "pages",
    as_json: Json = False,
) -> None:
    """Read saved digest pages; what a file is, is found from its bytes.

    The same page twice is once. A page that cannot be read is refused as a whole, with status 2,
    and the others are still taken in. Of a page with a few broken entries the others are; it is
    told of.
    """
    try:
        source = source_name(source)
    except ValueError as error:
        raise BadInput(f"source: {error}") from None
    reports, refused = [], 0
    with opened(ctx) as digest, progress("Reading", len(files)) as step:
        for file in files:
            try:
                report = ingest_file(digest.sessions, source, file, at=now())
            except UnreadablePage as error:
                note(f"digest: {file}: {error}")
                refused += 1
            else:
                reports.append({"file": str(file), **_row(report)})
                if report.problem:
                    note(f"digest: {file}: {report.problem}")
            step(1)
    columns: Columns = {
        "file": "file",
        "reader": "reader",
        "page date": "page_date",
        "listings": "listings",
        "new papers": "new_papers",
        "": lambda row: "read before" if row["known"] else "",
    }
    show(reports, columns, as_json=as_json, empty="No page was taken in.")
    if refused:
        raise typer.Exit(2)


app.command("source", epilog="Example: digest ingest source arxiv-cs")(sources.run)


def _row(report: IngestReport) -> dict[str, object]:
    return {
        "reader": report.reader,
        "page_date": report.page_date,
        "listings": report.n_listings,
        "new_papers": report.n_new_papers,
        "known": report.known,
        "problem": report.problem,
    }
