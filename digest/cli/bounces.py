"""`digest bounces`: mail that came back, and what followed from it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import (
    LIMIT,
    Columns,
    Json,
    Limit,
    note,
    now,
    one_more,
    opened,
    progress,
    show,
)
from digest.delivery.bounces.mailboxes import Mail, read_path, read_settings, read_stream
from digest.errors import BadInput, DigestError
from digest.settings import BounceSettings
from digest.subscribers.returns import list_bounces, take_in

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Mail that came back, and what followed from it.",
)

STDIN = "-"
# sysexits.h: a mail server that pipes mail to us keeps it and tries again.
EX_TEMPFAIL = 75

_COLUMNS: Columns = {
    "at (UTC)": "at",
    "address": "address",
    "kind": "kind",
    "status": "status",
    "said": "said",
}


@app.command(epilog="Example: digest bounces ingest /var/mail/bounces; or no name, for \\[bounces]")
def ingest(
    ctx: typer.Context,
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|DIR|-]...", help="A mail, an mbox, a Maildir; - is a mail from a pipe."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read mail that came back, each once: by default from where the settings say.

    Mails of a Maildir move to cur/, those reached by IMAP are marked as seen; one that Digest fails
    on stays as it is. With - the status is 75 where the mail could not be stored, so that the mail
    server tries again.
    """
    try:
        with opened(ctx) as digest, progress("Reading", None) as step:
            mails = _mails(places or [], digest.settings.bounces)
            settled = take_in(
                digest.sessions, mails, secret=digest.secret, now=now(), progress=step
            )
    except DigestError as error:
        if STDIN not in (places or []):
            raise
        note(f"digest: {error}")
        raise typer.Exit(EX_TEMPFAIL) from None
    rows = [
        {"kind": one.kind, "done": one.done, "mails": n}
        for one, n in sorted(settled.items(), key=lambda item: (str(item[0].kind), item[0].done))
    ]
    columns: Columns = {"kind": "kind", "done": "done", "mails": "mails"}
    show(rows, columns, as_json=as_json, empty="No mail came back.")
    if any(one.done == "left for later" for one in settled):
        raise typer.Exit(EX_TEMPFAIL if STDIN in (places or []) else 1)


@app.command("list", epilog="Example: digest bounces list --address ada@example.org")
def list_(
    ctx: typer.Context,
    address: Annotated[str | None, typer.Option(help="Only of this subscriber.")] = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """List what came back, newest first; without an address where nobody knows whose it is."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_bounces(session, address, one_more(limit))
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty="No mail came back.")


def _mails(places: list[str], settings: BounceSettings) -> Iterator[Mail]:
    if not places and settings.maildir is None and settings.imap_host is None:
        raise BadInput("name what to read, or set maildir or imap_host under [bounces]")
    if not places:
        yield from read_settings(settings)
    for place in places:
        if place == STDIN:
            yield read_stream(sys.stdin.buffer)
        else:
            yield from read_path(Path(place))
