"""The doors to feeds: a subscriber's editions, and what is trending, as Atom and as JSON Feed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from json import dumps
from threading import Lock
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from digest.editions import recent_editions
from digest.engine.app import App
from digest.languages import Language
from digest.links import Claim, Links
from digest.mail.content import MailPaper
from digest.mail.edition import EditionLinks, edition_mail
from digest.papers.catalog import PaperView, trending_papers
from digest.subscribers import read_subscriber
from digest.text import one_line
from digest.web.answers import PRIVATE, PUBLIC, SHUT, Pages
from digest.web.papers import PaperLine, lines_of

Format = Literal["atom", "json"]

EDITIONS, TRENDING = 14, 30
# What is trending changes when a page is read, which is a few times a day.
KEPT_FOR = timedelta(minutes=1)
# A feed reader keeps a link for years; one that leaked is worth no more than what it shows.
FOR_YEARS = datetime(2100, 1, 1, tzinfo=UTC)
_KINDS: dict[Format, str] = {
    "atom": "application/atom+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
}
_ATOM = "http://www.w3.org/2005/Atom"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One paper in a feed; `id` is the same for ever, `about` is plain text."""

    id: str
    title: str
    url: str
    authors: str
    about: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed at its own address `url`, of the page `home`."""

    title: str
    url: str
    home: str
    entries: tuple[Entry, ...]

    @property
    def updated_at(self) -> datetime:
        """When its newest entry came, in whole seconds."""
        newest = max((entry.at for entry in self.entries), default=_EPOCH)
        return newest.replace(microsecond=0)


def feed_url(links: Links, subscriber_id: int, kind: Format = "atom") -> str:
    """The address of a subscriber's own feed: the same whenever it is asked for."""
    return f"{links.url(_claim(subscriber_id))}.{kind}"


def search_url(links: Links, subscriber_id: int) -> str:
    """The address of a subscriber's search, which needs no open door; as long-lived."""
    return f"{links.base_url}/search/{links.token(_claim(subscriber_id))}"


class FeedDoors:
    """Feeds, and the page of what is trending."""

    def __init__(self, app: App, pages: Pages, now: Callable[[], datetime]) -> None:
        """Read what `app` has stored."""
        self.app, self.pages, self.now = app, pages, now
        self._lock = Lock()
        # When it was read, and what it is called in the languages that were asked for.
        self._kept: tuple[datetime, list[PaperView], dict[Language, list[PaperLine]]] | None = None

    def personal(self, request: Request) -> Response:
        """The papers of a subscriber's editions, whoever holds their link."""
        token, _, kind = request.path_params["token"].rpartition(".")
        if kind not in _KINDS:
            raise HTTPException(404)
        claim = self.app.links.read(token, "feed", self.now())
        with self.app.sessions.reading() as session:
            who = read_subscriber(session, claim.subscriber_id)
            editions = (
                recent_editions(session, who.id, limit=EDITIONS) if who.state != "pending" else []
            )
        base, spoken = self.app.links.base_url, self.pages.tongues.of(request)
        nowhere = EditionLinks(f"{base}/", f"{base}/", None, {})
        entries = [
            _entry(base, f"{edition.local_date}/{item.paper_id}", paper, edition.built_at)
            for edition in editions
            for item, paper in zip(
                edition.items, edition_mail(edition, nowhere, "", spoken).papers, strict=True
            )
        ]
        url = feed_url(self.app.links, who.id, kind)
        title = spoken.gettext("Digest: your papers")
        feed = Feed(title, url, f"{base}/", tuple(entries))
        return _answer(request, feed, kind, self.pages.told(request), public=False)

    def trending(self, request: Request) -> Response:
        """What is trending, for everybody."""
        spoken = self.pages.tongues.of(request)
        return self.pages.show(
            request,
            "trending.html",
            public=True,
            papers=self._trending(spoken),
            day=spoken.long_date(self.now().date()),
        )

    def trending_atom(self, request: Request) -> Response:
        """The same as Atom."""
        return self._trending_feed(request, "atom")

    def trending_json(self, request: Request) -> Response:
        """The same as JSON Feed."""
        return self._trending_feed(request, "json")

    def _trending(self, spoken: Language) -> list[PaperLine]:
        if not self.app.settings.web.public:
            raise HTTPException(404)
        now = self.now()
        with self._lock:
            if self._kept is None or not now - KEPT_FOR < self._kept[0] <= now:
                with self.app.sessions.reading() as session:
                    self._kept = now, trending_papers(session, now, limit=TRENDING), {}
            _, views, lines = self._kept
            if spoken not in lines:
                lines[spoken] = lines_of(views, spoken)
            return lines[spoken]

    def _trending_feed(self, request: Request, kind: Format) -> Response:
        base, spoken = self.app.links.base_url, self.pages.tongues.of(request)
        entries = [
            _entry(base, f"trending/{line.paper_id}", line.shown, line.seen_at)
            for line in self._trending(spoken)
        ]
        url = f"{base}/trending.{kind}"
        title = spoken.gettext("Digest: trending papers")
        feed = Feed(title, url, f"{base}/trending", tuple(entries))
        return _answer(request, feed, kind, self.pages.told(request), public=True)


