"""What became of papers that were shown: the ground on which probabilities stand."""

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
_KEPT: WeakKeyDictionary[Engine | Connection, tuple[datetime, Calibration | None]] = (
    WeakKeyDictionary()
)


def calibration_of(session: Session, *, now: datetime) -> Calibration | None:
    """The calibration by the newest outcomes before the hour of `now`; None while too few.

    A paper shown for its score counts as liked if it was voted up or saved since.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    database = session.get_bind()
    kept = _KEPT.get(database)
    if kept is None or kept[0] != hour:
        kept = _KEPT[database] = hour, _calibrated(session, hour)
    return kept[1]


def _calibrated(session: Session, now: datetime) -> Calibration | None:
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
    sizes = _sizes(session, sorted({row.edition_id for row in shown}))
    return calibrate(
        np.array([row.score for row in shown], np.float32),
        np.array([sizes[row.edition_id] for row in shown], np.int64),
        liked,
    )


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
