"""The reader for any other feed, RSS, Atom, RDF or JSON Feed: whatever stands in it is a listing.

feedparser reads what is XML, ill-formed too. Publishers say in the description what has no place of
its own, an author line or a journal's issue; it is told from the abstract by its wording.
"""

import codecs
import html
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

from digest.errors import UnreadablePage
from digest.sources.json_page import parse_json
from digest.sources.listing import Listing
from digest.sources.names import name_said, names_of_line
from digest.sources.text import day, folded, of_html, start_of

EXPECTED = "a feed (RSS, Atom, or JSON Feed)"
# feedparser takes some 20 microseconds a tag, a tenth of it for a line, three times as much where
# XML is ill-formed.
MOST_TAGS, MOST_TAGS_ILL_FORMED = 150_000, 50_000
# A summary that is shorter may be a teaser of the content.
A_STUB = 200

_ROOT = re.compile(r"<(?:\w{1,20}:)?(?:rss|feed|rdf|channel)[\s>]", re.IGNORECASE)
_HTML = re.compile(r"<(?:!doctype\s+)?html[\s>]", re.IGNORECASE)
_JSON_FEED = re.compile(r'"https?:\\?/\\?/jsonfeed\.org\\?/version\\?/')
_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
    b"<\0\0\0": "utf-32-le", b"\0\0\0<": "utf-32-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be",
}  # fmt: skip
_DECLARED = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<\?xml\b(?:[^>]{0,200}?\bencoding\s*=\s*[\"']([^\"'>]{0,40})[\"'])?[^>]{0,200}>"
)
# Python knows many more, of which some take a time that grows with the square of the length.
_USUAL_ENCODING = re.compile(
    rb"utf-?8|(?:us-)?ascii|iso-?8859-\d{1,2}|latin-?1|(?:windows|cp)-?\d{3,4}|koi8-[ru]|gb2312|gbk"
    rb"|gb18030|big5|shift_jis|euc-(?:jp|kr)|iso-2022-jp|mac-?roman",
    re.IGNORECASE,
)
_FIRST_TAG = re.compile(rb"<\w")

_DOI = re.compile(r"10\.\d{4,9}/[^\s\"?#&]{1,300}", re.ASCII)
# Alone in its place, it may have any character.
_DOI_ALONE = re.compile(r"(?:doi:\s*)?(10\.\d{4,9}/\S{1,300})", re.IGNORECASE | re.ASCII)
_BEHIND_DOI = re.compile(r"/(?:full|abstract|abs|pdf|epdf|meta|summary|fulltext)$|[.,;)\]>]+$")
_ARXIV = re.compile(
    r"(?:arxiv\.org/(?:abs|pdf|html)/|oai:arxiv\.org:|huggingface\.co/papers/|alphaxiv\.org/abs/"
    r"|arxiv/)(\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[a-z]{2})?/\d{7})(?!\d)",
    re.IGNORECASE | re.ASCII,
)
_PREFIX = re.compile(r"^\[ASAP\]\s+")

# What stands in a description that is no part of the abstract.
_AUTHORS = re.compile(r"(?:authors?|author\(s\)|by)\s*:\s*(.+)", re.IGNORECASE)
_UPVOTES = re.compile(r"(?:up)?votes?\s*:\s*(\d{1,6})$", re.IGNORECASE)
_HEADING = re.compile(
    r"(?i:abstract|summary|significance|background)\s*(?:[:.]\s*|$)|(?i:abstract)\s+(?=[A-Z])"
)
_ABOUT = re.compile(
    r"(?:publication date|published(?: online)?|source|volume|doi|link|url|pdf|keywords?|subjects?"
    r"|categories|comments?|journal(?: ref)?|views?|date|tags?)\s*:.{0,300}$",
    re.IGNORECASE,
)
# Some go on with the abstract on the same line.
_PLACE = re.compile(
    r"(?:doi|link|url|pdf)\s*:\s*(?:https?://|(?:doi:\s*)?10\.)\S{1,300}\s+(?=\w(?:\S*\s+){7})",
    re.IGNORECASE,
)
_ISSUE = re.compile(
    r"[^.]{3,150}, (?:Volume \d|Ahead of Print|EarlyView)[^.]{0,100}\.?$", re.IGNORECASE
)
_ONLINE = re.compile(r".{3,100}, Published online: .{0,200}$", re.IGNORECASE)
_TAIL = re.compile(
    r"\[[^\]]{3,100}\] Published .{0,60}$"
    r"|The post .{0,400} (?:first )?appeared (?:first )?on .{0,100}$"
    r"|(?:continue reading|read (?:more|the full)).{0,200}$|(?:\[?(?:…|\.\.\.)\]?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Feed:
    """Reads any feed of entries with titles; what they are about is not for a reader to know."""

    name: str = "feed"

    def recognises(self, page: bytes) -> bool:
        """Whether the root of a feed stands in the first lines, or the name of JSON Feed."""
        # A feed in UTF-16 without a mark is known by its ASCII.
        start = start_of(page).replace("\0", "").lstrip()
        if start.startswith("{"):
            return bool(_JSON_FEED.search(start))
        return start.startswith("<") and bool(_ROOT.search(start)) and not _is_html(start)

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the entries that have a title, in order.

        The page is of the day of its newest entry, or else of the channel's own date.
        """
        is_json = start_of(page).lstrip().startswith("{")
        entries, stated = _json_entries(page) if is_json else _xml_entries(page)
        titled = [entry for entry in entries if any(map(str.isalnum, entry.title))]
        if entries and not titled:
            raise UnreadablePage(EXPECTED, f"{len(entries)} entries without a title")
        # An issue may bear a date to come; a day for those who are ahead of us.
        until = seen_on + timedelta(days=1)
        dates = [on for entry in titled if (on := entry.dated) and on <= until]
        page_date = max(dates, default=stated if stated and stated <= until else None)
        return [entry.listing(n, page_date) for n, entry in enumerate(titled, start=1)]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a feed says of one thing."""

    title: str
    told: "_Told"
    link: str | None
    names: tuple[str, ...] = ()
    # Where a DOI or an arXiv id may stand, the surest first.
    places: tuple[str, ...] = ()
    dated: date | None = None
    tags: tuple[str, ...] = ()

    def listing(self, position: int, page_date: date | None) -> Listing:
        """The value that leaves this room."""
        categories = list(dict.fromkeys(filter(None, map(folded, self.tags))))
        return Listing(
            title=self.title,
            abstract=self.told.abstract,
            position=position,
            page_date=page_date,
            arxiv_id=_first(_ARXIV, self.places),
            doi=_doi([*self.places, *self.told.asides]),
            url=self.link,
            authors=self.names or self.told.authors,
            published_on=self.dated,
            upvotes=self.told.upvotes,
            facts={"categories": categories} if categories else {},
        )


# --- bytes -> entries -------------------------------------------------------------------------


def _xml_entries(page: bytes) -> tuple[list[_Entry], date | None]:
    page = _without_doctype(_declared_well(page))
    if _is_html(start_of(page)):
        raise UnreadablePage(EXPECTED, "an HTML page")
    n_tags = page.count(b"<") + page.count(b"&") + page.count(b"\n") // 10
    if n_tags > MOST_TAGS or (n_tags > MOST_TAGS_ILL_FORMED and not _is_well_formed(page)):
        raise UnreadablePage(EXPECTED, f"XML of {n_tags:,} tags, entities and lines, too many")
    import feedparser

    # As a stream: bytes alone would be tried as the name of a file first.
    try:
        said = feedparser.parse(io.BytesIO(page), sanitize_html=False, resolve_relative_uris=False)
    except (ValueError, LookupError):
        raise UnreadablePage(EXPECTED, "XML in an encoding that is not known") from None
    if not said.get("version") and not said.entries:
        raise UnreadablePage(EXPECTED, "XML that is no feed")
    return [_xml_entry(entry) for entry in said.entries], _dated(said.feed)


def _is_html(start: str) -> bool:
    """Whether a page of HTML begins, and not a feed that has one within."""
    root = _ROOT.search(start)
    return bool(_HTML.search(start, 0, root.start() if root else len(start)))


def _declared_well(page: bytes) -> bytes:
    """The page without a declaration that is wrong or made to hurt; in UTF-8, if it was wide."""
    encoding = next((name for mark, name in _WIDE.items() if page.startswith(mark)), None)
    if encoding:
        page = page.decode(encoding, errors="replace").lstrip("\ufeff").encode()
    declared = _DECLARED.match(page)
    is_usual = declared and not encoding and _USUAL_ENCODING.fullmatch(declared[1] or b"utf-8")
    return page if is_usual or not declared else page[declared.end() :]


def _without_doctype(page: bytes) -> bytes:
    """The page without a document type, and so without entities of its own."""
    root = _FIRST_TAG.search(page)
    start = page.find(b"<!DOCTYPE", 0, root.start()) if root else -1
    return page[:start] + page[root.start() :] if root and start >= 0 else page


def _is_well_formed(page: bytes) -> bool:
    try:
        ParserCreate().Parse(page, True)  # noqa: FBT003 - expat's only way of saying that it ends
    except (ExpatError, ValueError, LookupError):
        return False
    return True


def _xml_entry(entry: Mapping[str, Any]) -> _Entry:
    link, id_ = _text(entry, "link"), _text(entry, "id")
    links = [_text(one, "href") for one in _list(entry, "links")]
    bodies = [_text(entry, "summary"), *(_text(one, "value") for one in _list(entry, "content"))]
    authors = [name for one in _list(entry, "authors") if (name := _text(one, "name"))]
    # What feedparser does not know it leaves as it stands in XML.
    ids = (html.unescape(_text(entry, name)) for name in ("prism_doi", "dc_identifier"))
    places = [*ids, id_, link, *links]
    return _Entry(
        title=_title(_text(entry, "title")),
        told=_best(bodies),
        link=_web_address(link, id_, *links),
        names=_names(authors),
        places=tuple(filter(None, places)),
        dated=_dated(entry),
        tags=tuple(_text(tag, "term") for tag in _list(entry, "tags")),
    )


def _json_entries(page: bytes) -> tuple[list[_Entry], date | None]:
    said = parse_json(page, EXPECTED)
    if not isinstance(said, dict) or not isinstance(said.get("items"), list):
        raise UnreadablePage(EXPECTED, "JSON without items")
    return [_json_entry(item) for item in said["items"] if isinstance(item, dict)], None


def _json_entry(item: Mapping[str, Any]) -> _Entry:
    # Version 1 has one author, 1.1 a list of them.
    authors = [_text(one, "name") for one in (*_list(item, "authors"), item.get("author"))]
    links = [_text(item, name) for name in ("url", "external_url", "id")]
    bodies = [_text(item, name) for name in ("summary", "content_html", "content_text")]
    dates = (_text(item, name) for name in ("date_published", "date_modified"))
    tags = item.get("tags")
    return _Entry(
        title=_title(_text(item, "title")),
        told=_best(bodies),
        link=_web_address(*links),
        names=_names(list(dict.fromkeys(filter(None, authors)))),
        places=tuple(filter(None, links)),
        dated=next((on for text in dates if (on := day(text))), None),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
    )


def _text(said: Any, name: str) -> str:
    value = said.get(name) if isinstance(said, Mapping) else None
    return value.strip() if isinstance(value, str) else ""


def _list(said: Mapping[str, Any], name: str) -> list[Any]:
    value = said.get(name)
    return value if isinstance(value, list) else []


def _title(text: str) -> str:
    return _PREFIX.sub("", folded(of_html(text)))


def _names(authors: list[str]) -> tuple[str, ...]:
    """The names; one author's place often holds them all."""
    if len(authors) == 1:
        return names_of_line(of_html(authors[0]))
    return tuple(said for author in authors if (said := name_said(of_html(author))))


def _best(bodies: Iterable[str]) -> "_Told":
    """The first of the texts that says something, else the longest: a summary may be a stub."""
    best = _Told()
    for told in (_told(body) for body in bodies if body):
        told.authors, told.upvotes = best.authors or told.authors, best.upvotes or told.upvotes
        told.asides = best.asides + told.asides
        if len(told.abstract) < len(best.abstract):
            told.abstract = best.abstract
        best = told
        if len(best.abstract) >= A_STUB:
            break
    return best


def _dated(said: Mapping[str, Any]) -> date | None:
    """When an entry, or the channel, says that it was published, or else changed."""
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        if name not in said or not (when := said[name]):
            continue
        try:
            on = date(*when[:3])
        except (TypeError, ValueError):
            continue
        if 1990 < on.year < 3000:
            return on
    return None


def _web_address(*links: str) -> str | None:
    return next((link for link in links if re.fullmatch(r"https?://[!-~]{1,2000}", link)), None)


# --- description -> abstract ------------------------------------------------------------------


@dataclass(slots=True)
class _Told:
    """A description, taken apart; `asides` are the lines that say where it was published."""

    abstract: str = ""
    authors: tuple[str, ...] = ()
    upvotes: int | None = None
    asides: list[str] = field(default_factory=list)


def _told(text: str) -> _Told:
    told = _Told()
    kept: list[str] = []
    for line in of_html(text).split("\n\n"):
        if place := _PLACE.match(line):
            told.asides.append(place[0])
            line = line[place.end() :]
        if not kept and (match := _AUTHORS.fullmatch(line)):
            told.authors = told.authors or names_of_line(match[1])
        elif match := _UPVOTES.fullmatch(line):
            told.upvotes = int(match[1])
        elif any(aside.match(line) for aside in (_ABOUT, _ISSUE, _ONLINE)):
            told.asides.append(line)
        elif rest := _TAIL.sub("", _HEADING.sub("", line, count=1)).strip():
            kept.append(rest)
    told.abstract = "\n\n".join(kept)
    return told


def _first(pattern: re.Pattern[str], places: Iterable[str]) -> str | None:
    return next((match[1] for place in places if (match := pattern.search(place))), None)


def _doi(places: Iterable[str]) -> str | None:
    for place in places:
        if alone := _DOI_ALONE.fullmatch(place):
            return alone[1].rstrip(".,;")
        if match := _DOI.search(place):
            return _BEHIND_DOI.sub("", match[0])
    return None
