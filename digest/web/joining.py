"""The doors of the subscribe page: the form with its papers and its sample, and its challenge."""

import zlib
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from math import ceil
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response

import digest.subscribers as subscribers
from digest.delivery.letters import CONFIRM_WITHIN
from digest.editions import Taste, sample, stored_among, varied_papers
from digest.engine.app import App
from digest.errors import BadEncoder, Refused
from digest.languages import Language, msgid
from digest.mail.content import EditionMail
from digest.mail.edition import EditionLinks, edition_mail
from digest.papers.catalog import PaperView, read_papers
from digest.papers.encoder import Remembered
from digest.profiles.seeds import Library, read_library
from digest.ranking.types import Floats
from digest.subscribers.proof import is_proof, new_challenge
from digest.subscribers.throttle import network_of
from digest.text import one_line, shorten
from digest.web.answers import Pages, as_json
from digest.web.choices import FREQUENCIES, HOURS, in_words, mixes_with, zones
from digest.web.forms import numbers_in
from digest.web.pace import Pace, host_of
from digest.web.search import Finder
from digest.web.uploads import Sent, sent_in

# People leave this field, which they do not see, empty.
HONEYPOT = "website"
# A library comes as a file, and goes along in the page from then on.
LONGEST_BODY = 2 * subscribers.LARGEST_LIBRARY
VARIED, FOUND = 12, 10
# Lines of interests that a sample heeds, and papers of it that are shown.
TYPED, SHOWN = 10, 6
_VARIED_FOR = timedelta(minutes=10)
# Libraries that were read last, and the bytes of one that cost its network as much as any press.
_KEPT, _READ_AT_ONCE = 8, 100_000
_FAULTS_SHOWN = 20
# In seconds, by why a form was not taken.
_RETRY_AFTER = {"too fast": "30", "too many from there": "3600", "too many": "3600"}


@dataclass(frozen=True, slots=True)
class Offered:
    """A paper to pick, and whether it is picked."""

    id: int
    title: str
    about: str
    picked: bool


@dataclass(frozen=True, slots=True)
class Brought:
    """A library that somebody brought: as the page carries it, as it is, and what is in it.

    `fault` is why it cannot be read, `known` are those of its papers that are stored here.
    """

    carried: str = ""
    file: bytes = b""
    library: Library | None = None
    fault: str = ""
    known: tuple[int, ...] = ()


