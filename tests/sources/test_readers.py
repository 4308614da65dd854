"""What every reader promises, run over each of them on a page of its own."""

import json
import re
import unicodedata
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import digest
from digest.errors import UnreadablePage
from digest.sources import MAX_PAGE_BYTES, READERS, Reader, find_reader
from digest.sources.listing import Forgiving
from tests.sources import arxiv_pages, other_pages

SEEN_ON = date(2026, 11, 21)

TRENDING = """\
new

Get trending papers in your email inbox!

Subscribe

byAK and the research community

Nov 20

Counting Bees with a Broken Microphone

Microphones in hives break within a season. We count bees from what a broken one still hears and
are wrong by 4% on average.

A Clock for Very Slow Rivers

Slow rivers keep time badly. We present a clock that reads the age of water from its dust, and show
that it agrees with tracers to within two days.

Why Do Kettles Sing before They Boil?

Kettles sing because small bubbles collapse. We measure the note in forty kettles and find that it
falls with the hardness of the water.
"""

HF_DAILY = [
    {
        "paper": {
            "id": f"2611.0000{n}",
            "title": title,
            "summary": f"We study this.\nIt takes {n} hours.",
            "authors": [{"name": "Ada Lovelace", "hidden": False}],
            "publishedAt": "2026-11-19T10:00:00.000Z",
            "submittedOnDailyAt": "2026-11-20T02:00:00.000Z",
            "upvotes": n,
        },
        "numComments": 1,
    }
    for n, title in enumerate(["Bees That Count", "Rivers That Wait", "Kettles That Sing"], start=1)
]

PAGES = {
    "trending-page": TRENDING.encode(),
    "hf-daily": json.dumps(HF_DAILY).encode(),
    **arxiv_pages.PAGES,
    **other_pages.PAGES,
}
# What these know is also known to others, which come first.
GENERAL = {"feed", "json-lines"}
# Whose pages show no date at all.
UNDATED = {"arxiv-days"}

# Which parts of a page cannot be told from what is no paper, or are read as far as they go.
NEVER_BROKEN = {"bibtex", "feed", "trending-page", "zotero-json", "zotero-rdf"}
forgiving = pytest.mark.parametrize(
    "reader", [r for r in READERS if r.name not in NEVER_BROKEN], ids=lambda reader: reader.name
)
readers = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
anything = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=100).map(lambda text: text.encode("utf-16", "surrogatepass")),
)


def spoilt(page: bytes) -> st.SearchStrategy[bytes]:
    """The page with some bytes lost and some others put in."""
    places = st.integers(0, len(page))
    return st.builds(
        lambda a, b, put: page[: min(a, b)] + put + page[max(a, b) :], places, places, anything
    )


def is_clean(text: str) -> bool:
    paragraphs = text.split("\n\n") if text else []
    return all(
        paragraph == " ".join(paragraph.split())
        and not any(unicodedata.category(c) in {"Cc", "Cs"} for c in paragraph)
        for paragraph in paragraphs
    )


