"""What a visitor is shown when something does not work, and what they can do about it."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from digest.errors import BadToken, Unknown
from digest.links import Links
from digest.web.answers import Pages

_NEWEST = "Open your newest digest and use the link in it, or subscribe again."
# Of a subscription that was not confirmed in time nothing is left to mail a link to.
_LEADS_ON = ("edition", "vote", "unsubscribe", "preferences")
_TITLES = {
    404: ("There is no such page", "Please check the address: perhaps a part of it is missing."),
    405: (
        "This page works by its button",
        "Go back to the page that you came from, and press the button there.",
    ),
    403: (
        "This works from our own page only",
        "Open the link from your mail, and press the button there.",
    ),
    408: ("That took too long", "Nothing was changed. Please try again."),
    429: (
        "That was a little too fast",
        "Much was asked from your network just now. Please try again in a minute.",
    ),
    413: ("That is too much text", "Please go back and send less: 64 kB, or a file of 2 MB."),
}


class Problems:
    """Errors to pages; none tells more of an error than a visitor needs."""

    def __init__(self, pages: Pages, links: Links) -> None:
        """Show them with `pages`; `links` tells whose an old link was."""
        self._pages = pages
        self._links = links

    def http(self, _request: Request, error: Exception) -> Response:
        """What the router refuses: an unknown path, a method that a path does not have."""
        if not isinstance(error, HTTPException):
            raise error
        phrase = HTTPStatus(error.status_code).phrase
        title, text = _TITLES.get(error.status_code, (phrase, "This request was not understood."))
        return self._show(error.status_code, title, text, headers=dict(error.headers or {}))

    def too_long(self) -> Response:
        """A body that nobody types."""
        # The rest of the body is still under way, so nothing more can be said on this connection.
        return self._show(413, *_TITLES[413], headers={"Connection": "close"})

    def too_slow(self) -> Response:
        """A body that is not all here in time."""
        return self._show(408, *_TITLES[408], headers={"Connection": "close"})

    def refused(self, request: Request, error: Exception) -> Response:
        """410 for what was ours and is over, 404 for a link that never was, 409 for the rest.

        A link that is over has a way on: a button that has a fresh one mailed.
        """
        said = f"{str(error)[:1].upper()}{str(error)[1:]}."
        if isinstance(error, BadToken) and not error.expired:
            whole = "Please copy the whole link from the mail, to its last letter."
            return self._show(404, "This link does not work", said, whole)
        if isinstance(error, BadToken):
            token = request.path_params.get("token", "")
            leads_on = self._links.read_signed(token).purpose in _LEADS_ON
            fresh = f"{self._links.base_path}/fresh/{token}" if leads_on else ""
            return self._show(410, "This link is too old", said, _NEWEST, fresh=fresh)
        if isinstance(error, Unknown):
            return self._show(410, "This is no longer here", said, _NEWEST)
        return self._show(409, "This cannot be done any more", said)

    def deferred(self, _request: Request, _error: Exception) -> Response:
        """The database is busy or away."""
        return self._show(
            503,
            "We cannot answer just now",
            "Nothing was changed. Please try again in a minute.",
            headers={"Retry-After": "60"},
        )

    def crashed(self, _request: Request, _error: Exception) -> Response:
        """A fault of ours; its trace goes to the log alone."""
        return self._show(
            500, "Something went wrong", "That was our fault. Please try again in a while."
        )

    def _show(
        self,
        status: int,
        title: str,
        *texts: str,
        headers: dict[str, str] | None = None,
        fresh: str = "",
    ) -> Response:
        return self._pages.show(
            "problem.html", status, headers=headers, title=title, texts=texts, fresh=fresh
        )
