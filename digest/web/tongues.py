"""In which language a visitor is answered.

Who opened a link of ours is answered as in their mails; anybody else in the best of our languages
that their browser asks for, or the operator's.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from digest.engine.app import App
from digest.errors import DigestError
from digest.languages import Language, language, languages
from digest.subscribers import read_subscriber


@dataclass(frozen=True, slots=True)
class Tongues:
    """Finds the language of a request out once, and keeps it in the request's state."""

    app: App

    def of(self, request: Request) -> Language:
        """The language of the subscriber whose link was opened, even an old one; else `asked`."""
        if not hasattr(request.state, "spoken") and (code := self._of_link(request)):
            request.state.spoken = language(code)
        return self.asked(request)

    def asked(self, request: Request) -> Language:
        """What was found out before, else what the browser asks for; no database is needed."""
        if not hasattr(request.state, "spoken"):
            wanted = negotiated(request.headers.get("accept-language", ""))
            request.state.spoken = language(wanted or self._usual)
            request.state.by_header = True
        spoken: Language = request.state.spoken
        return spoken

    def is_asked(self, request: Request) -> bool:
        """Whether another browser might be answered in another language."""
        return getattr(request.state, "by_header", False)

    def kept(self, request: Request) -> str | None:
        """The language as a new subscriber has it: None where it is the operator's."""
        code = self.of(request).code
        return None if code == self._usual else code

    @property
    def _usual(self) -> str:
        return self.app.settings.mail.language

    def _of_link(self, request: Request) -> str | None:
        # A feed's address ends in its format.
        token = request.path_params.get("token", "").partition(".")[0]
        with suppress(DigestError):
            claim = self.app.links.read_signed(token)
            with self.app.sessions.reading() as session:
                return read_subscriber(session, claim.subscriber_id).language or self._usual
        return None


def negotiated(header: str) -> str | None:
    """The best of our languages by Accept-Language (RFC 9110, 12.5.4); None where none fits."""
    from babel.core import negotiate_locale

    ours = {code.lower(): code for code in languages()}
    weighed = sorted(_weighed(header), key=lambda one: -one[0])
    found = negotiate_locale([tag for q, tag in weighed if q > 0], list(ours), sep="-")
    return ours[found.lower()] if found else None


def _weighed(header: str) -> Iterator[tuple[float, str]]:
    for part in header.split(","):
        tag, options = parse_options_header(part)
        with suppress(ValueError):
            yield float(options.get(b"q", b"1")), tag.decode("latin-1")
