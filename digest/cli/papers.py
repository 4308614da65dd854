"""`digest papers`: look papers up."""

from dataclasses import asdict
from typing import Annotated

import typer

from digest.cli.door import (
    LIMIT,
    Columns,
    Json,
    Limit,
    facts,
    one_more,
    opened,
    print_json,
    say,
    show,
    status,
)
from digest.papers.catalog import find_paper, list_papers, listings_of, search_papers, summary_of
from digest.papers.copies import copies_of
from digest.papers.news import news_of_paper

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look papers up.")

_COLUMNS: Columns = {
    "id": "id",
    "first seen (UTC)": "first_seen_at",
    "listings": "listings",
    "arXiv": "arxiv_id",
    "title": "title",
}
_NOTHING = "Nothing was found. What is not embedded yet is found by its words alone: digest tick."


@app.command("list", epilog="Example: digest papers list --limit 5")
def list_(
    ctx: typer.Context,
    source: Annotated[str | None, typer.Option(help="Only papers of this source.")] = None,
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> None:
    """List papers, newest first."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_papers(session, source=source, limit=one_more(limit))
    empty = "No papers yet: digest ingest page FILE, or digest sources run."
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty=empty)


@app.command("show", epilog="Example: digest papers show 2603.01234")
def show_(
    ctx: typer.Context,
    paper: Annotated[str, typer.Argument(help="Its number, arXiv id, DOI or title.")],
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> None:
    """Show a paper and the pages that listed it."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        view = find_paper(session, paper)
        listings = listings_of(session, view.id)
        copies, news = copies_of(session, view.id), news_of_paper(session, view.id)
        summary = summary_of(session, view.id)
    if as_json:
        shown = {
            "summary": summary,
            "listings": list(map(asdict, listings[: limit or None])),
            "copies": list(map(asdict, copies)),
            "news": list(map(asdict, news)),
        }
        print_json([asdict(view) | shown])
        return
    say(f"{view.title}\n")
    facts(
        {
            "id": view.id,
            "authors": ", ".join(view.authors),
            "arXiv": view.arxiv_id,
            "DOI": view.doi,
            "link": view.url,
            "code": view.code_url,
            "published": view.published_on,
            "version": view.version,
            "journal": view.published_in,
            "language": view.language,
            "embedded": "yes" if view.embedded else "not yet: digest tick",
        }
    )
    if summary:
        say(f"\n{summary}")
    say(f"\n{view.abstract or '(no abstract)'}\n")
    columns: Columns = {
        "seen (UTC)": "seen_at",
        "source": "source",
        "page date": "page_date",
        "place": "position",
        "upvotes": "upvotes",
    }
    show(listings, columns, as_json=False, limit=limit)
    if news:
        say("\nWhat became of it\n")
        show(news, {"noticed (UTC)": "noticed_at", "kind": "kind", "what": "detail"}, as_json=False)
    if copies:
        say("\nOther papers of this work\n")
        show(copies, {"id": "paper_id", "kind": "kind", "title": "title"}, as_json=False)


@app.command(epilog="Example: digest papers search 'sparse retrieval'")
def search(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(help="What to look for.")],
    as_json: Json = False,
    limit: Limit = 10,
) -> None:
    """Find papers by their meaning and their words, nearest first."""
    with opened(ctx) as digest, status("Searching"), digest.sessions.reading() as session:
        found = search_papers(session, digest.encoder, " ".join(words), limit=limit or 10**6)
    rows = [{"score": score, **asdict(view)} for score, view in found]
    columns: Columns = {"score": "score", "id": "id", "arXiv": "arxiv_id", "title": "title"}
    show(rows, columns, as_json=as_json, empty=_NOTHING)
