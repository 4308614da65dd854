"""Any feed: its kinds, what publishers hide in descriptions, dates, and what is refused."""

from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.sources import find_reader
from digest.sources.feed import Feed
from digest.sources.listing import Listing
from tests.shared import shared
from tests.sources.other_pages import ATOM, JSON_FEED, RDF, RSS

SEEN_ON = date(2026, 11, 21)
READER = Feed()


def read(page: bytes | str) -> list[Listing]:
    return READER.read(page.encode() if isinstance(page, str) else page, SEEN_ON)


def item(said: str) -> Listing:
    """The listing of an RSS item, whose title may be left to us."""
    titled = said if "<title" in said else f"<title>Bees</title>{said}"
    (listing,) = read(f"<rss version='2.0'><channel><item>{titled}</item></channel></rss>")
    return listing


LONG = "We count bees in spring, and are wrong by four percent."


def described(text: str) -> Listing:
    return item(f"<description><![CDATA[{text}]]></description>")


def test_rss_becomes_listings_with_all_that_it_says() -> None:
    assert read(RSS) == [
        Listing(
            title="Bees That Count",
            abstract="We count bees & wasps.",
            position=1,
            page_date=date(2026, 11, 20),
            doi="10.1000/small.1",
            url="https://journal.example/articles/1?af=R&x=1",
            authors=("A. Lovelace", "G. Hopper"),
            published_on=date(2026, 11, 20),
            facts={"categories": ["Bees"]},
        ),
        Listing(
            title="Rivers That Wait",
            abstract="Slow rivers keep time badly if a<b, for all b.",
            position=2,
            page_date=date(2026, 11, 20),
            arxiv_id="2611.00002",
            url="https://arxiv.org/abs/2611.00002v1",
            authors=("Grace Hopper", "Alan Kay"),
            published_on=date(2026, 11, 19),
        ),
        Listing(
            title="Kettles That Sing",
            abstract="",
            position=3,
            page_date=date(2026, 11, 20),
            doi="10.1000/small.3",
            url="https://doi.org/10.1000/small.3",
        ),
    ]


def test_atom_rdf_and_json_feeds_are_read_alike() -> None:
    (atom,), (rdf,), (json_feed,) = read(ATOM), read(RDF), read(JSON_FEED)
    assert (atom.title, atom.abstract) == ("Bees &amp; wasps", "We count.\n\nBees.")
    assert (rdf.doi, rdf.authors) == ("10.1000/j.1", ("Ada Lovelace",))
    assert rdf.page_date == date(2026, 11, 20)
    assert json_feed.abstract == "We count bees."
    assert json_feed.authors == ("Ada Lovelace", "Grace Hopper")
    assert json_feed.facts == {"categories": ["bees"]}
    assert json_feed.published_on == date(2026, 11, 20)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_feed_is_read_in_any_encoding_whatever_it_declares(encoding: str) -> None:
    page = RSS.decode().encode(encoding)
    assert find_reader(page) is not None
    assert READER.recognises(page)
    assert read(page) == read(RSS)


@pytest.mark.parametrize("declared", [b"punycode", b"hex", b"\x80TF-8", b"no-such", b"UTF-16"])
def test_a_declaration_that_is_wrong_does_not_lose_the_feed(declared: bytes) -> None:
    assert read(RSS.replace(b"UTF-8", declared)) == read(RSS)


@pytest.mark.parametrize(
    "page",
    [
        RSS.replace(b"</channel></rss>", b""),
        RSS.replace(b"bees\n", b"bees & wasps \n"),
        RSS.replace(b"</pubDate></item>\n<item>", b"</pubDate>\n<item>", 1),
        b"\n\n<!-- hello -->" + RSS,
        RSS.replace(b"prism:doi", b"nobody:doi"),
        RSS.replace(b"Slow", b"Slow\x0c\x00"),
    ],
)
def test_an_ill_formed_feed_is_read_as_far_as_it_goes(page: bytes) -> None:
    assert [listing.title for listing in read(page)][:2] == ["Bees That Count", "Rivers That Wait"]


