"""Receipts: what a reader's votes since their last edition have changed in what they get."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.editions.edition import Receipt
from digest.editions.news import Order
from digest.editions.schedule import local_date_of
from digest.profiles.ground import Ground, terms_of
from digest.profiles.learned import written_in
from digest.ranking.profile import fit_profiles
from digest.ranking.types import KINDS, Floats, Profiles, Signals
from digest.store.tables import Paper, Subscriber, VoteRow

# Topics of either kind that a receipt names.
TOPICS = 2
# A word that many papers have is no topic, and one that a single paper has is its own.
_COMMON, _LEAST = 0.15, 2
# Letters that a word has at least which stands alone, papers that have it, and papers there are: of
# fewer, chance tells which word it is.
_SHORT, _ALONE, _ENOUGH = 5, 5, 200
# What waits for the word that it says something of, or opens a title with what is done to a topic.
_PART = re.compile(
    r"(?:augmented|aware|based|using)\b|.*\b(?:\w+ed|aware|built|centric|driven|enable|free|large|like"
    r"|multi|small|specific|using|approach|framework|method|report|survey)$"
)
_OPENING = re.compile(r"(?:^|[:.?!] )(\w+ing)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Voted:
    """A vote since the last edition, and the title of its paper: what names its topic."""

    paper_id: int
    liked: bool
    at: datetime
    timezone: str
    title: str


def receipts_of(
    session: Session, orders: Sequence[Order], ground: Ground, profiles: Profiles, *, now: datetime
) -> dict[int, Receipt]:
    """Receipts by subscriber, for those who have voted since their last edition.

    A topic has gained if the profile scores the background papers that have it higher for those
    votes than it would without them; it is named if the title of one that was voted up has it.
    What has lost, likewise with what was voted down.
    """
    voted = _voted(session, orders, now)
    places = [i for i, order in enumerate(orders) if order.subscriber_id in voted]
    if not places:
        return {}
    before = fit_profiles(
        _without(profiles.signals, places, [voted[orders[i].subscriber_id] for i in places]),
        ground.space,
        profiles.ranker,
    )
    moved = profiles.directions[places] - before.directions
    topics = _Topics.of(ground)
    return {
        orders[i].subscriber_id: _receipt(
            orders[i], voted[orders[i].subscriber_id], topics, moved[row]
        )
        for row, i in enumerate(places)
    }


def _voted(session: Session, orders: Sequence[Order], now: datetime) -> dict[int, list[_Voted]]:
    since = {order.subscriber_id: order.last for order in orders if order.last}
    if not since:
        return {}
    rows = session.execute(
        select(
            VoteRow.subscriber_id,
            VoteRow.paper_id,
            VoteRow.value,
            VoteRow.at,
            Subscriber.timezone,
            Paper.title,
        )
        .join(Paper, Paper.id == VoteRow.paper_id)
        .join(Subscriber, Subscriber.id == VoteRow.subscriber_id)
        .where(
            VoteRow.subscriber_id.in_(since),
            VoteRow.at > min(since.values()),
            VoteRow.at <= now,
            # An import is what somebody kept over years, not what they made of a digest.
            VoteRow.via != "import",
        )
        .order_by(VoteRow.at, VoteRow.paper_id)
    )
    found: dict[int, list[_Voted]] = {}
    for who, paper_id, value, at, timezone, title in rows:
        if at > since[who]:
            vote = _Voted(paper_id, value != "down", at, timezone, title)
            found.setdefault(who, []).append(vote)
    return found


def _without(signals: Signals, places: Sequence[int], voted: Sequence[Sequence[_Voted]]) -> Signals:
    """The signals of the subscribers at `places`, less their votes on those papers."""
    kept, sizes = [], []
    for place, votes in zip(places, voted, strict=True):
        mine = np.arange(signals.starts[place], signals.starts[place + 1])
        new = np.isin(signals.refs[mine], [vote.paper_id for vote in votes])
        mine = mine[~new | (signals.kinds[mine] == KINDS.index("interest"))]
        kept.append(mine)
        sizes.append(len(mine))
    chosen = np.concatenate(kept)
    return replace(
        signals,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        kinds=signals.kinds[chosen],
        refs=signals.refs[chosen],
        ages=signals.ages[chosen],
        rows=signals.rows[chosen],
    )


def _receipt(order: Order, votes: Sequence[_Voted], topics: "_Topics", moved: Floats) -> Receipt:
    day = order.local_date - timedelta(days=1)
    more, less = topics.moved(votes, moved)
    return Receipt(
        n_votes=len(votes),
        yesterday=all(local_date_of(vote.timezone, vote.at) == day for vote in votes),
        more=more,
        less=less,
    )


@dataclass(frozen=True, slots=True)
class _Topics:
    """The words of a ground: `has` (v, n), 1 where a background paper has one; `counts` (v,)."""

    ground: Ground
    names: NDArray[np.str_]
    has: csr_array
    counts: NDArray[np.float64]
    are_topics: NDArray[np.bool_]

    @classmethod
    def of(cls, ground: Ground) -> "_Topics":
        has = csr_array(ground.space.background.terms.T)
        has.data = np.ones_like(has.data)
        names = ground.words.get_feature_names_out() if ground.words else np.array([], np.str_)
        counts = np.asarray(has.sum(axis=1), np.float64).ravel()
        n_papers = has.shape[1]
        alone = _ALONE if n_papers >= _ENOUGH else np.inf
        least = np.array([_LEAST if " " in name else alone for name in names])
        are_topics = (counts >= least) & (counts <= max(10, _COMMON * n_papers))
        return cls(ground, names, has, counts, are_topics)

    def moved(
        self, votes: Sequence[_Voted], moved: Floats
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What has gained and what has lost where a profile's direction (D,) `moved`."""
        if not len(self.names) or not moved.any():
            return (), ()
        gained = self.ground.space.places @ moved
        # How far the papers with a word rose above all papers, pulled to zero where they are few.
        lift = (self.has @ (gained - gained.mean())) / (self.counts + 1.0)
        lift[~self.are_topics] = 0.0
        liked, disliked = (
            np.asarray(
                terms_of(
                    self.ground.words, [vote.title for vote in votes if vote.liked is wanted]
                ).sum(axis=0),
                np.float64,
            ).ravel()
            if any(vote.liked is wanted for vote in votes)
            else np.zeros(len(self.names))
            for wanted in (True, False)
        )
        return (
            _best(
                self.names,
                liked * np.maximum(lift, 0.0),
                [vote.title for vote in votes if vote.liked],
            ),
            _best(
                self.names,
                disliked * np.maximum(-lift, 0.0) * (liked == 0),
                [vote.title for vote in votes if not vote.liked],
            ),
        )


def _best(
    names: NDArray[np.str_], worth: NDArray[np.float64], titles: Sequence[str]
) -> tuple[str, ...]:
    """The best words and pairs of words of these titles, none sharing a word with a better one.

    A pair is worth double: it says more than its words. A short word alone says nothing.
    """
    found: list[str] = []
    taken: set[str] = set()
    openings = {word.casefold() for title in titles for word in _OPENING.findall(title)}
    worthy = [
        (worth[i] * (2.0 if " " in names[i] else 1.0), str(names[i]))
        for i in np.flatnonzero(worth > 0)
    ]
    for _, name in sorted(worthy, key=lambda pair: (-pair[0], pair[1])):
        if len(found) == TOPICS:
            break
        words = {word.removesuffix("s") for word in name.split()}
        is_telling = len(name) >= _SHORT and not any(map(str.isdigit, words))
        is_part = _PART.match(name) or name.split()[0] in openings
        if not is_telling or is_part or words & taken:
            continue
        if written := written_in(name, titles):
            found.append(written)
            taken |= words
    return tuple(found)
