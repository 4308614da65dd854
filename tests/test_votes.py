from dataclasses import replace
from datetime import timedelta

import pytest

from digest.errors import BadInput, Unknown
from digest.links import Claim
from digest.store import Sessions
from digest.store.tables import VoteValue
from digest.votes import Vote, record_vote, undo_vote, vote, votes_of
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
