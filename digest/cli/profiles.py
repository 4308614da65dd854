"""`digest profiles`: what subscribers told us, and what was learned from it."""

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
    read_text,
    say,
    show,
    status,
)
from digest.papers.catalog import find_paper
from digest.profiles.exchange import export_profile, import_profile, reset_profile
from digest.profiles.interests import (
    embed_interests,
    interests_of,
    remove_interest,
    set_interest,
)
from digest.profiles.learned import RECENT, learned
from digest.store.tables import VoteValue
from digest.subscribers import find

app = typer.Typer(no_args_is_help=True, help="What subscribers told us and what was learned.")


@app.command("show", epilog="Example: digest profiles show ada@example.org")
def show_(ctx: typer.Context, address: Address, as_json: Json = False, limit: Limit = 10) -> None:
    """Show interests, votes, and what the profile has learned, in words and nearest papers."""
    with opened(ctx) as digest:
        with status("Embedding"):
            embed_interests(digest.sessions, digest.encoder)
        with digest.sessions.reading() as session:
            who = find(session, address)
            n = limit or RECENT
            known = learned(session, who.id, digest.encoder.identity, now=now(), n=n)
    if as_json:
        print_json([{"address": who.address, **asdict(known)}])
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
    say(f"\nLearned: {', '.join(known.words) or 'nothing yet'}\n\nNearest papers\n")
    columns = {"cosine": "score", "id": "paper_id", "paper": "title"}
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
    """Forget a subscriber's interests and votes."""
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            who = find(session, address)
        if not yes:
            typer.confirm(f"Forget every interest and vote of {who.address}?", abort=True)
        with digest.sessions() as session:
            gone = reset_profile(session, who.id)
    say(f"{who.address}: {gone['interests']} interests and {gone['votes']} votes forgotten")


@app.command(epilog="Example: digest profiles export ada@example.org > ada.json")
def export(ctx: typer.Context, address: Address) -> None:
    """Print interests and votes as JSON, for profiles import."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        print_json(export_profile(session, find(session, address).id))


@app.command("import", epilog="Example: digest profiles import ada@example.org ada.json")
def import_(
    ctx: typer.Context,
    address: Address,
    file: Annotated[Path, typer.Argument(help="What profiles export printed.")],
) -> None:
    """Add the interests and votes of a file; votes on papers not stored here are told of."""
    text = read_text(file)
    with opened(ctx) as digest, digest.sessions() as session:
        who = find(session, address)
        report = import_profile(session, who.id, text, now=now())
    say(f"{who.address}: {report.interests} interests, {report.votes} votes")
    for title in report.unknown:
        note(f"Not stored here: {title}")
