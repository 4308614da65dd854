"""Hugging Face's HTML: the same listings as from the API, from the attribute that holds them."""

import json
from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.sources import find_reader
from digest.sources.hf_daily import HuggingFaceDaily
from digest.sources.hf_page import HuggingFacePage
from tests.shared import shared
from tests.sources.other_pages import HF_ENTRIES, hf_page

SEEN_ON = date(2026, 11, 21)
READER = HuggingFacePage()


def test_a_page_says_the_same_as_the_api() -> None:
    api = json.dumps(HF_ENTRIES).encode()
    assert READER.read(hf_page(HF_ENTRIES), SEEN_ON) == HuggingFaceDaily().read(api, SEEN_ON)


def test_a_page_whose_entries_bear_no_date_is_of_its_own() -> None:
    undated = [{"paper": {"title": "Bees"}}]
    assert READER.read(hf_page(undated), SEEN_ON)[0].page_date == date(2026, 11, 20)
    assert READER.read(hf_page(undated, date="soon"), SEEN_ON)[0].page_date is None


def test_the_attributes_may_stand_in_either_order() -> None:
    page = hf_page(HF_ENTRIES).decode()
    target = 'data-target="DailyPapers"'
    turned = page.replace(f" {target}", "").replace('"><main>', f'" id="x" {target}><main>')
    assert READER.read(turned.encode(), SEEN_ON) == READER.read(page.encode(), SEEN_ON)


def test_a_day_without_papers_is_no_error() -> None:
    assert READER.read(hf_page([]), SEEN_ON) == []


@pytest.mark.parametrize(
    ("page", "found"),
    [
        (b'<div data-target="DailyPapers">', "HTML without the data-props of its list"),
        (b'<div data-target="DailyPapers" data-props="{">', "JSON broken at line 1"),
        (b'<div data-target="DailyPapers" data-props="\xff">', "JSON broken at line 1"),
        (b'<div data-target="DailyPapers" data-props="[]">', "no list of papers"),
        (hf_page([{"paper": {}}]), "1 of 1 entries broken"),
    ],
)
def test_a_page_without_its_list_is_refused_saying_so(page: bytes, found: str) -> None:
    with pytest.raises(UnreadablePage, match=found):
        READER.read(page, SEEN_ON)


def test_a_real_page_is_read_whole() -> None:
    page = shared("hf_html", "huggingface_papers.html").read_bytes()
    listings = find_reader(page).read(page, SEEN_ON)
    assert len(listings) == page.count(b"&quot;discussionId&quot;") == 13
    assert {listing.page_date for listing in listings} == {date(2024, 8, 1)}
    assert all(x.arxiv_id and x.abstract and x.authors and x.upvotes for x in listings)
