"""From a page to papers, on both databases."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from digest.errors import UnreadablePage
from digest.papers.identity import text_hash
from digest.papers.ingest import IngestReport, ingest_page
from digest.sources.hf_daily import HuggingFaceDaily
from digest.sources.listing import Listing
from digest.sources.trending_page import TrendingPage
from digest.store import Sessions
from digest.store.tables import Base, ListingRow, Page, Paper, PaperKey, PaperLink
from tests.shared import shared

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BEES = Listing("Bees That Count", "We count bees and are wrong by four percent.", 1)
RIVERS = "Rivers carry dust, and its age tells how slowly all of the water has flowed to the sea."


@dataclass(frozen=True)
class Given:
    """A reader that reads off what it was given, for listings that no page here would hold."""

    listings: Sequence[Listing]
    name: str = "given"

    def recognises(self, page: bytes) -> bool:  # noqa: ARG002 - the seam's
        return True

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002
        return list(self.listings)


def ingest(
    sessions: Sessions, *listings: Listing, page: bytes = b"", at: datetime = NOON
) -> IngestReport:
    """Ingest listings as one page; without `page`, one of bytes of its own."""
    page = page or repr(listings).encode("utf-8", "backslashreplace")
    return ingest_page(sessions, "here", Given(listings), page, at=at)


def papers(sessions: Sessions) -> list[Paper]:
    with sessions.reading() as session:
        return list(session.scalars(select(Paper).order_by(Paper.id)))


def count(sessions: Sessions, table: type[Base]) -> int:
    with sessions.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_listing_becomes_a_clean_paper(sessions: Sessions) -> None:
    listing = Listing(
        title=r"Bees &amp; $n^2$ \emph{Flowers}",
        abstract="We count.\n\nTo \\textbf{four}.",
        position=3,
        page_date=date(2026, 11, 20),
        arxiv_id="2611.01234v2",
        doi="https://doi.org/10.1000/BEES",
        url="https://example.org/bees",
        authors=(r"Paul Erd\H{o}s", "\u200b"),
        published_on=date(2026, 11, 18),
        upvotes=7,
        facts={"code_url": "https://example.org/code", "comments": 2},
    )
    report = ingest(sessions, listing)
    assert report == IngestReport("here", "given", date(2026, 11, 20), 1, 1)
    (paper,) = papers(sessions)
    assert paper.title == "Bees & n² Flowers"
    assert paper.abstract == "We count.\n\nTo four."
    assert (paper.arxiv_id, paper.doi) == ("2611.01234", "10.1000/bees")
    assert paper.authors == ["Paul Erdős"]
    assert (paper.url, paper.code_url) == ("https://example.org/bees", "https://example.org/code")
    assert (paper.published_on, paper.first_seen_at) == (date(2026, 11, 18), NOON)
    assert paper.text_hash == text_hash("Bees & n² Flowers. We count.\n\nTo four.")
    with sessions.reading() as session:
        row = session.scalars(select(ListingRow)).one()
    assert (row.position, row.upvotes, row.facts["comments"]) == (3, 7, 2)
    assert row.title == listing.title


def test_the_same_page_twice_is_once(sessions: Sessions) -> None:
    first = ingest(sessions, BEES)
    again = ingest(sessions, BEES, at=NOON + timedelta(days=1))
    assert (first.n_new_papers, first.known) == (1, False)
    assert (again.n_listings, again.n_new_papers, again.known) == (1, 0, True)
    assert [count(sessions, table) for table in (Page, Paper, ListingRow)] == [1, 1, 1]


def test_the_same_paper_on_several_pages_is_one_paper_with_several_listings(
    sessions: Sessions,
) -> None:
    for day in range(3):
        ingest(sessions, replace(BEES, position=day + 1), at=NOON + timedelta(days=day))
    assert [count(sessions, table) for table in (Page, Paper, ListingRow)] == [3, 1, 3]
    assert papers(sessions)[0].first_seen_at == NOON


def test_a_paper_twice_on_one_page_is_listed_where_it_first_stands(sessions: Sessions) -> None:
    report = ingest(sessions, BEES, replace(BEES, title="Bees that COUNT", position=2))
    assert (report.n_listings, report.n_new_papers) == (2, 1)
    with sessions.reading() as session:
        assert session.scalars(select(ListingRow.position)).all() == [1]


def test_one_title_over_two_abstracts_is_two_papers(sessions: Sessions) -> None:
    ingest(sessions, BEES, replace(BEES, abstract=RIVERS, position=2))
    assert len(papers(sessions)) == 2
    ingest(sessions, replace(BEES, abstract=RIVERS))
    assert len(papers(sessions)) == 2


def test_one_title_over_two_arxiv_ids_is_two_papers(sessions: Sessions) -> None:
    one = replace(BEES, arxiv_id="2611.00001")
    other = replace(BEES, arxiv_id="2611.00002", abstract=BEES.abstract + " Again.")
    ingest(sessions, one, other)
    assert [paper.arxiv_id for paper in papers(sessions)] == ["2611.00001", "2611.00002"]


def test_two_arxiv_ids_with_the_doi_of_one_volume_are_two_papers(sessions: Sessions) -> None:
    one = replace(BEES, arxiv_id="2611.00001", doi="10.1000/volume")
    other = Listing("Rivers", RIVERS, 2, arxiv_id="2611.00002", doi="10.1000/volume")
    assert ingest(sessions, one, other).n_new_papers == 2
    ingest(sessions, replace(other, arxiv_id="2611.00002v2"))
    assert [paper.title for paper in papers(sessions)] == ["Bees That Count", "Rivers"]
    assert count(sessions, PaperLink) == 0


@pytest.mark.parametrize(
    "later",
    [
        Listing("Bees That Count, Revisited", RIVERS, 1, arxiv_id="arXiv:2611.01234v2"),
        Listing("Bees", RIVERS, 1, url="https://arxiv.org/abs/2611.01234v3"),
        Listing("Bees", RIVERS, 1, doi="10.48550/arXiv.2611.01234"),
        Listing("BEES that count!", BEES.abstract + " It works in winter.", 1),
        Listing("Bees that count", "", 1),
    ],
    ids=["id", "address", "doi", "revised", "no abstract"],
)
def test_a_later_version_is_the_same_paper(sessions: Sessions, later: Listing) -> None:
    ingest(sessions, replace(BEES, arxiv_id="2611.01234v1"))
    assert ingest(sessions, later).n_new_papers == 0
    assert papers(sessions)[0].title == "Bees That Count"


def test_a_later_page_fills_in_what_the_first_did_not_say(sessions: Sessions) -> None:
    ingest(sessions, replace(BEES, abstract=""))
    ingest(sessions, replace(BEES, arxiv_id="2611.01234", authors=("Ada Lovelace",)))
    (paper,) = papers(sessions)
    assert (paper.abstract, paper.arxiv_id) == (BEES.abstract, "2611.01234")
    assert paper.authors == ["Ada Lovelace"]
    assert paper.text_hash == text_hash(f"{BEES.title}. {BEES.abstract}")


def test_an_unreadable_page_stores_nothing(sessions: Sessions) -> None:
    with pytest.raises(UnreadablePage):
        ingest_page(sessions, "here", HuggingFaceDaily(), b'[{"paper": 1}]', at=NOON)
    assert [count(sessions, table) for table in (Page, Paper, ListingRow)] == [0, 0, 0]


def test_a_page_that_fails_half_way_stores_nothing(sessions: Sessions) -> None:
    too_large = replace(BEES, title="Another", abstract=RIVERS, position=10**30)
    with pytest.raises((SQLAlchemyError, OverflowError)):
        ingest(sessions, BEES, too_large)
    assert [count(sessions, table) for table in (Page, Paper, PaperKey)] == [0, 0, 0]


def test_a_page_without_papers_is_kept_as_such(sessions: Sessions) -> None:
    report = ingest_page(sessions, "hf", HuggingFaceDaily(), b"[]", at=NOON)
    assert (report.n_listings, report.known) == (0, False)
    assert ingest_page(sessions, "hf", HuggingFaceDaily(), b"[]", at=NOON).known


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    title=st.text(st.characters(exclude_categories=()), max_size=30),
    fact=st.text(st.characters(exclude_categories=()), max_size=30),
)
def test_any_hostile_text_is_stored_clean(sessions: Sessions, title: str, fact: str) -> None:
    hostile = Listing(
        title=f"A\x00 \ud800{title}",
        abstract=f"B\x00\ud83d{title}\r\n\x1b[31m",
        position=1,
        doi=f"10.1000/\x00{fact}",
        url=fact,
        authors=(title, fact),
        facts={"submitter": fact, "words": [fact, {"x\x00": title}], "code_url": fact},
    )
    ingest(sessions, hostile, page=f"{title!a} {fact!a}".encode())
    for paper in papers(sessions):
        for text in (paper.title, paper.abstract, *paper.authors):
            text.encode()
            assert not set(text) & {"\x00", "\x1b", "\r", "\ud800"}


def test_an_address_that_is_no_web_address_is_not_kept(sessions: Sessions) -> None:
    ingest(sessions, replace(BEES, url="javascript:alert(1)", facts={"code_url": "data:x"}))
    (paper,) = papers(sessions)
    assert (paper.url, paper.code_url) == (None, None)


def test_a_very_long_title_and_a_thousand_authors_are_stored(sessions: Sessions) -> None:
    ingest(sessions, replace(BEES, title="Bees " * 50_000, authors=("Ada Lovelace",) * 1_000))
    assert len(papers(sessions)[0].authors) == 1_000


def test_two_pages_at_once_make_each_paper_once(sessions: Sessions) -> None:
    listings = [replace(BEES, title=f"Bees {n}", position=n) for n in range(1, 21)]
    pages = [Thread(target=ingest, args=(sessions, *listings[::step])) for step in (1, -1)]
    for page in pages:
        page.start()
    for page in pages:
        page.join()
    assert [count(sessions, table) for table in (Page, Paper, ListingRow)] == [2, 20, 40]


def test_the_three_saved_pages_become_their_296_listings(sessions: Sessions) -> None:
    reports = [
        ingest_page(sessions, "saved", TrendingPage(), file.read_bytes(), at=NOON)
        for file in sorted(shared("pages").glob("*.txt"))
    ]
    assert sum(report.n_listings for report in reports) == 296
    assert count(sessions, ListingRow) == 296
    for paper in papers(sessions):
        assert paper.title
        assert len(paper.abstract) > 100


def test_a_saved_day_of_the_api_is_stored_whole(sessions: Sessions) -> None:
    page = shared("hf_daily", "2026-02-03.json").read_bytes()
    report = ingest_page(sessions, "hf", HuggingFaceDaily(), page, at=NOON)
    assert (report.n_listings, report.n_new_papers) == (44, 44)
    ids = {entry["paper"]["id"] for entry in json.loads(page)}
    assert {paper.arxiv_id for paper in papers(sessions)} == ids


def test_a_preprint_and_its_journals_article_are_one_paper_by_title_and_abstract(
    sessions: Sessions,
) -> None:
    preprint = replace(BEES, abstract=RIVERS, doi="10.1101/2026.01.02.123456v2")
    ingest(sessions, preprint)
    ingest(sessions, replace(preprint, abstract=f"{RIVERS} So we show.", doi="10.1000/j.1"))
    (paper,) = papers(sessions)
    assert (paper.doi, paper.published_in) == ("10.1101/2026.01.02.123456", "10.1000/j.1")
    # Known by the journal's name from now on, under whatever title.
    ingest(sessions, Listing("Bees, Counted", "", 1, doi="10.1000/J.1"))
    assert len(papers(sessions)) == 1


def test_a_preprints_listing_may_name_its_journals_doi(sessions: Sessions) -> None:
    facts = {"journal_doi": "10.1000/J.1"}
    ingest(sessions, replace(BEES, doi="10.1101/2026.01.02.123456", facts=facts))
    ingest(sessions, Listing("A New Title", "Another text.", 1, doi="10.1000/j.1"))
    assert len(papers(sessions)) == 1


def test_two_journals_articles_of_one_title_are_two(sessions: Sessions) -> None:
    ingest(sessions, replace(BEES, doi="10.1000/j.1"))
    ingest(sessions, replace(BEES, doi="10.1000/j.2"))
    assert len(papers(sessions)) == 2


def test_editorials_of_different_authors_are_not_one_paper(sessions: Sessions) -> None:
    ingest(sessions, Listing("Editorial", "", 1, authors=("Ada Lovelace",)))
    ingest(sessions, Listing("Editorial", "", 1, authors=("Grace Hopper",), doi="10.1000/e.2"))
    ingest(sessions, Listing("Editorial", "", 1, authors=("A. Lovelace",)))
    assert [paper.authors for paper in papers(sessions)] == [["Ada Lovelace"], ["Grace Hopper"]]


def test_one_text_under_two_arxiv_ids_is_two_papers_that_are_linked(sessions: Sessions) -> None:
    listing = replace(BEES, authors=("Ada Lovelace",))
    ingest(sessions, replace(listing, arxiv_id="2611.00001"))
    ingest(sessions, replace(listing, arxiv_id="2611.00002"))
    assert len(papers(sessions)) == 2
    assert count(sessions, PaperLink) == 1


def test_the_language_of_a_paper_is_noted(sessions: Sessions) -> None:
    ingest(sessions, BEES)
    ingest(sessions, Listing("Les abeilles qui comptent", "Nous comptons les abeilles.", 1))
    assert [paper.language for paper in papers(sessions)] == ["en", "fr"]
