"""The reader for what Zotero exports as RDF."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.records import Record, arxiv_id_in, day_in, doi_in, listings_of, year_in
from digest.sources.text import of_html
from digest.sources.xml import children, head_of, name_of, parse_xml, raw, said

EXPECTED = "a library that Zotero exported as RDF"

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_OURS = re.compile(rb"zotero\.org/namespaces/export#")


@dataclass(frozen=True, slots=True)
class ZoteroRdf:
    """Reads the items of a library; attachments and notes are none."""

    name: str = "zotero-rdf"

    def recognises(self, page: bytes) -> bool:
        """Whether it is RDF with Zotero's namespace."""
        head = head_of(page)
        return b"<rdf:RDF" in head and bool(_OURS.search(head))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the items that have a title, in order."""
        root = parse_xml(page, EXPECTED)
        about = {element.get(f"{_RDF}about"): element for element in root}
        items = [element for element in root if _is_item(element)]
        records = [_record(item, about) for item in items if said(item, "title")]
        if not records:
            raise UnreadablePage(EXPECTED, f"{len(items)} items, none of them with a title")
        return listings_of(records, seen_on)


def _is_item(element: Element) -> bool:
    return said(element, "itemType") not in ("", "attachment", "note", "annotation")


def _record(item: Element, about: dict[str | None, Element]) -> Record:
    names = list(_identifiers(item))
    # A journal's article has its DOI with the journal, which may stand elsewhere.
    for part_of in children(item, "isPartOf"):
        elsewhere = about.get(part_of.get(f"{_RDF}resource"))
        for one in [*part_of] if elsewhere is None else [elsewhere]:
            names += _identifiers(one)
    address = next((name for name in names if re.fullmatch(r"https?://[!-~]{1,2000}", name)), None)
    dated = said(item, "date")
    return Record(
        title=" ".join(of_html(raw(item, "title")).split()),
        abstract=of_html(raw(item, "abstract")),
        authors=tuple(_names(item)),
        doi=doi_in(*names),
        arxiv_id=arxiv_id_in(*names),
        url=address,
        published_on=day_in(dated),
        year=year_in(dated),
    )


def _identifiers(element: Element) -> Iterator[str]:
    yield element.get(f"{_RDF}about", "")
    for identifier in children(element, "identifier"):
        yield " ".join("".join(identifier.itertext()).split())


def _names(item: Element) -> Iterator[str]:
    for authors in children(item, "authors"):
        for person in (one for one in authors.iter() if name_of(one) == "Person"):
            given = said(person, "givenName") or said(person, "givenname")
            if name := " ".join(filter(None, (given, said(person, "surname")))):
                yield name
