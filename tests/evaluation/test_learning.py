from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import insert, update

from digest.evaluation.learning import evaluate, read_weeks
from digest.ranking.types import Lane
from digest.store import Sessions
from digest.store.tables import Delivery, EditionItemRow, EditionRow, Paper, VoteRow
from tests.web.seed import add_edition, add_paper, add_subscriber

MONDAY = datetime(2026, 3, 2, 7, tzinfo=UTC)
NOW = MONDAY + timedelta(days=13)
LENGTH = 5


def mail(
    sessions: Sessions,
    at: datetime,
    votes: dict[int, str],
    *,
    lanes: dict[int, Lane] | None = None,
    probability: float | None = None,
) -> None:
    """A mail of five papers that left, and what its reader said of which place, from 1."""
    with sessions() as session:
        who = add_subscriber(session, f"r{np.random.default_rng().integers(1 << 60)}@example.org")
        papers = session.query(Paper.id).limit(LENGTH).all() or [
            (add_paper(session, f"paper {i}"),) for i in range(LENGTH)
        ]
        ids = [id_ for (id_,) in papers]
        edition = add_edition(session, who, ids, queued=True)
        one = EditionRow.id == edition
        session.execute(update(EditionRow).where(one).values(built_at=at, local_date=at.date()))
        session.execute(
            update(Delivery).where(Delivery.edition_id == edition).values(state="sent", due_at=at)
        )
        items = EditionItemRow.edition_id == edition
        session.execute(update(EditionItemRow).where(items).values(probability=probability))
        for place, lane in (lanes or {}).items():
            where = (items, EditionItemRow.position == place)
            session.execute(update(EditionItemRow).where(*where).values(lane=lane, propensity=0.01))
        for place, value in votes.items():
            session.execute(
                insert(VoteRow).values(
                    subscriber_id=who, paper_id=ids[place - 1], value=value, via="web", at=at
                )
            )


def test_a_week_counts_its_mails_and_votes_and_how_high_the_liked_ones_stood(
    sessions: Sessions,
) -> None:
    mail(sessions, MONDAY, {1: "up", 3: "down"})
    mail(sessions, MONDAY + timedelta(days=6), {2: "saved"})
    mail(sessions, MONDAY + timedelta(days=7), {})
    with sessions.reading() as session:
        before, first, second = read_weeks(session, 3, now=NOW)
    assert (before.sent, before.ndcg, before.likes_per_mail) == (0, None, None)
    assert (first.monday, first.sent) == (date(2026, 3, 2), 2)
    assert (first.up, first.saved, first.down, first.likes_per_mail) == (1, 1, 1, 1.0)
    # The best place, and the second: 1 and 1 / log2(3).
    assert first.ndcg == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert first.ndcg_error == pytest.approx((1 - 1 / np.log2(3)) / 2)
    assert (second.sent, second.ndcg, second.likes_per_mail) == (1, None, 0.0)


def test_ndcg_is_one_only_where_the_liked_stand_above_all_others(sessions: Sessions) -> None:
    mail(sessions, MONDAY, {1: "up", 2: "saved"})
    with sessions.reading() as session:
        assert read_weeks(session, 2, now=NOW)[0].ndcg == pytest.approx(1.0)
    mail(sessions, MONDAY, {4: "up", 5: "up"})
    with sessions.reading() as session:
        worst = (1 / np.log2(5) + 1 / np.log2(6)) / (1 + 1 / np.log2(3))
        assert read_weeks(session, 2, now=NOW)[0].ndcg == pytest.approx((1 + worst) / 2)


def test_lanes_are_set_against_a_random_choice(sessions: Sessions) -> None:
    for n in range(4):
        votes = {1: "up", 5: "up"} if n == 0 else {1: "up"}
        mail(sessions, MONDAY, votes, lanes={5: "exploration"})
    with sessions.reading() as session:
        found = {one.lane: one for one in evaluate(session, 2, now=NOW).lanes}
    assert (found["personal"].shown, found["personal"].liked) == (16, 4)
    assert (found["exploration"].rate, found["exploration"].times_random) == (0.25, None)
    assert found["personal"].times_random == 1.0
    assert found["exploration"].error == pytest.approx(0.25)


def test_probabilities_are_compared_with_what_came_true(sessions: Sessions) -> None:
    mail(sessions, MONDAY, {1: "up"}, probability=0.2)
    mail(sessions, MONDAY, {1: "up"}, probability=0.3)
    with sessions.reading() as session:
        found = evaluate(session, 2, now=NOW)
    (one,) = found.calibration
    assert (one.low, one.high, one.shown) == (0.2, 0.4, 10)
    assert (one.predicted, one.liked) == (pytest.approx(0.25), pytest.approx(0.2))
    assert found.expected_error == pytest.approx(0.05)


def test_what_readers_had_no_time_to_answer_is_left_out(sessions: Sessions) -> None:
    mail(sessions, NOW - timedelta(hours=2), {}, probability=0.5)
    with sessions.reading() as session:
        found = evaluate(session, 2, now=NOW)
    assert (found.lanes, found.calibration, found.expected_error) == ((), (), None)
