"""What became of papers that were shown: the ground on which probabilities stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import Session

from digest.ranking.calibrate import Calibration, calibrate
from digest.store.tables import EditionItemRow, EditionRow, Interest, VoteRow

# A reader needs a day to answer, and what was shown long ago was ranked by another profile.
ANSWERED, LATELY = timedelta(days=1), timedelta(days=90)
OUTCOMES = 5000

# Every shard of an hour is calibrated alike, and one pays for it: the last hour of each database.
_KEPT: WeakKeyDictionary[Engine | Connection, tuple[datetime, "_Calibrated | None"]] = (
    WeakKeyDictionary()
)


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """A calibration of all readers, and the habits of those that it knows."""

    calibration: Calibration
    habits: Mapping[int, float]


def calibration_of(
    session: Session, readers: Sequence[int], *, now: datetime
) -> Calibration | None:
    """The calibration of `readers` by the newest outcomes before the hour of `now`.

    None while too few. A paper shown for its score counts as liked if it was voted up or saved
    since. Some vote for all that is not bad and some for the best alone: each has a habit.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    database = session.get_bind()
    kept = _KEPT.get(database)
    if kept is None or kept[0] != hour:
        kept = _KEPT[database] = hour, _calibrated(session, hour)
    if (known := kept[1]) is None:
        return None
    habit = np.array([known.habits.get(reader, 0.0) for reader in readers], np.float32)
    return replace(known.calibration, habit=habit[:, None])


def _calibrated(session: Session, now: datetime) -> _Calibrated | None:
    shown = session.execute(
        select(
            EditionItemRow.subscriber_id,
            EditionItemRow.edition_id,
            EditionItemRow.score,
            VoteRow.value,
        )
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .outerjoin(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id)
            & (VoteRow.at <= now)
            & VoteRow.held_at.is_(None),
        )
        .where(
            EditionItemRow.lane != "trending",
            EditionRow.built_at.between(now - LATELY, now - ANSWERED),
        )
        .order_by(EditionRow.built_at.desc(), EditionItemRow.edition_id, EditionItemRow.position)
        .limit(OUTCOMES)
    ).all()
    liked = np.array([row.value in ("up", "saved") for row in shown], np.float32)
    if not liked.any():
        return None
    of_edition = _sizes(session, sorted({row.edition_id for row in shown}))
    scores = np.array([row.score for row in shown], np.float32)
    sizes = np.array([of_edition[row.edition_id] for row in shown], np.int64)
    calibration = calibrate(scores, sizes, liked)
    if calibration is None:
        return None
    readers, owners = np.unique([row.subscriber_id for row in shown], return_inverse=True)
    habits = calibration.habits(scores, sizes, liked, owners)
    return _Calibrated(calibration, dict(zip(readers.tolist(), habits.tolist(), strict=True)))


def _sizes(session: Session, edition_ids: list[int]) -> dict[int, int]:
    """How many signals each edition's subscriber had given when it was built."""
    votes = (
        select(func.count())
        .where(
            VoteRow.subscriber_id == EditionRow.subscriber_id,
            VoteRow.at < EditionRow.built_at,
            VoteRow.held_at.is_(None),
        )
        .scalar_subquery()
    )
    interests = (
        select(func.count())
        .where(
            Interest.subscriber_id == EditionRow.subscriber_id,
            Interest.created_at < EditionRow.built_at,
            Interest.is_on,
        )
        .scalar_subquery()
    )
    query = select(EditionRow.id, votes + interests).where(EditionRow.id.in_(edition_ids))
    return dict(session.execute(query).all())
