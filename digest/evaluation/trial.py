"""A trial of two rankers that share every list: whose papers readers like more.

Radlinski, Kurup and Joachims (2008): in a team draft each ranker has the same chance of every
place, so that an edition is won by the ranker more of whose papers were liked in it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Executable, func, select
from sqlalchemy.orm import Session

from digest.errors import Unknown
from digest.evaluation.learning import LIKED
from digest.store.rankers import changes
from digest.store.tables import Delivery, EditionItemRow, EditionRow, VoteRow


@dataclass(frozen=True, slots=True)
class Team:
    """A ranker of a trial: how many papers it placed, and how many of them were liked."""

    ranker: str
    shown: int
    liked: int


@dataclass(frozen=True, slots=True)
class Score:
    """How often the first ranker of a trial won, counted by `editions` or by `readers`.

    `p_value` is of the two-sided sign test, ties aside (Dixon and Mood 1946, "The statistical sign
    test"): how often equal rankers would come out so unevenly. None where nothing was decided.
    """

    by: str
    wins: int
    ties: int
    losses: int
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial since `started`, until `ended` (None: it runs): its mails, and what came of them.

    The test by editions takes them as independent of each other; that by readers, each of whom
    counts once, is the safer one. Whoever looks every day and stops at the first low p-value
    deceives themselves: settle the length of a trial before it starts.
    """

    started: datetime
    ended: datetime | None
    editions: int
    teams: tuple[Team, Team]
    scores: tuple[Score, Score]

    @property
    def leader(self) -> str | None:
        """The ranker that won more editions."""
        one = self.scores[0]
        if one.wins == one.losses:
            return None
        return self.teams[0 if one.wins > one.losses else 1].ranker


def read_trial(session: Session) -> Trial:
    """The trial that runs, else the last one. Raises Unknown where there was none.

    Votes up and saves count, those that are held do not, and only mails that have left.
    """
    made = changes(session)
    nth = next((i for i, change in enumerate(made) if change.kind == "interleave"), None)
    if nth is None or (trial := made[nth].trial) is None:
        raise Unknown("there was no trial yet: digest rankers interleave A B starts one")
    shown: Counter[str] = Counter()
    liked: Counter[str] = Counter()
    by_edition: defaultdict[int, int] = defaultdict(int)
    by_reader: defaultdict[int, int] = defaultdict(int)
    one, other = (ranker.name for ranker in trial)
    for edition_id, who, team, n, likes in session.execute(_papers_of(made[nth].number)):
        shown[team] += n
        liked[team] += likes
        ahead = likes if team == one else -likes
        by_edition[edition_id] += ahead
        by_reader[who] += ahead
    return Trial(
        made[nth].at,
        made[nth - 1].at if nth else None,
        len(by_edition),
        (Team(one, shown[one], liked[one]), Team(other, shown[other], liked[other])),
        (
            _score("editions", list(by_edition.values())),
            _score("readers", list(by_reader.values())),
        ),
    )


def _papers_of(change: int) -> Executable:
    """By edition and team of a trial, how many papers were shown, and liked."""
    return (
        select(
            EditionItemRow.edition_id,
            EditionItemRow.subscriber_id,
            EditionItemRow.team,
            func.count(),
            func.count(VoteRow.paper_id),
        )
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .join(Delivery, (Delivery.edition_id == EditionRow.id) & (Delivery.state == "sent"))
        .outerjoin(
            VoteRow,
            (VoteRow.subscriber_id == EditionItemRow.subscriber_id)
            & (VoteRow.paper_id == EditionItemRow.paper_id)
            & VoteRow.value.in_(LIKED)
            & VoteRow.held_at.is_(None),
        )
        .where(EditionRow.ranker_change == change, EditionItemRow.team.is_not(None))
        .group_by(EditionItemRow.edition_id, EditionItemRow.subscriber_id, EditionItemRow.team)
        .execution_options(yield_per=10_000)
    )


def _score(by: str, ahead: Sequence[int]) -> Score:
    from scipy.stats import binomtest

    wins, losses = sum(n > 0 for n in ahead), sum(n < 0 for n in ahead)
    p_value = float(binomtest(wins, wins + losses).pvalue) if wins + losses else None
    return Score(by, wins, len(ahead) - wins - losses, losses, p_value)