def atom(feed: Feed) -> bytes:
    """The feed as Atom (RFC 4287); characters that XML 1.0 cannot hold are left out."""
    root = Element("feed", xmlns=_ATOM)
    _put(root, "id", feed.url)
    _put(root, "title", feed.title)
    _put(root, "updated", _instant(feed.updated_at))
    _put(SubElement(root, "author"), "name", "Digest")
    SubElement(root, "link", rel="self", href=feed.url, type="application/atom+xml")
    SubElement(root, "link", rel="alternate", href=feed.home, type="text/html")
    for entry in feed.entries:
        part = SubElement(root, "entry")
        _put(part, "id", entry.id)
        _put(part, "title", entry.title)
        _put(part, "updated", _instant(entry.at))
        SubElement(part, "link", rel="alternate", href=_in_xml(entry.url))
        if entry.authors:
            _put(SubElement(part, "author"), "name", entry.authors)
        _put(part, "summary", entry.about)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def json_feed(feed: Feed) -> bytes:
    """The feed as JSON Feed 1.1 (jsonfeed.org/version/1.1)."""
    items = [
        {
            "id": entry.id,
            "url": entry.url,
            "title": entry.title,
            "content_text": entry.about,
            "date_published": _instant(entry.at),
            **({"authors": [{"name": entry.authors}]} if entry.authors else {}),
        }
        for entry in feed.entries
    ]
    value = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": feed.url,
        "items": items,
    }
    return dumps(value).encode()


def _claim(subscriber_id: int) -> Claim:
    return Claim("feed", subscriber_id, FOR_YEARS)


def _entry(base: str, name: str, paper: MailPaper, at: datetime) -> Entry:
    about = " ".join(filter(None, [paper.summary, *(f"{why}." for why in paper.why)]))
    return Entry(
        id=f"{base}/#{name}",
        title=paper.title,
        url=paper.links[0].url,
        authors=paper.authors,
        about=one_line(about) or paper.title,
        at=at,
    )


def _answer(
    request: Request, feed: Feed, kind: str, told: Mapping[str, str], *, public: bool
) -> Response:
    """The feed, or 304 where the reader has it (RFC 9110, 13.1)."""
    body = atom(feed) if kind == "atom" else json_feed(feed)
    headers = {
        **SHUT,
        **(PUBLIC if public else {**PRIVATE, "Cache-Control": "private, no-cache"}),
        **told,
        "ETag": f'"{sha256(body).hexdigest()[:32]}"',
        "Last-Modified": format_datetime(feed.updated_at, usegmt=True),
    }
    if _has_it(request, headers["ETag"], feed.updated_at):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=_KINDS["atom" if kind == "atom" else "json"])


def _has_it(request: Request, etag: str, updated_at: datetime) -> bool:
    if asked := request.headers.get("if-none-match"):
        named: Sequence[str] = [one.strip().removeprefix("W/") for one in asked.split(",")]
        return etag in named or "*" in named
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
        return updated_at > _EPOCH and updated_at <= since.astimezone(UTC)
    except (ValueError, OverflowError):
        return False


def _put(above: Element, name: str, text: str) -> None:
    SubElement(above, name).text = _in_xml(text)


def _in_xml(text: str) -> str:
    """The text without what XML 1.0 (2.2) has no way to say."""
    return "".join(
        c
        for c in text
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
