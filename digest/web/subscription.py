"""The doors by which somebody comes and goes: subscribe, confirm, unsubscribe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import Request
from starlette.responses import Response

import digest.subscribers as subscribers
from digest.delivery.letters import CONFIRM_WITHIN
from digest.engine.app import App
from digest.links import Claim, Purpose
from digest.mail.content import long_date
from digest.settings import Frequency
from digest.subscribers import SubscriberView
from digest.web.answers import Pages

# People leave this field, which they do not see, empty.
HONEYPOT = "website"
_MOST_FIELDS = 50

_HOURS = {str(hour): f"{hour:02}:00" for hour in range(24)}
_FREQUENCIES: Mapping[Frequency, str] = {
    "daily": "every day",
    "weekdays": "Monday to Friday",
    "weekly": "every Monday",
}
_MIXES = {
    "1.0": "only my interests",
    "0.75": "mostly my interests",
    "0.5": "half and half",
    "0.25": "mostly what is trending",
    "0.0": "only what is trending",
}
_REGIONS = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)


@dataclass(frozen=True, slots=True)
class SubscriptionDoors:
    """Pages and forms around one subscription."""

    app: App
    pages: Pages
    now: Callable[[], datetime]

    def home(self, _request: Request) -> Response:
        """The form, filled with the defaults."""
        return self._form({}, {})

    def subscribe(self, request: Request) -> Response:
        """Take the form; whoever asks learns nothing of who is subscribed."""
        given = _fields(request.state.body)
        defaults = self.app.settings.defaults
        if faults := subscribers.faults_in(given, defaults):
            return self._form(given, faults)
        subscription = subscribers.parse_subscription(given, defaults)
        if not given.get(HONEYPOT):
            with self.app.sessions() as session:
                subscribers.subscribe(session, subscription, secret=self.app.secret, now=self.now())
        return self.pages.show(
            "check_mail.html", address=subscription.address, days_valid=CONFIRM_WITHIN.days
        )

    def ask_to_confirm(self, request: Request) -> Response:
        """The page with the button; a scanner that opens it confirms nothing."""
        claim = self._claim(request, "confirm")
        with self.app.sessions.reading() as session:
            view = subscribers.read_subscriber(session, claim.subscriber_id)
        return self._standing("confirm.html", claim, view)

    def confirm(self, request: Request) -> Response:
        """The button."""
        claim = self._claim(request, "confirm")
        with self.app.sessions() as session:
            view = subscribers.confirm(session, claim, now=self.now())
        return self._standing("confirm.html", claim, view)

    def ask_to_unsubscribe(self, request: Request) -> Response:
        """The page with the button; a scanner that opens it unsubscribes nobody."""
        claim = self._claim(request, "unsubscribe")
        with self.app.sessions.reading() as session:
            view = subscribers.read_subscriber(session, claim.subscriber_id)
        return self._standing("unsubscribe.html", claim, view)

    def unsubscribe(self, request: Request) -> Response:
        """The button, or a mail program's one click (RFC 8058): done at once, whatever is sent."""
        claim = self._claim(request, "unsubscribe")
        with self.app.sessions() as session:
            view = subscribers.leave(session, claim, now=self.now(), why="the link in a mail")
        return self._standing("unsubscribe.html", claim, view)

    def _claim(self, request: Request, purpose: Purpose) -> Claim:
        return self.app.links.read(request.path_params["token"], purpose, self.now())

    def _standing(self, template: str, claim: Claim, view: SubscriberView) -> Response:
        return self.pages.show(
            template,
            view=view,
            action=self.app.links.path(claim),
            next_digest=_next_digest(view, self.now()),
            rhythm=f"{_FREQUENCIES[view.frequency]} at {_HOURS[str(view.hour)]}",
        )

    def _form(self, given: Mapping[str, str], faults: Mapping[str, str]) -> Response:
        defaults = {name: str(v) for name, v in self.app.settings.defaults.model_dump().items()}
        mix = defaults["mix"]
        return self.pages.show(
            "subscribe.html",
            422 if faults else 200,
            public=not given,
            values={"address": "", "interest": "", **defaults, **given},
            faults=faults,
            hours=_HOURS,
            frequencies=_FREQUENCIES,
            mixes=_MIXES if mix in _MIXES else {mix: f"{float(mix):.0%} my interests", **_MIXES},
            zones=_zones(),
            consent=subscribers.CONSENT,
            honeypot=HONEYPOT,
        )


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form as a browser sends them; what is none has none."""
    try:
        pairs = parse_qsl(
            body.decode("ascii", "replace"), max_num_fields=_MOST_FIELDS, keep_blank_values=True
        )
    except ValueError:
        return {}
    return dict(pairs)


@cache
def _zones() -> tuple[str, ...]:
    """The zones that a person would choose from; others that IANA names can be typed."""
    named = (name for name in available_timezones() if name.startswith(_REGIONS) and "/" in name)
    return ("UTC", *sorted(named))


def _next_digest(view: SubscriberView, now: datetime) -> str:
    """When the next digest comes, as the end of a sentence; empty where none is due."""
    if view.next_due_at is None:
        return ""
    if view.next_due_at <= now:
        return "is being made now and will be with you shortly"
    local = view.next_due_at.astimezone(ZoneInfo(view.timezone))
    return f"comes on {long_date(local.date())} at {local:%H:%M}"