@pytest.mark.parametrize(
    ("text", "abstract"),
    [
        ("<p>Publication date: May 2026</p><p><b>Source:</b> J, Volume 1</p>", ""),
        ("Nature, Published online: 15 July 2026; doi:10.1038/x<p>We count.</p>", "We count."),
        ("Small Things, Volume 12, Issue 3, July 2026.", ""),
        ("<h3>Abstract</h3><p>We count.</p>", "We count."),
        ("<b>Summary:</b> We count.", "We count."),
        ("Abstract interpretation is hard.", "Abstract interpretation is hard."),
        ("Summary statistics are all you need.", "Summary statistics are all you need."),
        (f"DOI: https://doi.org/10.1000/c. {LONG}", LONG),
        (f"Link: https://x.example/1 {LONG}", LONG),
        ("URL: https://x.example/1 | PMID: 12", ""),
        ("<p>We count.</p><p>The post Bees appeared first on Blog.</p>", "We count."),
        ("<p>We count.</p><a href='x'>Read more</a>", "We count."),
        ("We count.<br/>Read more →", "We count."),
        ("<p>We count [&hellip;]</p>", "We count"),
        ("<style>p {}</style><script>alert(1)</script><p>We count.</p>", "We count."),
        ("&lt;p&gt;Escaped &amp;amp; twice.&lt;/p&gt;", "Escaped & twice."),
        ("if k<b and c>d, or &lt;a,x&gt; = 0", "if k<b and c>d, or &lt;a,x&gt; = 0"),
        ("<p>if k<b and c>d</p>", "if k<b and c>d"),
        ("Abstract We count.", "We count."),
        ("<p>We<!-- not --> count<img src='x' alt='bees'/>.</p>", "We count."),
        ("One line\nand its end.\n\nTwo.", "One line and its end.\n\nTwo."),
    ],
)
def test_an_abstract_is_told_from_what_is_around_it(text: str, abstract: str) -> None:
    assert described(text).abstract == abstract


def test_a_description_may_hold_authors_and_votes() -> None:
    listing = described(
        "<p><b>Authors:</b> Ada Lovelace, Grace Hopper</p><p><b>Upvotes:</b> 52</p><p>We.</p>"
    )
    assert (listing.authors, listing.upvotes) == (("Ada Lovelace", "Grace Hopper"), 52)
    assert listing.abstract == "We."


@pytest.mark.parametrize(
    ("said", "doi"),
    [
        (
            "<link>https://www.science.org/doi/abs/10.1126/science.x1?af=R</link>",
            "10.1126/science.x1",
        ),
        ("<guid>doi:10.1000/a.b</guid>", "10.1000/a.b"),
        ("<link>https://x.example/10.1000/a/full</link>", "10.1000/a"),
        ("<description>J, Volume 1, May. DOI: 10.1000/c</description>", None),
        ("<description>DOI: 10.1000/c.</description>", "10.1000/c"),
        (f"<description>DOI: 10.1000/c. {LONG}</description>", "10.1000/c"),
        ("<link>https://x.example/10.10/short</link>", None),
        (
            "<prism:doi>10.1175/(1998)011&lt;1912:F&gt;2.0.CO;2</prism:doi>",
            "10.1175/(1998)011<1912:F>2.0.CO;2",
        ),
        (
            "<link>https://doi.org/10.1175/(1998)011&lt;1912:F&gt;2.0.CO;2?af=R</link>",
            "10.1175/(1998)011<1912:F>2.0.CO;2",
        ),
        ("<dc:identifier>doi:10.1000/a&amp;b#c?d(e)</dc:identifier>", "10.1000/a&b#c?d(e)"),
    ],
)
def test_a_doi_is_found_where_publishers_put_it(said: str, doi: str | None) -> None:
    assert item(said).doi == doi


