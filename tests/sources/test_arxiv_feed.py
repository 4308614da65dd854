"""Feeds of arXiv's categories: what is announced, and what is only announced again."""

from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.sources import Listing, find_reader
from digest.sources.arxiv_feed import ArxivFeed
from tests.shared import shared
from tests.sources.arxiv_pages import (
    BEES,
    KETTLES,
    NAMESPACES,
    OPENED,
    PAPERS,
    RIVERS,
    atom,
    atom_entry,
    rss,
    rss_item,
)

FRIDAY = date(2026, 11, 20)

OLD = f"""{OPENED}<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns="http://purl.org/rss/1.0/" {NAMESPACES}>
<channel rdf:about="http://export.arxiv.org/rss/cs.LG"><title>cs.LG updates on arXiv.org</title>
<link>http://fr.arxiv.org/</link><dc:date>2021-11-19T20:30:00-05:00</dc:date>
<items><rdf:Seq><rdf:li rdf:resource="http://arxiv.org/abs/2111.00001"/></rdf:Seq></items></channel>
<item rdf:about="http://arxiv.org/abs/2111.00001">
<title>Bees That Count. (arXiv:2111.00001v1 [cs.LG])</title>
<link>http://arxiv.org/abs/2111.00001</link>
<description rdf:parseType="Literal">&lt;p&gt;We count bees.&lt;/p&gt;</description>
<dc:creator> &lt;a href="http://arxiv.org/find/cs/1"&gt;Ada Lovelace&lt;/a&gt;</dc:creator>
</item>
<item><title>Rivers. (arXiv:1907.00002v3 [math.NA] UPDATED)</title>
<link>http://arxiv.org/abs/1907.00002</link><description>Slow.</description></item>
<item><title>Kettles (arXiv:2111.00003v1 [physics.pop-ph] CROSS LISTED)</title>
<link>http://arxiv.org/abs/2111.00003</link><description>Sing.</description></item>
</rdf:RDF>""".encode()


def read(page: bytes) -> list[Listing]:
    assert isinstance(find_reader(page), ArxivFeed)
    return ArxivFeed().read(page, date(2026, 11, 23))


@pytest.mark.parametrize(
    "page", [rss(*map(rss_item, PAPERS)), atom(*map(atom_entry, PAPERS))], ids=["rss", "atom"]
)
def test_an_announcement_is_read_with_all_that_it_says(page: bytes) -> None:
    bees, _, kettles = read(page)
    assert bees == Listing(
        title="Bees That Count",
        abstract="We count bees, hard-wrapped as $n^2$ < 9.",
        position=1,
        page_date=FRIDAY,
        arxiv_id="2611.00001",
        url="https://arxiv.org/abs/2611.00001",
        authors=("Ada Lovelace", "Zoë Ámos"),
        published_on=FRIDAY,
        facts={"categories": ["cs.LG", "q-bio.PE"], "version": 1, "announce_type": "new"},
    )
    assert kettles.arxiv_id == "physics/0611003"


def test_a_journal_version_is_told() -> None:
    more = "<arxiv:DOI>10.1000/bees</arxiv:DOI>"
    more += "<arxiv:journal_reference>Hive 1 (2026) 2</arxiv:journal_reference>"
    (bees,) = read(rss(rss_item(BEES, more=more)))
    assert (bees.doi, bees.facts["journal_ref"]) == ("10.1000/bees", "Hive 1 (2026) 2")


@pytest.mark.parametrize(
    ("announced", "is_news"),
    [("new", True), ("cross", True), ("replace", False), ("replace-cross", False)],
)
def test_a_replacement_is_no_news_and_does_not_look_new(announced: str, is_news: bool) -> None:
    (bees,) = read(rss(rss_item(BEES, announced, version=2)))
    assert (bees.is_news, bees.facts["announce_type"]) == (is_news, announced)
    assert bees.published_on == (FRIDAY if announced == "new" else None)


@pytest.mark.parametrize("announced", [("new", "cross"), ("cross", "new"), ("replace", "new")])
def test_a_paper_listed_twice_is_listed_once_where_it_first_stands(
    announced: tuple[str, str],
) -> None:
    again = {**BEES, "categories": ["cs.LG", "stat.ML"]}
    first, second = announced
    bees, rivers = read(rss(rss_item(BEES, first), rss_item(RIVERS), rss_item(again, second)))
    assert (bees.position, bees.facts["announce_type"], bees.is_news) == (1, "new", True)
    assert bees.facts["categories"] == ["cs.LG", "q-bio.PE", "stat.ML"]
    assert rivers.position == 2


@pytest.mark.parametrize("page", [rss(), atom()], ids=["rss", "atom"])
def test_a_weekend_without_papers_is_an_empty_page(page: bytes) -> None:
    assert read(page) == []


def test_xml_without_entries_that_is_no_feed_of_arxiv_is_refused() -> None:
    with pytest.raises(UnreadablePage, match="XML without entries"):
        ArxivFeed().read(b"<rss><channel><title>News</title></channel></rss>", FRIDAY)


def test_an_error_of_arxiv_is_refused_in_its_words() -> None:
    page = rss(title="Feed error for query: http://rss.arxiv.org/rss/cs.XX")
    page = page.replace(
        b"cs.LG updates on the arXiv.org e-print archive.", b"Invalid archive cs.XX"
    )
    with pytest.raises(UnreadablePage, match=r"an error of arXiv \(Invalid archive cs\.XX\)"):
        read(page)


def test_the_older_wording_is_read_too() -> None:
    bees, rivers, kettles = read(OLD)
    assert (bees.title, bees.abstract) == ("Bees That Count", "<p>We count bees.</p>")
    assert (bees.authors, bees.facts["categories"]) == (("Ada Lovelace",), ["cs.LG"])
    assert [x.is_news for x in (bees, rivers, kettles)] == [True, False, True]
    assert [x.facts["announce_type"] for x in (rivers, kettles)] == ["replace", "cross"]
    assert (rivers.title, rivers.facts["version"]) == ("Rivers", 3)
    assert {x.page_date for x in (bees, rivers, kettles)} == {date(2021, 11, 19)}


def test_a_few_broken_items_are_left_out() -> None:
    page = rss(rss_item(BEES), rss_item({**RIVERS, "title": " "}), rss_item(KETTLES))
    assert [(x.arxiv_id, x.position) for x in read(page)] == [
        ("2611.00001", 1),
        ("physics/0611003", 2),
    ]


def test_the_real_feeds_are_read_whole() -> None:
    feed = shared("arxiv_rss", "rss.arxiv.org_atom_cs.AI_2025-08-20.xml").read_bytes()
    listings = read(feed)
    assert len(listings) == feed.count(b"<entry>") == 7
    assert {listing.page_date for listing in listings} == {date(2025, 8, 20)}
    assert [x.facts["announce_type"] for x in listings] == ["cross"] * 5 + ["new"] * 2
    assert not any(x.abstract.startswith(("arXiv:", "Abstract")) for x in listings)
    assert read(shared("arxiv_rss", "arxiv_weekend_empty.xml").read_bytes()) == []
