"""`digest profiles`: what subscribers told us, and what was learned from it."""

import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_args

import typer

from digest import votes
from digest.cli.door import (
    Address,
    Columns,
    Json,
    Limit,
    note,
    now,
    opened,
    print_json,
    read_bytes,
    read_text,
    say,
    show,
    status,
)
from digest.errors import BadInput
from digest.papers.catalog import find_paper
from digest.profiles import mutes
from digest.profiles.exchange import export_profile, reset_profile
from digest.profiles.interests import (
    embed_interests,
    interests_of,
    remove_interest,
    set_interest,
)
from digest.profiles.learned import RECENT, learned
from digest.profiles.mutes import MuteView
from digest.profiles.seeds import MOST_SEEDS, import_file, like_author
from digest.profiles.zotero import import_zotero
from digest.sources.fetch import fetch
from digest.store.tables import MuteKind, VoteValue
from digest.subscribers import find

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="What subscribers told us and what was learned.",
)


@app.command("show", epilog="Example: digest profiles show ada@example.org")
def show_(ctx: typer.Context, address: Address, as_json: Json = False, limit: Limit = 10) -> None:
    """Show interests, votes, mutes, and what was learned, in words and nearest papers."""
    with opened(ctx) as digest:
        with status("Embedding"):
            embed_interests(digest.sessions, digest.encoder)
        with digest.sessions.reading() as session:
            who = find(session, address)
            n = limit or RECENT
            known = learned(session, who.id, digest.encoder.identity, now=now(), n=n)
            muted = mutes.mutes_of(session, who.id)
    if as_json:
        rows = [asdict(view) for view in muted]
        print_json([{"address": who.address, **asdict(known), "mutes": rows}])
        return
    say(f"{who.address}\n\nInterests\n")
    columns: Columns = {
        "name": "name",
        "text": lambda told: "the same" if told.text == told.name else told.text,
    }
    show(known.interests, columns, as_json=False, empty="None yet: digest profiles set-interest.")
    say("\nVotes\n")
    columns = {"at (UTC)": "at", "vote": "value", "id": "paper_id", "paper": "title"}
    show(known.votes, columns, as_json=False, limit=limit, empty="None yet.")
    say("\nMuted\n")
    show(muted, {"what": "kind", "text": "text"}, as_json=False, empty="Nothing.")
    say(f"\nLearned: {', '.join(known.words) or 'nothing yet'}\n\nNearest papers\n")
    columns = {"score": "score", "id": "paper_id", "paper": "title"}
    show(known.nearest, columns, as_json=False, empty="None yet.")


@app.command(
    "set-interest",
    epilog="Example: digest profiles set-interest ada@example.org ir 'sparse retrieval, reranking'",
)
def set_interest_(
    ctx: typer.Context,
    address: Address,
    name: Annotated[str, typer.Argument(help="Its name, for the reasons in the mail.")],
    text: Annotated[str, typer.Argument(help="Words, keywords, or an abstract.")],
) -> None:
    """Store an interest, in place of the one of that name."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = find(session, address)
        set_interest(session, who.id, name, text, now())
    say(f"{who.address}: interest {name!r} is set")


@app.command(
    "remove-interest", epilog="Example: digest profiles remove-interest ada@example.org ir"
)
def remove_interest_(
    ctx: typer.Context, address: Address, name: Annotated[str, typer.Argument(help="Its name.")]
) -> None:
    """Forget an interest."""
    with opened(ctx) as digest, digest.sessions() as session:
        who = find(session, address)
        removed = remove_interest(session, who.id, name)
        left = ", ".join(repr(view.name) for view in interests_of(session, who.id)) or "none"
    said = "is removed" if removed else "was not there"
    say(f"{who.address}: interest {name!r} {said}; there are: {left}")


Words = Annotated[
    list[str] | None,
    typer.Option("--word", help="A whole word or phrase of title or abstract; may be given again."),
]
Authors = Annotated[list[str] | None, typer.Option("--author", help="A name; may be given again.")]
Categories = Annotated[
    list[str] | None,
    typer.Option("--category", help="Like cs.CL, or cs for all of cs; may be given again."),
]


@app.command(epilog="Example: digest profiles mute ada@example.org --word GAN --author 'A. Turing'")
def mute(
    ctx: typer.Context,
    address: Address,
    word: Words = None,
    author: Authors = None,
    category: Categories = None,
) -> None:
    """Never show a subscriber papers with these words, by these authors, in these categories."""
    named = _named(word, author, category)
    with opened(ctx) as digest, digest.sessions() as session:
        who, at = find(session, address), now()
        new = [mutes.mute(session, who.id, one.kind, one.text, at) for one in named]
    for one, is_new in zip(named, new, strict=True):
        said = "is muted" if is_new else "was muted already"
        say(f"{who.address}: {one.kind} {one.text!r} {said}")


@app.command(epilog="Example: digest profiles unmute ada@example.org --word GAN")
def unmute(
    ctx: typer.Context,
    address: Address,
    word: Words = None,
    author: Authors = None,
    category: Categories = None,
) -> None:
    """Take back what was muted."""
    named = _named(word, author, category)
    with opened(ctx) as digest, digest.sessions() as session:
        who = find(session, address)
        gone = [mutes.unmute(session, who.id, one.kind, one.text) for one in named]
        left = mutes.mutes_of(session, who.id)
    for one, was in zip(named, gone, strict=True):
        said = "is not muted any more" if was else "was not muted"
        say(f"{who.address}: {one.kind} {one.text!r} {said}")
    muted = ", ".join(f"{one.kind} {one.text!r}" for one in left) or "nothing"
    say(f"{who.address}: muted now: {muted}")


def _named(
    words: list[str] | None, authors: list[str] | None, categories: list[str] | None
) -> list[MuteView]:
    given = {"word": words, "author": authors, "category": categories}
    named = [MuteView(kind, text) for kind in get_args(MuteKind) for text in given[kind] or ()]
    if not named:
        raise BadInput("nothing is named: give --word, --author or --category")
    return named


class _Say(StrEnum):
    UP, DOWN, SAVED, NONE = "up", "down", "saved", "none"


@app.command(epilog="Example: digest profiles vote ada@example.org 2603.01234 up")
def vote(
    ctx: typer.Context,
    address: Address,
    paper: Annotated[str, typer.Argument(help="Its number, arXiv id, DOI or title.")],
    value: Annotated[_Say, typer.Argument(help="none takes a vote back.")],
) -> None:
    """Vote on a subscriber's behalf."""
    with opened(ctx) as digest, digest.sessions() as session:
        who, view = find(session, address), find_paper(session, paper)
        chosen = next((known for known in get_args(VoteValue) if known == value), None)
        if chosen is None:
            votes.undo_vote(session, who.id, view.id)
        else:
            votes.vote(session, who.id, view.id, chosen, at=now(), via="cli")
    say(f"{who.address}: {value} on “{view.title}”")


