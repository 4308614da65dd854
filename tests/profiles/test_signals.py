"""What readers told, as ranking takes it: in order, of its age, and only what is usable."""

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import update

from digest import votes
from digest.papers.identity import text_of
from digest.profiles import ground as ground_module
from digest.profiles.ground import ground_of
from digest.profiles.interests import embed_interests, set_interest
from digest.profiles.signals import signals_of
from digest.ranking.types import KINDS, Floats, Signals
from digest.store import Sessions
from digest.store.tables import Paper, VectorRow, VoteRow, VoteValue
from tests.profiles.world import ENCODER, NOON, people, read_page

LATER = NOON + timedelta(days=2)


def told(sessions: Sessions, *who: int) -> Signals:
    embed_interests(sessions, ENCODER)
    with sessions.reading() as session:
        ground = ground_of(session, ENCODER.identity, now=LATER)
        assert ground is not None
        return signals_of(session, who, ENCODER.identity, ground, now=LATER)


def cast(
    sessions: Sessions, who: int, paper: int, value: VoteValue, *, days_ago: float = 1
) -> None:
    with sessions() as session:
        votes.vote(session, who, paper, value, at=LATER - timedelta(days=days_ago), via="cli")


def kinds(signals: Signals) -> list[str]:
    return [KINDS[kind] for kind in signals.kinds]


def test_interests_come_first_then_votes_oldest_first(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), sorted(read_page(sessions).values())
    cast(sessions, ada, papers[3], "saved", days_ago=0.5)
    cast(sessions, ada, papers[0], "up", days_ago=1.5)
    cast(sessions, ada, papers[1], "down", days_ago=1)
    with sessions() as session:
        set_interest(session, ada, "robots", "robots that grasp", NOON)
    signals = told(sessions, ada)
    assert kinds(signals) == ["interest", "up", "down", "saved"]
    assert signals.refs[1:].tolist() == [papers[0], papers[1], papers[3]]
    np.testing.assert_allclose(signals.ages, [2, 1.5, 1, 0.5])
    assert np.isfinite(signals.points).all()


def test_an_interest_and_a_paper_of_one_text_lie_at_two_points(sessions: Sessions) -> None:
    (ada, bob), papers = people(sessions, 2), sorted(read_page(sessions).values())
    cast(sessions, ada, papers[0], "up")
    with sessions() as session:
        paper = session.get_one(Paper, papers[0])
        set_interest(session, bob, "like it", text_of(paper.title, paper.abstract), NOON)
    signals = told(sessions, ada, bob)
    paper_at, interest_at = signals.points[signals.rows]
    assert not np.allclose(paper_at, interest_at)
    assert np.linalg.norm(paper_at) == pytest.approx(np.linalg.norm(interest_at), rel=1e-3)


def test_everybodys_signals_stand_in_the_order_that_was_asked_for(sessions: Sessions) -> None:
    (ada, bob, eve, zoe), papers = people(sessions, 4), sorted(read_page(sessions).values())
    for paper in papers[:3]:
        cast(sessions, eve, paper, "up")
    cast(sessions, ada, papers[5], "up")
    signals = told(sessions, zoe, eve, bob, ada, zoe + 1000)
    assert signals.sizes.tolist() == [0, 3, 0, 1, 0]
    assert signals.refs.tolist() == [*papers[:3], papers[5]]
    assert signals.owners.tolist() == [1, 1, 1, 3]


def test_two_readers_of_one_paper_share_its_point(sessions: Sessions) -> None:
    (ada, bob), papers = people(sessions, 2), sorted(read_page(sessions).values())
    cast(sessions, ada, papers[0], "up")
    cast(sessions, bob, papers[0], "down")
    signals = told(sessions, ada, bob)
    assert len(signals.points) == 1
    assert signals.rows.tolist() == [0, 0]


def test_whoever_told_nothing_has_no_signals(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    read_page(sessions)
    for who in ([ada], []):
        signals = told(sessions, *who)
        assert (len(signals.sizes), len(signals.kinds)) == (len(who), 0)


def test_what_is_told_later_does_not_count_yet(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), sorted(read_page(sessions).values())
    cast(sessions, ada, papers[0], "up", days_ago=-1)
    with sessions() as session:
        set_interest(session, ada, "later", "robots", LATER + timedelta(hours=1))
    assert told(sessions, ada).sizes.tolist() == [0]


@pytest.mark.parametrize(
    "vector", [np.ones(3, np.float32), np.full(256, np.inf, np.float32)], ids=["short", "infinite"]
)
def test_a_vector_of_another_length_or_not_finite_is_without_effect(
    sessions: Sessions, vector: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A ground of the same papers may remember where they are.
    monkeypatch.setattr(ground_module._KEPT, "key", "")
    (ada,), papers = people(sessions, 1), sorted(read_page(sessions).values())
    cast(sessions, ada, papers[0], "up")
    cast(sessions, ada, papers[1], "up")
    with sessions() as session:
        hash_ = session.get_one(Paper, papers[0]).text_hash
        session.execute(update(VectorRow).where(VectorRow.text_hash == hash_).values(vector=vector))
    signals = told(sessions, ada)
    assert signals.refs.tolist() == [papers[1]]


def test_an_interest_that_is_off_and_a_vote_that_is_held_are_no_signals(
    sessions: Sessions,
) -> None:
    (ada,) = people(sessions, 1)
    papers = list(read_page(sessions).values())
    with sessions() as session:
        set_interest(session, ada, "on", "robots", NOON)
        set_interest(session, ada, "off", "proteins", NOON, is_on=False)
    cast(sessions, ada, papers[0], "up", days_ago=1.5)
    cast(sessions, ada, papers[1], "saved")
    assert kinds(told(sessions, ada)) == ["interest", "up", "saved"]
    with sessions() as session:
        session.get_one(VoteRow, (ada, papers[1])).held_at = NOON
    assert kinds(told(sessions, ada)) == ["interest", "up"]
