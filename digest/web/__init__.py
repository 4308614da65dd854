"""Web: doors on HTTP. They parse, call a room, and show its answer; no rule lives here.

GET and HEAD read in a transaction that cannot write; whatever changes something is a POST.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from digest.engine.app import App
from digest.errors import Deferred, Refused
from digest.web import bounces
from digest.web.answers import Pages
from digest.web.body import WholeBody
from digest.web.bounces import BounceDoors
from digest.web.health import HealthDoors
from digest.web.problems import Problems
from digest.web.reading import ReadingDoors
from digest.web.subscription import SubscriptionDoors

__all__ = ["create_web"]

Door = Callable[[Request], Response]

LONGEST_BODY = 64 * 1024


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_web(app: App, *, now: Callable[[], datetime] = _utc_now) -> Starlette:
    """Make the web application of `app`; `now` gives aware datetimes.

    A proxy may pass the path of `base_url` on or strip it: the doors are found under both.
    """
    pages = Pages(app.links.base_path, app.settings.mail.postal_address)
    routes = _routes(app, pages, now)
    prefix = app.links.base_path
    mounted = [Mount(prefix, app=Router(routes, redirect_slashes=False))] if prefix else []
    problems = Problems(pages)
    web = Starlette(
        routes=[*mounted, *routes],
        middleware=[
            Middleware(
                WholeBody,
                longest=LONGEST_BODY,
                longer=dict.fromkeys((bounces.PATH, prefix + bounces.PATH), bounces.LONGEST_BODY),
                refusal=problems.too_long(),
            ),
        ],
        exception_handlers={
            HTTPException: problems.http,
            Refused: problems.refused,
            Deferred: problems.deferred,
            OperationalError: problems.deferred,
            NoConnection: problems.deferred,
            Exception: problems.crashed,
        },
    )
    # A redirect would be built from the Host header, which the visitor chooses.
    web.router.redirect_slashes = False
    return web


def _routes(app: App, pages: Pages, now: Callable[[], datetime]) -> list[BaseRoute]:
    subscription = SubscriptionDoors(app, pages, now)
    reading = ReadingDoors(app, pages, now)
    return [
        _route("/", get=subscription.home),
        _route("/subscribe", get=subscription.home, post=subscription.subscribe),
        _route("/confirm/{token}", get=subscription.ask_to_confirm, post=subscription.confirm),
        _route(
            "/unsubscribe/{token}",
            get=subscription.ask_to_unsubscribe,
            post=subscription.unsubscribe,
        ),
        _route("/edition/{token}", get=reading.edition),
        _route("/vote/{token}", get=reading.ask_to_vote, post=reading.vote),
        _route("/vote/{token}/undo", post=reading.undo),
        _route(bounces.PATH, post=BounceDoors(app, now).post),
        _route("/healthz", get=HealthDoors(app).healthz),
        _route("/static/style.css", get=pages.style_sheet),
    ]


def _route(path: str, *, get: Door | None = None, post: Door | None = None) -> Route:
    """One route for a path, so that a 405 names every method that the path has."""

    def door(request: Request) -> Response:
        found = post if request.method == "POST" else get
        assert found is not None  # noqa: S101 - the router lets no other method in
        return found(request)

    doors = {"GET": get, "POST": post}
    return Route(path, door, methods=[name for name, found in doors.items() if found])