@pytest.mark.parametrize(
    ("link", "id_"),
    [
        ("https://arxiv.org/pdf/2611.00001v2", "2611.00001"),
        ("https://huggingface.co/papers/2611.00001", "2611.00001"),
        ("oai:arXiv.org:math/0611003", "math/0611003"),
        ("https://x.example/2611.00001", None),
        ("https://www.biorxiv.org/content/10.1101/2026.11.18.000001v1", None),
    ],
)
def test_an_arxiv_id_is_found_in_links_of_places_that_use_them(link: str, id_: str | None) -> None:
    assert item(f"<guid>{link}</guid>").arxiv_id == id_


def test_a_stub_gives_way_to_the_content() -> None:
    long = "We count bees. " * 30
    said = "<description>Bees…</description>"
    content = f"<c:encoded xmlns:c='http://purl.org/rss/1.0/modules/content/'>{long}</c:encoded>"
    assert item(said + content).abstract == long.strip()


def test_the_day_is_the_newest_entrys_and_else_the_channels_and_never_far_ahead() -> None:
    ahead = RSS.replace(b"Fri, 20 Nov 2026", b"Tue, 01 Dec 2026")
    assert {x.page_date for x in read(ahead)} == {date(2026, 11, 19)}
    undated = RSS.replace(b"pubDate", b"pubDay")
    assert {x.page_date for x in read(undated)} == {date(2026, 11, 21)}


def test_entries_without_a_title_are_passed_over_unless_all_are() -> None:
    assert [x.title for x in read(RSS.replace(b"Rivers That Wait", b" - "))] == [
        "Bees That Count",
        "Kettles That Sing",
    ]
    with pytest.raises(UnreadablePage, match="3 entries without a title"):
        read(RSS.replace(b"title>", b"tittle>"))


def test_a_page_within_a_feed_does_not_make_it_one() -> None:
    page = RSS.replace(b"Slow rivers", b"<![CDATA[<!doctype html><html><body>]]>Slow rivers")
    assert READER.recognises(page)
    assert read(page) == read(RSS)


def test_a_feed_without_entries_is_no_error() -> None:
    assert read("<rss version='2.0'><channel><title>Quiet</title></channel></rss>") == []


def test_entities_of_a_page_are_not_expanded() -> None:
    bomb = "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>"
    page = f"{bomb}<rss version='2.0'><channel><item><title>Bees &b;</title></item></channel></rss>"
    assert "aaa" not in read(page)[0].title


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("<!DOCTYPE html><html><body><p>Not found</p></body></html>", "an HTML page"),
        ("<html><body><channel>x</channel></body></html>", "an HTML page"),
        ("<opml><body/></opml>", "XML that is no feed"),
        ('{"version": "https://jsonfeed.org/version/1"', "JSON broken at line 1"),
        ('{"version": "https://jsonfeed.org/version/1", "items": 1}', "JSON without items"),
        ('{"items": [' + "[]," * 600_000, "JSON of 600,002 brackets"),
        ("<rss><channel>" + "<item>" * 100_000, "XML of 100,002 tags, entities and lines"),
    ],
)
def test_what_is_no_feed_is_refused_saying_what_it_is(page: str, found: str) -> None:
    with pytest.raises(UnreadablePage, match=found):
        read(page)


@pytest.mark.parametrize("name", ["hf_daily_mirror_rss.xml", "iacr_rss.xml", "nber_rss.xml"])
def test_a_real_feed_is_read_whole(name: str) -> None:
    page = shared("feeds", name).read_bytes()
    listings = find_reader(page).read(page, SEEN_ON)
    assert len(listings) == page.count(b"<item>")
    assert all(listing.abstract and listing.page_date and listing.url for listing in listings)
    if "hf" in name:
        assert all(x.arxiv_id and x.authors and x.upvotes is not None for x in listings)
