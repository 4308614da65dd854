"""Did a person press this button, on a page of ours? What the visitor's browser says of it.

Fetch Metadata (W3C, https://www.w3.org/TR/fetch-metadata/) is sent over TLS and to this machine by
every browser since 2023, and by no page's script: `Sec-Fetch-User: ?1` says that a person's act
started a navigation. Our own script posts without a navigation; it says so with a header of its own
while the browser counts the visitor as active (`navigator.userActivation`).

Why forms here need no anti-forgery token: a forged request is dangerous where the browser adds what
proves who asks. Here nothing is added: no cookie, no login. The address of the page holds the token
that allows the act, and another site cannot know it (no referrer is ever sent); one that does know
it needs no victim's browser. So a post from another site is no danger. It is refused all the same,
as no page of ours sends one; but for unsubscribing, which must always work (RFC 8058).
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request

# The header of our script; a page of another site cannot set it without being asked for leave.
BY_SCRIPT = "digest-pressed"


def by_a_person(request: Request, *, tls: bool) -> bool:
    """Whether the browser says that a person pressed; True where browsers are silent without TLS.

    `tls` is whether readers reach us by https.
    """
    headers = request.headers
    if "sec-fetch-mode" not in headers:
        return not tls
    if headers.get("sec-fetch-user") == "?1":
        return True
    return headers.get("sec-fetch-site") == "same-origin" and headers.get(BY_SCRIPT) == "1"


def require_our_page(request: Request) -> None:
    """Raises HTTPException 403 where the browser says that another site's page posts."""
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise HTTPException(403)
