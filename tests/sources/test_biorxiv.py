"""bioRxiv's and medRxiv's details API: versions, what is missing, and pages by rows."""

from datetime import date
from typing import Any

import pytest

from digest.errors import UnreadablePage
from digest.sources import find_reader
from digest.sources.biorxiv import Biorxiv
from digest.sources.listing import Listing
from tests.shared import shared
from tests.sources.other_pages import post, posts

SEEN_ON = date(2026, 11, 21)
READER = Biorxiv()
MEDRXIV = "https://api.medrxiv.org/details/medrxiv"
ADDRESS = "https://api.biorxiv.org/details/biorxiv/2026-11-19/2026-11-20"


def read(*rows: dict[str, Any], **message: Any) -> list[Listing]:
    return READER.read(posts(*rows, **message), SEEN_ON)


def test_a_row_becomes_a_listing_with_all_that_it_says() -> None:
    row = post(1, "Bees That <i>Count</i>", published="10.1038/s41586-026-00001-1")
    assert read(row) == [
        Listing(
            title="Bees That Count",
            abstract="We count Apis bees.\n\nThere are < 9.",
            position=1,
            page_date=date(2026, 11, 20),
            doi="10.1101/2026.11.18.000001",
            url="https://www.biorxiv.org/content/10.1101/2026.11.18.000001v1",
            authors=("A. Lovelace", "G. B. Hopper"),
            published_on=date(2026, 11, 20),
            facts={
                "categories": ["ecology"],
                "version": 1,
                "server": "bioRxiv",
                "type": "new results",
                "licence": "cc_by",
                "journal_doi": "10.1038/s41586-026-00001-1",
            },
        )
    ]


def test_a_later_version_is_no_news_and_only_the_last_one_counts() -> None:
    first, second = post(1, "Bees"), post(1, "Bees, Counted Again", version="2")
    other = post(2, "Rivers", server="medRxiv")
    listings = read(first, other, second)
    assert [(x.title, x.is_news) for x in listings] == [
        ("Bees, Counted Again", False),
        ("Rivers", True),
    ]
    assert listings[0].facts["updated_on"] == "2026-11-20"
    assert listings[0].published_on is None
    assert listings[1].url == "https://www.medrxiv.org/content/10.1101/2026.11.18.000002v1"
    assert read(second, other, first) == listings


def test_a_page_is_of_the_last_day_that_it_holds() -> None:
    rows = [post(n, "A", date=f"2026-11-1{n}") for n in (7, 9, 8)]
    assert {listing.page_date for listing in read(*rows)} == {date(2026, 11, 19)}


def test_no_posts_are_no_error_and_an_error_is() -> None:
    assert read(status="no posts found") == []
    with pytest.raises(UnreadablePage, match=r"an error of the API \(invalid interval\)"):
        read(status="invalid interval")


def test_a_few_broken_rows_are_left_out_and_many_are_refused() -> None:
    good = [post(n, "A") for n in (1, 2)]
    assert len(read(*good, {"title": "No DOI"})) == 2
    with pytest.raises(UnreadablePage, match="2 of 4 rows without title or DOI"):
        read(*good, {"title": "No DOI"}, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cursor", "total", "address", "following"),
    [
        (0, "5", f"{ADDRESS}/0", f"{ADDRESS}/2"),
        (0, 5, f"{ADDRESS}/0/json", f"{ADDRESS}/2/json"),
        ("2", "5", f"{ADDRESS}/2", f"{ADDRESS}/4"),
        (0, "5", ADDRESS, f"{ADDRESS}/2"),
        (0, "5", f"{MEDRXIV}/5d", f"{MEDRXIV}/5d/2"),
        (3, "5", f"{ADDRESS}/3", None),
        (0, "2", f"{ADDRESS}/0", None),
        (0, "many", f"{ADDRESS}/0", None),
        (-9, "5", f"{ADDRESS}/0", None),
        (0, "5", "https://api.biorxiv.org/details/biorxiv/10.1101/339747", None),
    ],
)
def test_pages_go_on_by_the_rows_that_came(
    cursor: object, total: object, address: str, following: str | None
) -> None:
    page = posts(post(1, "A"), post(2, "B"), cursor=cursor, total=total)
    assert READER.next_url(page, address) == following


def test_a_real_answer_is_read_whole() -> None:
    page = shared("biorxiv", "pu5ha_biorxiv_details.json").read_bytes()
    listings = find_reader(page).read(page, SEEN_ON)
    assert len(listings) == page.count(b'"jatsxml"') == 3
    assert [listing.is_news for listing in listings] == [True, True, False]
    assert all(x.doi and x.abstract and x.authors and x.page_date for x in listings)
