"""What becomes of a paper is noticed in listings, once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from digest.papers.collect import ingest_bytes
from digest.papers.ingest import ingest_page
from digest.papers.news import NewsView, news_of_paper, withdrawal
from digest.sources.listing import Listing
from digest.store import Sessions
from digest.store.tables import Paper, PaperNews
from tests.papers.test_ingest import Given
from tests.sources.arxiv_pages import BEES, rss, rss_item
from tests.sources.other_pages import post, posts

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def told(sessions: Sessions) -> list[NewsView]:
    with sessions.reading() as session:
        (id_,) = session.scalars(select(Paper.id))
        return news_of_paper(session, id_)


def listing(**said: Any) -> Listing:
    facts = {name: said.pop(name) for name in list(said) if name in FACTS}
    given = {"title": "Bees That Count", "abstract": "We count.", "arxiv_id": "2611.00001"}
    return Listing(position=1, facts=facts, **{**given, **said})


FACTS = ("version", "comment", "journal_ref", "journal_doi", "code_url", "type")


def seen(sessions: Sessions, *listings: Listing) -> None:
    """List a paper so, a day after the other."""
    for n, one in enumerate(listings):
        ingest_page(sessions, "pages", Given([one]), uuid4().bytes, at=MONDAY + n * DAY)


def test_a_replacement_that_arxiv_announces_is_a_new_version(sessions: Sessions) -> None:
    for n, announced in enumerate(["new", "replace", "replace"], start=1):
        page = rss(rss_item(BEES, announced, version=min(n, 2)), title=f"day {n} arXiv.org")
        ingest_bytes(sessions, "arxiv", page, at=MONDAY + n * DAY)
    address = f"https://arxiv.org/abs/{BEES['id']}v2"
    assert told(sessions) == [NewsView("version", "version 2", address, MONDAY + 2 * DAY)]


def test_a_later_version_on_biorxiv_is_one_too_and_its_journal_is_told(sessions: Sessions) -> None:
    said = [{}, {"version": "2"}, {"version": "2", "published": "10.1000/x"}]
    for n, row in enumerate(post(1, "A", **one) for one in said):
        ingest_bytes(sessions, "biorxiv", posts(row), at=MONDAY + n * DAY)
    assert [(one.kind, one.detail) for one in told(sessions)] == [
        ("version", "version 2"),
        ("published", "10.1000/x"),
    ]
    assert told(sessions)[1].url == "https://doi.org/10.1000/x"


def test_a_version_is_told_where_an_earlier_one_was_known_or_it_was_announced_as_later(
    sessions: Sessions,
) -> None:
    # Nobody said which version the first was: the third is not known to be new.
    seen(sessions, listing(), listing(version=3), listing(version=4), listing(version=2))
    assert [one.detail for one in told(sessions)] == ["version 4"]


def test_a_journal_is_told_once(sessions: Sessions) -> None:
    seen(
        sessions,
        listing(doi="10.48550/arXiv.2611.00001"),
        listing(journal_ref="J. Bees 12 (2026)", doi="10.1000/bees"),
        listing(journal_ref="Journal of Bees 12"),
    )
    (one,) = told(sessions)
    assert (one.kind, one.detail) == ("published", "J. Bees 12 (2026)")
    assert one.url == "https://doi.org/10.1000/bees"


def test_code_that_is_first_seen_later_is_told(sessions: Sessions) -> None:
    code = "https://code.example.org/bees"
    seen(sessions, listing(code_url="javascript:x"), listing(code_url=code), listing(code_url=code))
    assert told(sessions) == [NewsView("code", code, code, MONDAY + DAY)]


def test_what_the_first_listing_says_is_no_news(sessions: Sessions) -> None:
    seen(sessions, listing(version=4, journal_ref="J. Bees", code_url="https://c.example.org/b"))
    assert told(sessions) == []


@pytest.mark.parametrize(
    "said",
    [
        {"comment": "This paper has been withdrawn by the author due to an error in Lemma 2"},
        {"comment": "Withdrawn"},
        {"abstract": "This submission has been withdrawn by arXiv administrators."},
        {"abstract": "The authors have withdrawn this manuscript because it was posted twice."},
        {"title": "WITHDRAWN: Bees That Count"},
        {"title": "RETRACTED ARTICLE: Bees That Count"},
        {"title": "Retracted article: Bees That Count"},
        {"title": "[Retracted] Bees That Count"},
        {"type": "withdrawn"},
    ],
)
def test_a_withdrawal_is_noticed_as_it_is_worded(sessions: Sessions, said: dict[str, str]) -> None:
    seen(sessions, listing(), listing(**said), listing(**said))
    assert [one.kind for one in told(sessions)] == ["withdrawn"]


def test_a_later_version_takes_a_withdrawal_back(sessions: Sessions) -> None:
    comment = "This paper has been temporarily withdrawn while we fix a figure"
    fixed = listing(version=3, comment="figure fixed")
    seen(sessions, listing(version=1), listing(version=2, comment=comment), fixed)
    assert [one.detail for one in told(sessions)] == ["version 2", "version 3"]


@pytest.mark.parametrize("last", [{"version": 2}, {"version": 3, "comment": "Withdrawn"}, {}])
def test_the_same_version_and_one_that_is_withdrawn_too_do_not(
    sessions: Sessions, last: dict[str, Any]
) -> None:
    withdrawn = listing(version=2, comment="Withdrawn")
    seen(sessions, listing(version=1), withdrawn, listing(**last))
    assert "withdrawn" in {one.kind for one in told(sessions)}


@pytest.mark.parametrize(
    "said",
    [
        {"comment": "Withdrawn from ICLR 2026, now at the bees' workshop"},
        {"comment": "12 pages; an earlier version was withdrawn"},
        {"abstract": "We study when money is withdrawn from accounts."},
        {"comment": "withdrawn submission to NeurIPS 2025; now at ICML 2026"},
        {"title": "Withdrawn Children at Play"},
        {"title": "Withdrawn: Loneliness at School"},
        {"comment": ""},
    ],
)
def test_other_uses_of_the_word_are_none(said: dict[str, str]) -> None:
    assert withdrawal(listing(**said)) is None


def test_pages_that_come_back_notice_nothing_twice(sessions: Sessions) -> None:
    said = [listing(version=1), listing(version=2, code_url="https://c.example.org/b")]
    seen(sessions, *said)
    seen(sessions, *said)
    with sessions.reading() as session:
        assert len(session.scalars(select(PaperNews)).all()) == 2
