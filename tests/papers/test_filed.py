"""What a library says of papers is for who sent it: no page, and no other reader, sees it."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import select

from digest import subscribers
from digest.papers.catalog import find_paper, index_papers, nearest_papers
from digest.papers.embedding import embed_pending
from digest.papers.ingest import store_again
from digest.profiles.learned import learned
from digest.profiles.seeds import import_file, like_author
from digest.sources.listing import Listing
from digest.store import Sessions
from digest.store.tables import Base, Page, PaperKey, PaperLink, PaperNews, VectorRow, VoteRow
from tests.papers.test_ingest import BEES, RIVERS, Given, ingest
from tests.papers.test_ingest import papers as stored
from tests.profiles.world import ENCODER, NOON, people

Row = TypeVar("Row", bound=Base)
DAY = timedelta(days=1)
DRAFT = b"@unpublished{x, title={My Draft on Towels}, author={Ada Lovelace}, abstract={Round.}}"
LISTED = Listing(
    "Bees That Count", "We count bees.", 1, arxiv_id="2603.00001", authors=("Grace Hopper",)
)


def rows_of(sessions: Sessions, table: type[Row]) -> list[Row]:
    with sessions.reading() as session:
        return list(session.scalars(select(table)))


def votes(sessions: Sessions) -> list[tuple[int, int]]:
    with sessions.reading() as session:
        return sorted((row.subscriber_id, row.paper_id) for row in session.scalars(select(VoteRow)))


def test_a_library_changes_nothing_of_what_a_page_listed(sessions: Sessions) -> None:
    (mallory,) = people(sessions, 1)
    ingest(sessions, replace(BEES, doi=None), replace(LISTED, title="Honey", abstract=RIVERS))
    ingest(sessions, Listing("Towels", "Round.", 1, doi="10.1000/towels"))
    before = [(p.title, p.abstract, p.url, p.doi, p.text_hash) for p in stored(sessions)]
    keys = {row.key for row in rows_of(sessions, PaperKey)}
    file = b"""
    @misc{a, title={Bees that count}, url={https://evil.example/login}, doi={10.1000/evil}}
    @misc{b, title={x}, eprint={2603.00001}, doi={10.1000/towels},
          abstract={This paper has been withdrawn by the authors.}}
    """
    report = import_file(sessions, mallory, file, now=NOON + DAY)
    assert (report.votes, report.new_papers) == (2, 0)
    assert [(p.title, p.abstract, p.url, p.doi, p.text_hash) for p in stored(sessions)] == before
    assert {row.key for row in rows_of(sessions, PaperKey)} == keys
    assert rows_of(sessions, PaperNews) == rows_of(sessions, PaperLink) == []


def test_a_page_that_lists_a_filed_paper_makes_it_anew_and_its_votes_stay(
    sessions: Sessions,
) -> None:
    (mallory,) = people(sessions, 1)
    file = b"""@misc{b, title={Buy our pills}, eprint={2603.00001}, doi={10.1000/anothers},
        author={Mallory}, abstract={Cheap.}, url={https://evil.example/shop}}"""
    import_file(sessions, mallory, file, now=NOON)
    embed_pending(sessions, ENCODER, clock=lambda: NOON)
    assert ingest(sessions, LISTED, at=NOON + DAY).n_new_papers == 1
    (paper,) = stored(sessions)
    assert (paper.title, paper.abstract, paper.authors) == (
        LISTED.title, LISTED.abstract, ["Grace Hopper"]
    )  # fmt: skip
    assert (paper.arxiv_id, paper.doi, paper.url) == ("2603.00001", None, None)
    assert (paper.first_seen_at, paper.ready_at) == (NOON + DAY, None)
    assert votes(sessions) == [(mallory, paper.id)]
    assert rows_of(sessions, VectorRow) == []
    # The other key that the library gave it is gone.
    ingest(sessions, Listing("Rivers", RIVERS, 1, doi="10.1000/anothers"))
    assert [one.title for one in stored(sessions)] == ["Bees That Count", "Rivers"]
    assert rows_of(sessions, PaperNews) == []


def test_libraries_share_a_filed_paper_only_where_they_say_the_very_same(
    sessions: Sessions,
) -> None:
    ada, bob, mallory = people(sessions, 3)
    entry = b"@misc{b, title={Bees}, eprint={2603.00001}}"
    import_file(sessions, mallory, entry.replace(b"Bees", b"Pills"), now=NOON)
    for who in (ada, bob, ada):
        import_file(sessions, who, entry, now=NOON)
    assert votes(sessions) == [(ada, 2), (bob, 2), (mallory, 1)]
    assert [one.title for one in stored(sessions)] == ["Pills", "Bees"]


def test_nobody_finds_what_only_a_library_names(sessions: Sessions) -> None:
    ada, bob = people(sessions, 2)
    ingest(sessions, LISTED)
    import_file(sessions, ada, DRAFT, now=NOON)
    import_file(sessions, ada, b"10.1000/x\n2603.00001\n", now=NOON)
    import_file(sessions, bob, b"@misc{c, title={Bees that count}}", now=NOON)
    embed_pending(sessions, ENCODER, clock=lambda: NOON)
    draft = stored(sessions)[-1]
    assert draft.title == "My Draft on Towels"
    with sessions() as session:
        assert draft.id not in index_papers(session, ENCODER.identity).ids
        assert nearest_papers(session, 1, ENCODER.identity, limit=5) == []
        known = learned(session, bob, ENCODER.identity, now=NOON + DAY)
        assert draft.id not in {near.paper_id for near in known.nearest}
        assert subscribers.known_papers(session, [draft.id, 1]) == (1,)
        # The operator finds it.
        assert find_paper(session, "my draft on towels").id == draft.id
        like_author(session, bob, "Grace Hopper", now=NOON)
    assert votes(sessions) == [(ada, 1), (ada, draft.id), (bob, 1)]


def test_an_erased_reader_takes_along_what_nobody_else_filed(sessions: Sessions) -> None:
    ada, bob = people(sessions, 2)
    ingest(sessions, LISTED)
    both = b"@misc{c, title={Rivers}}\n@misc{d, title={Bees that count}}\n"
    import_file(sessions, ada, both + DRAFT, now=NOON)
    import_file(sessions, bob, both, now=NOON)
    embed_pending(sessions, ENCODER, clock=lambda: NOON)
    n_vectors = len(rows_of(sessions, VectorRow))
    with sessions() as session:
        subscribers.erase(session, ada)
    assert [one.title for one in stored(sessions)] == ["Bees That Count", "Rivers"]
    assert not [row.key for row in rows_of(sessions, PaperKey) if "towels" in row.key]
    assert len(rows_of(sessions, VectorRow)) == n_vectors - 1
    with sessions() as session:
        subscribers.erase(session, bob)
    assert [one.title for one in stored(sessions)] == ["Bees That Count"]


def test_a_page_read_again_keeps_the_votes_of_a_library(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    # The page was misread under another title, which the library knew better.
    ingest(sessions, replace(BEES, title="Bees That"))
    import_file(sessions, ada, b"@misc{d, title={Bees that count}}", now=NOON)
    with sessions() as session:
        page = session.get_one(Page, 1)
        store_again(session, page, Given([BEES]), [BEES], ready_at=None)
    assert votes(sessions) == [(ada, 1)]
    assert [one.title for one in stored(sessions)] == ["Bees That Count"]