@app.command(epilog="Example: digest profiles reset ada@example.org --yes")
def reset(
    ctx: typer.Context,
    address: Address,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a subscriber's interests, votes and mutes."""
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            who = find(session, address)
        if not yes:
            typer.confirm(f"Forget every interest, vote and mute of {who.address}?", abort=True)
        with digest.sessions() as session:
            gone = reset_profile(session, who.id)
    said = ", ".join(f"{n} {what}" for what, n in gone.items())
    say(f"{who.address}: {said} forgotten")


@app.command(epilog="Example: digest profiles export ada@example.org > ada.json")
def export(ctx: typer.Context, address: Address) -> None:
    """Print interests, votes and mutes as JSON, for profiles import."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        print_json(export_profile(session, find(session, address).id))


@app.command(
    "import",
    epilog="Examples: digest profiles import ada@example.org library.bib; "
    "digest profiles import ada@example.org --zotero users/475425 --key-file key.txt",
)
def import_(
    ctx: typer.Context,
    address: Address,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="BibTeX, Zotero RDF or CSV, JSON lines, OPML, a list of arXiv ids or DOIs, "
            "or what profiles export printed."
        ),
    ] = None,
    author: Annotated[str, typer.Option(help="Like what is stored of this author.")] = "",
    zotero: Annotated[
        str,
        typer.Option(metavar="LIBRARY", help="Of zotero.org: users/NUMBER or groups/NUMBER."),
    ] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(help="Holds the library's API key; else ZOTERO_API_KEY, or none."),
    ] = None,
) -> None:
    """Start a profile: like the papers of a file or an author, or add what an export holds.

    Votes that were cast before stay. What is not stored here and has no title is told of.
    """
    if sum([file is not None, bool(author), bool(zotero)]) != 1:
        raise BadInput("nothing to import: give either a FILE, --author or --zotero")
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            who = find(session, address)
        if zotero:
            key = read_text(key_file) if key_file else os.environ.get("ZOTERO_API_KEY", "")
            contact, allow = digest.settings.mail.from_address, digest.settings.fetch.allow

            def get(url: str) -> bytes:
                return fetch(url, contact=contact, allow=allow, token=key.strip()).body or b""

            with status("Asking Zotero"):
                report = import_zotero(digest.sessions, who.id, zotero, get, now=now())
        elif file is None:
            with digest.sessions() as session:
                report = like_author(session, who.id, author, now=now())
        else:
            report = import_file(digest.sessions, who.id, read_bytes(file), now=now())
    counts = f"{report.interests} interests, {report.votes} votes, {report.mutes} mutes"
    new = f"; {report.votes - report.new_papers} of the papers were known here"
    say(f"{who.address}: {counts}{new if report.new_papers else ''}")
    if report.left_out:
        note(f"Only the newest {MOST_SEEDS:,} papers count; {report.left_out:,} are left out.")
    for problem in report.problems:
        note(f"Not read: {problem}")
    for title in report.unknown:
        note(f"Not stored here: {title}")
