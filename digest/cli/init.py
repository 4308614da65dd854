"""`digest init`: write a commented digest.toml and make the database."""

from importlib.resources import files
from pathlib import Path

import typer

from digest.cli.door import opened, say, write_text
from digest.settings import FILE_NAME

app = typer.Typer(add_completion=False)


@app.command("init", epilog="Example: mkdir digest && cd digest && digest init")
def init(ctx: typer.Context) -> None:
    """Write a commented digest.toml (one that is there stays) and make or update the database."""
    file = ctx.find_root().obj or Path(FILE_NAME)
    if file.exists():
        say(f"{file}: is there, and stays as it is")
    else:
        example = files("digest.cli").joinpath("digest.toml").read_text(encoding="utf-8")
        write_text(file, example)
        say(f"{file}: written; its comments say what can be set")
    ctx.find_root().obj = file
    with opened(ctx) as digest:
        shown = digest.sessions.engine.url.render_as_string(hide_password=True)
        say(f"{shown}: up to date")
    say("Next: digest doctor, then digest subscribers add ADDRESS, then digest serve")
