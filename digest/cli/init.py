"""`digest init`: write a commented digest.toml and make the database."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import note, opened, say, settings_of, write_text
from digest.engine import begin_with_key
from digest.settings import FILE_NAME

app = typer.Typer(add_completion=False)


@app.command("init", epilog="Example: mkdir digest && cd digest && digest init")
def init(
    ctx: typer.Context,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Go on with another secret key: the old one is lost.")
    ] = False,
) -> None:
    """Write a commented digest.toml (one that is there stays) and make or update the database."""
    file = ctx.find_root().obj or Path(FILE_NAME)
    if file.exists():
        say(f"{file}: is there, and stays as it is")
    else:
        example = files("digest.cli").joinpath("digest.toml").read_text(encoding="utf-8")
        write_text(file, example)
        say(f"{file}: written; its comments say what can be set")
    ctx.find_root().obj = file
    if new_key:
        begin_with_key(settings_of(ctx))
        note("The key is new: links in mails that were sent, and suppressed addresses, are void.")
    with opened(ctx) as digest:
        shown = digest.sessions.engine.url.render_as_string(hide_password=True)
        say(f"{shown}: up to date")
    say("Next: digest doctor, then digest subscribers add ADDRESS, then digest serve")
