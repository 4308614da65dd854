from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import BadInput
from digest.evaluation.protocol import (
    KINDS,
    Fold,
    load,
    marks,
    mean_and_error,
    narrowed,
    random_folds,
    time_fold,
)
from tests.evaluation.libraries import World, paper, write

WHOLE = [kind for kind in KINDS if kind != "k0"]


@pytest.fixture(scope="module")
def folds(world: World) -> list[Fold]:
    return [
        *random_folds(world.collection, world.vectors),
        time_fold(world.collection, world.vectors),
    ]


# Reading the folder


def ten_papers() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [paper(100 + i, rng) for i in range(10)]


def test_ids_of_a_file_may_be_any_numbers(tmp_path: Path) -> None:
    write(tmp_path, ten_papers(), [{"user": 7, "papers": [109, 101, 101]}])
    collection = load(tmp_path)
    assert collection.users.tolist() == [7]
    assert collection.libraries[0].tolist() == [9, 1]


def test_the_text_of_a_paper_without_an_abstract_is_its_title(tmp_path: Path) -> None:
    papers = ten_papers()
    papers[0] |= {"title": "T", "abstract": ""}
    papers[1] |= {"title": "T", "abstract": "A"}
    read = load(write(tmp_path, papers, [{"user": 0, "papers": [100]}])).papers
    assert [read[0].text, read[1].text] == ["T", "T. A"]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"papers\.jsonl: No such file"):
        load(tmp_path / "none")


@pytest.mark.parametrize(
    ("papers", "library", "said"),
    [
        ([{"id": 1}], {"user": 0, "papers": []}, r"papers\.jsonl:1: title: Field required"),
        (["text"], {"user": 0, "papers": []}, r"papers\.jsonl:1: "),
        (None, {"user": -1, "papers": []}, r"libraries\.jsonl:1: user: "),
        (None, {"user": 0, "papers": [3]}, r"libraries\.jsonl:1: papers\.jsonl has no paper 3"),
        (None, {"user": 0, "papers": "all"}, r"libraries\.jsonl:1: papers: "),
        ([], {"user": 0, "papers": []}, r"papers\.jsonl: is empty"),
    ],
)
def test_a_broken_line_is_refused_by_file_and_number(
    tmp_path: Path, papers: list[Any] | None, library: object, said: str
) -> None:
    write(tmp_path, ten_papers() if papers is None else papers, [library])
    with pytest.raises(BadInput, match=said):
        load(tmp_path)


