"""The preview of mails as a page: choose mail, language, look and width; it reloads itself."""

from html import escape
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from digest.errors import BadInput
from digest.languages import PSEUDO, languages
from digest.mail.press import version
from digest.mail.render import Rendered, forget, render
from digest.mail.samples import VIEWS, View, as_seen, samples

_WIDTHS = ("320", "375", "600", "1200")
_FRAME = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
:root{{color-scheme:light dark}}
body{{font:14px/1.5 system-ui,sans-serif;margin:0;display:flex;height:100vh}}
nav{{width:15rem;flex:none;overflow:auto;padding:1rem;border-right:1px solid #8884}}
nav h2{{font-size:12px;margin:1rem 0 .2rem;text-transform:uppercase;letter-spacing:.05em}}
nav a{{display:block;color:inherit;text-decoration:none;padding:.1rem 0}}
nav a[aria-current]{{font-weight:700}}
main{{flex:1;overflow:auto;padding:1rem;text-align:center;background:#8882}}
iframe{{border:1px solid #8886;height:calc(100vh - 5rem);background:#fff}}
</style></head><body><nav>{menu}</nav><main><p><strong>{subject}</strong> · {size}</p>
<iframe title="The mail" src="{source}" width="{width}"></iframe></main><script>
let seen;setInterval(async()=>{{try{{const now=await(await fetch("/version")).text();
if(seen&&seen!==now)location.reload();seen=now}}catch{{}}}},500)
</script></body></html>"""


def preview_app() -> Starlette:
    """Serve the samples; templates and catalogues are read anew when their files change."""
    routes = [Route("/", _page), Route("/mail", _mail), Route("/version", _version)]
    # Whatever name a page elsewhere gives this machine, it may not read from here.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=routes, middleware=[hosts])


def _version(_request: Request) -> Response:
    """What is there now; made anew, for the page asks in order to hear of changes."""
    before = version()
    version.cache_clear()
    if version() != before:
        forget()
    return PlainTextResponse(version())


def _page(request: Request) -> Response:
    chosen = _chosen(request)
    try:
        rendered = _rendered(chosen)
    except (BadInput, KeyError):
        return PlainTextResponse("no such mail or language", 404)
    menus = {
        "mail": list(samples(chosen["language"])),
        "view": [*VIEWS, "text"],
        "width": list(_WIDTHS),
        "language": [*languages(), PSEUDO],
    }
    menu = "".join(
        f"<h2>{name}</h2>" + "".join(_link(chosen, name, value) for value in values)
        for name, values in menus.items()
    )
    size = f"{len(rendered.html) / 1000:.1f} kB HTML, {len(rendered.text.encode()) / 1000:.1f} kB"
    html = _FRAME.format(
        title=escape(chosen["mail"]),
        menu=menu,
        subject=escape(rendered.subject),
        size=f"{size} text",
        source=escape(f"/mail?{_query(chosen)}"),
        width=escape(chosen["width"]),
    )
    return HTMLResponse(html)


def _mail(request: Request) -> Response:
    chosen = _chosen(request)
    try:
        rendered = _rendered(chosen)
    except (BadInput, KeyError):
        return PlainTextResponse("no such mail or language", 404)
    view: View | None = next((view for view in VIEWS if view == chosen["view"]), None)
    if view is None:
        return PlainTextResponse(rendered.text)
    return HTMLResponse(as_seen(rendered, view))


def _chosen(request: Request) -> dict[str, str]:
    usual = {"mail": "usual", "view": "light", "width": "600", "language": "en"}
    return {name: request.query_params.get(name, value) for name, value in usual.items()}


def _rendered(chosen: dict[str, str]) -> Rendered:
    return render(samples(chosen["language"])[chosen["mail"]])


def _query(chosen: dict[str, str]) -> str:
    return urlencode(chosen)


def _link(chosen: dict[str, str], name: str, value: str) -> str:
    current = ' aria-current="page"' if chosen[name] == value else ""
    return f'<a href="/?{escape(_query({**chosen, name: value}))}"{current}>{escape(value)}</a>'
