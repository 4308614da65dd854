"""How ranking does, week by week, by what readers did with it.

nDCG is of the list as it was shown, a like being gain 1 (Järvelin and Kekäläinen, "Cumulated
gain-based evaluation of IR techniques", 2002): 1.0 where every liked paper stood above every other.
Readers look at the top first, so it flatters every ranker alike: compare weeks, not products.

A paper in the exploration lane was drawn from the best that were not chosen, with the probability
that is stored as its propensity. Weighted by its inverse (self-normalised; Swaminathan and
Joachims, 2015), what became of these tells what a random choice among them would have been worth;
the other lanes are set against it. Errors are over editions, whose readers are not independent from
one day to the next: they are rather too small. `evaluation.rankers` goes by readers.
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

from digest.evaluation.propensity import Rate, self_normalised
from digest.ranking.types import LANES
from digest.store.tables import Delivery, EditionItemRow, EditionRow, VoteRow

# A reader needs a day to answer.
ANSWERED = timedelta(days=1)
_ByLane = dict[str, dict[int, list[tuple[bool, float]]]]
LIKED = ("up", "saved")
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

    Exploration's is that of a random choice among its options, `times_random` how many times that
    the others are; None where not known.
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
    is_liked = VoteRow.value.in_(LIKED)
    rows = session.execute(
        select(
            EditionItemRow.edition_id,
            EditionItemRow.lane,
            EditionItemRow.probability,
            EditionItemRow.propensity,
            is_liked,
        )
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .join(Delivery, (Delivery.edition_id == EditionRow.id) & (Delivery.state == "sent"))
        .outerjoin(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id)
            & VoteRow.held_at.is_(None),
        )
        .where(EditionRow.built_at >= since, EditionRow.built_at <= now - ANSWERED),
        execution_options={"yield_per": 10_000},
    )
    shown: _ByLane = {lane: defaultdict(list) for lane in LANES}
    said: list[tuple[float, bool]] = []
    for edition_id, lane, probability, propensity, like in rows:
        shown[lane][edition_id].append((bool(like), 1 / propensity))
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
            & (VoteRow.paper_id == EditionItemRow.paper_id)
            & VoteRow.held_at.is_(None),
        )
        .where(EditionRow.built_at >= since)
    )
    votes: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    places: dict[tuple[date, int], list[int]] = defaultdict(list)
    for edition_id, day, position, value in rows:
        votes[_monday(day)][value] += 1
        if value in LIKED:
            places[_monday(day), edition_id].append(position)
    ndcg_of: dict[date, list[float]] = defaultdict(list)
    for (monday, _), some in places.items():
        ndcg_of[monday].append(ndcg(some, len(some)))
    return votes, ndcg_of


def ndcg(places: Sequence[int], n_liked: int) -> float:
    """Of a list that has those of `n_liked` papers, 1 or more, at these places, from 1."""
    found = (1 / np.log2(np.array(places) + 1)).sum() if places else 0.0
    return float(found / (1 / np.log2(np.arange(2, n_liked + 2))).sum())


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


def _lanes(shown: _ByLane) -> tuple[LaneRate, ...]:
    rates = {lane: _rate(list(some.values())) for lane, some in shown.items() if some}
    random = rates["exploration"].value if "exploration" in rates else None
    lanes = []
    for lane, rate in rates.items():
        likes = [like for some in shown[lane].values() for like, _ in some]
        value = rate.value or 0.0
        times = value / random if random and lane != "exploration" else None
        lanes.append(LaneRate(lane, len(likes), sum(likes), value, rate.error, times))
    return tuple(lanes)


def _rate(editions: Sequence[Sequence[tuple[bool, float]]]) -> Rate:
    """Likes a paper; papers are (liked, weight)."""
    sums = [
        (sum(w for _, w in some), sum(w * like for like, w in some), sum(w * w for _, w in some))
        for some in editions
    ]
    return self_normalised(*np.array(sums, np.float64).T)


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
