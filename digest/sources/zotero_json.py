"""The reader for items of a library as Zotero's web API gives them: a JSON array of `data`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from digest.errors import UnreadablePage
from digest.sources.json_page import parse_json
from digest.sources.listing import Listing
from digest.sources.names import name_said
from digest.sources.records import Record, arxiv_id_in, day_in, doi_in, listings_of, year_in
from digest.sources.text import folded, of_html, start_of

EXPECTED = "items of a Zotero library as JSON"
_NO_PAPERS = ("attachment", "note", "annotation")


@dataclass(frozen=True, slots=True)
class ZoteroJson:
    """Reads the items that have a title; attachments and notes are none."""

    name: str = "zotero-json"

    def recognises(self, page: bytes) -> bool:
        """Whether it is a JSON array in whose beginning an item's type is named."""
        is_list = start_of(page).lstrip().startswith("[")
        return is_list and b'"itemType"' in page[:65536]

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the items in order."""
        items = items_of(page)
        records = [record for item in items if (record := _record(item))]
        if not records:
            raise UnreadablePage(EXPECTED, f"{len(items)} items, none of them with a title")
        return listings_of(records, seen_on)


def items_of(page: bytes) -> list[Any]:
    """The items of an answer, whatever they are. Raises UnreadablePage."""
    said = parse_json(page, EXPECTED)
    if not isinstance(said, list):
        raise UnreadablePage(EXPECTED, "JSON that is no list")
    return said


def _record(item: Any) -> Record | None:
    # The API wraps an item's fields; an export has them bare.
    said = item.get("data", item) if isinstance(item, Mapping) else None
    if not isinstance(said, Mapping) or _text(said, "itemType") in _NO_PAPERS:
        return None
    title = folded(of_html(_text(said, "title")))
    if not any(map(str.isalnum, title)):
        return None
    names = [_text(said, name) for name in ("DOI", "url", "archiveID", "extra")]
    # `extra` holds a line a thing: `arXiv:1706.03762 [cs]`, `DOI: 10.1000/1`.
    words = [word for name in names for word in name.split()]
    url, dated = names[1].strip(), _text(said, "date")
    return Record(
        title=title,
        abstract=of_html(_text(said, "abstractNote")),
        authors=tuple(_names(said.get("creators"))),
        doi=doi_in(*names),
        arxiv_id=arxiv_id_in(*words),
        url=url if url.startswith(("https://", "http://")) and url.isprintable() else None,
        published_on=day_in(dated),
        year=year_in(dated),
    )


def _names(creators: Any) -> list[str]:
    people = creators if isinstance(creators, list) else []
    authors = [one for one in people if isinstance(one, Mapping)]
    kinds = [one.get("creatorType") for one in authors]
    named = (
        folded(_text(one, "name") or f"{_text(one, 'firstName')} {_text(one, 'lastName')}")
        for one in authors
        # Editors and translators count where nobody is named as an author.
        if one.get("creatorType") == "author" or "author" not in kinds
    )
    return [name for said in named if (name := name_said(said))]


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
