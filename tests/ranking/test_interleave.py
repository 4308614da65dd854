from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from digest.ranking.interleave import Interleaved, interleave, team_draft
from digest.ranking.profile import fit_profiles
from digest.ranking.ranker import STANDARD, Ranker
from digest.ranking.types import LANES
from tests.ranking.world import board, likes, ranked, signals_of, wishes_of

N = 12
APART = np.eye(N, dtype=np.float32)
COINS = st.lists(st.booleans(), min_size=N, max_size=N)
LIST = st.permutations(range(N)).flatmap(lambda p: st.integers(0, N).map(lambda k: p[:k]))


def drafted(
    one: list[int], other: list[int], n: int, coins: list[bool], vectors: np.ndarray = APART
) -> tuple[list[int], list[int]]:
    """The papers that were drawn up, and the team of each."""
    lists = np.full((2, 1, N), -1, np.int64)
    lists[0, 0, : len(one)], lists[1, 0, : len(other)] = one, other
    papers, teams = team_draft(lists, np.array([n]), vectors, np.array([coins]))
    k = int((papers >= 0).sum())
    assert (papers[0, k:] == -1).all()
    assert (teams[0, k:] == -1).all()
    return papers[0, :k].tolist(), teams[0, :k].tolist()


@given(LIST, LIST, st.integers(0, N), COINS)
def test_every_place_is_one_teams_best_that_is_left(
    one: list[int], other: list[int], n: int, coins: list[bool]
) -> None:
    papers, teams = drafted(one, other, n, coins)
    assert len(papers) == min(n, len({*one, *other}))
    for place, (paper, team) in enumerate(zip(papers, teams, strict=True)):
        assert paper == next(p for p in (one, other)[team] if p not in papers[:place])
    assert (papers, teams) == drafted(one, other, n, coins)


@given(LIST, LIST, st.integers(0, N), COINS)
def test_teams_differ_by_one_paper_at_most_while_both_have_some(
    one: list[int], other: list[int], n: int, coins: list[bool]
) -> None:
    papers, teams = drafted(one, other, n, coins)
    contested = next(
        (k for k in range(len(papers)) if not all(set(p) - set(papers[:k]) for p in (one, other))),
        len(papers),
    )
    for k in range(contested + 1):
        assert abs(teams[:k].count(0) - teams[:k].count(1)) <= 1
        if k % 2 and k < contested:
            assert teams[k - 1] == int(coins[k // 2])


@given(st.permutations(range(N)), st.integers(0, N), COINS, st.sets(st.integers(0, N - 1)))
def test_a_ranker_against_itself_wins_as_often_as_it_loses(
    one: list[int], n: int, coins: list[bool], liked: set[int]
) -> None:
    def ahead(coins: list[bool]) -> int:
        papers, teams = drafted(one, one, n, coins)
        assert papers == one[:n]
        return sum(
            (1, -1)[team] for paper, team in zip(papers, teams, strict=True) if paper in liked
        )

    assert ahead(coins) == -ahead([not coin for coin in coins])


def test_each_team_has_each_place_half_of_the_time() -> None:
    u, k = 4000, 5
    lists = np.tile(np.array([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]])[:, None, :], (1, u, 1))
    coins = np.random.default_rng(0).random((u, k)) < 0.5
    _, teams = team_draft(lists, np.full(u, k), APART, coins)
    np.testing.assert_allclose(teams.mean(axis=0), 0.5, atol=3 * 0.5 / u**0.5)


def test_a_near_copy_of_what_is_there_is_not_taken() -> None:
    vectors = APART.copy()
    vectors[5] = vectors[0]
    assert drafted([0, 1], [5, 6], 4, [False] * N, vectors) == ([0, 6, 1], [0, 1, 0])


BOARD = board()
TOLD = [[*likes(0, 5), *[("up", 1 + 4 * i, 2000.0) for i in range(5)]], likes(2, 3), []]


def shared(one: Ranker, other: Ranker, coins: np.ndarray | None = None) -> Interleaved:
    u = len(TOLD)
    signals = signals_of(TOLD, BOARD.known)
    return interleave(
        fit_profiles(signals, BOARD.space, one),
        fit_profiles(signals, BOARD.space, other),
        BOARD.candidates,
        wishes_of(u),
        free=np.ones((u, len(BOARD.candidates)), np.bool_),
        draws=np.full(u, 0.5, np.float32),
        coins=np.zeros((u, 30), np.bool_) if coins is None else coins,
    )


def test_the_same_ranker_twice_makes_the_list_that_it_makes_alone() -> None:
    alone = ranked(TOLD)
    both = shared(STANDARD, replace(STANDARD, name="twin"))
    for i in range(len(TOLD)):
        told, made = alone.of(i), both.of(i)
        assert [replace(one, team=None) for one in made.chosen] == list(told.chosen)
        assert made.runners_up == told.runners_up
        for place, one in enumerate(made.chosen):
            name = ("standard", "twin")[place % 2]
            assert one.team == (name if one.lane == "personal" else None)


def test_each_paper_speaks_with_the_score_and_reasons_of_who_chose_it() -> None:
    trendy = Ranker("trendy", half_life_days=5000.0, momentum=3.0)
    both = shared(STANDARD, trendy, np.tile([False, True], (3, 15)))
    k = both.choice.papers.shape[1]
    own = [rankings.scores for rankings in both.rankings]
    assert {one.team for one in both.of(0).chosen} == {"standard", "trendy", None}
    for i in (0, 1):
        for place, one in enumerate(both.of(i).chosen):
            assert place < k
            if one.lane == "personal":
                assert one.shares
                assert one.score == own[one.team == "trendy"][i, place]
    ids = [one.paper_id for one in both.of(0).chosen]
    assert len(set(ids)) == len(ids)
    lanes = both.choice.lanes[0][both.choice.papers[0] >= 0]
    assert (lanes == LANES.index("exploration")).sum() == 1


def test_who_told_nothing_has_no_teams() -> None:
    assert {one.team for one in shared(STANDARD, Ranker("other", diversity=0.5)).of(2).chosen} == {
        None
    }
