"""The `digest` command: doors that parse, call one function of a room, and show the answer.

A noun's module is imported when it is called, so that `digest --help` answers at once.
"""

import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from digest import __version__
from digest.errors import DigestError, Refused

_NOUNS = {
    "demo": "Make a small world with invented papers and look at its mails.",
    "init": "Write a commented digest.toml and make the database.",
    "doctor": "Check settings, database, model, mail server and clock; say what to fix.",
    "backup": "Write the whole database to one file, while Digest goes on working.",
    "restore": "Read a backup into an empty database.",
    "serve": "Run the web pages and the scheduler in one process.",
    "worker": "Do the jobs of a cluster on this machine.",
    "tick": "Do once what the scheduler would do now; for cron.",
    "status": "The day at a glance: due, built, sent, votes, sources.",
    "evaluate": "How ranking does, week by week, by what readers did with it.",
    "rankers": "Ways to rank, weighed against each other, and which one is live.",
    "deliver": "Send the mails that are due.",
    "deliveries": "The mails, and what became of them.",
    "bounces": "Mail that came back, and what followed from it.",
    "suppressions": "Addresses that are never mailed.",
    "why": "Tell what happened to a subscriber on a day, and why.",
    "ingest": "Take in pages of papers: saved files, or a source of the settings.",
    "sources": "Where papers come from, and how it went.",
    "papers": "Look papers up.",
    "subscribers": "Who gets the digest, and how.",
    "profiles": "What subscribers told us and what was learned from it.",
    "editions": "Preview, build and show digests.",
    "replay": "Live past days again with simulated readers.",
    "mail": "Look at mails before anybody gets them.",
    "load-test": "A whole day for many invented readers, end to end, with a report.",
    "bench": "Measure: ranking, trending, speed, crashes.",
}


class _Nouns(TyperGroup):
    """Imports the module of a command when it is called, and for its help, not before."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the real command in the place of its name."""
        if args and args[0] in _NOUNS:
            module = import_module(f"digest.cli.{args[0].replace('-', '_')}")
            self.commands[args[0]] = typer.main.get_command(module.app)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Nouns,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Try it: digest demo. Then: digest init, and digest serve.",
)
for _name, _help in _NOUNS.items():
    app.command(_name, help=_help)(lambda: None)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"digest {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="DIGEST_CONFIG", help="The settings; else digest.toml in this folder, if any."
        ),
    ] = None,
    _is_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Trending papers in your inbox, ranked for you."""
    ctx.obj = config


def main() -> None:
    """Run the command; a refusal is one line and status 2, a world that is not ready status 1."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that knows ASCII alone still gets every title.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="digest")
    except DigestError as error:
        from digest.cli.door import note  # whoever raised it has imported as much

        note(f"digest: {error}")
        sys.exit(2 if isinstance(error, Refused) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever reads our output has seen enough; Python must not complain when it flushes.
        sys.stderr.close()
        sys.exit(141)
