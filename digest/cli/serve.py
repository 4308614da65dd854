"""`digest serve`: the web pages and the scheduler in one process."""

import typer

from digest.cli.door import log_to_stderr, note, opened
from digest.engine.clock import serve
from digest.web import create_web

app = typer.Typer(add_completion=False)


@app.command("serve", epilog="Example: DIGEST_WEB_PORT=8080 digest serve")
def serve_(ctx: typer.Context) -> None:
    """Answer the pages and do what is due, until stopped by Ctrl-C or SIGTERM."""
    with opened(ctx) as digest:
        log_to_stderr(digest.settings.log.format)
        base, web = digest.settings.base_url, digest.settings.web
        ready = f"Ready: {base}, answered at {web.host} port {web.port} (Ctrl-C stops)"
        serve(digest, create_web(digest), ready=lambda: note(ready))
