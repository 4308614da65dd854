"""Our own ranker on a fold: what interests mean is learned from others, and only for interests."""

from dataclasses import replace

import numpy as np
import pytest

from digest.evaluation.ours import Ours, _OfFold
from digest.evaluation.protocol import Fold, random_folds
from digest.profiles.ground import terms_of
from digest.ranking.types import Texts
from tests.evaluation.libraries import EMBED, TOPICS, World


@pytest.fixture(scope="module")
def fold(world: World) -> Fold:
    return random_folds(world.collection, world.vectors)[0]


def test_what_readers_mean_is_learned_without_the_users_that_are_scored(fold: Fold) -> None:
    nothing = fold.known[:0]
    alone = replace(
        fold,
        libraries=tuple(
            nothing if number == 2 else likes
            for likes, number in zip(fold.libraries, fold.user_folds, strict=True)
        ),
    )
    typed = list(TOPICS)
    found = []
    for one in (fold, alone):
        of = _OfFold.read(one, EMBED)
        space, _ = of.space(2, typed=True)
        assert space.meanings is not None
        assert len(space.meanings.owners) == len(fold.others(2)) == 48
        found.append(space.interests(Texts(EMBED(typed), terms_of(of.words, typed))))
    assert np.array_equal(*found)


def test_what_readers_mean_is_no_matter_where_nothing_is_typed(world: World, fold: Fold) -> None:
    (likes,) = world.rounds(fold, ["k3"])
    (typed,) = world.rounds(fold, ["k0"])
    ours = Ours(EMBED)
    before = ours.scores(fold, likes.cases)
    assert ours._of is not None
    assert ours._of.space(0, typed=False)[0].meanings is None
    ours.scores(fold, typed.cases)
    assert np.array_equal(ours.scores(fold, likes.cases), before)


def test_a_collection_without_tags_has_nothing_to_learn_from(fold: Fold) -> None:
    bare = replace(fold, tags=tuple(() for _ in fold.tags))
    space, _ = _OfFold.read(bare, EMBED).space(0, typed=True)
    assert space.meanings is None
