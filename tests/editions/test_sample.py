"""A sample is the edition that somebody would get, and leaves no trace."""

from datetime import timedelta

from digest.editions import Taste, sample, stored_among, varied_papers
from digest.editions.sample import MOST_LIKES
from digest.sources.listing import Listing
from digest.store import Sessions
from tests.editions.world import DAY, ENCODER, MONDAY, add_papers, add_reader, build, edition, rows
from tests.editions.world import titles as titles_of

ROBOTS = [f"robot grasping gripper {n}" for n in "abcdefgh"]
PROTEINS = [f"protein folding residue {n}" for n in "abcdefgh"]


def taste(*interests: str, likes: tuple[int, ...] = ()) -> Taste:
    return Taste(dict(zip(interests, ENCODER.encode(interests), strict=True)), likes)


def titles(sessions: Sessions, told: Taste, *, length: int = 4, mix: float = 1.0) -> list[str]:
    with sessions.reading() as session:
        made = sample(session, ENCODER.identity, told, length=length, mix=mix, now=MONDAY)
    return titles_of(made)


def test_a_sample_is_of_what_was_told_and_writes_nothing(sessions: Sessions) -> None:
    add_papers(sessions, [*ROBOTS, *PROTEINS], MONDAY - DAY)
    before = rows(sessions)
    for words, wanted in (("robot gripper", "robot"), ("protein residue", "protein")):
        assert all(title.startswith(wanted) for title in titles(sessions, taste(words)))
    assert rows(sessions) == before


def test_a_sample_is_the_first_edition_of_who_tells_the_same(sessions: Sessions) -> None:
    papers = add_papers(sessions, [*ROBOTS, *PROTEINS], MONDAY - DAY)
    # As short as it is, no place is drawn by lot.
    told = titles(sessions, taste("protein residue"), length=4)
    reader = add_reader(sessions, interest="protein residue", length=4, mix=1.0)
    build(sessions, reader, MONDAY)
    assert set(titles_of(edition(sessions, reader))) == set(told)
    assert len(papers) == 16


def test_papers_that_were_picked_count_and_are_not_shown_again(sessions: Sessions) -> None:
    papers = add_papers(sessions, [*ROBOTS, *PROTEINS], MONDAY - DAY)
    found = titles(sessions, taste(likes=(papers[0], papers[1])))
    assert all(title in ROBOTS[2:] for title in found)


def test_a_reason_names_the_interest_as_it_was_typed(sessions: Sessions) -> None:
    add_papers(sessions, ROBOTS, MONDAY - DAY)
    add_reader(sessions, interest="another's interest")
    with sessions.reading() as session:
        made = sample(
            session, ENCODER.identity, taste("robot gripper"), length=2, mix=1.0, now=MONDAY
        )
    assert {reason.name for item in made.items for reason in item.reasons} == {"robot gripper"}


def test_whoever_tells_nothing_gets_what_is_trending_and_without_papers_nothing(
    sessions: Sessions,
) -> None:
    later = MONDAY + timedelta(days=40)
    with sessions.reading() as session:
        none = sample(session, ENCODER.identity, taste(), length=3, mix=1.0, now=later)
    assert (none.items, none.note) == ((), "No papers have come in yet.")
    add_papers(sessions, ROBOTS, MONDAY - DAY)
    assert len(titles(sessions, taste(), length=3)) == 3
    assert titles(sessions, Taste({"an interest without a vector": None}), length=3)


def test_varied_papers_are_one_of_each_topic(sessions: Sessions) -> None:
    papers = add_papers(sessions, [*ROBOTS, *PROTEINS], MONDAY - DAY)
    with sessions.reading() as session:
        chosen = varied_papers(session, ENCODER.identity, 2, now=MONDAY)
        assert varied_papers(session, "another encoder", 2, now=MONDAY) == []
    assert sorted(papers.index(id_) // 8 for id_ in chosen) == [0, 1]


def test_papers_of_a_library_are_found_by_any_of_their_names(sessions: Sessions) -> None:
    papers = add_papers(sessions, ROBOTS, MONDAY - DAY)
    with sessions() as session:
        from digest.papers.identity import title_key
        from digest.store.tables import PaperKey

        session.add(PaperKey(key=f"title:{title_key(ROBOTS[0])}", paper_id=papers[0]))
        session.add(PaperKey(key="arxiv:2601.00001", paper_id=papers[1]))
        session.add(PaperKey(key="doi:10.1234/x", paper_id=papers[2]))
    library = [
        Listing(ROBOTS[0].upper(), "", 1),
        Listing("?", "", 2, arxiv_id="2601.00001v3"),
        Listing("??", "", 3, doi="10.1234/X"),
        Listing("nowhere", "", 4),
    ]
    with sessions.reading() as session:
        assert stored_among(session, library, []) == papers[:3]
        assert stored_among(session, [], ["arxiv:2601.00001"]) == [papers[1]]
        assert len(stored_among(session, library * MOST_LIKES, [])) == 3