@readers
class TestReader:
    def test_there_is_a_sample_of_its_format(self, reader: Reader) -> None:
        assert reader.name in PAGES

    def test_only_it_recognises_its_page_or_it_is_asked_first(self, reader: Reader) -> None:
        assert find_reader(PAGES[reader.name]) is reader
        knowing = {r.name for r in READERS if r.recognises(PAGES[reader.name])}
        assert knowing - GENERAL == {reader.name} - GENERAL

    def test_positions_count_from_one_in_page_order(self, reader: Reader) -> None:
        listings = reader.read(PAGES[reader.name], SEEN_ON)
        assert [listing.position for listing in listings] == [1, 2, 3]
        day = None if reader.name in UNDATED else date(2026, 11, 20)
        assert [listing.page_date for listing in listings] == [day] * 3

    def test_titles_are_there_and_text_is_clean(self, reader: Reader) -> None:
        for listing in reader.read(PAGES[reader.name], SEEN_ON):
            assert listing.title
            assert "\n" not in listing.title
            assert all(map(is_clean, [listing.title, listing.abstract, *listing.authors]))

    def test_reading_a_page_twice_gives_the_same(self, reader: Reader) -> None:
        page = PAGES[reader.name]
        assert reader.read(page, SEEN_ON) == reader.read(page, SEEN_ON)

    @pytest.mark.parametrize("front", [b"\n", b"\r\n \t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
    def test_a_mark_or_blank_lines_in_front_change_nothing(
        self, reader: Reader, front: bytes
    ) -> None:
        page = front + PAGES[reader.name]
        assert find_reader(page) is reader
        assert reader.read(page, SEEN_ON) == reader.read(PAGES[reader.name], SEEN_ON)

    @settings(deadline=None)
    @given(page=anything)
    @example(page=b"")
    @example(page=b"[]")
    @example(page=b"[" * 100_000)
    @example(page=b"\xff\xfe[")
    def test_any_bytes_are_read_or_refused(self, reader: Reader, page: bytes) -> None:
        assert reader.recognises(page) in (True, False)
        try:
            listings = reader.read(page, SEEN_ON)
        except UnreadablePage:
            return
        assert [listing.position for listing in listings] == list(range(1, len(listings) + 1))

    @settings(deadline=None)
    @given(data=st.data())
    def test_a_spoilt_page_is_read_cleanly_or_refused(
        self, reader: Reader, data: st.DataObject
    ) -> None:
        page = data.draw(spoilt(PAGES[reader.name]))
        assert reader.recognises(page) in (True, False)
        try:
            listings = reader.read(page, SEEN_ON)
        except UnreadablePage:
            return
        for listing in listings:
            assert listing.title
            assert is_clean(listing.title)
            assert is_clean(listing.abstract)


@forgiving
def test_what_is_left_out_of_a_page_is_told(reader: Reader) -> None:
    page = PAGES[reader.name]
    assert isinstance(reader, Forgiving)
    assert reader.broken(page) == []
    title = reader.read(page, SEEN_ON)[1].title
    spoilt = page.replace(title.encode(), b" ")
    assert len(reader.read(spoilt, SEEN_ON)) == 2
    (told,) = reader.broken(spoilt)
    assert re.match(r"(entry|record|row|line) [24]: .*title", told)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(UnreadablePage, match="an empty file"):
        find_reader(b" \n\t ")


def test_a_file_of_a_hundred_megabytes_is_refused_unread() -> None:
    with pytest.raises(UnreadablePage, match="at most 10 MB; found more"):
        find_reader(bytes(10 * MAX_PAGE_BYTES).replace(b"\0", b"x"))


def test_of_a_table_without_known_headings_it_is_said_what_they_are_like() -> None:
    page = b"paper,summary,link\n" + b"Growing Moss,It grows.,https://moss.example\n" * 5
    with pytest.raises(UnreadablePage, match="CSV with headings like title, abstract, doi; found"):
        find_reader(page).read(page, SEEN_ON)


def test_what_nobody_recognises_is_refused_with_what_was_expected() -> None:
    page = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10
    with pytest.raises(UnreadablePage, match=r"expected .*; found"):
        find_reader(page).read(page, SEEN_ON)


def test_the_demos_three_days_are_read_whole() -> None:
    pages = Path(digest.__file__).parent / "cli" / "demo_pages"
    days = [(pages / f"day{n}.txt").read_bytes().replace(b"{date}", b"Nov 20") for n in (1, 2, 3)]
    read = [find_reader(day).read(day, SEEN_ON) for day in days]
    assert [len(listings) for listings in read] == [17, 17, 17]
    assert [listings[0].page_date for listings in read] == [None, *[date(2026, 11, 20)] * 2]
    papers = Counter((x.title, x.abstract) for listings in read for x in listings)
    assert len(papers) == 48
    assert all(len(abstract) > 300 and "\n" not in abstract for _, abstract in papers)
