"""Answers: every response leaves through here, with the headers that keep it shut."""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.languages import Language
from digest.mail.press import templates_folder, turned
from digest.web.tongues import Tongues

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

    def __init__(self, base_path: str, postal_address: str, tongues: Tongues) -> None:
        """Load what every page has in common; `tongues` finds each visitor's language."""
        self.tongues = tongues
        folder = templates_folder() / "web"
        self._style = (folder / "style.css").read_bytes()
        self._script = (folder / "live.js").read_bytes()
        self._joining = (folder / "subscribe.js").read_bytes()
        self._globals = {
            "base": base_path,
            "postal_address": postal_address,
            "style_version": sha256(self._style).hexdigest()[:12],
            "script_version": sha256(self._script).hexdigest()[:12],
            "joining_version": sha256(self._joining).hexdigest()[:12],
        }
        self._templates: dict[Language, jinja2.Environment] = {}

    def show(
        self,
        request: Request,
        template: str,
        status: int = 200,
        *,
        spoken: Language | None = None,
        public: bool = False,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """A page in the visitor's language, or the one that is `spoken` to all.

        Unless it is `public`, no cache and no search engine keeps it.
        """
        told = self.told(request) if spoken is None else {"Content-Language": spoken.code}
        spoken = spoken or self.tongues.of(request)
        html = self._in(spoken).get_template(template).render(**values)
        return Response(
            html.encode("utf-8", "replace"),
            status,
            {**SHUT, **(PUBLIC if public else PRIVATE), **told, **(headers or {})},
            "text/html",
        )

    def told(self, request: Request) -> dict[str, str]:
        """The headers that tell in which language an answer is, and why."""
        code = self.tongues.of(request).code
        vary = {"Vary": "Accept-Language"} if self.tongues.is_asked(request) else {}
        return {"Content-Language": code, **vary}

    def _in(self, spoken: Language) -> jinja2.Environment:
        """The templates in one language, made when somebody is first answered in it."""
        if spoken not in self._templates:
            self._templates[spoken] = _environment(spoken, self._globals)
        return self._templates[spoken]

    def style_sheet(self, _request: Request) -> Response:
        """The one style sheet; a new one has a new address."""
        return Response(self._style, headers={**SHUT, **FOR_EVER}, media_type="text/css")

    def script(self, _request: Request) -> Response:
        """The one script: pages work without it."""
        return Response(self._script, headers={**SHUT, **FOR_EVER}, media_type="text/javascript")

    def joining_script(self, _request: Request) -> Response:
        """The subscribe page's script: the page works without it."""
        return Response(self._joining, headers={**SHUT, **FOR_EVER}, media_type="text/javascript")


def _environment(spoken: Language, shared: Mapping[str, object]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder() / "web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    # Ours take values and write numbers as their language does.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(shared)
    environment.globals.update(_words(spoken), lang=spoken.code, dir=spoken.direction)
    environment.filters |= {
        "said": lambda message: sentence(spoken.said(message)),
        "number": spoken.number,
        "decimal": spoken.decimal,
        "turned": partial(turned, spoken),
        "strong": _strong,
    }
    return environment


def _words(spoken: Language) -> dict[str, Callable[..., Markup]]:
    """What `{% trans %}` calls; catalogues hold no HTML, and values are escaped."""

    def gettext(message: str, /, **values: object) -> Markup:
        return Markup(spoken.gettext(message, **_escaped(values)))  # noqa: S704

    def ngettext(one: str, many: str, n: int, /, **values: object) -> Markup:
        # `n` is said as the language writes it.
        others = {name: value for name, value in values.items() if name != "n"}
        return Markup(spoken.ngettext(one, many, n, **_escaped(others)))  # noqa: S704

    def pgettext(context: str, message: str, /) -> Markup:
        return Markup(spoken.pgettext(context, message))  # noqa: S704

    return {"gettext": gettext, "ngettext": ngettext, "pgettext": pgettext}


def _escaped(values: Mapping[str, object]) -> dict[str, Markup]:
    return {name: escape(value) for name, value in values.items()}


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def _strong(address: str) -> Markup:
    return Markup('<strong class="address">{}</strong>').format(address)


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
