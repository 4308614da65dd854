"""The doors by which somebody comes and goes: confirm, unsubscribe."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

import digest.subscribers as subscribers
from digest.editions import local_date_of, preview, zone_of
from digest.engine.app import App
from digest.languages import Language
from digest.links import Claim, Purpose
from digest.mail.content import EditionMail
from digest.mail.edition import EditionLinks, edition_mail
from digest.subscribers import SubscriberView
from digest.web.answers import Pages
from digest.web.choices import FREQUENCIES, HOURS
from digest.web.forms import fields_of


@dataclass(frozen=True, slots=True)
class SubscriptionDoors:
    """Pages and forms around one subscription."""

    app: App
    pages: Pages
    now: Callable[[], datetime]

    def ask_to_confirm(self, request: Request) -> Response:
        """The page with the button; a scanner that opens it confirms nothing."""
        claim = self._claim(request, "confirm")
        with self.app.sessions.reading() as session:
            view = subscribers.read_subscriber(session, claim.subscriber_id)
        return self._standing(request, "confirm.html", claim, view)

    def confirm(self, request: Request) -> Response:
        """The button."""
        claim = self._claim(request, "confirm")
        with self.app.sessions() as session:
            view = subscribers.confirm(session, claim, now=self.now())
        is_first = view.next_due_at == view.confirmed_at
        first = self._first_edition(request, view) if is_first else None
        return self._standing(request, "confirm.html", claim, view, first=first)

    def ask_to_unsubscribe(self, request: Request) -> Response:
        """The page with the button; a scanner that opens it unsubscribes nobody."""
        claim = self._claim(request, "unsubscribe")
        with self.app.sessions.reading() as session:
            view = subscribers.read_subscriber(session, claim.subscriber_id)
        return self._standing(request, "unsubscribe.html", claim, view)

    def unsubscribe(self, request: Request) -> Response:
        """The button, or a mail program's one click (RFC 8058): done at once, whatever is sent.

        Our page's buttons say so; only they can ask for less mail instead, or get a goodbye.
        """
        claim = self._claim(request, "unsubscribe")
        given, now = fields_of(request.state.body), self.now()
        kinds: tuple[subscribers.Instead, ...] = get_args(subscribers.Instead)
        instead = next((one for one in kinds if one == given.get("instead")), None)
        with self.app.sessions() as session:
            if instead:
                view = subscribers.get_less(session, claim, instead, now=now)
            else:
                by_page, why = given.get("by") == "page", "the link in a mail"
                view = subscribers.leave(session, claim, now=now, why=why, goodbye=by_page)
        return self._standing(request, "unsubscribe.html", claim, view, got_less=bool(instead))

    def _claim(self, request: Request, purpose: Purpose) -> Claim:
        app, token = self.app, request.path_params["token"]
        return subscribers.read_claim(app.sessions, app.links, token, purpose, now=self.now())

    def _first_edition(self, request: Request, view: SubscriberView) -> EditionMail:
        """What their first edition will be: made by the same rooms, and frozen at the next tick."""
        now = self.now()
        today = local_date_of(view.timezone, now)
        with self.app.sessions.reading() as session:
            made = preview(session, view.id, self.app.encoder.identity, local_date=today, now=now)
        home = f"{self.app.links.base_url}/"
        spoken = self.pages.tongues.of(request)
        return edition_mail(made.edition, EditionLinks(home, home, None, {}), "", spoken)

    def _standing(
        self,
        request: Request,
        template: str,
        claim: Claim,
        view: SubscriberView,
        *,
        first: EditionMail | None = None,
        got_less: bool = False,
    ) -> Response:
        preferences = Claim("preferences", view.id, claim.expires_at)
        spoken = self.pages.tongues.of(request)
        return self.pages.show(
            request,
            template,
            view=view,
            action=self.app.links.path(claim),
            next_digest=_next_digest(view, self.now(), spoken),
            rhythm=spoken.gettext(
                "%(days)s at %(hour)s",
                days=spoken.gettext(FREQUENCIES[view.frequency]),
                hour=HOURS[str(view.hour)],
            ),
            first=first,
            got_less=got_less,
            preferences=self.app.links.path(preferences),
        )


def _next_digest(view: SubscriberView, now: datetime, spoken: Language) -> str:
    """When the next digest comes, as the end of a sentence; empty where none is due."""
    if view.next_due_at is None:
        return ""
    if view.next_due_at <= now:
        return spoken.gettext("is being made now and will be with you shortly")
    local = view.next_due_at.astimezone(zone_of(view.timezone))
    return spoken.gettext(
        "comes on %(day)s at %(hour)s", day=spoken.long_date(local.date()), hour=f"{local:%H:%M}"
    )
