"""The door for whoever runs it: the day at a glance, and the last weeks, behind a token."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from digest.charts import Values, chart
from digest.engine.app import App
from digest.engine.status import read_status
from digest.evaluation.learning import Week, read_weeks
from digest.languages import ENGLISH
from digest.web.answers import PRIVATE, SHUT, Pages

WEEKS = 12
# The weeks cost some seconds where there are many readers, and change slowly.
_KEPT_FOR = timedelta(minutes=5)


@dataclass(slots=True)
class StatusDoors:
    """Opened by `web.status_token`, as a password (any name) or a bearer token."""

    app: App
    pages: Pages
    now: Callable[[], datetime]
    _kept: tuple[datetime, Sequence[Week]] | None = None
    _lock: Lock = field(default_factory=Lock)

    def status(self, request: Request) -> Response:
        """The page; 404 where no token is set, 401 without it."""
        token = self.app.settings.web.status_token
        if token is None:
            raise HTTPException(404)
        if not _shows(request, token.get_secret_value()):
            asks = {"WWW-Authenticate": 'Basic realm="status", charset="UTF-8"'}
            return Response("The token, please.", 401, {**SHUT, **PRIVATE, **asks}, "text/plain")
        now = self.now()
        with self.app.sessions.reading() as session:
            status = read_status(session, self.app.settings, now)
        return self.pages.show(
            request,
            "status.html",
            spoken=ENGLISH,
            seen=status,
            charts=_charts(self._weeks(now)),
        )

    def _weeks(self, now: datetime) -> Sequence[Week]:
        with self._lock:
            if self._kept is None or now - self._kept[0] > _KEPT_FOR:
                with self.app.sessions.reading() as session:
                    self._kept = now, read_weeks(session, WEEKS, now=now)
            return self._kept[1]


def _shows(request: Request, token: str) -> bool:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    given = text.encode("latin-1")  # as it came
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given, token.encode())


def _charts(weeks: Sequence[Week]) -> dict[str, Markup]:
    """A drawing by its heading."""
    bars: dict[str, dict[str, Values]] = {
        "Mails sent": {"mails": [week.sent for week in weeks]},
        "Votes on what was sent": {
            "up": [week.up for week in weeks],
            "down": [week.down for week in weeks],
            "saved": [week.saved for week in weeks],
        },
    }
    lines: dict[str, dict[str, Values]] = {
        "How high the liked papers stood (nDCG, 1 is best)": {"nDCG": [w.ndcg for w in weeks]},
        "Likes a mail": {"likes a mail": [week.likes_per_mail for week in weeks]},
    }
    xs = [f"{week.monday:%d %b}" for week in weeks]
    drawn = {title: chart(title, xs, series, kind="bar") for title, series in bars.items()}
    drawn |= {title: chart(title, xs, series) for title, series in lines.items()}
    return {title: Markup(svg) for title, svg in drawn.items()}  # noqa: S704 - `chart` escapes
