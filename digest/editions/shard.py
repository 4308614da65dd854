"""A shard: editions that are made together, and all that ranking takes to make them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from digest.editions.news import News, Order, free_for, had_by, news_of
from digest.editions.outcomes import calibration_of
from digest.profiles.ground import Ground, ground_of
from digest.profiles.signals import signals_of
from digest.ranking.calibrate import Calibration
from digest.ranking.interleave import Interleaved, interleave
from digest.ranking.profile import fit_profiles
from digest.ranking.rank import Rankings, rank
from digest.ranking.ranker import Ranker
from digest.ranking.types import Floats, Profiles, Signals, Wishes

# How far back an edition looks at most, however long its reader was away or nothing came close: a
# pause of four weeks and the week of a weekly digest.
LONGEST_WINDOW = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Shard:
    """What is known of the readers of `orders` at an instant, and what is new to them.

    `had` are papers that they were shown before, by reader; `free` (orders, papers) says what may
    be shown to whom.
    """

    orders: Sequence[Order]
    ground: Ground
    new: News
    had: Mapping[int, set[int]]
    free: NDArray[np.bool_]
    signals: Signals
    calibration: Calibration | None

    def fit(self, ranker: Ranker) -> Profiles:
        """Everybody's profile by a ranker."""
        return fit_profiles(self.signals, self.ground.space, ranker)

    def rank(self, profiles: Profiles) -> Rankings:
        """Everybody's papers by these profiles."""
        return rank(
            profiles,
            self.new.candidates,
            self._wishes(),
            free=self.free,
            draws=self._draws(),
            calibration=self.calibration,
        )

    def interleave(self, one: Profiles, other: Profiles) -> Interleaved:
        """Everybody's papers by two rankers, by turns."""
        return interleave(
            one,
            other,
            self.new.candidates,
            self._wishes(),
            free=self.free,
            draws=self._draws(),
            coins=np.array([_coins(order) for order in self.orders], np.bool_),
            calibration=self.calibration,
        )

    def _wishes(self) -> Wishes:
        wishes = [order.wish for order in self.orders]
        return Wishes(
            n=np.array([wish.length for wish in wishes], np.int64),
            mix=np.array([wish.mix for wish in wishes], np.float32),
            min_probability=np.array([wish.min_probability for wish in wishes], np.float32),
        )

    def _draws(self) -> Floats:
        return np.array([_draw(order) for order in self.orders], np.float32)


def shard_of(
    session: Session, orders: Sequence[Order], encoder: str, *, now: datetime
) -> Shard | None:
    """What is known at `now`; None while nobody orders, or no paper has a vector."""
    ground = ground_of(session, encoder, now=now) if orders else None
    if ground is None:
        return None
    owners = [order.subscriber_id for order in orders]
    since = max(min(order.since for order in orders), now - LONGEST_WINDOW)
    new = news_of(session, since, encoder, ground, now=now)
    had = had_by(session, owners, new, now)
    return Shard(
        orders,
        ground,
        new,
        had,
        free_for(session, orders, new, had),
        signals_of(session, owners, encoder, ground, now=now),
        calibration_of(session, owners, now=now),
    )


def _draw(order: Order) -> float:
    """A number from 0 to 1 that is a subscriber's for the day, in whatever shard they stand."""
    return int.from_bytes(_drawn(order, "", size=4)) / 2**32


def _coins(order: Order) -> NDArray[np.bool_]:
    """Likewise coins, one for each place of the longest edition and more; shape (64,)."""
    drawn = _drawn(order, " teams", size=8)
    return np.unpackbits(np.frombuffer(drawn, np.uint8)).astype(np.bool_)


def _drawn(order: Order, what: str, *, size: int) -> bytes:
    text = f"{order.subscriber_id} {order.local_date}{what}"
    return blake2b(text.encode(), digest_size=size).digest()
