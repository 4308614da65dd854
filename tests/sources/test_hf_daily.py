"""The daily-papers API: its three shapes, its broken entries, and every day that was saved."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import UnreadablePage
from digest.sources import find_reader
from digest.sources.hf_daily import HuggingFaceDaily
from digest.sources.listing import Listing
from tests.shared import shared

SEEN_ON = date(2026, 11, 21)
READER = HuggingFaceDaily()


def entry(**paper: Any) -> dict[str, Any]:
    """An entry as the API gives it; `paper` overrides the paper's fields."""
    return {
        "paper": {
            "id": "2611.01234",
            "authors": [
                {"_id": "1", "name": "Grace Hopper", "hidden": False},
                {"_id": "2", "name": "Nobody Atall", "hidden": True},
                {"_id": "3", "name": "Alan Kay"},
            ],
            "publishedAt": "2026-11-18T16:20:00.000Z",
            "submittedOnDailyAt": "2026-11-20T01:30:00.000Z",
            "title": "Moths, Lamps\n  and Other Optimisers",
            "summary": "Moths descend.\nWe follow\nthem.\n  A lamp is a minimum.",
            "upvotes": 17,
            "githubRepo": "https://github.com/hopper/moths",
            "githubStars": 256,
            "projectPage": "https://moths.example/",
            "ai_summary": "Moths descend\n  gradients.",
            "organization": {"name": "lamps", "fullname": "Lamps Institute"},
            "ai_keywords": ["moths", "gradient\u0000 descent", ""],
        }
        | paper,
        "publishedAt": "2026-11-18T11:20:00.000Z",
        "title": "Moths, Lamps and Other Optimisers",
        "numComments": 3,
        "submittedBy": {"fullname": "Kay, Alan", "name": "akay", "isPro": False},
    }


def read(page: Any) -> list[Listing]:
    return READER.read(json.dumps(page).encode(), SEEN_ON)


def test_an_entry_becomes_a_listing_with_all_that_it_says() -> None:
    assert read([entry()]) == [
        Listing(
            title="Moths, Lamps and Other Optimisers",
            abstract="Moths descend. We follow them.\n\nA lamp is a minimum.",
            position=1,
            page_date=date(2026, 11, 20),
            arxiv_id="2611.01234",
            authors=("Grace Hopper", "Alan Kay"),
            published_on=date(2026, 11, 18),
            upvotes=17,
            facts={
                "code_url": "https://github.com/hopper/moths",
                "comments": 3,
                "submitter": "Kay, Alan",
                "ai_keywords": ["moths", "gradient descent"],
                "github_stars": 256,
                "project_url": "https://moths.example/",
                "ai_summary": "Moths descend gradients.",
                "organization": "Lamps Institute",
            },
        )
    ]


def test_entries_kept_as_python_text_say_the_same() -> None:
    assert read([repr(entry())]) == read([entry()])


def test_entries_wrapped_in_an_answer_say_the_same() -> None:
    wrapped = {"status": "success", "date": "2026-11-20", "count": 1, "data": [repr(entry())]}
    assert read(wrapped) == read([entry()])


def test_the_page_date_is_the_one_that_most_entries_share() -> None:
    late = entry(submittedOnDailyAt="2026-11-21T00:10:00.000Z")
    assert {listing.page_date for listing in read([late, entry(), entry()])} == {date(2026, 11, 20)}


def test_a_list_of_many_days_is_of_the_newest() -> None:
    days = [entry(submittedOnDailyAt=f"2026-11-{n}T09:00:00Z") for n in (13, 13, 19, 12, 17)]
    assert {listing.page_date for listing in read(days)} == {date(2026, 11, 19)}


@pytest.mark.parametrize(
    ("asked", "n", "following"),
    [
        ("date=2026-11-20&limit=2", 2, "date=2026-11-20&limit=2&p=1"),
        ("date=2026-11-20&limit=2&p=3", 2, "date=2026-11-20&limit=2&p=4"),
        ("date=2026-11-20", 50, "date=2026-11-20&p=1"),
        ("date=2026-11-20&limit=2", 1, None),
        ("date=2026-11-20&limit=0", 0, None),
        ("date=2026-11-20&limit=many", 2, None),
        ("sort=trending&limit=2", 2, None),
    ],
)
def test_a_full_page_of_a_day_goes_on_and_other_lists_end_as_asked(
    asked: str, n: int, following: str | None
) -> None:
    address = "https://huggingface.co/api/daily_papers?"
    page = json.dumps([entry()] * n).encode()
    assert READER.next_url(page, address + asked) == (following and address + following)
    assert READER.next_url(b"[", address + asked) is None


