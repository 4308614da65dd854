"""`digest sources`: where papers come from."""

from collections import Counter
from datetime import date
from typing import Annotated

import typer

from digest.cli.door import (
    DAY,
    LIMIT,
    Columns,
    Json,
    Limit,
    note,
    now,
    opened,
    parse_day,
    progress,
    show,
)
from digest.errors import SourceUnreachable, Unknown
from digest.papers.collect import SourceReport, SourceView, collect, list_sources
from digest.papers.reread import kept_pages
from digest.papers.reread import reread as read_again

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Where papers come from, and how it went."
)


@app.command("list", epilog="Example: digest sources list --json")
def list_(ctx: typer.Context, as_json: Json = False, limit: Limit = LIMIT) -> None:
    """List the sources of the settings, how the last run of each went, and the last seven days.

    A verdict is one of: fresh, quiet (nothing new, as expected), stale (nothing new though it was
    due), partial (fewer than there are), unreadable, unreachable. --json tells each day's.
    """
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_sources(session, digest.settings.sources)
    columns: Columns = {
        "name": "name",
        "place": "place",
        "hours": lambda row: ", ".join(map(str, row.hours)) + f" ({row.timezone})",
        "last run (UTC)": "last_run_at",
        "verdict": "verdict",
        "listings": "n_listings",
        "last week": _week,
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

    The exit status is the worst of their verdicts: 0 for fresh and quiet; 1 for stale, partial and
    unreachable, which may be better later; 2 for unreadable, and wherever a page was refused.
    """
    reports = []
    with opened(ctx) as digest:
        sources = {source.name: source for source in digest.settings.sources}
        for name in names or []:
            if name not in sources:
                known = ", ".join(sources) or "none"
                raise Unknown(f"no source is named {name!r} in the settings; there are: {known}")
        wanted = [sources[name] for name in names or sources]
        with progress("Running", len(wanted)) as step:
            for source in wanted:
                try:
                    report = collect(
                        digest.sessions,
                        source,
                        contact=digest.settings.mail.from_address,
                        allow=digest.settings.fetch.allow,
                        clock=now,
                    )
                except SourceUnreachable as error:
                    report = SourceReport(source.name, "unreachable", str(error), (), (str(error),))
                reports.append(report)
                step(1)
    columns: Columns = {
        "source": "source",
        "verdict": "verdict",
        "pages": lambda report: len(report.pages),
        "listings": "n_listings",
        "new papers": "n_new_papers",
        "detail": lambda report: "" if report.problems else report.detail,
    }
    show(reports, columns, as_json=as_json, empty="No source was run.")
    for report in reports:
        for problem in report.problems:
            note(f"digest: {report.source}: {problem}")
    if status := max(map(_status, reports), default=0):
        raise typer.Exit(status)


def _status(report: SourceReport) -> int:
    return 2 if report.n_refused else int(report.verdict not in ("fresh", "quiet"))


@app.command(epilog="Example: digest sources reread --source arxiv-cs --since 2026-11-01")
def reread(
    ctx: typer.Context,
    source: Annotated[
        str | None, typer.Option(help="The pages of this source alone.", show_default=False)
    ] = None,
    since: Annotated[
        date | None,
        typer.Option(parser=parse_day, metavar=DAY, help="Pages seen on this day (UTC) or later."),
    ] = None,
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> None:
    """Read the kept pages again with the readers of today, and tell what changed.

    Nothing that was shown is taken back or mailed again. A page that can no longer be read keeps
    its listings and is told of, with status 2. Safe to stop and to repeat.
    """
    told = []
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            pages = kept_pages(session, source=source, since=since)
        with progress("Reading again", len(pages)) as step:
            for one in read_again(digest.sessions, pages, now=now()):
                if one.changes or one.problem:
                    told.append(one)
                step(1)
    columns: Columns = {
        "page": "page_id",
        "source": "source",
        "seen (UTC)": "seen_at",
        "reader": "reader",
        "added": lambda row: row.changes.added,
        "removed": lambda row: row.changes.removed,
        "changed": lambda row: row.changes.changed,
        "re-identified": lambda row: row.changes.reidentified,
        "problem": "problem",
    }
    empty = f"{len(pages)} pages were read again, and nothing has changed."
    show(told, columns, as_json=as_json, limit=limit, empty=empty)
    if any(one.problem for one in told):
        raise typer.Exit(2)


def _week(source: SourceView) -> str:
    counted = Counter(day.verdict for day in source.days)
    return ", ".join(f"{n} {verdict}" for verdict, n in counted.items())
