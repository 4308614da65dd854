"""The door for whoever watches the process: does it answer, and does its database?"""

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from digest.engine.app import App
from digest.subscribers import list_subscribers
from digest.web.answers import as_json


@dataclass(frozen=True, slots=True)
class HealthDoors:
    """What a load balancer asks."""

    app: App

    def healthz(self, _request: Request) -> Response:
        """200 when a table of ours can be read, else 503; nothing of the error is told."""
        try:
            with self.app.sessions.reading() as session:
                list_subscribers(session, limit=1)
        except SQLAlchemyError:
            return as_json({"status": "the database does not answer"}, 503)
        return as_json({"status": "ok"}, 200)
