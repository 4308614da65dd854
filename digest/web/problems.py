"""What a visitor is shown when something does not work, and what they can do about it."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from digest.errors import BadToken, DigestError, Unknown
from digest.languages import msgid
from digest.links import Links
from digest.web.answers import Pages, sentence

_NEWEST = msgid("Open your newest digest and use the link in it, or subscribe again.")
# Of a subscription that was not confirmed in time nothing is left to mail a link to.
_LEADS_ON = ("edition", "vote", "unsubscribe", "preferences")
_TITLES = {
    404: (
        msgid("There is no such page"),
        msgid("Please check the address: perhaps a part of it is missing."),
    ),
    405: (
        msgid("This page works by its button"),
        msgid("Go back to the page that you came from, and press the button there."),
    ),
    403: (
        msgid("This works from our own page only"),
        msgid("Open the link from your mail, and press the button there."),
    ),
    408: (msgid("That took too long"), msgid("Nothing was changed. Please try again.")),
    429: (
        msgid("That was a little too fast"),
        msgid("Much was asked from your network just now. Please try again in a minute."),
    ),
    413: (
        msgid("That is too much text"),
        msgid("Please go back and send less: 64 kB, or a file of 2 MB."),
    ),
}


class Problems:
    """Errors to pages; none tells more of an error than a visitor needs."""

    def __init__(self, pages: Pages, links: Links) -> None:
        """Show them with `pages`; `links` tells whose an old link was."""
        self._pages = pages
        self._links = links

    def http(self, request: Request, error: Exception) -> Response:
        """What the router refuses: an unknown path, a method that a path does not have."""
        if not isinstance(error, HTTPException):
            raise error
        phrase = HTTPStatus(error.status_code).phrase
        unknown = (phrase, msgid("This request was not understood."))
        title, text = _TITLES.get(error.status_code, unknown)
        headers = dict(error.headers or {})
        return self._show(request, error.status_code, title, text, headers=headers)

    async def too_long(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body that nobody types."""
        await self._hung_up(413, scope, receive, send)

    async def too_slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body that is not all here in time."""
        await self._hung_up(408, scope, receive, send)

    async def _hung_up(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        # The rest of the body is still under way, so nothing more can be said on this connection.
        headers = {"Connection": "close"}
        page = self._show(Request(scope), status, *_TITLES[status], headers=headers)
        await page(scope, receive, send)

    def refused(self, request: Request, error: Exception) -> Response:
        """410 for what was ours and is over, 404 for a link that never was, 409 for the rest.

        A link that is over has a way on: a button that has a fresh one mailed.
        """
        if not isinstance(error, DigestError):
            raise error
        why = error.message
        if isinstance(error, BadToken) and not error.expired:
            whole = msgid("Please copy the whole link from the mail, to its last letter.")
            return self._show(request, 404, msgid("This link does not work"), whole, why=why)
        if isinstance(error, BadToken):
            token = request.path_params.get("token", "")
            leads_on = self._links.read_signed(token).purpose in _LEADS_ON
            fresh = f"{self._links.base_path}/fresh/{token}" if leads_on else ""
            old = msgid("This link is too old")
            return self._show(request, 410, old, _NEWEST, why=why, fresh=fresh)
        if isinstance(error, Unknown):
            return self._show(request, 410, msgid("This is no longer here"), _NEWEST, why=why)
        return self._show(request, 409, msgid("This cannot be done any more"), why=why)

    def deferred(self, request: Request, _error: Exception) -> Response:
        """The database is busy or away, and is not asked for the visitor's language."""
        self._pages.tongues.asked(request)
        return self._show(
            request,
            503,
            msgid("We cannot answer just now"),
            msgid("Nothing was changed. Please try again in a minute."),
            headers={"Retry-After": "60"},
        )

    def crashed(self, request: Request, _error: Exception) -> Response:
        """A fault of ours; its trace goes to the log alone."""
        self._pages.tongues.asked(request)
        return self._show(
            request,
            500,
            msgid("Something went wrong"),
            msgid("That was our fault. Please try again in a while."),
        )

    def _show(
        self,
        request: Request,
        status: int,
        title: str,
        *texts: str,
        why: str = "",
        headers: dict[str, str] | None = None,
        fresh: str = "",
    ) -> Response:
        spoken = self._pages.tongues.of(request)
        said = [f"{sentence(spoken.said(why))}."] if why else []
        return self._pages.show(
            request,
            "problem.html",
            status,
            headers=headers,
            title=spoken.said(title),
            texts=[*said, *map(spoken.said, texts)],
            fresh=fresh,
        )
