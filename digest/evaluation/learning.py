"""How ranking does, week by week, by what readers did with it.

nDCG is of the list as it was shown, a like being gain 1 (Järvelin and Kekäläinen, "Cumulated
gain-based evaluation of IR techniques", 2002): 1.0 where every liked paper stood above every other.
Readers look at the top first, so it flatters every ranker alike: compare weeks, not products.

A paper in the exploration lane was drawn at random from all that were new to its reader, with the
probability that is stored as its propensity. So what became of these tells without bias what a
random choice would have been worth; the other lanes are set against it. The draw was uniform, so
that the self-normalised inverse-propensity estimate of that choice (Swaminathan and Joachims, 2015)
is the plain mean, each edition weighing the same. The error is that of a mean over editions, whose
readers are not independent from one day to the next: it is rather too small.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from digest.ranking.types import LANES
from digest.store.tables import Delivery, EditionItemRow, EditionRow, VoteRow

# A reader needs a day to answer.
ANSWERED = timedelta(days=1)
_LIKED = ("up", "saved")
_BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)


@dataclass(frozen=True, slots=True)
class Week:
    """One week, from Monday (UTC): mails that left, votes on what they showed, and how good it was.

    `ndcg` and its standard error are over editions in which something was liked; None without any.
    """

    monday: date
    sent: int
    up: int
    saved: int
    down: int
    likes_per_mail: float | None
    ndcg: float | None
    ndcg_error: float | None
    editions_liked: int


@dataclass(frozen=True, slots=True)
class LaneRate:
    """Likes a paper shown, of one lane, with the standard error over editions.

    `times_random` is how many times that is of what a random choice got; None where not known.
    """

    lane: str
    shown: int
    liked: int
    rate: float
    error: float | None
    times_random: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Papers that were said to be liked with a probability in a range, and how many were."""

    low: float
    high: float
    shown: int
    predicted: float
    liked: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The weeks, oldest first, and of all their editions: lanes, and calibration.

    `expected_error` is the mean difference between what was said and what came true, over bins,
    weighted by their sizes (expected calibration error; Naeini, Cooper and Hauskrecht, 2015).
    """

    weeks: tuple[Week, ...]
    lanes: tuple[LaneRate, ...]
    calibration: tuple[Bin, ...]
    expected_error: float | None


def read_weeks(session: Session, n: int, *, now: datetime) -> tuple[Week, ...]:
    """The last `n` weeks, this one included."""
    mondays = _mondays(n, now)
    since = _instant(mondays[0], now)
    sent: dict[date, int] = defaultdict(int)
    day_of = func.date(Delivery.due_at)
    for day, count in session.execute(
        select(day_of, func.count())
        .where(Delivery.state == "sent", Delivery.kind == "edition", Delivery.due_at >= since)
        .group_by(day_of)
    ):
        sent[_monday(_day(day))] += count
    votes, liked = _voted(session, since)
    return tuple(_week(monday, sent[monday], votes[monday], liked[monday]) for monday in mondays)


def evaluate(session: Session, n: int, *, now: datetime) -> Evaluation:
    """The last `n` weeks; editions of the last day are left out of lanes and calibration."""
    weeks = read_weeks(session, n, now=now)
    since = _instant(weeks[0].monday, now)
    is_liked = VoteRow.value.in_(_LIKED)
    rows = session.execute(
        select(
            EditionItemRow.edition_id,
            EditionItemRow.lane,
            EditionItemRow.probability,
            is_liked,
        )
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .join(Delivery, (Delivery.edition_id == EditionRow.id) & (Delivery.state == "sent"))
        .outerjoin(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id),
        )
        .where(EditionRow.built_at >= since, EditionRow.built_at <= now - ANSWERED),
        execution_options={"yield_per": 10_000},
    )
    shown: dict[str, dict[int, list[bool]]] = {lane: defaultdict(list) for lane in LANES}
    said: list[tuple[float, bool]] = []
    for edition_id, lane, probability, like in rows:
        shown[lane][edition_id].append(bool(like))
        if probability is not None:
            said.append((probability, bool(like)))
    bins, error = _calibration(said)
    return Evaluation(weeks, _lanes(shown), bins, error)


def _voted(
    session: Session, since: datetime
) -> tuple[dict[date, dict[str, int]], dict[date, list[float]]]:
    """By week, how many votes of each value there are, and the nDCG of lists that were liked."""
    rows = session.execute(
        select(EditionRow.id, EditionRow.local_date, EditionItemRow.position, VoteRow.value)
        .join(EditionItemRow, EditionItemRow.edition_id == EditionRow.id)
        .join(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id),
        )
        .where(EditionRow.built_at >= since)
    )
    votes: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    places: dict[tuple[date, int], list[int]] = defaultdict(list)
    for edition_id, day, position, value in rows:
        votes[_monday(day)][value] += 1
        if value in _LIKED:
            places[_monday(day), edition_id].append(position)
    ndcg: dict[date, list[float]] = defaultdict(list)
    for (monday, _), some in places.items():
        ndcg[monday].append(_ndcg(some))
    return votes, ndcg


def _ndcg(liked: Sequence[int]) -> float:
    """Of a list of which those at these places, from 1, were liked."""
    gains = 1 / np.log2(np.arange(2, max(liked) + 2))
    return float(sum(gains[place - 1] for place in liked) / gains[: len(liked)].sum())


def _week(monday: date, sent: int, votes: dict[str, int], ndcg: list[float]) -> Week:
    likes = votes["up"] + votes["saved"]
    return Week(
        monday=monday,
        sent=sent,
        up=votes["up"],
        saved=votes["saved"],
        down=votes["down"],
        likes_per_mail=likes / sent if sent else None,
        ndcg=float(np.mean(ndcg)) if ndcg else None,
        ndcg_error=_standard_error(np.array(ndcg)),
        editions_liked=len(ndcg),
    )


def _lanes(shown: dict[str, dict[int, list[bool]]]) -> tuple[LaneRate, ...]:
    def rate_of(lane: str) -> float | None:
        likes = [like for some in shown[lane].values() for like in some]
        return float(np.mean(likes)) if likes else None

    random = rate_of("exploration")
    lanes = []
    for lane, editions in shown.items():
        rate = rate_of(lane)
        if rate is not None:
            likes = [like for some in editions.values() for like in some]
            means = np.array([np.mean(some) for some in editions.values()])
            times = rate / random if random and lane != "exploration" else None
            lanes.append(
                LaneRate(lane, len(likes), sum(likes), rate, _standard_error(means), times)
            )
    return tuple(lanes)


def _calibration(said: list[tuple[float, bool]]) -> tuple[tuple[Bin, ...], float | None]:
    if not said:
        return (), None
    table = np.array(said, np.float64)
    of = np.clip(np.digitize(table[:, 0], _BINS) - 1, 0, len(_BINS) - 2)
    bins = []
    for i in range(len(_BINS) - 1):
        some = table[of == i]
        if len(some):
            predicted, liked = some.mean(axis=0)
            bins.append(Bin(_BINS[i], _BINS[i + 1], len(some), float(predicted), float(liked)))
    error = sum(one.shown * abs(one.predicted - one.liked) for one in bins) / len(table)
    return tuple(bins), error


def _standard_error(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _mondays(n: int, now: datetime) -> list[date]:
    this = _monday(now.date())
    return [this - timedelta(weeks=back) for back in range(n - 1, -1, -1)]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _instant(day: date, now: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
