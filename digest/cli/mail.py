"""`digest mail`: look at mails before anybody gets them."""

import threading
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import browse, note, say, write_text
from digest.errors import BadInput
from digest.mail.render import render
from digest.mail.samples import VIEWS, as_seen, samples

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Look at mails before anybody gets them."
)

HOST = "127.0.0.1"


@app.callback()
def root() -> None:
    """Keep `preview` a command of its own while it is the only one."""


@app.command(epilog="Example: digest mail preview --language de")
def preview(
    language: Annotated[str, typer.Option(help="Like de; ar-XB: read from the right.")] = "en",
    port: Annotated[int, typer.Option(help="Where it listens.", min=1, max=65535)] = 8025,
    out: Annotated[
        Path | None, typer.Option(help="Write them into this folder, and serve nothing.")
    ] = None,
) -> None:
    """Show every mail with sample papers, in every look; a changed template shows at once."""
    if out is not None:
        n = _write(out, language)
        say(f"{n} files are in {out}")
        return
    _serve(language, port)


def _write(folder: Path, code: str) -> int:
    n = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror}") from None
    for name, mail in samples(code).items():
        rendered = render(mail)
        stem = name.replace(",", "").replace(" ", "-")
        for view in VIEWS:
            write_text(folder / f"{stem}.{view}.html", as_seen(rendered, view))
        write_text(folder / f"{stem}.txt", f"{rendered.subject}\n\n{rendered.text}")
        n += len(VIEWS) + 1
    return n


def _serve(code: str, port: int) -> None:
    import uvicorn

    from digest.cli.mail_preview import preview_app

    samples(code)
    url = f"http://{HOST}:{port}/?language={code}"
    note(f"The mails are at {url} (Ctrl-C stops)")
    threading.Thread(target=browse, args=(url,), daemon=True).start()
    uvicorn.run(preview_app(), host=HOST, port=port, log_level="warning")
