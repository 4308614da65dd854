"""Answers of arXiv's query API, a page at a time."""

from datetime import date
from urllib.parse import parse_qs, urlsplit

import pytest

from digest.errors import UnreadablePage
from digest.sources import Listing, Paged, find_reader
from digest.sources.arxiv_api import ArxivApi
from tests.shared import shared
from tests.sources.arxiv_pages import BEES, PAPERS, RIVERS, api, api_entry

URL = "https://export.arxiv.org/api/query?search_query=cat:cs.LG+AND+all:bees&sortBy=submittedDate"
PRIMARY = '<arxiv:primary_category term="q-bio.PE"/>'


def read(page: bytes) -> list[Listing]:
    assert isinstance(find_reader(page), ArxivApi)
    return ArxivApi().read(page, date(2026, 11, 23))


def asked(url: str | None) -> dict[str, list[str]]:
    assert url
    return parse_qs(urlsplit(url).query)


def test_what_was_revised_long_after_it_came_out_is_no_news() -> None:
    # `sortBy=lastUpdatedDate` lists papers of any age.
    later, sooner = api_entry(BEES, version=2), api_entry(RIVERS, version=2)
    listings = read(api(later.replace("<published>2026", "<published>2021"), sooner))
    assert [listing.is_news for listing in listings] == [False, True]


def test_a_result_is_read_with_all_that_it_says() -> None:
    more = f"""{PRIMARY}<arxiv:comment>9 pages.
  Code: https://github.com/ada/bees</arxiv:comment>
<arxiv:journal_ref>Hive 1 (2026) 2</arxiv:journal_ref><arxiv:doi>10.1000/bees</arxiv:doi>"""
    (bees,) = read(api(api_entry(BEES, version=3, more=more)))
    assert bees == Listing(
        title="Bees That Count",
        abstract="We count bees, hard-wrapped as $n^2$ < 9.",
        position=1,
        page_date=date(2026, 11, 20),
        arxiv_id="2611.00001",
        doi="10.1000/bees",
        url="https://arxiv.org/abs/2611.00001",
        authors=("Ada Lovelace", "Zoë Ámos"),
        published_on=date(2026, 11, 17),
        facts={
            "categories": ["q-bio.PE", "cs.LG"],
            "version": 3,
            "updated_on": "2026-11-19",
            "comment": "9 pages. Code: https://github.com/ada/bees",
            "journal_ref": "Hive 1 (2026) 2",
            "pdf_url": "https://arxiv.org/pdf/2611.00001v3",
            "code_url": "https://github.com/ada/bees",
        },
    )


def test_a_query_without_results_is_an_empty_page() -> None:
    assert read(api()) == []


def test_an_error_of_arxiv_is_refused_in_its_words() -> None:
    page = api(api_entry({**BEES, "title": "Error", "abstract": "incorrect id format for 12"}))
    page = page.replace(b"http://arxiv.org/abs/2611.00001v1", b"http://arxiv.org/api/errors#bad_id")
    with pytest.raises(UnreadablePage, match=r"an error of arXiv \(incorrect id format for 12\)"):
        read(page)


def test_none_of_many_results_is_no_empty_page() -> None:
    with pytest.raises(UnreadablePage, match="none of the 1,900 results from 100 on"):
        read(api(total=2000, start=100))
    assert read(api(total=2000, start=2000)) == []
    assert read(api(total=2000, size=0)) == []


class TestPaging:
    def test_it_goes_on_over_several_pages(self) -> None:
        assert isinstance(ArxivApi(), Paged)

    def test_what_was_asked_for_and_did_not_come_is_on_the_next_page(self) -> None:
        page = api(*map(api_entry, PAPERS), total=28946, start=100, size=8)
        following = ArxivApi().next_url(page, f"{URL}&start=100&max_results=8")
        assert asked(following) == {
            "search_query": ["cat:cs.LG AND all:bees"],
            "sortBy": ["submittedDate"],
            "start": ["103"],
            "max_results": ["5"],
        }

    @pytest.mark.parametrize(
        ("page", "url"),
        [
            (api(*map(api_entry, PAPERS), total=28946, size=3), f"{URL}&max_results=3"),
            (api(*map(api_entry, PAPERS), total=3), f"{URL}&max_results=100"),
            (api(*map(api_entry, PAPERS), total=103, start=100), f"{URL}&start=100"),
            (api(total=103), URL),
            (api(), URL),
            (b"Rate exceeded.", URL),
        ],
        ids=["all asked for", "all there are", "the last", "none came", "none", "no answer"],
    )
    def test_the_last_page_has_no_next(self, page: bytes, url: str) -> None:
        assert ArxivApi().next_url(page, url) is None

    def test_nobody_saying_how_many_means_ten(self) -> None:
        page = api(api_entry(BEES), api_entry(RIVERS), total=50)
        assert asked(ArxivApi().next_url(page, URL))["max_results"] == ["8"]


@pytest.mark.parametrize(
    ("name", "n", "on"),
    [
        ("arxiv_transformer.xml", 5, date(2026, 6, 13)),
        ("scout-cpu_arxiv_api.xml", 25, date(2026, 8, 2)),
    ],
)
def test_the_real_answers_are_read_whole(name: str, n: int, on: date) -> None:
    page = shared("arxiv_api", name).read_bytes()
    listings = read(page)
    assert len(listings) == page.count(b"<entry>") == n
    assert {listing.page_date for listing in listings} == {on}
    assert sum("comment" in x.facts for x in listings) == page.count(b"<arxiv:comment>")
    assert sum(len(x.authors) for x in listings) == page.count(b"<name>")
    assert all(len(x.abstract) > 300 and x.facts["categories"] for x in listings)
