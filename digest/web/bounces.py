"""The door for relays that post bounces, as JSON or as the mail that came back."""

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from digest.engine.app import App
from digest.errors import BadInput
from digest.subscribers.returns import settle_posted
from digest.web.answers import as_json

PATH = "/bounces"
LONGEST_BODY = 1_000_000


@dataclass(frozen=True, slots=True)
class BounceDoors:
    """Open to who knows the webhook secret, as a bearer token or as the password of HTTP Basic."""

    app: App
    now: Callable[[], datetime]

    def post(self, request: Request) -> Response:
        """Settle what a relay posts; answers how many events ended in what."""
        secret = self.app.settings.bounces.webhook_secret
        if secret is None:
            raise HTTPException(404)
        if not _knows(request, secret.get_secret_value()):
            answer = as_json({"error": "the webhook secret is missing or wrong"}, 401)
            answer.headers["WWW-Authenticate"] = 'Basic realm="bounces"'
            return answer
        is_mail = request.headers.get("content-type", "").lower().startswith("message/")
        try:
            with self.app.sessions() as session:
                settled = settle_posted(
                    session,
                    request.state.body,
                    is_mail=is_mail,
                    secret=self.app.secret,
                    now=self.now(),
                )
        except BadInput as error:
            return as_json({"error": str(error)}, 400)
        return as_json(Counter(one.done for one in settled), 200)


def _knows(request: Request, secret: str) -> bool:
    """Compares in constant time. RFC 7617 and RFC 6750."""
    told = request.headers.get("authorization", "").encode("latin-1")
    scheme, _, given = told.partition(b" ")
    if scheme.lower() == b"basic":
        try:
            given = b64decode(given).partition(b":")[2]
        except NotBase64:
            return False
    elif scheme.lower() != b"bearer":
        return False
    return hmac.compare_digest(given, secret.encode())
