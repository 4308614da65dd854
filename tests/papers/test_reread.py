"""Kept pages are read again by better code, and nobody is shown anything twice for it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

import digest.papers.reread as rereading
from digest import subscribers
from digest.editions.news import _ready
from digest.errors import UnreadablePage
from digest.papers.collect import ingest_bytes
from digest.papers.ingest import Changes, ingest_page
from digest.papers.reread import Reread, kept_pages, reread
from digest.settings import SubscriberDefaults
from digest.sources import find_reader
from digest.sources.listing import Listing
from digest.store import Sessions
from digest.store.tables import ListingRow, Page, Paper, PaperKey, VoteRow
from tests.sources.test_readers import PAGES

MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Old:
    """A reader of JSON lists of `Listing`s, as it was before it was mended."""

    name: str = "old"
    spoilt: Mapping[str, Any] = field(default_factory=dict)

    def recognises(self, page: bytes) -> bool:
        return page.startswith(b"[")

    def read(self, page: bytes, seen_on: date) -> list[Listing]:  # noqa: ARG002 - as all do
        said = json.loads(page)
        told = [self.spoilt.get(one["title"], one) for one in said]
        return [Listing(position=n, **one) for n, one in enumerate(told, 1) if one]


BEES = {"title": "Bees That Count", "abstract": "We train bees to count flowers, up to four."}
RIVERS = {"title": "Rivers at Night", "abstract": "We measure rivers where nobody sees them."}
KETTLES = {"title": "Kettles Sing", "abstract": "We tune kettles to a common pitch, in winter."}


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pages below are read rightly by the readers of today."""
    monkeypatch.setattr(rereading, "find_reader", lambda _: Old("new"))
    return


def ingest(
    sessions: Sessions, *papers: Mapping[str, Any], at: datetime = MONDAY, **spoilt: Any
) -> None:
    """Take in a page of papers; those of these first words are misread so, or (None) missed."""
    by_title = {p["title"]: spoilt[p["title"].split()[0]] for p in papers
                if p["title"].split()[0] in spoilt}  # fmt: skip
    page = json.dumps([{**paper} for paper in papers]).encode()
    ingest_page(sessions, "daily", Old(spoilt=by_title), page, at=at)


def again(sessions: Sessions, *, now: datetime = MONDAY + DAY / 4) -> list[Reread]:
    with sessions.reading() as session:
        pages = kept_pages(session)
    return list(reread(sessions, pages, now=now))


def listed(sessions: Sessions) -> list[tuple[str, str]]:
    """Each listing's title, and its paper's."""
    with sessions.reading() as session:
        rows = session.execute(
            select(ListingRow.title, Paper.title)
            .join(Paper, Paper.id == ListingRow.paper_id)
            .order_by(ListingRow.page_id, ListingRow.position)
        )
        return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("name", [*PAGES])
def test_a_page_that_was_just_read_is_not_changed(sessions: Sessions, name: str) -> None:
    page = PAGES[name]
    ingest_bytes(sessions, "any", page, at=MONDAY)
    before = listed(sessions)
    assert [one.changes for one in again(sessions)] == [Changes()]
    assert listed(sessions) == before


def test_a_paper_that_was_missed_is_added_as_of_its_day(sessions: Sessions, mended: None) -> None:
    ingest(sessions, BEES, RIVERS, KETTLES, Rivers=None)
    (told,) = again(sessions)
    assert (told.changes, told.reader) == (Changes(added=1), "new")
    assert [title for title, _ in listed(sessions)] == [
        "Bees That Count", "Rivers at Night", "Kettles Sing",
    ]  # fmt: skip
    with sessions.reading() as session:
        assert set(session.scalars(select(ListingRow.seen_at))) == {MONDAY}
    assert [one.changes for one in again(sessions)] == [Changes()]


def test_it_is_news_where_its_page_is_of_this_week_and_else_is_only_kept(
    sessions: Sessions, mended: None
) -> None:
    def new(now: datetime) -> set[str]:
        with sessions() as session:
            session.execute(update(Paper).where(Paper.ready_at.is_(None)).values(ready_at=now))
            ids = [row.id for row in session.execute(_ready(now - DAY / 24, now))]
            return set(session.scalars(select(Paper.title).where(Paper.id.in_(ids))))

    ingest(sessions, BEES, RIVERS, Rivers=None)
    assert new(MONDAY) == {"Bees That Count"}
    again(sessions, now=MONDAY + DAY)
    assert new(MONDAY + DAY) == {"Rivers at Night"}
    ingest(sessions, BEES, KETTLES, at=MONDAY + 2 * DAY, Kettles=None)
    assert new(MONDAY + 2 * DAY) == set()
    again(sessions, now=MONDAY + 30 * DAY)
    assert "Kettles Sing" in {title for _, title in listed(sessions)}
    assert new(MONDAY + 30 * DAY) == set()


