"""What every command needs: the App, options of one meaning, tables, JSON and progress."""

import json
import os
import re
import signal
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from digest.engine import App, open_app
from digest.engine.logs import start_logging
from digest.errors import BadInput, BadSettings
from digest.settings import DATABASE_NAME, FILE_NAME, LogFormat, Settings, load_settings
from digest.traces import end_traces, start_traces


def parse_day(text: str) -> date:
    """A date as an option gives it. Raises BadInput, also for one of which no clock is sure."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"date: must be a day like 2026-11-20, not {text!r}") from None
    if not 1990 <= day.year <= 2200:
        raise BadInput(f"date: must be a day from 1990 to 2200, not {day}")
    return day


Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, an array of objects, and nothing else.")
]
# More than there will ever be of anything; a database takes no more than 2**63.
GREATEST = 10**15
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")]
Address = Annotated[str, typer.Argument(help="The subscriber's e-mail address.")]
DAY = "YYYY-MM-DD"
Day = Annotated[
    date | None,
    typer.Option("--date", parser=parse_day, metavar=DAY, help="The subscriber's local date."),
]
LIMIT = 50
Columns = Mapping[str, str | Callable[[Any], object]]

# Wide enough that nothing wraps: who reads a pipe wants a row a line.
_PIPE = 100_000
# The width of a time. Cells up to it are not broken while there is room, others not below it.
_SHORT, _LEAST = 16, 12
# What would steer the terminal, or turn the direction of what follows, is shown as an escape.
_STEERS = re.compile(r"[\x00-\t\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

err = Console(markup=False, highlight=False, stderr=True, soft_wrap=True)


def say(text: str) -> None:
    """Print text on standard output, as it stands: none of it is markup."""
    _out().print(_visible(text))


def note(text: str) -> None:
    """Print a line on standard error, for the person rather than the pipe."""
    err.print(_visible(" ".join(text.splitlines())))


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def settings_of(ctx: typer.Context, *, may_begin: bool = False) -> Settings:
    """The settings of --config, else of digest.toml in this folder, else the defaults.

    Raises BadSettings where nothing names a database and none is here, unless one `may_begin`: a
    command in the wrong folder must not find all well in a world that it made.
    """
    file: Path | None = ctx.find_root().obj
    if file is None and Path(FILE_NAME).is_file():
        file = Path(FILE_NAME)
    settings = load_settings(file, os.environ)
    is_named = file or any(map(os.environ.get, ("DIGEST_DATABASE", "DIGEST_DATABASE_FILE")))
    if not (may_begin or is_named or Path(DATABASE_NAME).exists()):
        raise BadSettings(
            f"neither {FILE_NAME} nor {DATABASE_NAME} is here: name the settings with --config, "
            "or begin here with digest init"
        )
    return settings


@contextmanager
def opened(ctx: typer.Context) -> Iterator[App]:
    """The App of these settings, closed at the end; meanwhile it tells of spans, if wanted."""
    settings = settings_of(ctx)
    start_traces()
    app = open_app(settings)
    try:
        yield app
    finally:
        app.sessions.engine.dispose()
        end_traces()


def log_to_stderr(form: LogFormat = "text") -> None:
    """Tell what jobs do, for the commands that work by themselves."""
    start_logging(form)


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
        note(empty)
        return
    cells = {name: [_value(row, column) for row in shown] for name, column in columns.items()}
    print(_table(cells))
    if len(rows) > len(shown):
        note(f"Only {limit} are shown; --limit 0 shows all.")


def facts(named: Mapping[str, object]) -> None:
    """Print the facts of one thing, a line each; those that there are none of are left out."""
    width = max(map(len, named))
    for name, value in named.items():
        if value not in (None, ""):
            say(f"{name:>{width}}  {_cell(value)}")


def one_more(limit: int) -> int | None:
    """The limit of a query that lets `show` say that there is more."""
    return min(limit, GREATEST) + 1 if limit else None


def print_json(value: object) -> None:
    """Print `value` as JSON; dates in ISO 8601."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_iso)
    # A file's name may hold bytes that are no text; Python's escape of them is JSON's, too.
    print(text.encode("utf-8", "backslashreplace").decode())


def read_bytes(file: Path) -> bytes:
    """The bytes of a file that a command names. Raises BadInput."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None


def read_text(file: Path) -> str:
    """The text of a file that a command names. Raises BadInput."""
    try:
        return read_bytes(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file} is not UTF-8: byte {error.start} is not text; save it as UTF-8, which "
            "spreadsheets call CSV UTF-8"
        ) from None


def write_text(file: Path, text: str) -> None:
    """Write a file, and its folder if need be. Raises BadInput."""
    try:
        if not file.parent.exists():
            file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}") from None


def browse(url: str) -> None:
    """Open `url` in a browser with windows, if there is one; else say where it is."""
    windows = sys.platform in ("darwin", "win32")
    if windows or {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        webbrowser.open(url)
    else:
        note(f"There is no screen here to show {url}")


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
        disable=not err.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.update(task, advance=n)


@contextmanager
def status(what: str) -> Iterator[None]:
    """A spinner on the terminal, for work that cannot be counted."""
    with err.status(what):
        yield


@contextmanager
def stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Give what tells whether a signal has come; a second one ends the process."""
    came: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if came:
            os._exit(128 + number)
        came.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def shown_time(at: datetime | None) -> str:
    """An instant to the minute, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else "-"


def _out() -> Console:
    """Standard output as it is now: COLUMNS wide if that is set, else as wide as the terminal."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(markup=False, highlight=False, width=None if narrow else _PIPE)


def _table(columns: Mapping[str, Sequence[object]]) -> str:
    console = _out()
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    texts = {name: [_cell(value) for value in values] for name, values in columns.items()}
    whole = _unbroken(texts, console.width)
    for name, values in columns.items():
        number = all(isinstance(value, int | float) for value in values)
        table.add_column(
            name, overflow="fold", no_wrap=name in whole, justify="right" if number else "left"
        )
    for row in zip(*texts.values(), strict=True):
        table.add_row(*row)
    with console.capture() as drawn:
        console.print(table)
    return "\n".join(line.rstrip() for line in drawn.get().splitlines())


def _unbroken(columns: Mapping[str, Sequence[str]], width: int) -> set[str]:
    """The columns to keep from wrapping: short ones and single words, as far as there is room."""
    widths = {name: max(map(len, (name, *cells))) for name, cells in columns.items()}
    for short in (_SHORT, 0):
        whole = {
            name
            for name, cells in columns.items()
            if widths[name] <= short or not any(" " in cell for cell in cells)
        }
        rest = (len(columns) - len(whole)) * _LEAST + 3 * (len(columns) - 1)
        if sum(widths[name] for name in whole) + rest <= width:
            return whole
    return set()


def _visible(text: str) -> str:
    return _STEERS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


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
    return f"{value:.3f}" if isinstance(value, float) else _visible(str(value))
