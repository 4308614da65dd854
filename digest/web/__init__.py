"""Web: doors on HTTP. They parse, call a room, and show its answer; no rule lives here.

GET and HEAD read in a transaction that cannot write; whatever changes something is a POST.
"""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router, compile_path

from digest.engine.app import App
from digest.errors import Deferred, DigestError, Refused
from digest.papers.encoder import Remembered
from digest.web import bounces, joining
from digest.web.answers import Pages, StrictTransport
from digest.web.body import WholeBody
from digest.web.bounces import BounceDoors
from digest.web.feeds import FeedDoors
from digest.web.health import HealthDoors
from digest.web.joining import JoiningDoors
from digest.web.metrics import Measured, MetricsDoors
from digest.web.preferences import LONGEST_INTERESTS, PreferencesDoors
from digest.web.presses import require_our_page
from digest.web.problems import Problems
from digest.web.reading import ReadingDoors
from digest.web.search import Finder, SearchDoors
from digest.web.status import StatusDoors
from digest.web.subscription import SubscriptionDoors
from digest.web.tongues import Tongues

__all__ = ["create_web"]

Door = Callable[[Request], Response]

LONGEST_BODY = 64 * 1024
# In which a body has to come in.
SECONDS = 30.0
# One click must work from wherever it is pressed, and relays post from where they are.
_FROM_ANYWHERE = ("/unsubscribe/{token}", bounces.PATH)
_LONGER = {
    bounces.PATH: bounces.LONGEST_BODY,
    "/subscribe": joining.LONGEST_BODY,
    "/preferences/{token}/interests": LONGEST_INTERESTS,
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_web(app: App, *, now: Callable[[], datetime] = _utc_now) -> Starlette:
    """Make the web application of `app`; `now` gives aware datetimes.

    A proxy may pass the path of `base_url` on or strip it: the doors are found under both.
    """
    pages = Pages(app.links.base_path, app.settings.mail.postal_address, Tongues(app))
    metrics = MetricsDoors(app, now)
    finder = Finder(typed := Remembered(app.encoder))
    routes = [
        *_routes(app, pages, now),
        *_open_routes(app, pages, now, typed, finder),
        _route("/metrics", get=metrics.metrics),
    ]
    prefix = app.links.base_path
    mounted = [Mount(prefix, app=Router(routes, redirect_slashes=False))] if prefix else []
    problems = Problems(pages, app.links)
    strict = [Middleware(StrictTransport)] if app.links.base_url.startswith("https:") else []
    web = Starlette(
        lifespan=_warmed(typed) if app.settings.web.public else None,
        routes=[*mounted, *routes],
        middleware=[
            *strict,
            Middleware(Measured, requests=metrics.requests),
            Middleware(
                WholeBody,
                longest=LONGEST_BODY,
                longer={
                    compile_path(base + path)[0]: longest
                    for base in {"", prefix}
                    for path, longest in _LONGER.items()
                },
                refusal=problems.too_long,
                seconds=SECONDS,
                too_slow=problems.too_slow,
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


def _warmed(typed: Remembered) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """The model takes seconds to load: better before the first search than in it."""

    def warm() -> None:
        with suppress(DigestError):
            typed.vectors([""])

    @asynccontextmanager
    async def lifespan(_web: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=warm, name="encoder", daemon=True).start()
        yield

    return lifespan


def _routes(app: App, pages: Pages, now: Callable[[], datetime]) -> list[BaseRoute]:
    subscription = SubscriptionDoors(app, pages, now)
    reading = ReadingDoors(app, pages, now)
    preferences = PreferencesDoors(app, pages, now)
    return [
        _route("/confirm/{token}", get=subscription.ask_to_confirm, post=subscription.confirm),
        _route(
            "/unsubscribe/{token}",
            get=subscription.ask_to_unsubscribe,
            post=subscription.unsubscribe,
        ),
        _route("/edition/{token}", get=reading.edition),
        _route("/vote/{token}", get=reading.ask_to_vote, post=reading.vote),
        _route("/vote/{token}/undo", post=reading.undo),
        _route("/edition/{token}/undo", post=reading.undo_listed),
        _route("/edition/{token}/count", post=reading.count),
        _route("/edition/{token}/paper/{paper_id}", get=reading.paper, post=reading.mute),
        _route("/preferences/{token}", get=preferences.preferences),
        _route("/preferences/{token}/export", get=preferences.export),
        _route("/preferences/{token}/erase", get=preferences.ask_to_erase, post=preferences.erase),
        _route("/preferences/{token}/{section}", post=preferences.change),
        _route("/change_from/{token}", get=preferences.ask_to_move, post=preferences.move),
        _route("/change_to/{token}", get=preferences.ask_to_move, post=preferences.move),
        _route("/fresh/{token}", post=preferences.fresh),
        _route(bounces.PATH, post=BounceDoors(app, now).post),
        _route("/healthz", get=HealthDoors(app).healthz),
        _route("/status", get=StatusDoors(app, pages, now).status),
        _route("/static/style.css", get=pages.style_sheet),
        _route("/static/live.js", get=pages.script),
    ]


def _open_routes(
    app: App, pages: Pages, now: Callable[[], datetime], typed: Remembered, finder: Finder
) -> list[BaseRoute]:
    """What a visitor finds who has no link of ours, and feeds and search for who has."""
    doors = JoiningDoors(app, pages, now, typed, finder)
    feeds = FeedDoors(app, pages, now)
    search = SearchDoors(app, pages, now, finder)
    return [
        _route("/", get=doors.home),
        _route("/subscribe", get=doors.home, post=doors.subscribe),
        _route("/subscribe/challenge", get=doors.challenge),
        _route("/feed/{token}", get=feeds.personal),
        _route("/trending", get=feeds.trending),
        _route("/trending.atom", get=feeds.trending_atom),
        _route("/trending.json", get=feeds.trending_json),
        _route("/search", get=search.search),
        _route("/search/{token}", get=search.search_as),
        _route("/readyz", get=HealthDoors(app).readyz),
        _route("/static/subscribe.js", get=pages.joining_script),
    ]


def _route(path: str, *, get: Door | None = None, post: Door | None = None) -> Route:
    """One route for a path, so that a 405 names every method that the path has."""

    def door(request: Request) -> Response:
        request.state.route = path
        if request.method == "POST" and path not in _FROM_ANYWHERE:
            require_our_page(request)
        found = post if request.method == "POST" else get
        assert found is not None  # noqa: S101 - the router lets no other method in
        return found(request)

    doors = {"GET": get, "POST": post}
    return Route(path, door, methods=[name for name, found in doors.items() if found])
