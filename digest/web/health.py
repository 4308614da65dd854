"""The doors for whoever watches the process: does it answer, and can it do its work?"""

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from digest.engine.app import App
from digest.errors import DigestError
from digest.store import newest_revision, revision_of
from digest.subscribers import list_subscribers
from digest.web.answers import as_json


@dataclass(frozen=True, slots=True)
class HealthDoors:
    """What a load balancer asks."""

    app: App

    def healthz(self, _request: Request) -> Response:
        """200 when a table of ours can be read, else 503; nothing of the error is told."""
        if not self._reads():
            return as_json({"status": "the database does not answer"}, 503)
        return as_json({"status": "ok"}, 200)

    def readyz(self, _request: Request) -> Response:
        """200 when work can be done: the database answers and is up to date, the model is there."""
        if not self._reads():
            return as_json({"status": "the database does not answer"}, 503)
        if not self._is_current():
            return as_json({"status": "the database is not at this program's revision"}, 503)
        if not self._has_model():
            return as_json({"status": "the encoder's model is missing or not the pinned one"}, 503)
        return as_json({"status": "ready"}, 200)

    def _reads(self) -> bool:
        try:
            with self.app.sessions.reading() as session:
                list_subscribers(session, limit=1)
        except (SQLAlchemyError, DigestError):
            return False
        return True

    def _is_current(self) -> bool:
        try:
            return revision_of(self.app.sessions) == newest_revision()
        except (SQLAlchemyError, DigestError):
            return False

    def _has_model(self) -> bool:
        try:
            return bool(self.app.encoder.identity)
        except DigestError:
            return False