def test_an_old_page_is_dated_by_when_its_entries_were_submitted() -> None:
    old = entry()
    del old["paper"]["submittedOnDailyAt"]
    assert read([old])[0].page_date is None  # as now, the entry's date precedes the paper's
    old["publishedAt"] = "2026-11-19T08:00:00.000Z"
    assert read([old])[0].page_date == date(2026, 11, 19)


def test_a_day_without_papers_is_no_error() -> None:
    assert READER.recognises(b" [ ]\n")
    for page in (b"[]", b'{"data": []}'):
        assert find_reader(page) == READER
        assert READER.read(page, SEEN_ON) == []


def test_an_entry_with_no_more_than_a_title_is_read() -> None:
    assert read([{"paper": {"title": "A Title"}}]) == [Listing("A Title", "", 1)]


@pytest.mark.parametrize(
    "field",
    ["id", "summary", "authors", "publishedAt", "submittedOnDailyAt", "upvotes", "githubRepo"],
)
@pytest.mark.parametrize("value", [None, {}, -1.5, [[]], "\u0000", "0001-01-01T00:00:00+14:00"])
def test_a_broken_field_does_not_lose_its_paper(field: str, value: object) -> None:
    (listing,) = read([entry(**{field: value})])
    assert listing.title == "Moths, Lamps and Other Optimisers"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://a b", "ftp://x.y", ""])
def test_a_repository_that_is_no_web_address_is_left_out(address: str) -> None:
    assert "code_url" not in read([entry(githubRepo=address)])[0].facts


def test_half_a_surrogate_pair_does_not_lose_the_title() -> None:
    page = json.dumps([entry(title="Moths \ud83d and Lamps")]).encode()
    assert READER.read(page, SEEN_ON)[0].title == "Moths and Lamps"


@pytest.mark.parametrize(
    "broken",
    [
        None,
        7,
        "no Python",
        {"paper": None},
        {"paper": {"title": " \u0000 "}},
        {"paper": {"title": ["a", "list"]}},
        "__import__('os').getcwd()",
        "[" * 200_000,
        "-" * 200_000 + "1",
        "1" + "+1" * 100_000,
        "9" * 5_000,
        "{{}: 1}",
        "'\u0000'",
        "'x'" * 200_000,
    ],
    ids=lambda broken: repr(broken)[:20],
)
def test_a_broken_entry_does_not_lose_the_others(broken: object) -> None:
    listings = read([entry(title="One"), broken, entry(title="Two"), entry(title="Three")])
    assert [(x.position, x.title) for x in listings] == [(1, "One"), (2, "Two"), (3, "Three")]


def test_a_page_with_more_than_a_third_broken_is_refused() -> None:
    assert len(read([entry(), entry(), {}])) == 2
    with pytest.raises(UnreadablePage, match=r"2 of 5 entries broken \(entry 2: paper"):
        read([entry(), {}, entry(), {}, entry()])


@pytest.mark.parametrize(
    ("page", "found"),
    [
        (b'[{"paper": {"title": "Cut off', "JSON broken at line 1"),
        (b"[" * 100_000, "too deep"),
        (b"9" * 5_000, "too long a number"),
        (b'[{"paper": {"title": "\xff"}}]', "not UTF-8"),
        (b'{"status": "failure"}', "without a list"),
        (b'"paper"', "without a list"),
        (b"[{}]", "1 of 1 entries broken"),
    ],
)
def test_what_is_no_such_response_is_refused(page: bytes, found: str) -> None:
    with pytest.raises(UnreadablePage, match=found):
        READER.read(page, SEEN_ON)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [*entry()["paper"], "submittedBy", "numComments"]


@settings(deadline=None)
@given(paper=st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_values_in_an_entry_are_read_or_refused(paper: dict[str, Any]) -> None:
    page = [{**entry(**paper), **paper}]
    for kept in (page, [repr(one) for one in page]):
        try:
            listings = read(kept)
        except UnreadablePage:
            continue
        assert all(listing.title for listing in listings)


def test_every_saved_day_is_read_whole_and_dated() -> None:
    files = sorted(shared("hf_daily").glob("*.json"))
    assert len(files) == 67
    days = {file.stem: READER.read(file.read_bytes(), SEEN_ON) for file in files}
    listings = [listing for day in days.values() for listing in day]
    assert len(listings) == 1326
    assert all({str(x.page_date) for x in day} == {name} for name, day in days.items())
    assert all(x.abstract and x.arxiv_id and x.published_on for x in listings)
    assert all(x.upvotes is not None for x in listings)
    assert sum(len(x.authors) for x in listings) == 14_475  # two more are hidden
    assert sum("code_url" in x.facts for x in listings) == 624
