"""Lists of papers leave out what its authors took back."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from digest.editions import varied_papers
from digest.papers.catalog import nearest_papers, search_papers, trending_papers
from digest.store import Sessions
from tests.editions.world import ENCODER, MONDAY, add_papers, withdraw

Titles = list[str]
WITHDRAWN, OTHERS = "bees that count wrong", ["bees that count", "bees that dance", "towels"]


def trending(session: Session, _first: int) -> Titles:
    return [view.title for view in trending_papers(session, MONDAY, limit=9)]


def found(session: Session, _first: int) -> Titles:
    return [view.title for _, view in search_papers(session, ENCODER, "bees count", limit=9)]


def nearest(session: Session, first: int) -> Titles:
    near = nearest_papers(session, first, ENCODER.identity, limit=9)
    return [view.title for _, view in near] + OTHERS[:1]


def to_pick(session: Session, first: int) -> Titles:
    ids = varied_papers(session, ENCODER.identity, 9, now=MONDAY)
    return [[*OTHERS, WITHDRAWN][id_ - first] for id_ in ids]


@pytest.mark.parametrize("listed", [trending, found, nearest, to_pick])
def test_a_withdrawn_paper_is_in_no_list(
    sessions: Sessions, listed: Callable[[Session, int], Titles]
) -> None:
    first, *_, last = add_papers(sessions, [*OTHERS, WITHDRAWN], MONDAY)
    with sessions.reading() as session:
        assert sorted(listed(session, first)) == sorted([*OTHERS, WITHDRAWN])
    withdraw(sessions, last, MONDAY)
    with sessions.reading() as session:
        assert sorted(listed(session, first)) == sorted(OTHERS)
