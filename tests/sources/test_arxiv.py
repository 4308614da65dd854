"""What arXiv's formats have in common: ids, names, categories, days and repositories."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import UnreadablePage
from digest.sources import READERS, Reader, find_reader
from digest.sources.arxiv import (
    announcement_day,
    categories_of,
    code_url,
    id_of,
)
from digest.sources.names import names_of
from digest.sources.text import day, instant
from tests.sources.arxiv_pages import OPENED, PAGES

arxiv_readers = pytest.mark.parametrize(
    "reader", [r for r in READERS if r.name.startswith("arxiv")], ids=lambda reader: reader.name
)
SEEN_ON = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2611.00001", ("2611.00001", None)),
        ("http://arxiv.org/abs/2611.00001v2", ("2611.00001", 2)),
        ("oai:arXiv.org:2611.00001v11", ("2611.00001", 11)),
        ("arXiv:math/0611003v1", ("math/0611003", 1)),
        (" https://arxiv.org/abs/math.GT/0611003\n", ("math.GT/0611003", None)),
    ],
)
def test_an_id_is_parted_from_its_version(said: str, meant: tuple[str, int | None]) -> None:
    assert id_of(said) == meant


@pytest.mark.parametrize("said", ["", "http://arxiv.org/api/errors#x", "12611.00001", "2611.1v"])
def test_what_holds_no_id_is_told(said: str) -> None:
    with pytest.raises(ValueError, match="no arXiv id"):
        id_of(said)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Ada Lovelace, Grace Hopper", ("Ada Lovelace", "Grace Hopper")),
        ("Ada Lovelace and Grace Hopper", ("Ada Lovelace", "Grace Hopper")),
        ("A. Lovelace (1 and 2), G. Hopper ((1) Here, (2) There)", ("A. Lovelace", "G. Hopper")),
        ("The Kettle Collaboration: E. Noether", ("The Kettle Collaboration", "E. Noether")),
        ("Waldo Rodrigues, Jr., Ada Lovelace", ("Waldo Rodrigues Jr.", "Ada Lovelace")),
        ('<a href="http://arxiv.org/a/x_1,2">Ada Lovelace</a>, Bo', ("Ada Lovelace", "Bo")),
        ("Sandy Andersson", ("Sandy Andersson",)),
        ("", ()),
    ],
)
def test_a_line_of_authors_is_their_names(line: str, names: tuple[str, ...]) -> None:
    assert names_of(line) == names


def test_classes_of_other_schemes_are_no_categories() -> None:
    said = ["cs.LG", "68T07", "I.2.6", "hep-th", "cond-mat.mtrl-sci", "cs.LG", "03E75 (Primary)"]
    assert categories_of(said) == ("cs.LG", "hep-th", "cond-mat.mtrl-sci")


@pytest.mark.parametrize(
    ("comment", "abstract", "url"),
    [
        ("Code: https://github.com/ada/bees.", "", "https://github.com/ada/bees"),
        ("see github.com/ada/bees.git", "", "https://github.com/ada/bees"),
        ("9 pages", "Code is available at https://gitlab.com/a/b.", "https://gitlab.com/a/b"),
        ("", "We run https://github.com/others/tool on bees.", None),
        ("", "Code: github.com/a/b and github.com/c/d", None),
        ("https://ada.github.io/bees", "", None),
        ("https://notgithub.com/a/b", "", None),
    ],
)
def test_the_repository_is_the_one_that_the_authors_point_to(
    comment: str, abstract: str, url: str | None
) -> None:
    assert code_url(comment, abstract) == url


def test_a_day_is_the_pages_and_an_announcement_is_of_a_day_in_new_york() -> None:
    assert day("Fri, 20 Nov 2026 00:00:00 -0500") == date(2026, 11, 20)
    assert announcement_day("2026-11-20T04:00:00Z") == date(2026, 11, 19)
    assert announcement_day("2026-08-20T04:00:00Z") == date(2026, 8, 20)
    for broken in ("", "yesterday", "0001-01-01T00:00:00Z", "9999-12-31", "2026-02-30"):
        assert day(broken) is None


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_may_be_asked_for_a_time_or_names(text: str) -> None:
    assert instant(text) is None or instant(text).tzinfo  # type: ignore[union-attr]
    assert all(names_of(text))
    code_url(text, text)


class TestHostile:
    """XML that was made to hurt is refused by every reader, soon and in a line."""

    @pytest.mark.parametrize(
        ("page", "found"),
        [
            (b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><feed>&b;</feed>', "entities"),
            (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><feed>&a;</feed>', "entities"),
            (b'<!DOCTYPE feed SYSTEM "http://127.0.0.1/x.dtd"><feed/>', "document type"),
            (b"<feed>" * 1_600_000, "1,600,000 tags"),
            (b"<feed>" * 200_000, "broken"),
            (b"<feed/>" + bytes(1000), "broken"),
            (b"<feed>\xff\xfe</feed>", "broken"),
            (b'<?xml version="1.0" encoding="shift_jis"?><feed/>', "encoding"),
            (b'<?xml version="1.0" encoding="no-such"?><feed/>', "encoding|broken"),
            (b" " * 9_999_999, "broken"),
        ],
        ids=[
            "bomb",
            "file",
            "dtd",
            "tags",
            "deep",
            "nul",
            "bytes",
            "multibyte",
            "unknown",
            "blank",
        ],
    )
    @pytest.mark.parametrize("name", ["arxiv-feed", "arxiv-api", "arxiv-oai"])
    def test_xml_that_hurts_is_refused(self, name: str, page: bytes, found: str) -> None:
        reader = next(r for r in READERS if r.name == name)
        with pytest.raises(UnreadablePage, match=found):
            reader.read(page, SEEN_ON)

    def test_deep_nesting_is_read_without_harm(self) -> None:
        deep = b"<a>" * 100_000 + b"</a>" * 100_000
        page = PAGES["arxiv-api"].replace(b"</summary>", deep + b"</summary>", 1)
        assert len(find_reader(page).read(page, SEEN_ON)) == 3

    @arxiv_readers
    def test_a_text_of_a_megabyte_is_no_papers(self, reader: Reader) -> None:
        page = PAGES[reader.name].replace(b"They sing", b"They sing " * 100_000)
        listings = reader.read(page, SEEN_ON)
        assert [listing.arxiv_id for listing in listings] == ["2611.00001", "2611.00002"]

    @arxiv_readers
    def test_a_page_of_mostly_broken_entries_is_refused(self, reader: Reader) -> None:
        page = PAGES[reader.name].replace(b"2611.0000", b"nothing")
        with pytest.raises(UnreadablePage, match=r"2 of 3 broken .* 1: no arXiv id"):
            reader.read(page, SEEN_ON)

    @arxiv_readers
    def test_a_page_in_pieces_is_refused(self, reader: Reader) -> None:
        page = PAGES[reader.name]
        with pytest.raises(UnreadablePage):
            reader.read(page[len(page) // 2 :], SEEN_ON)


@pytest.mark.parametrize("name", ["arxiv-feed", "arxiv-api", "arxiv-oai"])
def test_a_page_in_utf_16_is_read_as_well(name: str) -> None:
    text = PAGES[name].decode().replace("encoding='UTF-8'", "encoding='UTF-16'")
    assert text.startswith(OPENED.replace("UTF-8", "UTF-16"))
    page = text.encode("utf-16")
    assert find_reader(page).name == name
    again = find_reader(page).read(page, SEEN_ON)
    assert again == find_reader(page).read(PAGES[name], SEEN_ON)
