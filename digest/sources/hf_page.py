"""The reader for pages of huggingface.co/papers, whose list is JSON in an attribute."""

import html
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from digest.errors import UnreadablePage
from digest.sources.hf_daily import broken_of, listings_of
from digest.sources.json_page import parse_json
from digest.sources.listing import Listing

EXPECTED = "a page of Hugging Face papers"

_TARGET = b'data-target="DailyPapers"'
# The attribute stands in the same tag. No tree is built of the page: only this of it is wanted, and
# what takes a tree builder minutes is soon written.
_PROPS = re.compile(
    rb'data-target="DailyPapers"\s[^<>"]*(?:"[^"]*"[^<>"]*){0,9}?\bdata-props="([^"]*)"'
    rb'|\bdata-props="([^"]*)"\s[^<>"]*(?:"[^"]*"[^<>"]*){0,9}?data-target="DailyPapers"'
)


@dataclass(frozen=True, slots=True)
class HuggingFacePage:
    """Reads the HTML of a day, or of what is trending, as the site sends it."""

    name: str = "hf-page"

    def recognises(self, page: bytes) -> bool:
        """Whether the element that holds the list is there."""
        return _TARGET in page

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - years are given
        """Read the papers in the order of the page; a few broken ones are left out."""
        props = _props(page)
        return listings_of(_papers(props), EXPECTED, page_date=_day(props.get("date")))

    def broken(self, page: bytes) -> list[str]:
        """The papers that `read` leaves out, and why."""
        return broken_of(_papers(_props(page)))


def _papers(props: dict[str, Any]) -> list[Any]:
    papers = props.get("dailyPapers")
    if isinstance(papers, list):
        return papers
    raise UnreadablePage(EXPECTED, "no list of papers in its data-props")


def _props(page: bytes) -> dict[str, Any]:
    match = _PROPS.search(page)
    if match is None:
        raise UnreadablePage(EXPECTED, "HTML without the data-props of its list")
    props = html.unescape((match[1] or match[2] or b"").decode(errors="replace"))
    said = parse_json(props.encode("utf-8", "replace"), EXPECTED)
    return said if isinstance(said, dict) else {}


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except (TypeError, ValueError):
        return None
