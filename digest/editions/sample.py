"""A sample: the edition that somebody would get who has told us something and is not stored.

The same functions rank it as rank everybody's editions; nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.editions.build import FIRST_WINDOW
from digest.editions.edition import Edition
from digest.editions.items import facts_of, item_of
from digest.editions.news import News, news_of
from digest.editions.outcomes import calibration_of
from digest.papers.embedding import vectors_of
from digest.papers.filed import is_filed
from digest.papers.identity import arxiv_id, doi, text_hash, title_key
from digest.papers.news import was_withdrawn
from digest.profiles.ground import Ground, ground_of
from digest.profiles.signals import Told, places_of, signals_from
from digest.ranking.profile import fit_profiles
from digest.ranking.rank import rank
from digest.ranking.types import Floats, Wishes
from digest.ranking.variety import varied
from digest.sources.listing import Listing
from digest.store.rankers import in_force
from digest.store.tables import ListingRow, Paper, PaperKey

# Votes of a library that a sample heeds; ranking hears no more of anybody.
MOST_LIKES = 256
# Papers among which varied ones are chosen, the newest; the cost grows with their square.
AMONG = 1000


@dataclass(frozen=True, slots=True)
class Taste:
    """What somebody told a page: interests with their vectors by text, and papers that they like.

    An interest without a vector counts for nothing.
    """

    interests: Mapping[str, Floats | None]
    likes: Sequence[int] = ()


class _Kept:
    """The news that was read last: whoever looks at samples within a minute ranks the same."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.of: tuple[object, ...] = ()
        self.ground: Ground | None = None
        self.new: News | None = None


_KEPT = _Kept()


def sample(
    session: Session, encoder: str, taste: Taste, *, length: int, mix: float, now: datetime
) -> Edition:
    """The edition of `length` papers that `taste` would get at `now`; none while there are none."""
    ground, new = _news(session, encoder, now)
    edition = Edition(0, 0, now.date(), now, 0, "", ())
    if ground is None or new is None or not len(new.candidates):
        return replace(edition, note="No papers have come in yet.")
    # Negative numbers are no interest's of anybody's.
    named = {-n: text for n, text in enumerate(taste.interests, 1)}
    told, typed = _told(session, taste, named, now)
    vectors = vectors_of(session, encoder, typed) | {
        text_hash(text): v for text, v in taste.interests.items() if v is not None
    }
    signals = signals_from(
        told,
        interests=ground.interests(vectors, typed),
        papers=places_of(
            session, encoder, ground, (one.text_hash for one in told if one.kind != "interest")
        ),
        owners=[0],
        ground=ground,
        now=now,
    )
    profiles = fit_profiles(signals, ground.space, in_force(session).live)
    ids = new.candidates.ids
    rankings = rank(
        profiles,
        new.candidates,
        Wishes(np.array([length]), np.array([mix], np.float32), np.zeros(1, np.float32)),
        free=~np.isin(ids, list(taste.likes))[None, :],
        # In the middle of its lane: a sample is the same each time it is looked at.
        draws=np.array([0.5], np.float32),
        # Nobody has the number 0: a visitor has no habit yet.
        calibration=calibration_of(session, [0], now=now),
    )
    ranking = rankings.of(0)
    facts = facts_of(session, [ranking])
    names = {(True, id_): text for id_, text in named.items()}
    facts = replace(facts, names={**facts.names, **names})
    items = tuple(item_of(one, n, facts, new) for n, one in enumerate(ranking.chosen, 1))
    return replace(edition, n_candidates=len(ids), items=items)


def varied_papers(session: Session, encoder: str, n: int, *, now: datetime) -> list[int]:
    """The numbers of `n` recent papers that tell tastes apart, those of large topics first."""
    recent = session.execute(
        select(Paper.id, Paper.text_hash)
        .where(Paper.ready_at <= now, Paper.id.in_(select(ListingRow.paper_id)), ~was_withdrawn())
        .order_by(Paper.ready_at.desc(), Paper.id.desc())
        .limit(AMONG)
    ).all()
    vectors = vectors_of(session, encoder, (paper.text_hash for paper in recent))
    known = [paper for paper in recent if paper.text_hash in vectors]
    if not known:
        return []
    d = len(vectors[known[0].text_hash])
    known = [paper for paper in known if vectors[paper.text_hash].shape == (d,)]
    chosen = varied(np.stack([vectors[paper.text_hash] for paper in known]), n)
    return [known[i].id for i in chosen]


def stored_among(session: Session, papers: Sequence[Listing], keys: Sequence[str]) -> list[int]:
    """The numbers of the papers that are stored here, of a library's papers or keys; the newest.

    At most `MOST_LIKES`.
    """
    wanted = list(keys[-MOST_LIKES:])
    for paper in papers[-MOST_LIKES:]:
        wanted += [f"arxiv:{id_}"] if (id_ := arxiv_id(paper.arxiv_id or paper.url)) else []
        wanted += [f"doi:{doi_}"] if (doi_ := doi(paper.doi)) else []
        wanted.append(f"title:{title_key(paper.title)}")
    query = select(PaperKey.paper_id).where(PaperKey.key.in_(wanted)).distinct()
    return sorted(session.scalars(query))[-MOST_LIKES:]


def _news(session: Session, encoder: str, now: datetime) -> tuple[Ground | None, News | None]:
    minute = now.replace(second=0, microsecond=0)
    of = (session.get_bind().engine, encoder, minute)
    with _KEPT.lock:
        if _KEPT.of != of:
            ground = _KEPT.ground = ground_of(session, encoder, now=minute)
            since = minute - FIRST_WINDOW
            _KEPT.new = news_of(session, since, encoder, ground, now=minute) if ground else None
            _KEPT.of = of
        return _KEPT.ground, _KEPT.new


def _told(
    session: Session, taste: Taste, named: Mapping[int, str], now: datetime
) -> tuple[list[Told], dict[str, str]]:
    typed = {text_hash(text): text for text in taste.interests}
    told = [Told(0, "interest", id_, text_hash(text), now) for id_, text in named.items()]
    liked = session.execute(
        select(Paper.id, Paper.text_hash)
        .where(Paper.id.in_(list(taste.likes)[-MOST_LIKES:]), ~is_filed())
        .order_by(Paper.id)
    ).all()
    told += [Told(0, "up", row.id, row.text_hash, now) for row in liked]
    return told, typed
