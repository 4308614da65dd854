"""A day of arXiv as one JSON object a line."""

import json
from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.sources import Listing, find_reader
from digest.sources.arxiv_days import ArxivDays
from tests.shared import shared
from tests.sources.arxiv_pages import BEES, KETTLES, PAPERS, RIVERS, day_line, days


def read(page: bytes) -> list[Listing]:
    assert isinstance(find_reader(page), ArxivDays)
    return ArxivDays().read(page, date(2026, 11, 23))


def test_a_line_is_read_with_all_that_it_says() -> None:
    line = day_line(BEES, comment="9 pages, https://github.com/ada/bees", AI={"tldr": "Bees."})
    (bees,) = read(days(line))
    assert bees == Listing(
        title="Bees That Count",
        abstract="We count bees, hard-wrapped as $n^2$ < 9.",
        position=1,
        arxiv_id="2611.00001",
        url="https://arxiv.org/abs/2611.00001",
        authors=("Ada Lovelace", "Zoë Ámos"),
        facts={
            "categories": ["cs.LG", "q-bio.PE"],
            "comment": "9 pages, https://github.com/ada/bees",
            "pdf_url": "https://arxiv.org/pdf/2611.00001",
            "code_url": "https://github.com/ada/bees",
        },
    )


def test_the_wording_of_arxivs_own_snapshot_is_read_too() -> None:
    line = {
        "id": "0711.0001",
        "submitter": "Ada",
        "authors": "Ada Lovelace, Grace Hopper and E. Noether",
        "title": "Bees",
        "comments": "9 pages",
        "journal-ref": "Hive 1",
        "doi": "10.1000/bees",
        "categories": "hep-ph astro-ph",
        "abstract": "  We count\nbees.\n",
    }
    (bees,) = read(json.dumps(line).encode())
    assert bees.authors == ("Ada Lovelace", "Grace Hopper", "E. Noether")
    assert (bees.abstract, bees.doi) == ("We count bees.", "10.1000/bees")
    assert bees.facts == {
        "categories": ["hep-ph", "astro-ph"],
        "comment": "9 pages",
        "journal_ref": "Hive 1",
    }


def test_a_paper_twice_in_a_file_is_listed_once_where_it_first_stands() -> None:
    page = days(*map(day_line, [BEES, RIVERS, BEES, KETTLES, RIVERS]))
    assert [(x.arxiv_id, x.position) for x in read(page)] == [
        ("2611.00001", 1),
        ("2611.00002", 2),
        ("physics/0611003", 3),
    ]


@pytest.mark.parametrize(
    "broken",
    ["", "null", "[]", '{"id": "2611.00009"', "[" * 100_000, '{"id": "x", "title": "x"}',
     '{"id": 2611.00009, "title": "x"}', '{"id": "2611.00009", "title": " "}', "\x00", "\ufeff"],
)  # fmt: skip
def test_a_broken_line_among_good_ones_is_left_out(broken: str) -> None:
    page = days(day_line(BEES), broken, day_line(RIVERS), day_line(KETTLES))
    assert len(read(page)) == 3


def test_a_mostly_broken_file_is_refused_with_the_first_fault() -> None:
    page = days(day_line(BEES), "{", "no JSON at all")
    with pytest.raises(UnreadablePage, match=r"2 of 3 broken \(line 2: no JSON\)"):
        read(page)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        (b"\n \n", "no lines"),
        (b"\xff" + days(day_line(BEES)), "a byte at 0 that is not UTF-8"),
        (days(day_line(BEES), *["{}"] * 40_000), "40,001 entries"),
        (days(day_line(BEES, summary="x" * 2_000_000)), "characters"),
    ],
    ids=["blank", "bytes", "lines", "long"],
)
def test_what_is_no_such_file_is_refused(page: bytes, found: str) -> None:
    with pytest.raises(UnreadablePage, match=found):
        ArxivDays().read(page, date(2026, 11, 23))


def test_a_mark_of_the_byte_order_is_no_part_of_the_file() -> None:
    page = b"\xef\xbb\xbf" + days(*map(day_line, PAPERS)).replace(b"\n", b"\r\n")
    assert len(read(page)) == 3


def test_the_thirty_one_real_days_are_read_whole() -> None:
    files = sorted(shared("arxiv_days").glob("*.jsonl"))
    assert len(files) == 31
    for file in files:
        page = file.read_bytes()
        lines = [json.loads(line) for line in page.splitlines()]
        ids = list(dict.fromkeys(line["id"] for line in lines))
        listings = read(page)
        assert [listing.arxiv_id for listing in listings] == ids
        assert all(x.abstract and x.authors and x.facts["categories"] for x in listings)
