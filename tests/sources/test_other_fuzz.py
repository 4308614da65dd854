"""Pages of every other format, spoilt or made to hurt: listings or a refusal, and soon."""

from collections.abc import Callable
from datetime import date
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.errors import UnreadablePage
from digest.sources import READERS, Paged, Reader
from tests.sources.other_pages import (
    ATOM,
    HF_ENTRIES,
    JSON_FEED,
    PAGES,
    RDF,
    hf_page,
    post,
    posts,
)
from tests.sources.test_arxiv_fuzz import SOONEST, mutations
from tests.sources.test_readers import PAGES as ALL_PAGES
from tests.sources.test_readers import is_clean

SAMPLES = {name: [page] for name, page in PAGES.items()} | {
    "hf-daily": [ALL_PAGES["hf-daily"]],
    "hf-page": [PAGES["hf-page"], hf_page(HF_ENTRIES[:1], date="")],
    "biorxiv": [PAGES["biorxiv"], posts(post(1, "A"), post(1, "A", version="2"), cursor="30")],
    "feed": [PAGES["feed"], ATOM, RDF, JSON_FEED, PAGES["feed"].decode().encode("utf-16")],
}
ADDRESSES = [
    "https://api.biorxiv.org/details/biorxiv/2026-11-19/2026-11-20/0/json",
    "https://huggingface.co/api/daily_papers?date=2026-11-20&limit=3",
]

other_readers = pytest.mark.parametrize(
    "reader", [r for r in READERS if r.name in SAMPLES], ids=lambda reader: reader.name
)
every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


def check(reader: Reader, page: bytes, soonest: float = SOONEST) -> None:
    begun = monotonic()
    assert reader.recognises(page) in (True, False)
    if isinstance(reader, Paged):
        following = [reader.next_url(page, address) for address in ADDRESSES]
        assert all(url is None or url.split("/")[2] in str(ADDRESSES) for url in following)
    try:
        listings, refusal = reader.read(page, date(2026, 11, 21)), ""
    except UnreadablePage as error:
        listings, refusal = [], str(error)
    assert "\n" not in refusal
    assert [x.position for x in listings] == list(range(1, len(listings) + 1))
    for listing in listings:
        assert listing.title
        assert "\n" not in listing.title
        assert all(map(is_clean, [listing.title, listing.abstract, *listing.authors]))
        assert all(listing.authors)
    assert monotonic() - begun < soonest


@other_readers
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_page_is_listings_or_a_refusal(reader: Reader, data: st.DataObject) -> None:
    check(reader, data.draw(mutations(SAMPLES[reader.name])))


@other_readers
def test_every_sample_is_recognised_and_read(reader: Reader) -> None:
    for sample in SAMPLES[reader.name]:
        assert reader.recognises(sample)
        assert reader.read(sample, date(2026, 11, 21))


def _filled(before: bytes, again: bytes, after: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: before + again * ((size - len(before + after)) // len(again)) + after


RSS = b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>'
ITEM = b"<item><title>Bees</title><description>"
BOMB = b"".join(
    b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"lol") for n in range(12)
)
# What grows with the square of its length takes days at ten megabytes.
HOSTILE = {
    "tags in tags": _filled(RSS + ITEM, b"<div>"),
    "items in items": _filled(RSS, b"<item><title>x"),
    "escaped tags in tags": _filled(RSS + ITEM, b"&lt;div&gt;"),
    "CDATA of tags": _filled(RSS + ITEM + b"<![CDATA[", b"<div><b a='", b"]]></description>"),
    "comments without an end": _filled(RSS + ITEM, b"<!--"),
    "escaped comments without an end": _filled(RSS + ITEM + b"<![CDATA[<p>", b"<!--"),
    "attributes without an end": _filled(RSS + ITEM, b'<a b="'),
    "declarations": _filled(RSS + ITEM, b"<!DOCTYPE "),
    "ampersands": _filled(RSS + ITEM, b"&"),
    "an entity bomb": _filled(b"<!DOCTYPE r [" + BOMB + b"]>" + RSS + ITEM, b"&l11;"),
    "an external entity": _filled(
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + RSS + ITEM, b"&x;", b"</rss>"
    ),
    "a long line": _filled(RSS + ITEM, b"bees, and "),
    "white space": _filled(RSS + ITEM, b" \n"),
    "brackets": _filled(b'{"messages": [], "collection": ', b"["),
    "objects": _filled(b'{"title": ', b'{"paper":'),
    "HTML that nests": _filled(b'<div data-target="DailyPapers" ', b"<div>"),
    "props without an end": _filled(b'<div data-target="DailyPapers" ', b'data-props="'),
    "props before props": _filled(b'<div data-target="DailyPapers"', b' a=""'),
    "entries that stay open": _filled(b"", b"\n@article{a, title={"),
    "braces": _filled(b"@article{a, title={", b"{"),
    "quotes": _filled(b'@article{a, title="', b'"'),
    "names": _filled(b"@article{a, title={B}, author={", b"A B and ", b"C D}}"),
    "blank lines": _filled(b"@article{a, title={B}", b"\n", b"}"),
    "commas": _filled(b"title,abstract\n", b","),
    "a quote that stays open": _filled(b'title,abstract\na,"', b"bees\n"),
    "rows": _filled(b"title,abstract\n", b"a,b\n"),
    "columns": _filled(b"title,abstract", b",title", b"\n" + b"a," * 1000),
    "lines": _filled(b"", b'{"title": "a", "doi": "b"}\n'),
    "NULs": _filled(RSS, b"\0"),
    "broken UTF-8": _filled(RSS + ITEM, b"\xff\xc3"),
    "half a UTF-16": _filled(b"\xff\xfe<\0r\0s\0s\0>\0", b"\0\xd8"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_page_is_refused_or_read_soon(kind: str) -> None:
    page = HOSTILE[kind](300_000)
    for reader in READERS:
        if reader.recognises(page) or reader.name in ("feed", "bibtex", "csv", "json-lines"):
            check(reader, page)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_ten_hostile_megabytes_are_refused_or_read_soon(kind: str) -> None:
    page = HOSTILE[kind](10_000_000)
    for reader in READERS:
        if reader.recognises(page):
            check(reader, page)
