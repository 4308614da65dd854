"""What is new to whom, however much of it there is."""

from datetime import timedelta

import numpy as np
import pytest

from digest import subscribers, votes
from digest.editions.news import News, had_by
from digest.ranking.types import Candidates
from digest.store import Sessions
from tests.editions.world import (
    DAY,
    MONDAY,
    add_papers,
    add_reader,
    build,
    edition,
    list_again,
    titles,
)

# More than SQLite takes values in a statement, and PostgreSQL.
MANY = 70_000


def test_of_very_many_papers_those_that_a_reader_had_are_found(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    voted, *shown = add_papers(sessions, ["bees", "towels", "graphs"], MONDAY - DAY)
    with sessions() as session:
        votes.vote(session, reader, voted, "up", at=MONDAY - timedelta(hours=1), via="cli")
    build(sessions, reader, MONDAY)
    # The last one makes all others old.
    ids = np.array([*range(1, MANY), 10 * MANY])
    nothing = np.zeros((len(ids), 1), np.float32)
    new = News(Candidates(ids, nothing, nothing, nothing[:, 0]), at={}, momenta={}, links=())
    with sessions.reading() as session:
        had = had_by(session, [reader], new, MONDAY + DAY)
    assert had[reader] == {voted, *shown}


@pytest.mark.parametrize(
    ("reader", "shown"), [("arxiv-days", ["new"]), ("hf-daily", ["new", "old"])]
)
def test_what_a_page_lists_again_is_news_where_the_page_ranks(
    sessions: Sessions, reader: str, shown: list[str]
) -> None:
    who = add_reader(sessions, length=1)
    passed_over, _ = sorted(add_papers(sessions, ["shown", "old"], MONDAY - DAY), reverse=True)
    build(sessions, who, MONDAY)
    assert titles(edition(sessions, who)) == ["shown"]
    with sessions() as session:
        subscribers.change(session, who, {"length": 5}, now=MONDAY)
    list_again(sessions, [passed_over], MONDAY + DAY / 2, reader=reader)
    add_papers(sessions, ["new"], MONDAY + DAY / 2)
    build(sessions, who, MONDAY + DAY)
    made = edition(sessions, who)
    assert (sorted(titles(made)), made.n_candidates) == (shown, len(shown))