def test_what_was_no_paper_is_no_longer_listed(sessions: Sessions, mended: None) -> None:
    advert = {"title": "Advertisement Here", "abstract": "Buy kettles."}
    ingest(sessions, BEES, Bees=BEES)
    with sessions() as session:
        page = session.scalars(select(Page)).one()
        paper = Paper(
            title="Advertisement Here", abstract="Buy kettles.", authors=[], text_hash="x",
            first_seen_at=MONDAY,
        )  # fmt: skip
        session.add(paper)
        session.flush()
        session.add(
            ListingRow(
                page_id=page.id, paper_id=paper.id, source="daily", seen_at=MONDAY, position=2,
                title=advert["title"], facts={},
            )
        )  # fmt: skip
    (told,) = again(sessions)
    assert told.changes == Changes(removed=1)
    assert listed(sessions) == [("Bees That Count", "Bees That Count")]


def test_a_misread_paper_is_set_right_and_stays_the_one_that_was_shown(
    sessions: Sessions, mended: None
) -> None:
    garbled = {"title": "Be es Tha t Coun", "abstract": BEES["abstract"] + " Upvote 12"}
    ingest(sessions, BEES, RIVERS, Bees=garbled)
    with sessions() as session:
        given = {"address": "ann@example.org"}
        reader = subscribers.add(
            session, given, SubscriberDefaults(), secret=b"a secret of enough bytes", now=MONDAY
        ).subscriber.id
        bees = session.scalars(select(Paper).where(Paper.title == garbled["title"])).one()
        session.execute(update(Paper).values(ready_at=MONDAY))
        session.add(
            VoteRow(subscriber_id=reader, paper_id=bees.id, value="up", via="cli", at=MONDAY)
        )
    (told,) = again(sessions)
    assert told.changes == Changes(changed=1, reidentified=1)
    with sessions.reading() as session:
        papers = session.scalars(select(Paper).order_by(Paper.id)).all()
        assert [paper.title for paper in papers] == ["Bees That Count", "Rivers at Night"]
        assert (papers[0].id, papers[0].ready_at) == (bees.id, MONDAY)
        assert session.scalars(select(VoteRow.paper_id)).all() == [bees.id]
        assert session.execute(_ready(MONDAY, MONDAY + DAY)).all() == []
        keys = session.scalars(select(PaperKey.key).where(PaperKey.paper_id == bees.id)).all()
        assert {"title:beesthatcount", "title:beesthatcoun"} <= set(keys)
    assert [one.changes for one in again(sessions)] == [Changes()]


def test_one_that_several_pages_misread_alike_is_not_news_again(
    sessions: Sessions, mended: None
) -> None:
    garbled = {"title": "Be es Tha t Coun", "abstract": BEES["abstract"] + " Upvote 12"}
    for n in range(3):
        ingest(sessions, BEES, {**RIVERS, "title": f"Rivers {n}"}, at=MONDAY + n * DAY,
               Bees=garbled)  # fmt: skip
    with sessions() as session:
        session.execute(update(Paper).values(ready_at=MONDAY))
    told = again(sessions, now=MONDAY + 3 * DAY)
    assert [one.changes for one in told] == [
        Changes(changed=1, reidentified=1), Changes(changed=1), Changes(changed=1),
    ]  # fmt: skip
    with sessions.reading() as session:
        assert session.scalar(select(func.count()).select_from(Paper)) == 4
        assert session.get_one(Paper, 1).title == "Bees That Count"
        assert session.scalars(select(Paper.id).where(Paper.ready_at.is_(None))).all() == []


