"""Papers of one work under two numbers are linked, by their ids or their texts, never merged."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from digest.papers.collect import ingest_bytes
from digest.papers.copies import Copy, copies_of, linked_to
from digest.store import Sessions
from digest.store.tables import Paper, PaperLink
from tests.sources.other_pages import post, posts

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HIVE = (
    "We count the bees of a hive from what a broken microphone still hears. A small model learns "
    "the hum of each season and is wrong by four percent on average, over two years and nine hives."
)
LATER = HIVE.replace("nine hives", "forty hives in three countries")
RIVERS = "Slow rivers keep time badly. We read the age of water from its dust, to within two days."


def store(sessions: Sessions, *rows: dict[str, object], at: datetime = NOON) -> None:
    ingest_bytes(sessions, "biorxiv", posts(*rows), at=at)


def links(sessions: Sessions) -> set[tuple[str, str, str]]:
    with sessions.reading() as session:
        titles = dict(session.execute(select(Paper.id, Paper.title)).all())
        rows = session.scalars(select(PaperLink)).all()
        return {(titles[row.paper_id], titles[row.other_id], row.kind) for row in rows}


def test_an_extended_version_under_another_id_is_linked_and_not_merged(sessions: Sessions) -> None:
    store(sessions, post(1, "Bees That Count", abstract=HIVE))
    later = post(2, "Counting Bees in Three Countries", abstract=LATER)
    store(sessions, later, at=NOON + timedelta(days=30))
    assert links(sessions) == {("Bees That Count", "Counting Bees in Three Countries", "near")}
    with sessions.reading() as session:
        one, other = session.scalars(select(Paper.id).order_by(Paper.id))
        assert copies_of(session, one) == [Copy(other, "Counting Bees in Three Countries", "near")]
        assert [copy.paper_id for copy in copies_of(session, other)] == [one]
        assert sorted(linked_to(session, [one])) == [(one, other)]


def test_other_works_of_a_group_and_like_works_of_others_are_not(sessions: Sessions) -> None:
    strangers = {"authors": "Noether, E.; Ayrton, H."}
    store(
        sessions,
        post(1, "Bees That Count", abstract=HIVE),
        post(2, "Rivers That Wait", abstract=RIVERS),
        post(3, "Bees, Counted Again", abstract=LATER, **strangers),
    )
    assert links(sessions) == set()


def test_of_papers_without_authors_the_beginning_of_the_title_tells(sessions: Sessions) -> None:
    rows = [("BeeCount: Hives Heard", HIVE), ("BeeCount++: Hives Heard Abroad", LATER)]
    page = "title,abstract\n" + "\n".join(f'"{title}","{text}"' for title, text in rows)
    ingest_bytes(sessions, "list", page.encode(), at=NOON)
    assert {kind for *_, kind in links(sessions)} == {"near"}


def test_a_listing_whose_ids_name_two_papers_links_them(sessions: Sessions) -> None:
    ingest_bytes(sessions, "list", b"title,doi\nBees in a Journal,10.1000/bees\n", at=NOON)
    store(sessions, post(1, "Bees That Count"))
    assert links(sessions) == set()
    store(sessions, post(1, "Bees That Count", published="10.1000/bees"), at=NOON)
    assert links(sessions) == {("Bees in a Journal", "Bees That Count", "same")}


def test_however_many_papers_are_asked_for(sessions: Sessions) -> None:
    """More than SQLite takes values in a statement, and PostgreSQL."""
    rows = [post(1, "Bees That Count", abstract=HIVE), post(2, "Bees Abroad", abstract=LATER)]
    store(sessions, *rows)
    with sessions.reading() as session:
        found = linked_to(session, range(1, 70_000))
    assert sorted(found) == sorted((b, a) for a, b in found)
    assert len(found) == 2


def test_the_same_pages_again_link_nothing_twice(sessions: Sessions, tmp_path: Path) -> None:
    rows = [post(1, "Bees That Count", abstract=HIVE), post(2, "Bees Abroad", abstract=LATER)]
    store(sessions, *rows)
    store(sessions, *reversed(rows), at=NOON + timedelta(days=1))
    assert len(links(sessions)) == 1
