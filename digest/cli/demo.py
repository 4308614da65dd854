"""`digest demo`: a small world of invented papers and readers, three days of it, to look at."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from digest import subscribers, votes
from digest.cli.door import (
    Columns,
    browse,
    log_to_stderr,
    note,
    now,
    progress,
    say,
    show,
    write_text,
)
from digest.editions import Edition, edition_of, in_words
from digest.engine import App, open_app, tick
from digest.errors import BadInput, DigestError
from digest.papers.collect import ingest_bytes
from digest.settings import FILE_NAME, load_settings
from digest.store.tables import VoteValue

app = typer.Typer(add_completion=False)

FOLDER = Path("digest-demo")
SOURCE = "demo-pages"
_MARK = "# Made by `digest demo`, which may make this folder anew.\n"


@dataclass(frozen=True, slots=True)
class Reader:
    """One of the demo's readers: what they told us, and how they vote."""

    address: str
    interests: tuple[str, ...]
    length: int
    mix: float


READERS = (
    Reader(
        "ada@example.org",
        ("retrieval and reranking for question answering", "how language models reason and recall"),
        6,
        0.75,
    ),
    Reader(
        "rosalind@example.org",
        ("protein design and protein language models", "single-cell biology"),
        5,
        0.8,
    ),
    Reader("karel@example.org", ("robots that walk and grasp, and how they see",), 6, 0.5),
)


@app.command("demo", epilog="Example: digest demo --serve")
def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Then open the mails in a browser; their thumbs work.")
    ] = False,
    port: Annotated[int, typer.Option(help="Where --serve listens.", min=1, max=65535)] = 8000,
) -> None:
    """Make digest-demo: invented papers of three days, three readers, their votes and mails."""
    _make_folder(port)
    config = FOLDER / FILE_NAME
    digest = open_app(load_settings(config, {}))
    try:
        _live(digest)
        _tell(digest)
        if serve:
            _serve(digest)
    finally:
        digest.sessions.engine.dispose()


def _make_folder(port: int) -> None:
    config = FOLDER / FILE_NAME
    if FOLDER.exists():
        made_by_us = config.is_file() and config.read_bytes().startswith(_MARK.encode())
        if FOLDER.is_symlink() or not made_by_us:
            raise BadInput(f"{FOLDER} is there and was not made by digest demo: move it away")
        try:
            shutil.rmtree(FOLDER)
        except OSError as error:
            raise BadInput(f"cannot remove {FOLDER}: {error.strerror}") from None
    write_text(
        config,
        f'{_MARK}base_url = "http://127.0.0.1:{port}"\n\n'
        '[mail]\nfrom_address = "digest@example.org"\nmaildir = "outbox"\n\n'
        f"[web]\nport = {port}\n",
    )


def _live(digest: App) -> None:
    """Three days, the last of them today: papers come in, readers get their mail, and vote."""
    pages = [files("digest.cli").joinpath(f"demo_pages/day{n}.txt") for n in (1, 2, 3)]
    today = now().replace(microsecond=0)
    days = [today - timedelta(days=back) for back in (2, 1, 0)]
    with progress("Three days", len(days) * 2 + 1) as step:
        for number, (page, day) in enumerate(zip(pages, days, strict=True)):
            text = page.read_text(encoding="utf-8").replace("{date}", f"{day:%b} {day.day}")
            ingest_bytes(digest.sessions, SOURCE, text.encode(), at=day)
            if number == 0:
                _subscribe(digest, day)
            step(1)
            report = tick(digest, _clock(day))
            for failed in report.failed:
                raise DigestError(f"{failed.job.key}: {failed.error}")
            if day != today:
                _vote(digest, day + timedelta(minutes=20))
            step(1)


def _clock(at: datetime) -> Callable[[], datetime]:
    return lambda: at


def _subscribe(digest: App, at: datetime) -> None:
    defaults = digest.settings.defaults
    with digest.sessions() as session:
        for reader in READERS:
            asked = {
                "address": reader.address,
                "interest": "\n".join(reader.interests),
                "hour": at.hour,
                "length": reader.length,
                "mix": reader.mix,
            }
            subscribers.add(session, asked, defaults, secret=digest.secret, now=at)


def _vote(digest: App, at: datetime) -> None:
    """Every reader likes the first paper, saves the second, and wants no more like the last."""
    with digest.sessions() as session:
        for reader in READERS:
            who = subscribers.find(session, reader.address)
            items = edition_of(session, who.id).items
            said: tuple[VoteValue, ...] = ("up", "saved", "down")
            for item, value in zip((*items[:2], items[-1]), said, strict=True):
                votes.vote(session, who.id, item.paper_id, value, at=at, via="web")


def _tell(digest: App) -> None:
    for reader in READERS:
        with digest.sessions.reading() as session:
            who = subscribers.find(session, reader.address)
            edition = edition_of(session, who.id)
        say(f"\n{reader.address} reads about: {'; '.join(reader.interests)}")
        _show(edition)
    mails = sorted((FOLDER / "outbox" / "new").iterdir())
    say(
        f"\n{len(mails)} mails are in {FOLDER}/outbox, a Maildir that mail programs open:\n"
        f"  mutt -f {FOLDER}/outbox\n"
        "What to try next:\n"
        "  digest demo --serve                              the same mails in a browser\n"
        f"  cd {FOLDER}\n"
        "  digest why ada@example.org "
        f"{now().date()}            why each paper was in the mail, or not\n"
        "  digest profiles show ada@example.org             what was learned from her votes\n"
        "  digest papers search 'protein design'            look papers up\n"
        "Then make your own: digest init"
    )


def _show(edition: Edition) -> None:
    columns: Columns = {
        "": "position",
        "lane": "lane",
        "paper": "title",
        "why": lambda item: "; ".join(in_words(reason) for reason in item.reasons[:1]),
    }
    show(edition.items, columns, as_json=False)


def _serve(digest: App) -> None:
    from digest.cli.demo_inbox import with_inbox
    from digest.engine.clock import serve
    from digest.web import create_web

    log_to_stderr()
    url = f"{digest.settings.base_url}/inbox"

    def ready() -> None:
        note(f"The mails are at {url} (Ctrl-C stops)")
        # Some browsers return only when they are closed.
        threading.Thread(target=browse, args=(url,), daemon=True).start()

    serve(digest, with_inbox(create_web(digest), FOLDER / "outbox"), ready=ready)
