"""What every command needs: the App, options of one meaning, tables, JSON and progress."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from digest.engine import App, open_app
from digest.settings import FILE_NAME, Settings, load_settings

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, an array of objects, and nothing else.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")]
Address = Annotated[str, typer.Argument(help="The subscriber's e-mail address.")]
Day = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="The subscriber's local date, YYYY-MM-DD."),
]
LIMIT = 50
Columns = Mapping[str, str | Callable[[Any], object]]

# Text from outside is shown as it stands: none of it is markup.
_WIDTH = None if sys.stdout.isatty() else 140
out = Console(markup=False, highlight=False, width=_WIDTH)
err = Console(markup=False, highlight=False, stderr=True, soft_wrap=True)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def settings_of(ctx: typer.Context) -> Settings:
    """The settings of --config, else of digest.toml in this folder, else the defaults."""
    file: Path | None = ctx.find_root().obj
    if file is None and Path(FILE_NAME).is_file():
        file = Path(FILE_NAME)
    return load_settings(file, os.environ)


@contextmanager
def opened(ctx: typer.Context) -> Iterator[App]:
    """The App of these settings, closed at the end."""
    app = open_app(settings_of(ctx))
    try:
        yield app
    finally:
        app.sessions.engine.dispose()


def log_to_stderr() -> None:
    """Tell what jobs do, for the commands that work by themselves."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
    # One line a tick from the scheduler says nothing that the jobs do not.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def show(
    rows: Sequence[Any],
    columns: Columns,
    *,
    as_json: bool,
    limit: int = 0,
    empty: str = "Nothing.",
) -> None:
    """Print `rows` (dataclasses or mappings) as a table of `columns`, or whole as JSON.

    A column is a field's name or a function. `rows` may hold one more than `limit`.
    """
    shown = rows[:limit] if limit else rows
    if as_json:
        print_json([_plain(row) for row in shown])
        return
    if not rows:
        err.print(empty)
        return
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in shown:
        table.add_row(*(_cell(_value(row, column)) for column in columns.values()))
    out.print(table)
    if len(rows) > len(shown):
        err.print(f"Only {limit} are shown; --limit 0 shows all.")


def one_more(limit: int) -> int | None:
    """The limit of a query that lets `show` say that there is more."""
    return limit + 1 if limit else None


def print_json(value: object) -> None:
    """Print `value` as JSON; dates in ISO 8601."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_iso))


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal; gives the function that moves it on."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.update(task, advance=n)


@contextmanager
def status(what: str) -> Iterator[None]:
    """A spinner on the terminal, for work that cannot be counted."""
    with err.status(what):
        yield


def shown_time(at: datetime | None) -> str:
    """An instant to the minute, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else "-"


def _plain(row: Any) -> Any:
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else row


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _value(row: Any, column: str | Callable[[Any], object]) -> object:
    if callable(column):
        return column(row)
    return row[column] if isinstance(row, Mapping) else getattr(row, column)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return shown_time(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)
