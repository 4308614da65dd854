"""The demo's mails as pages: a list of them, and each as a mail program would show it."""

import mailbox
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import escape
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

_FRAME = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>
:root{{color-scheme:light dark}}
body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}}
li{{list-style:none;border-top:1px solid #8884;padding:.7rem 0}} ul{{padding:0}}
a{{font-weight:600;text-decoration:none}} small{{opacity:.75;display:block}}
</style></head><body>{body}</body></html>"""


def with_inbox(web: ASGIApp, maildir: Path) -> ASGIApp:
    """Serve the mails of `maildir` under /inbox, and `web` under everything else."""

    def list_mails(_request: Request) -> HTMLResponse:
        mails = sorted(
            _mails(maildir).items(),
            key=lambda mail: (mail[1]["Date"].datetime, mail[1]["To"]),
            reverse=True,
        )
        items = "".join(
            f'<li><a href="/inbox/{escape(key)}">{escape(mail["Subject"])}</a>'
            f"<small>to {escape(mail['To'])}, {mail['Date'].datetime:%A %d %B}</small></li>"
            for key, mail in mails
        )
        body = (
            f"<h1>The demo's mails</h1><p>Open one and answer with its thumbs.</p><ul>{items}</ul>"
        )
        return HTMLResponse(_FRAME.format(title="The demo's mails", body=body))

    def show_mail(request: Request) -> HTMLResponse:
        mail = _mails(maildir).get(request.path_params["key"])
        html = mail and mail.get_body(("html",))
        if html is None:
            return HTMLResponse(_FRAME.format(title="Not here", body="No such mail."), 404)
        return HTMLResponse(html.get_content())

    routes = [
        Route("/inbox", list_mails),
        Route("/inbox/{key}", show_mail),
        Mount("/", app=web),
    ]
    return Starlette(routes=routes)


def _mails(maildir: Path) -> dict[str, EmailMessage]:
    box: mailbox.Maildir = mailbox.Maildir(maildir, create=False)
    found = {}
    for key in box.iterkeys():
        with box.get_file(key) as file:
            found[key.partition(".")[0]] = message_from_bytes(file.read(), policy=default)
    return found
