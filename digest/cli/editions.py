"""`digest editions`: preview, build and show digests."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import (
    Address,
    Columns,
    Day,
    Json,
    err,
    now,
    opened,
    out,
    print_json,
    progress,
    show,
    status,
)
from digest.delivery.letters import render_edition
from digest.editions import (
    Edition,
    build_editions,
    due_subscribers,
    edition_of,
    in_words,
    local_date_of,
    preview,
)
from digest.engine import App
from digest.papers.embedding import embed_pending, pending
from digest.profiles.interests import embed_interests
from digest.subscribers import find

app = typer.Typer(no_args_is_help=True, help="Preview, build and show digests.")


@app.command("preview", epilog="Example: digest editions preview ada@example.org --open")
def preview_(
    ctx: typer.Context,
    address: Address,
    date: Day = None,
    folder: Annotated[Path, typer.Option(help="Where the HTML and the text are written.")] = Path(),
    open_: Annotated[bool, typer.Option("--open", help="Open the HTML in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Rank what is new for a subscriber without storing or sending anything; write the mail."""
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            who = find(session, address)
        _embed(digest)
        day = date.date() if date else local_date_of(who.timezone, now())
        with digest.sessions.reading() as session:
            made = preview(
                session, who.id, digest.encoder.identity, local_date=day, now=now()
            ).edition
        mail = render_edition(made, digest.links, digest.settings.mail, issued=now())
    html = folder / f"preview-{day}.html"
    for file, content in ((html, mail.html), (html.with_suffix(".txt"), mail.text)):
        file.write_text(content, encoding="utf-8")
    _show(made, as_json=as_json)
    err.print(f"Written: {html} and {html.with_suffix('.txt').name}. Nothing was stored or sent.")
    if open_:
        webbrowser.open(html.resolve().as_uri())


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
    out.print(f"{report.built} built, {report.empty} with nothing new, {report.skipped} not due")


@app.command("show", epilog="Example: digest editions show ada@example.org --date 2026-11-20")
def show_(ctx: typer.Context, address: Address, date: Day = None, as_json: Json = False) -> None:
    """Show a subscriber's edition of a day; the last one if none is named."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        who = find(session, address)
        edition = edition_of(session, who.id, date.date() if date else None)
    _show(edition, as_json=as_json)


def _embed(digest: App) -> None:
    with status("Embedding"):
        embed_interests(digest.sessions, digest.encoder)
    with digest.sessions.reading() as session:
        n = len(pending(session, digest.encoder.identity))
    with progress("Embedding", n) as step:
        embed_pending(digest.sessions, digest.encoder, at=now(), progress=step)


def _show(edition: Edition, *, as_json: bool) -> None:
    rows = [
        {
            "date": edition.local_date,
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
        print_json(rows)
        return
    out.print(f"{edition.local_date}: {len(rows)} of {edition.n_candidates} new papers")
    if edition.note:
        out.print(edition.note)
    columns: Columns = {
        "": "position",
        "lane": "lane",
        "score": "score",
        "paper": "title",
        "why": lambda row: "; ".join(row["why"]),
    }
    if rows:
        show(rows, columns, as_json=False)
