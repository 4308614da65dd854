"""arXiv's pages, spoilt in every way that hypothesis finds: listings or a refusal, and soon."""

import re
from datetime import date
from time import monotonic

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from digest.errors import UnreadablePage
from digest.sources import READERS, Paged, Reader
from tests.sources.arxiv_pages import (
    PAGES,
    PAPERS,
    api,
    api_entry,
    atom,
    atom_entry,
    oai,
    oai_record,
)
from tests.sources.test_arxiv_feed import OLD
from tests.sources.test_arxiv_oai import DUBLIN, FULL, RAW
from tests.sources.test_readers import is_clean

SOONEST = 5.0
SAMPLES = {
    "arxiv-feed": [PAGES["arxiv-feed"], atom(*map(atom_entry, PAPERS)), OLD],
    "arxiv-api": [PAGES["arxiv-api"], api(*map(api_entry, PAPERS), total=99, size=50), api()],
    "arxiv-oai": [
        PAGES["arxiv-oai"],
        oai(*(oai_record(PAPERS[0], told) for told in (FULL, RAW, DUBLIN))),
        oai(token="<resumptionToken>1</resumptionToken>"),
    ],
    "arxiv-days": [PAGES["arxiv-days"]],
}
_FIELD = re.compile(rb'(?<=>)[^<>]+(?=<)|(?<=": )(?:"[^"]*"|\[[^\]]*\]|null)')

arxiv_readers = pytest.mark.parametrize(
    "reader", [r for r in READERS if r.name in SAMPLES], ids=lambda reader: reader.name
)


@st.composite
def mutations(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A sample after a few faults: cut, flipped, doubled, or with fields changed for others."""
    page = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 4))):
        a, b = sorted(draw(st.tuples(st.integers(0, len(page)), st.integers(0, len(page)))))
        match draw(st.sampled_from(["cut", "drop", "flip", "double", "swap", "fill"])):
            case "cut":
                page = page[:b]
            case "drop":
                page = page[:a] + page[b:]
            case "flip":
                page = page[:a] + bytes([draw(st.integers(0, 255))]) + page[a + 1 :]
            case "double":
                page = page[:b] + page[a:b] * draw(st.integers(1, 3)) + page[b:]
            case "swap":
                page = _swapped(page, draw(st.randoms(use_true_random=False)).choice)
            case "fill":
                text = draw(st.text(max_size=60)).encode("utf-8", "surrogatepass")
                page = _FIELD.sub(lambda _: text, page, count=1)  # noqa: B023 - called at once
    return page


def _swapped(page: bytes, choice: object) -> bytes:
    fields = [match.span() for match in _FIELD.finditer(page)]
    if len(fields) < 2:
        return page
    (a, b), (c, d) = sorted([choice(fields), choice(fields)])  # type: ignore[operator]
    return page if a == c else page[:a] + page[c:d] + page[b:c] + page[a:b] + page[d:]


def check(reader: Reader, page: bytes) -> None:
    begun = monotonic()
    assert reader.recognises(page) in (True, False)
    assert isinstance(reader, Paged) is (reader.name in ("arxiv-api", "arxiv-oai"))
    if isinstance(reader, Paged):
        following = reader.next_url(page, "https://export.arxiv.org/api/query?max_results=30")
        assert following is None or following.startswith("https://export.arxiv.org/api/query?")
    try:
        listings, refusal = reader.read(page, date(2026, 11, 21)), ""
    except UnreadablePage as error:
        listings, refusal = [], str(error)
    assert "\n" not in refusal
    assert [x.position for x in listings] == list(range(1, len(listings) + 1))
    assert len({x.arxiv_id for x in listings}) == len(listings)
    for listing in listings:
        assert listing.title
        assert "\n" not in listing.title
        assert all(map(is_clean, [listing.title, listing.abstract, *listing.authors]))
    assert monotonic() - begun < SOONEST


@arxiv_readers
@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_page_is_listings_or_a_refusal(reader: Reader, data: st.DataObject) -> None:
    check(reader, data.draw(mutations(SAMPLES[reader.name])))


@arxiv_readers
@settings(deadline=None, max_examples=50)
@given(page=st.binary(max_size=300))
@example(page=b"<feed>")
@example(page=b'{"id": "2611.00001", "categories": [], "summary": ""}')
def test_any_bytes_are_listings_or_a_refusal(reader: Reader, page: bytes) -> None:
    check(reader, page)


@arxiv_readers
def test_every_sample_is_recognised(reader: Reader) -> None:
    assert all(map(reader.recognises, SAMPLES[reader.name]))
