"""The reader for arXiv's OAI-PMH records in all of their formats (OAI-PMH 2.0, sections 2 to 4)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element

from digest.errors import UnreadablePage
from digest.sources.arxiv import (
    NEWS,
    Entry,
    broken_of,
    categories_of,
    entries_of,
    id_of,
    listings_of,
    title_of,
)
from digest.sources.listing import Listing
from digest.sources.names import names_of
from digest.sources.text import day, folded, paragraphs
from digest.sources.xml import children, head_of, name_of, parse_xml, raw, said

EXPECTED = "OAI-PMH records of arXiv"

_COMMENT = re.compile(r"\s*Comment:\s*")


@dataclass(frozen=True, slots=True)
class ArxivOai:
    """Reads ListRecords and GetRecord in the formats arXiv, arXivRaw and oai_dc.

    Records come whenever anything of them changed, so most are not news.
    """

    name: str = "arxiv-oai"

    def recognises(self, page: bytes) -> bool:
        """Whether it is an answer of OAI-PMH."""
        return b"<OAI-PMH" in head_of(page)

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - years are given
        """Read the records in order, without deleted ones; a few broken ones are left out.

        That there are none is an empty page; any other error is refused, saying it.
        """
        root = parse_xml(page, EXPECTED)
        for error in children(root, "error"):
            if (code := error.get("code", "")) != "noRecordsMatch":
                told = folded(" ".join([code, *error.itertext()]))[:200]
                raise UnreadablePage(EXPECTED, f"an error of arXiv ({told})")
            return []
        answer = _answer(root)
        if answer is None:
            raise UnreadablePage(EXPECTED, "an answer without records")
        records = _records(answer)
        entries = entries_of(EXPECTED, records, _entry, of="record")
        changed = [on for record in records if (on := _changed_on(record))]
        return listings_of(entries, max(changed, default=None) or day(raw(root, "responseDate")))

    def broken(self, page: bytes) -> list[str]:
        """The records that `read` leaves out, and why."""
        answer = _answer(parse_xml(page, EXPECTED))
        return [] if answer is None else broken_of(_records(answer), _entry, of="record")

    def next_url(self, page: bytes, url: str) -> str | None:
        """The address of the records after these, by the token that the page ends in."""
        try:
            answer = _answer(parse_xml(page, EXPECTED))
        except UnreadablePage:
            return None
        token = said(answer, "resumptionToken") if answer is not None else ""
        # The token stands for all that was asked before (section 3.5).
        query = urlencode({"verb": "ListRecords", "resumptionToken": token})
        return urlsplit(url)._replace(query=query).geturl() if token else None

    def count(self, page: bytes, url: str) -> tuple[int, int | None]:  # noqa: ARG002 - the page says
        """The records of the page, and those of the whole list from it on (section 3.5)."""
        try:
            answer = _answer(parse_xml(page, EXPECTED))
        except UnreadablePage:
            return 0, None
        if answer is None:
            return 0, None
        n = len(list(children(answer, "record")))
        for token in children(answer, "resumptionToken"):
            if (size := _number(token.get("completeListSize"))) is not None:
                return n, max(0, size - (_number(token.get("cursor")) or 0))
        return n, None


def _answer(root: Element) -> Element | None:
    return next((part for part in root if name_of(part) in ("ListRecords", "GetRecord")), None)


def _records(answer: Element) -> list[Element]:
    return [record for record in children(answer, "record") if not _is_deleted(record)]


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,9}", text) else None


def _is_deleted(record: Element) -> bool:
    return any(header.get("status") == "deleted" for header in children(record, "header"))


def _entry(record: Element) -> Entry:
    header = next(children(record, "header"), None)
    told = next((part for holder in children(record, "metadata") for part in holder), None)
    if header is None or told is None:
        raise ValueError("no metadata")
    read = {"arXiv": _arxiv, "arXivRaw": _raw, "dc": _dublin_core}.get(name_of(told))
    if read is None:
        raise ValueError(f"metadata in the format {name_of(told)[:40]!r}")
    entry, changed = read(told, header), _changed_on(record)
    if changed and entry.published_on and changed - entry.published_on > NEWS:
        return replace(entry, is_news=False)
    return entry


def _changed_on(record: Element) -> date | None:
    return next((day(raw(header, "datestamp")) for header in children(record, "header")), None)


def _arxiv(told: Element, header: Element) -> Entry:
    authors = (author for holder in children(told, "authors") for author in holder)
    return Entry(
        id=id_of(raw(told, "id") or raw(header, "identifier"))[0],
        version=None,
        title=title_of(raw(told, "title")),
        abstract=paragraphs(raw(told, "abstract")),
        authors=tuple(filter(None, map(_full_name, authors))),
        categories=categories_of(raw(told, "categories").split()),
        published_on=day(raw(told, "created")),
        updated_on=day(raw(told, "updated")),
        doi=said(told, "doi") or None,
        comment=said(told, "comments") or None,
        journal_ref=said(told, "journal-ref") or None,
    )


def _full_name(author: Element) -> str:
    names = (said(author, part) for part in ("forenames", "keyname", "suffix"))
    return " ".join(filter(None, names))


def _raw(told: Element, header: Element) -> Entry:
    # The versions stand in any order.
    versions = {
        int(number[1:]): day(raw(version, "date"))
        for version in children(told, "version")
        if re.fullmatch(r"v\d{1,3}", number := version.get("version", ""), re.ASCII)
    }
    last = max(versions, default=None)
    return Entry(
        id=id_of(raw(told, "id") or raw(header, "identifier"))[0],
        version=last,
        title=title_of(raw(told, "title")),
        abstract=paragraphs(raw(told, "abstract")),
        authors=names_of(raw(told, "authors")),
        categories=categories_of(raw(told, "categories").split()),
        published_on=versions.get(1),
        updated_on=versions[last] if last and last > 1 else None,
        doi=said(told, "doi") or None,
        comment=said(told, "comments") or None,
        journal_ref=said(told, "journal-ref") or None,
    )


def _dublin_core(told: Element, header: Element) -> Entry:
    texts = ["".join(part.itertext()) for part in children(told, "description")]
    dates = [on for part in children(told, "date") if (on := day("".join(part.itertext())))]
    named = [folded("".join(part.itertext())) for part in children(told, "identifier")]
    dois = [text.removeprefix("doi:") for text in named if text.startswith("doi:")]
    return Entry(
        id=id_of(raw(header, "identifier"))[0],
        version=None,
        title=title_of(raw(told, "title")),
        abstract=paragraphs(next((t for t in texts if not _COMMENT.match(t)), "")),
        authors=tuple(filter(None, map(_turned, children(told, "creator")))),
        categories=categories_of(_sets(header)),
        published_on=min(dates, default=None),
        updated_on=max(dates) if len(dates) > 1 else None,
        doi=dois[0] if dois else None,
        comment=next(
            (folded(_COMMENT.sub("", text)) for text in texts if _COMMENT.match(text)), None
        ),
        journal_ref=next((t for t in named if not t.startswith(("http", "doi:"))), None),
    )


def _turned(creator: Element) -> str:
    """`Lovelace, Ada` as Ada Lovelace."""
    family, _, rest = folded("".join(creator.itertext())).partition(", ")
    return f"{rest} {family}".strip()


def _sets(header: Element) -> Iterator[str]:
    """The categories behind sets such as physics:hep-ex, math:math:LO and cs."""
    for part in children(header, "setSpec"):
        group, *rest = folded("".join(part.itertext())).split(":")
        yield ".".join(dict.fromkeys(rest or [group]))
