"""The reader for arXiv's feeds of categories, RSS and Atom, in today's and in the older wording."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from digest.errors import UnreadablePage
from digest.sources.arxiv import (
    Entry,
    announcement_day,
    broken_of,
    categories_of,
    entries_of,
    id_of,
    listings_of,
    title_of,
)
from digest.sources.listing import Listing
from digest.sources.names import names_of
from digest.sources.text import day, paragraphs
from digest.sources.xml import children, head_of, name_of, parse_xml, raw, said

EXPECTED = "a feed of an arXiv category"

_ROOT = re.compile(rb"<(?:rss|feed|rdf:RDF)\b")
_OURS = re.compile(
    rb"updates on arXiv\.org|(?:rss|export)\.arxiv\.org|arxiv\.org/(?:rss|atom)/|schemas/atom\""
)
_API = re.compile(rb"arxiv\.org/api/|arxiv query:", re.IGNORECASE)
# An item begins with these words, before its abstract.
_LEAD = re.compile(
    r"\s*(?:<p>)?\s*(?:arXiv:(?P<id>\S+)\s+)?Announce Type:\s*(?P<type>[\w-]+)\s*Abstract:",
    re.IGNORECASE,
)
# Until 2024 a title ended in these.
_TAIL = re.compile(r"\.?\s*\(arXiv:(\S+)\s*\[([\w.-]+)\]((?:\s+(?:UPDATED|CROSS LISTED))*)\)$")
_NEWS = ("new", "cross")


@dataclass(frozen=True, slots=True)
class ArxivFeed:
    """Reads what rss.arxiv.org announces of a category on one day; at weekends that is nothing."""

    name: str = "arxiv-feed"

    def recognises(self, page: bytes) -> bool:
        """Whether it is a feed that says to be arXiv's, and no answer of its query API."""
        head = head_of(page)
        return bool(_ROOT.search(head) and _OURS.search(head) and not _API.search(head))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - years are given
        """Read the announcements in order; a few broken ones are left out."""
        root = parse_xml(page, EXPECTED)
        channel = _channel(root)
        title = said(channel, "title")
        if title.startswith("Feed error"):
            complaint = said(channel, "description") or said(channel, "subtitle")
            raise UnreadablePage(EXPECTED, f"an error of arXiv ({complaint[:200]})")
        found = _items(root, channel)
        if not found and "arXiv.org" not in title:
            raise UnreadablePage(EXPECTED, "XML without entries")
        entries = entries_of(EXPECTED, found, _entry)
        return listings_of(entries, _page_date(channel, found))

    def broken(self, page: bytes) -> list[str]:
        """The announcements that `read` leaves out, and why."""
        root = parse_xml(page, EXPECTED)
        return broken_of(_items(root, _channel(root)), _entry)


def _channel(root: Element) -> Element:
    return next(children(root, "channel"), root)


def _items(root: Element, channel: Element) -> list[Element]:
    # RSS 1.0 has its items beside the channel, the others within it.
    within = [*channel, *(root if root is not channel else ())]
    return [element for element in within if name_of(element) in ("item", "entry")]


def _page_date(channel: Element, items: list[Element]) -> date | None:
    """The day of the announcement, as the feed says it, or else as most of its items do."""
    if stated := day(raw(channel, "pubDate") or raw(channel, "date")):
        return stated
    days = Counter(on for item in items if (on := _announced_on(item)))
    return days.most_common(1)[0][0] if days else announcement_day(raw(channel, "updated"))


def _announced_on(item: Element) -> date | None:
    return day(raw(item, "pubDate") or raw(item, "published"))


def _entry(item: Element) -> Entry:
    told = raw(item, "description") or raw(item, "summary")
    if lead := _LEAD.match(told):
        told = told[lead.end() :]
    title, categories = said(item, "title"), [_category(c) for c in children(item, "category")]
    announced, named = "", ""
    if tail := _TAIL.search(title):
        title, named = title[: tail.start()], tail[1]
        categories = categories or [tail[2]]
        announced = "cross" if "CROSS" in tail[3] else "replace" if tail[3] else "new"
    announced = said(item, "announce_type") or (lead["type"] if lead else "") or announced
    named = named or (lead["id"] if lead and lead["id"] else "")
    id_, version = _id(named, raw(item, "guid"), raw(item, "id"), *_links(item))
    is_news = announced in _NEWS if announced else version in (None, 1)
    return Entry(
        id=id_,
        version=version,
        title=title_of(title),
        abstract=paragraphs(told),
        authors=tuple(
            n for c in children(item, "creator") for n in names_of("".join(c.itertext()))
        ),
        categories=categories_of(categories),
        announce_type=announced or None,
        is_news=is_news,
        published_on=_announced_on(item) if announced == "new" else None,
        doi=said(item, "DOI") or None,
        journal_ref=said(item, "journal_reference") or None,
    )


def _category(element: Element) -> str:
    return (element.get("term") or "".join(element.itertext())).strip()


def _links(item: Element) -> list[str]:
    return [link.get("href") or "".join(link.itertext()) for link in children(item, "link")]


def _id(*places: str) -> tuple[str, int | None]:
    """The first of the places that holds an id; ValueError where none does."""
    for place in filter(None, places):
        try:
            return id_of(place)
        except ValueError:
            continue
    raise ValueError("no arXiv id")
