from datetime import datetime, timedelta

import pytest

from digest import votes
from digest.editions import Receipt, edition_of
from digest.store import Sessions
from digest.store.tables import VotedVia, VoteValue
from tests.editions.world import DAY, MONDAY, add_papers, add_reader, build

HOUR = timedelta(hours=1)
TITLES = [
    *(f"Sparse retrieval of kind {n} with inverted lists" for n in range(6)),
    *(f"Walking robots on ground {n} with springs" for n in range(6)),
    *(f"Protein folding in state {n} with water" for n in range(6)),
    *(f"Language benchmarks of field {n} with leaks" for n in range(6)),
]


@pytest.fixture
def reader(sessions: Sessions) -> int:
    """Somebody with an edition of Monday, and papers for Tuesday."""
    who = add_reader(sessions, interest="protein folding", timezone="UTC")
    add_papers(sessions, TITLES, MONDAY - HOUR)
    build(sessions, who, MONDAY)
    add_papers(sessions, ["Protein folding tomorrow"], MONDAY + HOUR)
    return who


def cast(
    sessions: Sessions,
    who: int,
    title: str,
    value: VoteValue,
    at: datetime = MONDAY + HOUR,
    via: VotedVia = "web",
) -> None:
    with sessions() as session:
        votes.vote(session, who, TITLES.index(title) + 1, value, at=at, via=via)


def receipt(sessions: Sessions, who: int, at: datetime = MONDAY + DAY) -> Receipt | None:
    build(sessions, who, at)
    with sessions.reading() as session:
        return edition_of(session, who).receipt


def test_topics_that_gained_and_lost_by_the_votes_are_named(
    sessions: Sessions, reader: int
) -> None:
    cast(sessions, reader, TITLES[0], "up")
    cast(sessions, reader, TITLES[1], "saved")
    cast(sessions, reader, TITLES[19], "down")
    made = receipt(sessions, reader)
    assert made is not None
    assert (made.n_votes, made.yesterday) == (3, True)
    assert any("retrieval" in topic or "inverted" in topic for topic in made.more)
    assert any("benchmarks" in topic or "leaks" in topic for topic in made.less)
    assert not set(" ".join(made.more).split()) & set(" ".join(made.less).split())


@pytest.mark.parametrize(
    ("n_alike", "n_others", "named"),
    [(6, 220, True), (2, 220, False), (6, 20, False)],
    ids=["enough", "a few papers have it", "few papers at all"],
)
def test_a_lone_word_is_a_topic_where_enough_papers_tell(
    sessions: Sessions, reader: int, n_alike: int, n_others: int, *, named: bool
) -> None:
    add_papers(sessions, [f"Meadows t{n} w{n}" for n in range(n_alike)], MONDAY + HOUR)
    add_papers(sessions, [f"Apart x{n} y{n}" for n in range(n_others)], MONDAY + HOUR)
    with sessions() as session:
        votes.vote(session, reader, len(TITLES) + 2, "up", at=MONDAY + HOUR, via="web")
    made = receipt(sessions, reader)
    assert made is not None
    assert made.more == (("meadows",) if named else ())


@pytest.mark.parametrize(
    ("title", "named"),
    [
        ("Judging the harvest", ()),
        ("A Harvest Judging", ("harvest judging",)),
        ("An XML-Harvest", ("XML-harvest",)),
        # No topic: cut out of a longer word, waiting for its noun, or what is done to one.
        ("A Cost-Aware Harvest", ()),
        ("A Harvest-Guided", ()),
        ("Harvesting Meadows", ()),
    ],
)
def test_a_pair_of_words_is_a_topic_where_the_title_has_them_side_by_side(
    sessions: Sessions, reader: int, title: str, named: tuple[str, ...]
) -> None:
    add_papers(sessions, [f"{title} t{n} w{n}" for n in range(6)], MONDAY + HOUR)
    with sessions() as session:
        votes.vote(session, reader, len(TITLES) + 2, "up", at=MONDAY + HOUR, via="web")
    made = receipt(sessions, reader)
    assert made is not None
    assert made.more == named


def test_who_has_not_voted_gets_none(sessions: Sessions, reader: int) -> None:
    assert receipt(sessions, reader) is None


def test_votes_before_the_last_edition_and_imports_are_not_told_again(
    sessions: Sessions, reader: int
) -> None:
    cast(sessions, reader, TITLES[0], "up", MONDAY - timedelta(minutes=30))
    cast(sessions, reader, TITLES[6], "up", via="import")
    assert receipt(sessions, reader) is None


def test_a_vote_that_was_taken_back_is_not_told(sessions: Sessions, reader: int) -> None:
    cast(sessions, reader, TITLES[0], "up")
    cast(sessions, reader, TITLES[6], "up")
    with sessions() as session:
        votes.undo_vote(session, reader, TITLES.index(TITLES[0]) + 1)
    made = receipt(sessions, reader)
    assert made is not None
    assert made.n_votes == 1
    assert not any("retrieval" in topic for topic in made.more)


def test_yesterday_is_the_reader_s_own(sessions: Sessions, reader: int) -> None:
    cast(sessions, reader, TITLES[0], "up", MONDAY + DAY - HOUR)
    made = receipt(sessions, reader)
    assert made is not None
    assert not made.yesterday


def test_a_first_edition_says_that_it_is_one_and_has_no_receipt(
    sessions: Sessions, reader: int
) -> None:
    with sessions.reading() as session:
        first = edition_of(session, reader)
    assert first.is_first
    assert first.receipt is None
    build(sessions, reader, MONDAY + DAY)
    with sessions.reading() as session:
        assert not edition_of(session, reader).is_first


def test_only_dislikes_still_give_a_receipt(sessions: Sessions, reader: int) -> None:
    cast(sessions, reader, TITLES[19], "down")
    made = receipt(sessions, reader)
    assert made is not None
    assert made.more == ()
