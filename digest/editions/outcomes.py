"""What became of papers that were shown: the ground on which probabilities stand."""

from bisect import bisect_left
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.ranking.calibrate import Calibration, calibrate
from digest.store.tables import EditionItemRow, EditionRow, Interest, VoteRow

# A reader needs a day to answer, and what was shown long ago was ranked by another profile.
ANSWERED, LATELY = timedelta(days=1), timedelta(days=90)
OUTCOMES = 5000


def calibration_of(session: Session, *, now: datetime) -> Calibration | None:
    """The calibration by the newest outcomes before `now`; None while they are too few.

    A paper shown for its score counts as liked if it was voted up or saved since.
    """
    shown = session.execute(
        select(
            EditionItemRow.subscriber_id, EditionItemRow.score, EditionRow.built_at, VoteRow.value
        )
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .outerjoin(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id)
            & (VoteRow.at <= now),
        )
        .where(
            EditionItemRow.lane != "trending",
            EditionRow.built_at.between(now - LATELY, now - ANSWERED),
        )
        .order_by(EditionRow.built_at.desc(), EditionItemRow.edition_id, EditionItemRow.position)
        .limit(OUTCOMES)
    ).all()
    liked = np.array([row.value in ("up", "saved") for row in shown], np.float32)
    owners = {row.subscriber_id for row in shown}
    if not liked.any():
        return None
    voted: dict[int, list[datetime]] = {}
    for owner, at in session.execute(
        select(VoteRow.subscriber_id, VoteRow.at)
        .where(VoteRow.subscriber_id.in_(owners))
        .order_by(VoteRow.at)
    ):
        voted.setdefault(owner, []).append(at)
    told = dict(
        session.execute(
            select(Interest.subscriber_id, func.count())
            .where(Interest.subscriber_id.in_(owners))
            .group_by(Interest.subscriber_id)
        )
        .tuples()
        .all()
    )
    sizes = [
        told.get(row.subscriber_id, 0) + bisect_left(voted.get(row.subscriber_id, []), row.built_at)
        for row in shown
    ]
    scores = np.array([row.score for row in shown], np.float32)
    return calibrate(scores, np.array(sizes, np.int64), liked)
