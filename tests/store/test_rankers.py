from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from digest.errors import BadInput, Unknown
from digest.ranking.ranker import STANDARD, Ranker
from digest.settings import Settings
from digest.store import Sessions
from digest.store.rankers import (
    InForce,
    changes,
    defined,
    in_force,
    promote,
    ranker_named,
    rollback,
    start_trial,
    stop_trial,
)
from digest.store.tables import RankerChange

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FRESH, WIDE = Ranker("fresh", half_life_days=90.0), Ranker("wide", diversity=0.5)


def test_promotions_are_a_stack_and_every_step_is_kept(sessions: Sessions) -> None:
    with sessions() as session:
        assert in_force(session) == InForce(None, STANDARD, None)
        for n, ranker in enumerate((FRESH, WIDE)):
            promote(session, ranker, at=NOON + timedelta(hours=n))
    live = []
    for _ in range(2):
        with sessions() as session:
            live.append(rollback(session, at=NOON + timedelta(days=1)).live)
    assert live == [FRESH, STANDARD]
    with sessions() as session:
        with pytest.raises(BadInput, match="standard has been live from the start"):
            rollback(session, at=NOON)
        promote(session, WIDE, at=NOON)
        assert rollback(session, at=NOON).live == STANDARD
    with sessions.reading() as session:
        assert in_force(session) == InForce(6, STANDARD, None)
        made = changes(session)
        assert [change.number for change in made] == [6, 5, 4, 3, 2, 1]
        assert (made[-1].kind, made[-1].at, made[-1].live) == ("promote", NOON, FRESH)


def test_what_is_live_already_is_refused_but_not_under_new_settings(sessions: Sessions) -> None:
    with sessions() as session:
        with pytest.raises(BadInput, match="standard is live already"):
            promote(session, STANDARD, at=NOON)
        promote(session, FRESH, at=NOON)
        changed = Ranker("fresh", half_life_days=30.0)
        assert promote(session, changed, at=NOON).live == changed
        assert rollback(session, at=NOON).live == FRESH


def test_one_trial_runs_at_a_time_and_a_change_of_what_is_live_ends_it(sessions: Sessions) -> None:
    with sessions() as session:
        with pytest.raises(BadInput, match="no rankers are on trial"):
            stop_trial(session, at=NOON)
        with pytest.raises(BadInput, match="against itself tells nothing"):
            start_trial(session, FRESH, FRESH, at=NOON)
        start_trial(session, STANDARD, FRESH, at=NOON)
        assert in_force(session) == InForce(1, STANDARD, (STANDARD, FRESH))
        with pytest.raises(BadInput, match="standard and fresh are on trial already"):
            start_trial(session, STANDARD, WIDE, at=NOON)
        assert promote(session, FRESH, at=NOON).trial is None
        start_trial(session, FRESH, WIDE, at=NOON)
        assert stop_trial(session, at=NOON).live == FRESH
        start_trial(session, FRESH, WIDE, at=NOON)
        assert rollback(session, at=NOON).live == STANDARD
        assert in_force(session).trial is None


def test_the_standard_one_is_promoted_to_end_its_own_trial(sessions: Sessions) -> None:
    with sessions() as session:
        start_trial(session, STANDARD, FRESH, at=NOON)
        assert promote(session, STANDARD, at=NOON).trial is None


def test_of_two_changes_at_once_one_is_refused(sessions: Sessions) -> None:
    with sessions() as session:
        promote(session, FRESH, at=NOON)
        late = InForce(None, STANDARD, None)
        from digest.store.rankers import _add

        with pytest.raises(BadInput, match="somebody else has just changed the rankers"):
            _add(session, late, "promote", WIDE, None, NOON)
        assert in_force(session).live == FRESH


def test_what_another_version_kept_is_read_as_far_as_it_is_known(sessions: Sessions) -> None:
    with sessions() as session:
        promote(session, FRESH, at=NOON)
        kept = {"name": "old", "diversity": 0.7, "sparkle": 3}
        session.execute(update(RankerChange).values(live=kept))
    with sessions.reading() as session:
        assert in_force(session).live == Ranker("old", diversity=0.7)


def test_the_settings_define_rankers_beside_the_standard_one() -> None:
    settings = Settings.model_validate({"rankers": {"fresh": {"half_life_days": 90}}})
    assert defined(settings) == {"standard": STANDARD, "fresh": FRESH}
    assert ranker_named(settings, "fresh") == FRESH
    with pytest.raises(Unknown, match="no ranker is named 'frehs': there are standard, fresh"):
        ranker_named(settings, "frehs")
