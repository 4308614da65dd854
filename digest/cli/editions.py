"""`digest editions`: preview, build and show digests."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import (
    Address,
    Columns,
    Day,
    Json,
    Limit,
    browse,
    note,
    now,
    opened,
    print_json,
    progress,
    say,
    show,
    shown_time,
    status,
    write_text,
)
from digest.delivery.letters import mail_as_sent, render_edition
from digest.editions import (
    Edition,
    build_editions,
    due_subscribers,
    edition_of,
    in_words,
    local_date_of,
    note_in_words,
    preview,
)
from digest.engine import App
from digest.mail import WireMessage
from digest.papers.embedding import embed_pending, pending
from digest.profiles.interests import embed_interests
from digest.subscribers import find

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Preview, build and show digests."
)


@app.command("preview", epilog="Example: digest editions preview ada@example.org --open")
def preview_(
    ctx: typer.Context,
    address: Address,
    date: Day = None,
    folder: Annotated[Path, typer.Option(help="Where the HTML and the text are written.")] = Path(),
    open_: Annotated[bool, typer.Option("--open", help="Open the HTML in a browser.")] = False,
    as_json: Json = False,
    limit: Limit = 0,
) -> None:
    """Rank what is new for a subscriber without storing or sending anything; write the mail."""
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            who = find(session, address)
        _embed(digest)
        day = date or local_date_of(who.timezone, now())
        with digest.sessions.reading() as session:
            made = preview(
                session, who.id, digest.encoder.identity, local_date=day, now=now()
            ).edition
        mail = render_edition(made, digest.links, digest.settings.mail, issued=now())
    # An address may hold a slash.
    name = re.sub(r"[^\w.+@-]", "_", f"preview-{who.address}-{day}")
    html, text = folder / f"{name}.html", folder / f"{name}.txt"
    write_text(html, mail.html)
    write_text(text, mail.text)
    _show(made, as_json=as_json, limit=limit)
    note(f"Written: {html} and {text.name}. Nothing was stored or sent.")
    if open_:
        browse(html.resolve().as_uri())


@app.command(epilog="Example: digest editions build; digest deliver")
def build(
    ctx: typer.Context,
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="Whose; none: all.")
    ] = None,
) -> None:
    """Build and queue the editions that are due; one that was built is not built again."""
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            wanted = (
                [find(session, address).id for address in addresses]
                if addresses
                else due_subscribers(session, now())
            )
        _embed(digest)
        report = build_editions(digest.sessions, wanted, digest.encoder.identity, now=now())
    say(f"{report.built} built, {report.empty} with nothing new, {report.skipped} not due")


@app.command(
    "show",
    epilog="Example: digest editions show ada@example.org --date 2026-11-20 --eml > mail.eml",
)
def show_(
    ctx: typer.Context,
    address: Address,
    date: Day = None,
    eml: Annotated[
        bool, typer.Option("--eml", help="Print the mail as it was sent, headers and all.")
    ] = False,
    as_json: Json = False,
    limit: Limit = 0,
) -> None:
    """Show a subscriber's edition of a day; the last one if none is named."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        who = find(session, address)
        edition = edition_of(session, who.id, date)
        if eml:
            _print_mail(*mail_as_sent(session, edition.edition_id, digest.postage))
            return
    _show(edition, as_json=as_json, limit=limit)


def _print_mail(message: WireMessage, differs_since: datetime | None) -> None:
    if differs_since:
        note(
            f"digest: sent {shown_time(differs_since)} UTC with other templates or mail settings "
            "than today's: its words and links are these, its looks may have been others"
        )
    print(message.raw.decode(), end="")


def _embed(digest: App) -> None:
    with status("Embedding"):
        embed_interests(digest.sessions, digest.encoder)
    with digest.sessions.reading() as session:
        n = len(pending(session, digest.encoder.identity))
    with progress("Embedding", n) as step:
        embed_pending(digest.sessions, digest.encoder, clock=now, progress=step)


def _show(edition: Edition, *, as_json: bool, limit: int = 0) -> None:
    rows = [
        {
            "position": item.position,
            "paper_id": item.paper_id,
            "lane": item.lane,
            "score": item.score,
            "title": item.title,
            "why": [in_words(reason) for reason in item.reasons],
        }
        for item in edition.items
    ]
    if as_json:
        told = {
            "date": edition.local_date,
            "n_candidates": edition.n_candidates,
            "note": edition.note,
            "items": rows[: limit or None],
        }
        print_json([told])
        return
    say(f"{edition.local_date}: {len(rows)} of {edition.n_candidates} new papers")
    if edition.note:
        say(edition.note)
    columns: Columns = {
        "": "position",
        "lane": "lane",
        "score": "score",
        "paper": "title",
        "why": lambda row: "; ".join(row["why"]),
    }
    if rows:
        show(rows, columns, as_json=False, limit=limit)
    if edition.paper_notes:
        say("\nNews of papers they liked\n")
        columns = {"paper": "title", "what": note_in_words}
        show(edition.paper_notes, columns, as_json=False)