def test_too_few_papers_two_of_one_id_and_two_of_one_user_are_refused(tmp_path: Path) -> None:
    one = {"user": 0, "papers": [100]}
    for papers, libraries, said in (
        (ten_papers()[:9], [one], "10 papers are the least"),
        (ten_papers() + ten_papers()[:1], [one], "two papers have one id"),
        (ten_papers(), [one, one], "two libraries have one user"),
    ):
        with pytest.raises(BadInput, match=said):
            load(write(tmp_path, papers, libraries))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ten_papers(), [{"user": 0, "papers": []}])
    (tmp_path / "libraries.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(BadInput, match=r"libraries\.jsonl:1: "):
        load(tmp_path)


# Folds


def test_every_paper_is_cold_in_one_random_fold(world: World, folds: list[Fold]) -> None:
    n = len(world.collection.papers)
    cold = np.concatenate([fold.cold for fold in folds[:5]])
    assert sorted(cold) == list(range(n))
    expected = np.array_split(np.random.default_rng(0).permutation(n), 5)
    assert all(set(fold.cold) == set(e) for fold, e in zip(folds[:5], expected, strict=True))


def test_known_and_cold_share_the_papers_out(folds: list[Fold]) -> None:
    for fold in folds:
        assert sorted([*fold.known, *fold.cold]) == list(range(len(fold.texts)))
        assert (np.diff(fold.known) > 0).all()
        assert (np.diff(fold.cold) > 0).all()


def test_no_cold_paper_of_the_time_split_was_posted_before_a_known_one(folds: list[Fold]) -> None:
    fold = folds[5]
    assert len(fold.known) == int(0.8 * len(fold.texts))
    assert fold.days[fold.known].max() <= fold.days[fold.cold].min()


def test_a_fold_does_not_tell_who_likes_a_cold_paper(folds: list[Fold]) -> None:
    for fold in folds:
        told = np.concatenate(fold.libraries)
        assert not np.isin(told, fold.cold).any()


def test_what_learns_from_others_never_sees_the_users_of_a_fold(
    world: World, folds: list[Fold]
) -> None:
    fold = folds[0]
    assert Counter(fold.user_folds.tolist()) == dict.fromkeys(range(5), 12)
    for one in world.rounds(fold, ["all"]):
        for case, reader in zip(one.cases, one.readers, strict=True):
            assert case.user_fold == fold.user_folds[reader]
            others = fold.others(case.user_fold)
            assert len(others) == 48
            assert not any(library is fold.libraries[reader] for library in others)


def test_a_narrowed_fold_forgets_likes_of_what_is_not_known_yet(folds: list[Fold]) -> None:
    fold = folds[0]
    then = narrowed(fold, fold.known[:40], fold.known[40:50])
    assert then.known.tolist() == fold.known[:40].tolist()
    assert np.isin(np.concatenate(then.libraries), then.known).all()
    assert all(not tags for i, tags in enumerate(then.tags) if i not in set(then.known))


def test_a_fold_knows_what_the_readers_of_known_papers_would_type(
    world: World, folds: list[Fold]
) -> None:
    for fold in folds:
        assert not any(fold.tags[i] for i in fold.cold)
        typed = {
            case.user: case.interest.text
            for one in world.rounds(fold, ["k0"])
            for case in one.cases
            if case.interest
        }
        for user, likes in zip(world.collection.users, fold.libraries, strict=True):
            assert typed.get(int(user), fold.interest(likes)) == fold.interest(likes)
            assert world.collection.papers[likes[0]].tags[0] in fold.interest(likes)
    assert fold.interest(fold.known[:0]) == ""


# Cases


def test_likes_are_known_and_wanted_papers_are_the_cold_rest(
    world: World, folds: list[Fold]
) -> None:
    for fold in folds:
        for one in world.rounds(fold, list(KINDS)):
            for case, reader, wanted in zip(one.cases, one.readers, one.wanted, strict=True):
                library = set(world.collection.libraries[reader].tolist())
                assert set(case.likes.tolist()) <= library & set(fold.known.tolist())
                assert set(fold.cold[wanted].tolist()) == library & set(fold.cold.tolist())
                assert len(wanted)
                assert not len(case.dislikes)


def test_samples_are_nested_and_drawn_as_the_protocol_says(world: World, folds: list[Fold]) -> None:
    for fold in folds[:2]:
        asked = {one.kind: one for one in world.rounds(fold, WHOLE)}
        small = [asked[kind] for kind in ("k1", "k3", "k5", "k10")]
        assert all(one.readers.tolist() == small[0].readers.tolist() for one in small)
        for cases in zip(*(one.cases for one in small), strict=True):
            samples = [case.likes.tolist() for case in cases]
            assert [len(sample) for sample in samples] == [1, 3, 5, 10]
            assert all(long[: len(short)] == short for short, long in pairwise(samples))
        reader, case = int(small[0].readers[0]), small[3].cases[0]
        known = fold.libraries[reader]
        drawn = np.random.default_rng(1000 * fold.number + case.user).permutation(len(known))
        assert case.likes.tolist() == known[drawn[:10]].tolist()


def test_each_kind_asks_readers_with_enough_likes(world: World, folds: list[Fold]) -> None:
    for one in world.rounds(folds[0], list(KINDS)):
        size, least = KINDS[one.kind]
        known = [len(folds[0].libraries[reader]) for reader in one.readers]
        assert min(known) >= least
        told = [len(case.likes) for case in one.cases]
        assert told == (known if size is None else [size] * len(known))


def test_an_interest_is_the_most_frequent_tags_of_known_likes(
    world: World, folds: list[Fold]
) -> None:
    (one,) = world.rounds(folds[0], ["k0"])
    for case, reader in zip(one.cases, one.readers, strict=True):
        assert case.interest is not None
        tags = Counter(
            tag for i in folds[0].libraries[reader] for tag in world.collection.papers[i].tags
        )
        words = case.interest.text.split()
        assert len(words) == 5
        least = min(tags[word] for word in words)
        assert all(n <= least for tag, n in tags.items() if tag not in words)
        assert case.interest.vector.shape == world.vectors[0].shape


def test_tuning_and_reporting_share_the_users_out(world: World, folds: list[Fold]) -> None:
    users = {
        part: {case.user for one in world.rounds(folds[0], ["all"], part) for case in one.cases}
        for part in ("tune", "report", "all")
    }
    assert users["tune"]
    assert all(user % 4 == 0 for user in users["tune"])
    assert not users["tune"] & users["report"]
    assert users["tune"] | users["report"] == users["all"]


# Marks


def by_hand(scores: Sequence[float], wanted: list[int]) -> list[float]:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    gains = [1 / np.log2(place + 2) for place, i in enumerate(order[:10]) if i in wanted]
    ideal = [1 / np.log2(place + 2) for place in range(min(10, len(wanted)))]
    pairs = [(w, o) for w in wanted for o in range(len(scores)) if o not in wanted]
    right = sum(scores[w] > scores[o] for w, o in pairs)
    return [
        sum(gains) / sum(ideal),
        sum(i in wanted for i in order[:10]) / len(wanted),
        1 / (1 + min(order.index(w) for w in wanted)),
        right / len(pairs) if pairs else 0.5,
    ]


@given(st.data())
def test_marks_are_those_worked_out_by_hand(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    rows = data.draw(
        st.lists(
            st.lists(st.integers(-999, 999), min_size=n, max_size=n, unique=True),
            min_size=1,
            max_size=4,
        )
    )
    wanted = [
        data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
        for _ in rows
    ]
    given_ = marks(np.array(rows, float), [np.array(w) for w in wanted], np.random.default_rng(0))
    expected = [by_hand(row, w) for row, w in zip(rows, wanted, strict=True)]
    np.testing.assert_allclose(given_, expected, atol=1e-12)


@given(st.integers(2, 40), st.integers(0, 2**32))
def test_marks_do_not_depend_on_the_scale_of_scores(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wanted = rng.random((2, n)), [np.array([0]), np.array([n - 1])]
    one = marks(scores, wanted, np.random.default_rng(0))
    np.testing.assert_array_equal(one, marks(7 * scores - 3, wanted, np.random.default_rng(0)))


def test_equal_scores_are_ordered_by_chance() -> None:
    scores, wanted = np.zeros((4000, 20)), [np.array([0])] * 4000
    given_ = marks(scores, wanted, np.random.default_rng(5)).mean(axis=0)
    assert given_[3] == pytest.approx(0.5, abs=0.02)
    assert given_[1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_no_answer(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        marks(np.array([[0.0, bad]]), [np.array([0])], np.random.default_rng(0))


# Errors


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_the_error_of_single_rows_is_the_textbook_one(values: list[float]) -> None:
    column = np.array(values)[:, None]
    mean, error = mean_and_error(np.arange(len(values)), column)
    assert mean[0] == pytest.approx(np.mean(values))
    assert error[0] == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_asking_a_user_again_makes_nothing_surer(values: list[float]) -> None:
    users, column = np.arange(len(values)), np.array(values)[:, None]
    _, once = mean_and_error(users, column)
    _, twice = mean_and_error(np.repeat(users, 2), np.repeat(column, 2, axis=0))
    np.testing.assert_allclose(once, twice, atol=1e-12)


def test_the_error_of_one_user_is_not_known() -> None:
    assert np.isnan(mean_and_error(np.array([1, 1]), np.array([[0.0], [1.0]]))[1]).all()
