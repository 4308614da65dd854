"""What became of papers that were shown, as probabilities: who liked what, and when."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import insert

from digest.editions.outcomes import calibration_of
from digest.ranking.calibrate import Calibration
from digest.ranking.types import Lane
from digest.store import Sessions
from digest.store.tables import EditionItemRow, EditionRow, VoteRow, VoteValue
from tests.editions.world import DAY, MONDAY, add_papers, add_reader

NOW = MONDAY + 40 * DAY
EDITIONS, LENGTH = 30, 10


def calibration(
    sessions: Sessions, now: datetime = NOW, readers: Sequence[int] = (0,)
) -> Calibration | None:
    with sessions.reading() as session:
        return calibration_of(session, readers, now=now)


def show_and_vote(
    sessions: Sessions,
    *,
    lane: Lane = "personal",
    n: int = EDITIONS,
    value: VoteValue = "up",
    voted_at: datetime | None = None,
    first: datetime = MONDAY,
    liked: int = LENGTH // 2,
    address: str = "ann@example.org",
) -> int:
    """One reader's editions, of papers with scores from 0 to .9; the last `liked` are liked."""
    reader = add_reader(sessions, address)
    papers = add_papers(sessions, [f"paper number {i}" for i in range(n * LENGTH)], MONDAY)
    with sessions() as session:
        for day in range(n):
            at = first + day * DAY
            edition = EditionRow(
                subscriber_id=reader,
                local_date=at.date(),
                built_at=at,
                since=at - DAY,
                encoder="words",
                n_candidates=LENGTH,
                note="",
                runners_up=[],
            )
            session.add(edition)
            session.flush()
            mine = papers[day * LENGTH : (day + 1) * LENGTH]
            session.execute(
                insert(EditionItemRow),
                [
                    {
                        "edition_id": edition.id,
                        "paper_id": paper,
                        "subscriber_id": reader,
                        "position": i + 1,
                        "lane": lane,
                        "score": i / LENGTH,
                        "probability": None,
                        "propensity": 1.0,
                        "card": {},
                        "reasons": [],
                    }
                    for i, paper in enumerate(mine)
                ],
            )
            session.execute(
                insert(VoteRow),
                [
                    {
                        "subscriber_id": reader,
                        "paper_id": paper,
                        "value": value,
                        "at": voted_at or at + timedelta(hours=1),
                        "via": "cli",
                    }
                    for paper in mine[LENGTH - liked :]
                ],
            )
    return reader


@pytest.mark.parametrize("value", ["up", "saved"])
def test_what_was_liked_before_is_likely_to_be_liked_again(
    sessions: Sessions, value: VoteValue
) -> None:
    show_and_vote(sessions, value=value)
    found = calibration(sessions)
    assert found is not None
    low, high = found.probability(np.array([[0.1, 0.8]], np.float32), np.array([70, 70]))[0]
    assert low < 0.2
    assert high > 0.8


def test_nobody_knows_before_anything_was_shown(sessions: Sessions) -> None:
    assert calibration(sessions) is None


def test_a_few_outcomes_are_not_enough(sessions: Sessions) -> None:
    show_and_vote(sessions, n=5)
    assert calibration(sessions) is None


def test_what_was_shown_for_being_popular_tells_nothing_of_scores(sessions: Sessions) -> None:
    show_and_vote(sessions, lane="trending")
    assert calibration(sessions) is None


def test_dislikes_are_no_likes(sessions: Sessions) -> None:
    show_and_vote(sessions, value="down")
    assert calibration(sessions) is None


def test_votes_of_the_future_are_not_known(sessions: Sessions) -> None:
    show_and_vote(sessions, voted_at=NOW + DAY)
    assert calibration(sessions) is None


@pytest.mark.parametrize("first", [NOW - EDITIONS * DAY + 29 * DAY, NOW - 200 * DAY])
def test_what_nobody_could_answer_yet_or_is_long_ago_does_not_count(
    sessions: Sessions, first: datetime
) -> None:
    show_and_vote(sessions, first=first)
    assert calibration(sessions) is None


def test_an_hour_is_calibrated_once(sessions: Sessions) -> None:
    show_and_vote(sessions)
    now, soon, later = (
        calibration(sessions, NOW + timedelta(minutes=minutes)) for minutes in (0, 59, 60)
    )
    assert now is not None
    assert soon is not None
    assert later is not None
    assert soon.coefficients is now.coefficients
    assert later.coefficients is not now.coefficients


def test_one_who_likes_everything_makes_nothing_likelier_for_others(sessions: Sessions) -> None:
    choosy = show_and_vote(sessions)
    generous = show_and_vote(sessions, liked=LENGTH, address="bob@example.org")
    found = calibration(sessions, readers=[choosy, generous, 0])
    assert found is not None
    score = np.full((3, 1), 0.2, np.float32)
    one, other, somebody = found.probability(score, np.full((3, 1), 70))[:, 0]
    assert one < 0.2 < somebody < 0.8 < other


def test_a_paper_of_a_reader_with_few_signals_is_told_from_one_with_many(
    sessions: Sessions,
) -> None:
    """The signals counted are those of the time: the first edition had none."""
    show_and_vote(sessions)
    with sessions.reading() as session:
        from digest.editions.outcomes import _sizes

        ids = [id_ for (id_,) in session.query(EditionRow.id).order_by(EditionRow.built_at)]
        sizes = _sizes(session, ids)
    assert [sizes[id_] for id_ in ids] == [5 * day for day in range(EDITIONS)]
