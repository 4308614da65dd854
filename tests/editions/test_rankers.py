"""Which ranker makes a morning, told by what is in the mails."""

from datetime import timedelta

from sqlalchemy import select

from digest import votes
from digest.editions import Edition, preview
from digest.ranking.ranker import STANDARD, Ranker
from digest.store import Sessions
from digest.store.rankers import promote, rollback, start_trial, stop_trial
from digest.store.tables import EditionRow
from tests.editions.world import DAY, ENCODER, MONDAY, add_papers, add_reader, build, edition

# Who asks for graphs and liked proteins a month ago is one for proteins, or not any more.
FORGETFUL = Ranker("forgetful", half_life_days=1.0)
LIKED = [f"protein folding in {word}" for word in ("paris", "turin", "lyon", "graz", "basel")]


def a_reader(sessions: Sessions) -> int:
    reader = add_reader(sessions, interest="graph networks", mix=1.0, length=6)
    ids = add_papers(sessions, LIKED, MONDAY - 30 * DAY)
    with sessions() as session:
        for paper in ids:
            votes.vote(session, reader, paper, "up", at=MONDAY - 30 * DAY, via="cli")
    return reader


def a_morning(sessions: Sessions, reader: int, n: int) -> Edition:
    """The edition of MONDAY and `n` days; it is what a preview shows just before."""
    now = MONDAY + n * DAY
    add_papers(
        sessions,
        [f"{topic} in {word}{n}" for topic in ("graph networks", "protein folding")
         for word in ("oslo", "rome", "kiel", "bern")],
        now - timedelta(hours=1),
    )  # fmt: skip
    with sessions.reading() as session:
        seen = preview(session, reader, ENCODER.identity, local_date=now.date(), now=now)
    assert build(sessions, reader, now).built == 1
    made = edition(sessions, reader, now)
    assert made.items == tuple(seen.edition.items)
    return made


def likes_proteins(made: Edition) -> bool:
    return "protein" in made.items[0].title


def test_what_is_live_makes_the_mails_until_it_is_rolled_back(sessions: Sessions) -> None:
    reader = a_reader(sessions)
    assert likes_proteins(a_morning(sessions, reader, 0))
    with sessions() as session:
        promote(session, FORGETFUL, at=MONDAY)
    made = a_morning(sessions, reader, 1)
    assert not likes_proteins(made)
    assert {item.team for item in made.items} == {None}
    with sessions() as session:
        rollback(session, at=MONDAY + DAY)
    assert likes_proteins(a_morning(sessions, reader, 2))
    with sessions.reading() as session:
        by = session.scalars(select(EditionRow.ranker_change).order_by(EditionRow.id)).all()
    assert by == [None, 1, 2]


def test_on_trial_two_rankers_choose_by_turns(sessions: Sessions) -> None:
    reader = a_reader(sessions)
    with sessions() as session:
        start_trial(session, STANDARD, FORGETFUL, at=MONDAY)
    made = a_morning(sessions, reader, 0)
    teams = [item.team for item in made.items if item.lane == "personal"]
    assert abs(teams.count("standard") - teams.count("forgetful")) <= 1
    assert set(teams) == {"standard", "forgetful"}
    assert {item.team for item in made.items if item.lane != "personal"} <= {None}
    first = {team: next(item for item in made.items if item.team == team) for team in set(teams)}
    assert "protein" in first["standard"].title
    assert "graph" in first["forgetful"].title
    assert all(item.reasons for item in made.items)
    with sessions() as session:
        stop_trial(session, at=MONDAY)
    assert {item.team for item in a_morning(sessions, reader, 1).items} == {None}