def test_an_id_that_was_misread_is_given_up(sessions: Sessions, mended: None) -> None:
    right = {**BEES, "arxiv_id": "2611.00012"}
    wrong = {**BEES, "abstract": BEES["abstract"] + " Upvote 12", "arxiv_id": "2611.0001"}
    ingest(sessions, right, Bees=wrong)
    (told,) = again(sessions)
    assert not told.changes.added
    assert not told.changes.removed
    with sessions.reading() as session:
        (bees,) = session.scalars(select(Paper)).all()
        assert (bees.id, bees.arxiv_id) == (1, "2611.00012")
        assert session.get(PaperKey, "arxiv:2611.0001") is None
    # Whose id it is has a paper of their own.
    ingest(sessions, {**RIVERS, "arxiv_id": "2611.0001"}, at=MONDAY + DAY)
    assert listed(sessions)[1] == ("Rivers at Night", "Rivers at Night")


def test_a_paper_that_other_pages_list_keeps_its_text(sessions: Sessions, mended: None) -> None:
    garbled = {"title": "Bees That Count Upvote", "abstract": "", "arxiv_id": "2611.00001"}
    right = {**BEES, "arxiv_id": "2611.00001"}
    ingest(sessions, right, Bees=garbled)
    ingest(sessions, right, RIVERS, at=MONDAY + DAY)
    with sessions() as session:
        session.execute(update(Paper).where(Paper.id == 1).values(title="Bees That Count (v2)"))
    first, second = again(sessions, now=MONDAY + 2 * DAY)
    assert (first.changes, second.changes) == (Changes(changed=1), Changes())
    assert listed(sessions)[0] == ("Bees That Count", "Bees That Count (v2)")


def test_a_listing_of_another_paper_points_to_it(sessions: Sessions, mended: None) -> None:
    ingest(sessions, BEES)
    ingest(sessions, RIVERS, BEES, at=MONDAY + DAY, Bees={**KETTLES})
    _, second = again(sessions, now=MONDAY + 2 * DAY)
    assert second.changes == Changes(added=1, removed=1)
    assert [paper for _, paper in listed(sessions)] == [
        "Bees That Count", "Rivers at Night", "Bees That Count",
    ]  # fmt: skip


def test_a_page_that_can_no_longer_be_read_keeps_its_listings(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(sessions, BEES)
    ingest(sessions, RIVERS, at=MONDAY + DAY)

    def refuse(page: bytes) -> Old:
        if b"Bees" in page:
            raise UnreadablePage("a page of rivers", "bees")
        return Old()

    monkeypatch.setattr(rereading, "find_reader", refuse)
    first, second = again(sessions)
    assert first.problem == "expected a page of rivers; found bees"
    assert (second.problem, second.changes) == ("", Changes())
    assert [title for title, _ in listed(sessions)] == ["Bees That Count", "Rivers at Night"]


def test_pages_are_chosen_by_source_and_day(sessions: Sessions) -> None:
    ingest(sessions, BEES)
    ingest(sessions, RIVERS, at=MONDAY + DAY)
    ingest_page(sessions, "other", Old(), b'[{"title": "X", "abstract": ""}]', at=MONDAY)
    with sessions.reading() as session:
        assert kept_pages(session, source="daily") == [1, 2]
        assert kept_pages(session, since=(MONDAY + DAY).date()) == [2]
        assert kept_pages(session, source="nobody") == []


def test_a_run_that_ends_half_way_is_gone_on_with(sessions: Sessions, mended: None) -> None:
    for n in range(3):
        ingest(sessions, {**BEES, "title": f"Bees {n}"}, {**RIVERS, "title": f"Rivers {n}"},
               at=MONDAY + n * DAY, Rivers=None)  # fmt: skip
    with sessions.reading() as session:
        pages = kept_pages(session)
    begun = reread(sessions, pages, now=MONDAY)
    next(begun)
    begun.close()
    assert [one.changes.added for one in again(sessions)] == [0, 1, 1]
    with sessions.reading() as session:
        assert session.scalar(select(func.count()).select_from(ListingRow)) == 6


def test_nothing_of_a_page_is_changed_where_storing_it_fails(
    sessions: Sessions, mended: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(sessions, BEES, RIVERS, Rivers=None)
    store = rereading.store_again

    def die(*args: Any, **kwargs: Any) -> Changes:
        store(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(rereading, "store_again", die)
    with pytest.raises(KeyboardInterrupt):
        again(sessions)
    assert [title for title, _ in listed(sessions)] == ["Bees That Count"]
    with sessions.reading() as session:
        assert session.scalars(select(Page.reader)).one() == "old"


def test_readers_of_today_are_asked(sessions: Sessions) -> None:
    assert rereading.find_reader is find_reader
