from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from digest.errors import BadInput, Unknown
from digest.links import Claim
from digest.store import Sessions
from digest.store.tables import VoteRow, VoteValue
from digest.votes import (
    Vote,
    forget_votes,
    record_vote,
    release_votes,
    take_back,
    undo_vote,
    vote,
    votes_of,
)
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

LATER = NOON + timedelta(days=90)


@pytest.fixture
def up(sessions: Sessions) -> Claim:
    """An up vote on the one paper of Ann's one edition."""
    with sessions() as session:
        subscriber_id = add_subscriber(session, "ann@example.org")
        paper_id = add_paper(session, "A paper")
        edition_id = add_edition(session, subscriber_id, [paper_id])
    return Claim("vote", subscriber_id, LATER, edition_id, paper_id, "up")


def cast_vote(sessions: Sessions, claim: Claim, minute: int = 0) -> Vote:
    with sessions() as session:
        return record_vote(session, claim, at=NOON + timedelta(minutes=minute))


def stored(sessions: Sessions) -> dict[int, VoteValue]:
    with sessions.reading() as session:
        return votes_of(session, 1)


def test_a_vote_is_stored(sessions: Sessions, up: Claim) -> None:
    assert cast_vote(sessions, up) == Vote(1, up.paper_id, "up", NOON)
    assert stored(sessions) == {up.paper_id: "up"}


def test_the_last_vote_wins(sessions: Sessions, up: Claim) -> None:
    cast_vote(sessions, up)
    changed = cast_vote(sessions, replace(up, value="saved"), minute=1)
    assert (changed.value, changed.at) == ("saved", NOON + timedelta(minutes=1))
    assert stored(sessions) == {up.paper_id: "saved"}


def test_the_same_vote_again_changes_nothing(sessions: Sessions, up: Claim) -> None:
    first = cast_vote(sessions, up)
    assert cast_vote(sessions, up, minute=1) == first


def test_a_vote_can_be_undone_and_cast_again(sessions: Sessions, up: Claim) -> None:
    cast_vote(sessions, up)
    with sessions() as session:
        assert undo_vote(session, 1, up.paper_id) is True
        assert undo_vote(session, 1, up.paper_id) is False
    assert stored(sessions) == {}
    cast_vote(sessions, up)
    assert stored(sessions) == {up.paper_id: "up"}


def test_a_link_votes_only_on_papers_of_its_own_edition(sessions: Sessions, up: Claim) -> None:
    with sessions() as session:
        elsewhere = add_paper(session, "Another paper")
        stranger = add_subscriber(session, "bob@example.org")
        theirs = add_edition(session, stranger, [elsewhere])
    for claim in (
        replace(up, paper_id=elsewhere),
        replace(up, edition_id=theirs),
        replace(up, subscriber_id=stranger),
        replace(up, edition_id=theirs, paper_id=elsewhere),
        replace(up, edition_id=404),
    ):
        with pytest.raises(BadInput, match="not in that edition"):
            cast_vote(sessions, claim)
    assert stored(sessions) == {}


def test_without_a_link_any_known_paper_can_be_voted_on(sessions: Sessions, up: Claim) -> None:
    with sessions() as session:
        paper_id = add_paper(session, "Another paper")
        vote(session, 1, paper_id, "down", at=NOON, via="cli")
        for subscriber_id, unknown in ((1, 404), (404, paper_id)):
            with pytest.raises(Unknown, match="404"):
                vote(session, subscriber_id, unknown, "down", at=NOON, via="cli")
    assert stored(sessions) == {paper_id: "down"}


# Who may have cast it


@pytest.fixture
def ballot(sessions: Sessions) -> list[Claim]:
    """An up vote on each of six papers of one edition."""
    with sessions() as session:
        who = add_subscriber(session, "ann@example.org")
        papers = [add_paper(session, f"Paper {n}") for n in range(6)]
        edition = add_edition(session, who, papers)
    return [Claim("vote", who, LATER, edition, paper, "up") for paper in papers]


def press(sessions: Sessions, claim: Claim, seconds: float, *, pressed: bool = True) -> bool:
    """Vote; whether it is held."""
    with sessions() as session:
        at = NOON + timedelta(seconds=seconds)
        return record_vote(session, claim, at=at, pressed=pressed).held


def held(sessions: Sessions) -> list[int]:
    with sessions.reading() as session:
        query = select(VoteRow.paper_id).where(VoteRow.held_at.is_not(None))
        return sorted(session.scalars(query))


def test_what_no_person_pressed_is_held_until_one_does(
    sessions: Sessions, ballot: list[Claim]
) -> None:
    up = ballot[0]
    assert press(sessions, up, 0, pressed=False) is True
    assert press(sessions, up, 60, pressed=False) is True
    assert press(sessions, up, 120) is False
    assert held(sessions) == []


def test_what_no_person_pressed_changes_nothing_that_one_did(
    sessions: Sessions, ballot: list[Claim]
) -> None:
    up = ballot[0]
    press(sessions, up, 0)
    assert press(sessions, replace(up, value="down"), 60, pressed=False) is False
    assert stored(sessions) == {up.paper_id: "up"}
    with sessions() as session:
        assert take_back(session, up, pressed=False) is False
        assert take_back(session, up, pressed=True) is True
    assert stored(sessions) == {}


def test_more_votes_at_once_than_anybody_reads_are_all_held(
    sessions: Sessions, ballot: list[Claim]
) -> None:
    for n, claim in enumerate(ballot):
        assert press(sessions, claim, n) is (n >= 4)
    assert held(sessions) == [claim.paper_id for claim in ballot]
    # Later, and one by one, a person says so.
    assert press(sessions, ballot[0], 60) is False
    assert held(sessions) == [claim.paper_id for claim in ballot[1:]]


def test_votes_as_fast_as_somebody_reads_all_count(sessions: Sessions, ballot: list[Claim]) -> None:
    for n, claim in enumerate(ballot):
        assert press(sessions, claim, n * 1.5) is False


def test_another_choice_within_two_seconds_is_held_and_later_counts(
    sessions: Sessions, ballot: list[Claim]
) -> None:
    up = ballot[0]
    press(sessions, up, 0)
    assert press(sessions, replace(up, value="down"), 1) is True
    assert stored(sessions) == {up.paper_id: "down"}
    assert press(sessions, replace(up, value="down"), 10) is False


def test_a_person_can_let_the_held_votes_of_an_edition_count(
    sessions: Sessions, ballot: list[Claim]
) -> None:
    for n, claim in enumerate(ballot[:2]):
        press(sessions, claim, n, pressed=False)
    edition = replace(ballot[0], purpose="edition", paper_id=0, value="")
    with sessions() as session:
        assert release_votes(session, replace(edition, edition_id=99)) == 0
        assert release_votes(session, edition) == 2
    assert held(sessions) == []


def test_all_votes_can_be_forgotten(sessions: Sessions, ballot: list[Claim]) -> None:
    for n, claim in enumerate(ballot):
        press(sessions, claim, n * 10)
    with sessions() as session:
        assert forget_votes(session, 1) == 6
    assert stored(sessions) == {}