class JoiningDoors:
    """One page, given back with whatever was typed until it can be taken."""

    def __init__(
        self, app: App, pages: Pages, now: Callable[[], datetime], typed: Remembered, finder: Finder
    ) -> None:
        """`typed` gives the vectors of texts that visitors type, `finder` finds papers."""
        self.app, self.pages, self.now = app, pages, now
        self._typed, self._finder = typed, finder
        self._pace = Pace(timedelta(seconds=2), 20)
        # A megabyte may take seconds to read.
        self._reading = Pace(timedelta(seconds=6), 20)
        self._libraries: OrderedDict[tuple[bytes, date], Library | Refused] = OrderedDict()
        self._lock = Lock()
        self._varied: tuple[datetime, list[int]] | None = None
        self._untold: tuple[tuple[object, ...], EditionMail] | None = None

    def home(self, request: Request) -> Response:
        """The form, filled with the defaults."""
        return self._page(request, Sent({}), {})

    def challenge(self, _request: Request) -> Response:
        """What the page's script works on while the form is filled in."""
        return as_json(new_challenge(self.app.secret, self.now()), 200)

    def subscribe(self, request: Request) -> Response:
        """Take the form; whoever asks learns nothing of who is subscribed.

        A button that only asks for papers or a sample gets the page back.
        """
        sent, now = sent_in(request), self.now()
        given = sent.last()
        brought = self._brought(sent, request, now) if self._pace.allows(request, now) else None
        if brought is None:
            kept = Brought(_carried(sent))
            return self._page(
                request, sent, {}, kept, status=429, shows_sample=False, refusal="too fast"
            )
        if given.get("do") in ("search", "sample"):
            return self._page(request, sent, {}, brought)
        defaults = self.app.settings.defaults
        # Their mails are in the language of the page that they asked for them on.
        asked = {**given, "language": self.pages.tongues.kept(request)}
        faults = subscribers.faults_in(asked, defaults)
        if brought.fault:
            faults = {**faults, "library": brought.fault}
        if faults:
            return self._page(request, sent, faults, brought, status=422)
        subscription = subscribers.parse_subscription(asked, defaults)
        if not given.get(HONEYPOT):
            form = subscribers.SignupForm(subscription, tuple(_picks(sent)), brought.file)
            taken = self._sign_up(request, form, given.get("altcha", ""), now)
            if taken != "taken":
                return self._page(
                    request, sent, {}, brought, status=429, shows_sample=False, refusal=taken
                )
        return self.pages.show(
            request, "check_mail.html", address=subscription.address, days_valid=CONFIRM_WITHIN.days
        )

    def _sign_up(
        self, request: Request, form: subscribers.SignupForm, proof: str, now: datetime
    ) -> subscribers.Taken:
        web, secret = self.app.settings.web, self.app.secret
        with self.app.sessions() as session:
            asks = web.proof_of_work
            return subscribers.sign_up(
                session,
                replace(form, picks=subscribers.known_papers(session, form.picks)),
                network=network_of(host_of(request)),
                proven=is_proof(session, proof, secret=secret, now=now) if asks else None,
                limits=subscribers.SignupLimits(web.signups_per_hour, web.confirmations_per_hour),
                secret=secret,
                now=now,
            )

    def _page(
        self,
        request: Request,
        sent: Sent,
        faults: Mapping[str, str],
        brought: Brought | None = None,
        *,
        status: int = 200,
        shows_sample: bool = True,
        refusal: str = "",
    ) -> Response:
        given, now, spoken = sent.last(), self.now(), self.pages.tongues.of(request)
        brought = brought or Brought()
        defaults = {name: str(v) for name, v in self.app.settings.defaults.model_dump().items()}
        values = {"address": "", "interest": "", "q": "", **defaults, **given}
        return self.pages.show(
            request,
            "subscribe.html",
            status,
            public=not given,
            headers={"Retry-After": _RETRY_AFTER[refusal]} if refusal else None,
            values=values,
            faults=faults,
            refusal=refusal,
            hours=HOURS,
            frequencies=in_words(FREQUENCIES, spoken),
            mixes=mixes_with(defaults["mix"], spoken),
            zones=zones(),
            consent=spoken.gettext(subscribers.CONSENT),
            honeypot=HONEYPOT,
            papers=self._papers(sent, values["q"], now),
            searched=one_line(values["q"]) if given.get("do") == "search" else "",
            brought=brought,
            faults_shown=_FAULTS_SHOWN,
            sample=self._sample(sent, values, brought, now, spoken) if shows_sample else None,
            shown=SHOWN,
            public_pages=self.app.settings.web.public,
            proof_of_work=self.app.settings.web.proof_of_work,
        )

    # --- papers to pick -------------------------------------------------------------------------

    def _papers(self, sent: Sent, words: str, now: datetime) -> list[Offered]:
        """What is picked, then what was searched for; else the varied ones."""
        if words.strip() and sent.last().get("do") in ("search", "sample"):
            others = [id_ for _, id_ in self._finder.find(self.app.sessions, words, limit=FOUND)]
        else:
            others = self._varied_papers(now)
        with self.app.sessions.reading() as session:
            picked = subscribers.known_papers(session, _picks(sent))
            views = read_papers(session, list(dict.fromkeys([*picked, *others])))
        return [_offered(view, picked) for view in views]

    def _varied_papers(self, now: datetime) -> list[int]:
        with self._lock:
            if self._varied is None or not now - _VARIED_FOR < self._varied[0] <= now:
                with self.app.sessions.reading() as session:
                    ids = varied_papers(session, self._typed.encoder.identity, VARIED, now=now)
                self._varied = now, ids
            return self._varied[1]

    # --- the library that somebody brings -------------------------------------------------------

    def _brought(self, sent: Sent, request: Request, now: datetime) -> Brought | None:
        """What came along; None where their network has to wait before it is read."""
        file = sent.file or _unpacked(_carried(sent))
        if not file:
            return Brought()
        if len(file) > subscribers.LARGEST_LIBRARY:
            most = subscribers.LARGEST_LIBRARY // 10**6
            return Brought(
                fault=msgid("a file of at most %(n)s MB; export a part of the library", n=most)
            )
        library = self._read(file, request, now)
        if library is None:
            return None
        if isinstance(library, Refused):
            return Brought(fault=library.message)
        with self.app.sessions.reading() as session:
            known = stored_among(session, library.papers, library.keys)
        return Brought(_packed(file), file, library, known=tuple(known))

    def _read(self, file: bytes, request: Request, now: datetime) -> Library | Refused | None:
        """A library goes along from sample to sample: it is read once, at a pace by its size."""
        key = sha256(file).digest(), now.date()
        with self._lock:
            found = self._libraries.get(key)
        if found is None and self._reading.allows(request, now, ceil(len(file) / _READ_AT_ONCE)):
            try:
                found = read_library(file, now.date())
            except Refused as error:
                found = error
            with self._lock:
                self._libraries[key] = found
                while len(self._libraries) > _KEPT:
                    self._libraries.popitem(last=False)
        return found

    # --- the sample -----------------------------------------------------------------------------

    def _sample(
        self,
        sent: Sent,
        values: Mapping[str, str],
        brought: Brought,
        now: datetime,
        spoken: Language,
    ) -> EditionMail:
        lines = [line for text in values["interest"].split("\n") if (line := one_line(text))]
        library = brought.library.interests.values() if brought.library else ()
        defaults = self.app.settings.defaults
        texts = [shorten(text, 2000) for text in [*lines[:TYPED], *list(library)[:TYPED]]]
        likes = [*brought.known, *_picks(sent)]
        length = int(_between(values["length"], 1, 30, defaults.length))
        mix = _between(values["mix"], 0, 1, defaults.mix)
        # What everybody sees who has just come is made once a minute.
        key = (now.replace(second=0, microsecond=0), length, mix, spoken)
        if not texts and not likes and self._untold and self._untold[0] == key:
            return self._untold[1]
        taste = Taste(self._vectors(texts), likes)
        with self.app.sessions.reading() as session:
            made = sample(
                session,
                self._typed.encoder.identity,
                taste,
                length=length,
                mix=mix,
                now=now,
            )
        home = f"{self.app.links.base_url}/"
        shown = edition_mail(made, EditionLinks(home, home, None, {}), "", spoken)
        if not texts and not likes:
            self._untold = key, shown
        return shown

    def _vectors(self, texts: Sequence[str]) -> dict[str, Floats | None]:
        """The vectors of interests; none where the encoder cannot be loaded."""
        try:
            return dict(self._typed.vectors(texts))
        except BadEncoder:
            return dict.fromkeys(texts)


def _offered(view: PaperView, picked: Sequence[int]) -> Offered:
    about = shorten(one_line(view.abstract), 150)
    return Offered(view.id, shorten(one_line(view.title), 200), about, view.id in picked)


def _picks(sent: Sent) -> list[int]:
    return numbers_in(sent.fields.get("pick", ()))


def _carried(sent: Sent) -> str:
    """The library that a page brought or carried, as the next one carries it."""
    if sent.file:
        return _packed(sent.file[: subscribers.LARGEST_LIBRARY + 1])
    given = sent.last()
    return "" if given.get("forget") else given.get("library", "")


def _between(text: str, least: float, most: float, default: float) -> float:
    try:
        number = float(text)
    except ValueError:
        return default
    return number if least <= number <= most else default


def _packed(file: bytes) -> str:
    return b64encode(zlib.compress(file)).decode()


def _unpacked(carried: str) -> bytes:
    """A library that the page carried; of one that is larger than we made it, a byte too much."""
    try:
        return zlib.decompressobj().decompress(
            b64decode(carried, validate=True), subscribers.LARGEST_LIBRARY + 1
        )
    except (ValueError, zlib.error):
        return b""
