"""Each choice of a ranker does what it says, and the rest is as the standard one has it."""

import numpy as np

from digest.ranking.profile import fit_profiles, scores
from digest.ranking.rank import Rankings, rank
from digest.ranking.ranker import Ranker
from tests.ranking.world import Told, board, likes, places, ranked, signals_of, topic_of, wishes_of

BOARD = board()


def by(told: list[Told], **choices: float) -> Rankings:
    return rank(
        fit_profiles(signals_of([told], BOARD.known), BOARD.space, Ranker("it", **choices)),
        BOARD.candidates,
        wishes_of(1),
        free=np.ones((1, len(BOARD.candidates)), np.bool_),
        draws=np.full(1, 0.5, np.float32),
    )


def liking(told: list[Told], topic: int, **choices: float) -> float:
    """The mean score of a topic's papers."""
    profiles = fit_profiles(signals_of([told], BOARD.known), BOARD.space, Ranker("it", **choices))
    of_topic = [i for i in range(len(BOARD.candidates)) if topic_of(i) == topic]
    return float(scores(profiles, BOARD.candidates.points[of_topic]).mean())


def test_without_choices_it_is_the_standard_one() -> None:
    told = [*likes(0, 5), *likes(1, 2, "down")]
    assert by(told).of(0) == ranked([told]).of(0)


def test_a_short_half_life_forgets_old_votes_beside_new_ones() -> None:
    told = [*likes(0, 3), *[("up", 1 + 4 * i, 300.0) for i in range(3)]]
    kept, forgotten = (liking(told, 1, half_life_days=days) for days in (540.0, 30.0))
    assert kept > 0.2
    assert forgotten < kept / 5


def test_a_dislike_counts_as_much_as_it_says() -> None:
    told = [*likes(0, 3), *likes(1, 3, "down")]
    weak, strong = (liking(told, 1, dislike=by) for by in (0.3, 1.0))
    assert strong < 2 * weak < 0


def test_momentum_lifts_trending_papers_within_the_topic_and_nothing_that_is_unwanted() -> None:
    told = [*likes(0, 5), *likes(1, 1)]
    momentum = BOARD.candidates.momentum
    plain, lifted = (places(by(told, momentum=by_).of(0), "personal") for by_ in (0.0, 5.0))
    assert momentum[lifted].mean() > momentum[plain].mean()
    assert {topic_of(place) for place in lifted} <= {0, 1}
    # Scores and probabilities stay those of the profile.
    scored = {one.paper_id: one.score for one in by(told).of(0).chosen}
    for one in by(told, momentum=5.0).of(0).chosen:
        if one.lane == "personal" and one.paper_id in scored:
            assert one.score == scored[one.paper_id]


def test_diversity_makes_the_list_less_alike() -> None:
    def likeness(diversity: float) -> float:
        vectors = BOARD.candidates.vectors[places(by(told, diversity=diversity).of(0), "personal")]
        return float((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())

    told = [*likes(0, 5), *likes(1, 5)]
    assert likeness(1.0) < likeness(0.0)


def test_a_cold_exploration_draws_what_is_least_known_almost_surely() -> None:
    def propensity(heat: float) -> float:
        return by(likes(0, 5), exploration_heat=heat).of(0).chosen[-1].propensity

    assert propensity(100.0) < 0.13
    assert propensity(0.001) > 0.9
