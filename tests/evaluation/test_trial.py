from datetime import timedelta

import pytest
from sqlalchemy import select, update

from digest import votes
from digest.errors import Unknown
from digest.evaluation.trial import Score, read_trial
from digest.ranking.ranker import STANDARD, Ranker
from digest.store import Sessions
from digest.store.rankers import start_trial, stop_trial
from digest.store.tables import Delivery, EditionItemRow, VoteRow
from tests.editions.world import DAY, MONDAY, add_papers, build
from tests.evaluation.test_rankers import CITIES, readers

TRENDY = Ranker("trendy", momentum=100.0)


def test_who_is_liked_more_wins_and_the_sign_test_says_how_surely(sessions: Sessions) -> None:
    ids = readers(sessions, ["graph networks"] * 8, 6)
    add_papers(sessions, [f"graph networks in {city}" for city in CITIES], MONDAY - DAY / 4)
    with sessions() as session:
        with pytest.raises(Unknown, match="there was no trial yet"):
            read_trial(session)
        start_trial(session, STANDARD, TRENDY, at=MONDAY - DAY)
    build(sessions, ids, MONDAY)
    *most, other, both, never = ids
    with sessions() as session:
        session.execute(
            update(Delivery).where(Delivery.subscriber_id != never).values(state="sent")
        )
        query = select(EditionItemRow.subscriber_id, EditionItemRow.paper_id, EditionItemRow.team)
        for who, paper, team in session.execute(query).all():
            if team == ("trendy" if who in most else "standard") or (who == both and team is None):
                votes.vote(session, who, paper, "saved", at=MONDAY + DAY / 2, via="web")
        # What no person said is no like.
        session.execute(update(VoteRow).where(VoteRow.subscriber_id == both).values(held_at=MONDAY))
    with sessions() as session:
        trial = read_trial(session)
        assert (trial.started, trial.ended, trial.editions) == (MONDAY - DAY, None, 7)
        assert trial.leader == "trendy"
        assert trial.scores == (
            Score("editions", 1, 1, 5, pytest.approx(0.21875)),
            Score("readers", 1, 1, 5, pytest.approx(0.21875)),
        )
        standard, trendy = trial.teams
        assert standard.shown + trendy.shown == 7 * 5
        assert abs(standard.shown - trendy.shown) <= 7
        assert trendy.liked > standard.liked > 0
        stop_trial(session, at=MONDAY + timedelta(days=2))
        assert read_trial(session).ended == MONDAY + timedelta(days=2)
        assert other in ids
