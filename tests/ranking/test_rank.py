"""Rankings on a checkerboard of topics, where everybody's right answer is plain to see."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.ranking.calibrate import Calibration
from digest.ranking.profile import fit_profiles, scores
from digest.ranking.select import EXPLORES_FROM
from digest.ranking.types import KINDS, Candidates, Ranking, SignalKind
from tests.ranking.world import (
    D,
    Told,
    board,
    every,
    likes,
    places,
    ranked,
    signals_of,
    topic_of,
    wishes_of,
)

BOARD = board()
N = len(BOARD.candidates)
LOGISTIC = Calibration(np.array([-2.0, 5.0, 0.0, 0.0, 0.0], np.float32))
tellings = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 159), st.floats(0, 2000, width=32)),
    max_size=30,
)
readers = st.lists(tellings, min_size=1, max_size=5)


def topics(chosen: list[int]) -> list[int]:
    return [topic_of(paper) for paper in chosen]


# Taste


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10, 20, 40])
@pytest.mark.parametrize("kind", ["up", "interest"])
def test_everyones_personal_papers_are_of_their_topic(kind: SignalKind, k: int) -> None:
    told = [likes(topic, k, kind) for topic in range(4)]
    for topic, one in enumerate(every(ranked(told, wishes=wishes_of(4, mix=1.0)))):
        assert set(topics(places(one, "personal"))) == {topic}
        # A single text may say too little of papers of its topic that have none of its words.
        assert len(places(one, "personal")) >= (7 if k > 1 else 4)


def test_opposite_tastes_get_opposite_papers() -> None:
    told = [likes(0, 5) + likes(1, 5, "down"), likes(1, 5) + likes(0, 5, "down")]
    one, other = every(ranked(told, wishes=wishes_of(2, n=4, mix=1.0)))
    assert set(topics(places(one))) == {0}
    assert set(topics(places(other))) == {1}


def test_whoever_only_dislikes_a_topic_does_not_see_it() -> None:
    (one,) = every(ranked([likes(2, 4, "down")], wishes=wishes_of(1, n=20)))
    assert len(places(one)) == 20
    assert 2 not in topics(places(one))


def test_whoever_only_dislikes_gets_nothing_for_their_own() -> None:
    (one,) = every(ranked([likes(2, 1, "down")], calibration=LOGISTIC))
    assert [ranked_.lane for ranked_ in one.chosen] == ["trending"] * 8
    assert all(ranked_.probability is None for ranked_ in one.chosen)


def test_to_be_unlike_a_dislike_is_no_reason_to_be_shown() -> None:
    told = [likes(0, 1) + likes(3, 6, "down")]
    free = [[topic_of(paper) != 0 for paper in range(N)]]
    (one,) = every(ranked(told, free=free, wishes=wishes_of(1, n=20, mix=1.0)))
    assert all(ranked_.shares for ranked_ in one.chosen)


def test_a_niche_interest_has_its_place_beside_many_votes() -> None:
    told = [likes(0, 30) + likes(1, 1, "interest")]
    (one,) = every(ranked(told, wishes=wishes_of(1, n=4, mix=1.0)))
    assert Counter(topics(places(one)))[1] >= 1
    assert Counter(topics(places(one)))[0] >= 2


def test_every_interest_has_its_place() -> None:
    told = [[one for topic in range(4) for one in likes(topic, 1, "interest")] + likes(0, 3)]
    (one,) = every(ranked(told, wishes=wishes_of(1, n=6, mix=1.0)))
    assert set(topics(places(one, "personal"))) == {0, 1, 2, 3}


def test_an_interest_has_no_place_on_a_day_without_a_paper_near_it() -> None:
    told = [likes(0, 10) + likes(1, 1, "interest")]
    free = [[topic_of(paper) != 1 for paper in range(N)]]
    (one,) = every(ranked(told, free=free, wishes=wishes_of(1, n=4, mix=1.0)))
    assert set(topics(places(one))) == {0}


def test_what_is_near_a_dislike_does_not_come_for_being_popular() -> None:
    told = [likes(0, 10) + likes(3, 3, "down"), likes(0, 10)]
    careful, open_ = every(ranked(told, wishes=wishes_of(2, n=20, mix=0.3)))
    assert 3 not in topics(places(careful))
    assert 3 in topics(places(open_))


def test_the_mix_says_how_many_are_personal() -> None:
    told = [likes(0, 5)] * 3
    wishes = replace(wishes_of(3, n=9), mix=np.array([0, 0.5, 1], np.float32))
    none, half, all_ = every(ranked(told, wishes=wishes))
    assert [one.lane for one in none.chosen] == ["trending"] * 9
    assert Counter(one.lane for one in half.chosen) == {
        "personal": 4,
        "trending": 4,
        "exploration": 1,
    }
    assert Counter(one.lane for one in all_.chosen) == {"personal": 8, "exploration": 1}


def test_without_a_profile_there_is_the_trending_list() -> None:
    (one,) = every(ranked([[]], calibration=LOGISTIC, wishes=wishes_of(1, min_probability=0.9)))
    assert [ranked_.lane for ranked_ in one.chosen] == ["trending"] * 8
    assert places(one)[0] == 0
    assert all(ranked_.shares[0].kind == "trending" for ranked_ in one.chosen)
    assert all(ranked_.probability is None for ranked_ in one.chosen)
    assert one.chosen[0].score == pytest.approx(0.9)


# Every ranking


@given(
    readers, st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.75, 1.0]), st.floats(0, 1, width=32)
)
@settings(max_examples=60)
def test_a_ranking_keeps_its_promises(
    told: list[list[Told]], n: int, mix: float, draw: float
) -> None:
    rng = np.random.default_rng(n)
    free = rng.random((len(told), N)) < 0.7
    made = ranked(told, wishes=wishes_of(len(told), n=n, mix=mix), free=free, draws=draw)
    alike = BOARD.candidates.vectors @ BOARD.candidates.vectors.T
    for i, one in enumerate(every(made)):
        shown = places(one)
        assert len(shown) <= min(n, free[i].sum())
        assert len(set(shown)) == len(shown)
        assert free[i, shown].all()
        assert (alike[np.ix_(shown, shown)] - np.eye(len(shown)) <= 0.95).all()
        lanes = Counter(ranked_.lane for ranked_ in one.chosen)
        assert lanes["exploration"] <= int(n >= EXPLORES_FROM and mix > 0 and bool(told[i]))
        assert not lanes["personal"] or (mix > 0 and told[i])
        lost = [runner_up.paper_id - 1000 for runner_up in one.runners_up]
        assert not set(lost) & set(shown)
        assert free[i, lost].all()
        assert all(0 < ranked_.propensity <= 1 for ranked_ in one.chosen)
        assert all(np.isfinite(ranked_.score) for ranked_ in one.chosen)


@given(readers)
@settings(max_examples=30)
def test_a_reason_names_what_carried_the_score(told: list[list[Told]]) -> None:
    made = ranked(told, wishes=wishes_of(len(told), mix=1.0))
    profiles = made.profiles
    for i, one in enumerate(every(made)):
        shrink = 1 / (1 + profiles.levels[i] * profiles.spectrum)
        mine = slice(profiles.signals.starts[i], profiles.signals.starts[i + 1])
        told_ = profiles.signals.points[profiles.signals.rows[mine]] * shrink
        for ranked_ in one.chosen:
            if ranked_.lane != "personal":
                assert [share.kind for share in ranked_.shares] == [ranked_.lane]
                continue
            carried = profiles.weights[mine] * (
                told_ @ BOARD.candidates.points[ranked_.paper_id - 1000]
            )
            assert carried.sum() == pytest.approx(ranked_.score, abs=1e-3)
            spoke = np.maximum(carried, 0).sum()
            for share in ranked_.shares:
                assert share.kind != "down"
                assert 0 < share.part <= 1 + 1e-6
                assert any(
                    (kind, paper) == (share.kind, share.ref)
                    and part / spoke == pytest.approx(share.part, abs=1e-3)
                    for (kind, paper, _), part in zip(told[i], carried, strict=True)
                )
            parts = [share.part for share in ranked_.shares]
            assert parts == sorted(parts, reverse=True)


def test_the_reason_is_the_vote_on_the_papers_topic() -> None:
    told = [[*likes(0, 1), *likes(1, 1, "interest"), *likes(2, 1, "saved"), *likes(3, 1, "down")]]
    (one,) = every(ranked(told, wishes=wishes_of(1, n=4, mix=1.0)))
    kinds = {0: "up", 1: "interest", 2: "saved"}
    for ranked_ in one.chosen:
        topic = topic_of(ranked_.paper_id - 1000)
        assert (ranked_.shares[0].kind, ranked_.shares[0].ref) == (kinds[topic], topic)


def test_what_is_close_is_so_whatever_else_is_new() -> None:
    on = BOARD
    # Papers of the background are liker themselves than any that is new.
    n, old = len(on.candidates), 3 * on.known
    among = Candidates(
        ids=np.concatenate([on.candidates.ids, 5000 + np.arange(len(old))]),
        points=np.concatenate([on.candidates.points, old]),
        vectors=np.concatenate([on.candidates.vectors, np.zeros((len(old), D), np.float32)]),
        momentum=np.concatenate([on.candidates.momentum, np.zeros(len(old), np.float32)]),
    )
    told: list[list[Told]] = [[("interest", 0, 0)], [("up", 1, 0), ("up", 2, 3)]]
    free = np.arange(n + len(old)) < n
    alone = every(ranked(told))
    beside = every(ranked(told, on=replace(on, candidates=among), free=[free] * 2))
    assert [closeness(one) for one in beside] == [closeness(one) for one in alone]
    assert all(any(closeness(one).values()) for one in alone)


def closeness(ranking: Ranking) -> dict[int, list[bool]]:
    return {paper.paper_id: [share.is_close for share in paper.shares] for paper in ranking.chosen}


def test_the_same_things_give_the_same_ranking() -> None:
    told = [likes(i % 4, i) for i in range(30)]
    assert every(ranked(told)) == every(ranked(told))


@given(readers, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_readers_and_of_papers_does_not_matter(
    told: list[list[Told]], random: object
) -> None:
    rng = np.random.default_rng(len(str(told)))
    draws = rng.random(len(told)).astype(np.float32)
    plain = every(ranked(told, draws=draws))
    people = rng.permutation(len(told))
    shuffled = every(ranked([told[i] for i in people], draws=draws[people]))
    assert [places(one) for one in shuffled] == [places(plain[i]) for i in people]
    order = rng.permutation(N)
    papers = BOARD.candidates
    moved = replace(
        BOARD,
        candidates=replace(
            papers,
            ids=papers.ids[order],
            points=papers.points[order],
            vectors=papers.vectors[order],
            momentum=papers.momentum[order],
        ),
    )
    assert [places(one) for one in every(ranked(told, draws=draws, on=moved))] == [
        places(one) for one in plain
    ]


def test_a_reader_alone_is_served_as_among_three_hundred() -> None:
    rng = np.random.default_rng(3)
    told: list[list[Told]] = [
        [
            (KINDS[rng.integers(4)], int(rng.integers(160)), float(rng.integers(300)))
            for _ in range(size)
        ]
        for size in rng.integers(0, 50, 300)
    ]
    together = every(ranked(told, draws=0.37))
    for i in range(0, 300, 37):
        (alone,) = every(ranked([told[i]], draws=0.37))
        assert places(alone) == places(together[i])
        for one, other in zip(alone.chosen, together[i].chosen, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert one.propensity == pytest.approx(other.propensity, abs=1e-3)
            assert [share.ref for share in one.shares] == [share.ref for share in other.shares]


# Exploration


@pytest.mark.parametrize("n", [*range(1, 13), 30])
def test_editions_of_five_and_more_explore_once_if_there_is_a_profile(n: int) -> None:
    known, unknown = every(ranked([likes(0, 3), []], wishes=wishes_of(2, n=n)))
    assert Counter(one.lane for one in known.chosen)["exploration"] == (n >= EXPLORES_FROM)
    assert Counter(one.lane for one in unknown.chosen)["exploration"] == 0
    assert len(known.chosen) == len(unknown.chosen) == n
    for one in known.chosen:
        if one.lane == "exploration":
            assert one.propensity < 1
            assert [(share.kind, share.part) for share in one.shares] == [("exploration", 1.0)]
        else:
            assert one.propensity == 1


def test_the_propensity_is_how_often_the_paper_is_drawn() -> None:
    grid = ((np.arange(1500) + 0.5) / 1500).astype(np.float32)
    (mine,) = [likes(0, 3) + likes(1, 2)]
    made = every(ranked([mine] * len(grid), draws=grid, wishes=wishes_of(len(grid), n=6)))
    drawn = [one.chosen[-1] for one in made]
    assert {one.lane for one in drawn} == {"exploration"}
    often = Counter(one.paper_id for one in drawn)
    assert len(often) > 3
    for one in drawn:
        assert often[one.paper_id] / len(grid) == pytest.approx(one.propensity, abs=2e-3)


def test_what_a_reader_has_voted_on_is_explored_less_than_what_is_unlike_it() -> None:
    """Of papers equally far down the list, the one that votes say least of is likeliest."""
    grid = ((np.arange(400) + 0.5) / 400).astype(np.float32)
    told = likes(0, 40)
    made = every(ranked([told] * 400, draws=grid, wishes=wishes_of(400, n=5, mix=0.75)))
    drawn = Counter(topic_of(one.chosen[-1].paper_id - 1000) for one in made)
    options = {topic_of(one.paper_id - 1000) for one in made[0].runners_up}
    assert options >= {0, 1}
    assert drawn[0] < 200


def test_near_copies_and_dislikes_are_never_explored() -> None:
    papers = BOARD.candidates
    copied = replace(
        papers,
        points=np.repeat(papers.points[:8], 4, axis=0),
        vectors=np.repeat(papers.vectors[:8], 4, axis=0),
    )
    grid = np.linspace(0, 1, 200, dtype=np.float32)
    told = likes(0, 3) + likes(3, 3, "down")
    for one in every(
        ranked(
            [told] * 200,
            draws=grid,
            wishes=wishes_of(200, n=5),
            on=replace(BOARD, candidates=copied),
        )
    ):
        shown = np.array(places(one)) // 4
        assert one.chosen[-1].lane == "exploration"
        assert len(set(shown.tolist())) == 5
        assert 3 not in shown % 4


# Probabilities


def test_nothing_less_likely_than_wished_is_shown_to_whom_we_know() -> None:
    told = [likes(0, 5), likes(1, 2), []]
    wishes = wishes_of(3, n=12, min_probability=0.5)
    made = every(ranked(told, wishes=wishes, calibration=LOGISTIC))
    for one in made[:2]:
        assert 0 < len(one.chosen) < 12
        assert all(ranked_.probability is not None for ranked_ in one.chosen)
        assert min(ranked_.probability or 0 for ranked_ in one.chosen) >= 0.5
    assert len(made[2].chosen) == 12
    (nothing,) = every(
        ranked([likes(0, 5)], wishes=wishes_of(1, min_probability=0.999), calibration=LOGISTIC)
    )
    assert nothing.chosen == ()


def test_probabilities_are_of_the_personal_score() -> None:
    (one,) = every(ranked([likes(0, 5)], calibration=LOGISTIC))
    liking = scores(
        fit_profiles(signals_of([likes(0, 5)], BOARD.known), BOARD.space), BOARD.candidates.points
    )[0]
    for ranked_ in one.chosen:
        expected = 1 / (1 + np.exp(2 - 5 * liking[ranked_.paper_id - 1000]))
        assert ranked_.probability == pytest.approx(expected, abs=1e-4)


# Bad and little input


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_candidates_or_none_are_ranked_too(n: int) -> None:
    told = [likes(0, 3), [], likes(1, 2, "down")]
    for one in every(ranked(told, on=board(n), calibration=LOGISTIC)):
        assert len(one.chosen) <= n
        assert len(one.runners_up) <= n


def test_nobody_is_ranked_for_nobody() -> None:
    assert every(ranked([], draws=np.zeros(0, np.float32))) == []


def test_nothing_free_is_an_empty_edition() -> None:
    for one in every(ranked([likes(0, 3), []], free=np.zeros((2, N)))):
        assert (one.chosen, one.runners_up) == ((), ())


def test_more_places_than_papers_show_what_there_is_once() -> None:
    (one,) = every(ranked([likes(0, 3)], on=board(4), wishes=wishes_of(1, n=30)))
    assert sorted(places(one)) == [0, 1, 2, 3]


def test_candidates_that_are_not_finite_hurt_no_other() -> None:
    papers = BOARD.candidates
    points, vectors, momentum = papers.points.copy(), papers.vectors.copy(), papers.momentum.copy()
    points[4], vectors[5, 0], momentum[6] = np.nan, np.inf, np.nan
    broken = replace(
        BOARD, candidates=replace(papers, points=points, vectors=vectors, momentum=momentum)
    )
    free = np.ones((1, N), np.bool_)
    free[0, [4, 5, 6]] = False
    (whole,) = every(ranked([likes(0, 3)], free=free))
    (mended,) = every(ranked([likes(0, 3)], on=broken, free=free))
    assert places(mended) == places(whole)
    (shown,) = every(ranked([likes(0, 3)], on=broken, wishes=wishes_of(1, n=30)))
    assert all(np.isfinite(one.score) for one in shown.chosen)
    assert 4 not in places(shown, "personal")
    assert 6 not in places(shown, "trending")


def test_ten_thousand_votes_are_ranked() -> None:
    rng = np.random.default_rng(0)
    told: list[Told] = [
        ("up", int(4 * rng.integers(40)), float(rng.integers(900))) for _ in range(10_000)
    ]
    (one,) = every(ranked([told], wishes=wishes_of(1, mix=1.0)))
    assert set(topics(places(one, "personal"))) == {0}
    assert all(ranked_.shares for ranked_ in one.chosen)


def test_contradictory_votes_are_ranked() -> None:
    (one,) = every(ranked([likes(0, 5) + likes(0, 5, "down")]))
    assert len(one.chosen) == 8
