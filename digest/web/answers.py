"""Answers: every response leaves through here, with the headers that keep it shut."""

from collections.abc import Mapping
from hashlib import sha256

import jinja2
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.mail.render import templates_folder

# Links carry tokens: no referrer may take one to another site, no cache and no index may keep it.
SHUT = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; "
        "script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
PUBLIC = {"Cache-Control": "no-cache"}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Pages:
    """The templates of the pages, the style sheet and the script, under one path prefix."""

    def __init__(self, base_path: str, postal_address: str) -> None:
        """Load what every page has in common."""
        folder = templates_folder() / "web"
        self._style = (folder / "style.css").read_bytes()
        self._script = (folder / "live.js").read_bytes()
        self._joining = (folder / "subscribe.js").read_bytes()
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(
            base=base_path,
            postal_address=postal_address,
            style_version=sha256(self._style).hexdigest()[:12],
            script_version=sha256(self._script).hexdigest()[:12],
            joining_version=sha256(self._joining).hexdigest()[:12],
        )

    def show(
        self,
        template: str,
        status: int = 200,
        *,
        public: bool = False,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """A page; unless it is `public`, no cache and no search engine keeps it."""
        html = self._templates.get_template(template).render(**values)
        return Response(
            html.encode("utf-8", "replace"),
            status,
            {**SHUT, **(PUBLIC if public else PRIVATE), **(headers or {})},
            "text/html",
        )

    def style_sheet(self, _request: Request) -> Response:
        """The one style sheet; a new one has a new address."""
        return Response(self._style, headers={**SHUT, **FOR_EVER}, media_type="text/css")

    def script(self, _request: Request) -> Response:
        """The one script: pages work without it."""
        return Response(self._script, headers={**SHUT, **FOR_EVER}, media_type="text/javascript")

    def joining_script(self, _request: Request) -> Response:
        """The subscribe page's script: the page works without it."""
        return Response(self._joining, headers={**SHUT, **FOR_EVER}, media_type="text/javascript")


class StrictTransport:
    """Tells browsers that this host is reached by TLS alone (RFC 6797)."""

    _HEADER = (b"strict-transport-security", b"max-age=31536000")

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._HEADER]
            await send(message)

        await self.app(scope, receive, strictly)


def go_to(path: str) -> Response:
    """Send a browser on after a POST, so that a reload does not send the form again."""
    return RedirectResponse(path, 303, {**SHUT, **PRIVATE})


def as_json(value: object, status: int, *, headers: Mapping[str, str] | None = None) -> Response:
    """A value for a program."""
    return JSONResponse(value, status, {**SHUT, **PRIVATE, **(headers or {})})
