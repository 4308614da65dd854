"""The momentum score by what it promises: order, bounds, and a value for whatever is missing."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.ranking.momentum import (
    NOTICED,
    TOP,
    Floats,
    Standing,
    above_page,
    momentum,
    prior,
    records,
    share_in,
)

counts = st.integers(0, 10**6).map(float)
maybe = counts | st.just(np.nan)
at_least_one = st.integers(1, 10**4).map(float)
FACTS: dict[str, st.SearchStrategy[float]] = {
    "pages": st.integers(0, 100).map(float),
    "sources": st.integers(0, 20).map(float),
    "upvotes": maybe,
    "hours": st.floats(-5, 10**4) | st.just(np.nan),
    "before": maybe,
    "place": at_least_one | st.just(np.nan),
    "of": at_least_one | st.just(np.nan),
    "authors": maybe,
    "record": st.floats(-5, 5) | st.just(np.nan),
    "stars": maybe,
    "comments": maybe,
    "ups": counts,
    "downs": counts,
}


@st.composite
def standings(draw: st.DrawFn, least: int = 0) -> Standing:
    n = draw(st.integers(least, 8))
    return Standing(
        **{
            name: np.array(draw(st.lists(value, min_size=n, max_size=n)), dtype=float)
            for name, value in FACTS.items()
        }
    )


def one(**facts: float) -> Standing:
    """One paper on one page, 12th of it, with 10 upvotes by the usual hour."""
    given = {"pages": 1.0, "place": 12.0, "upvotes": 10.0} | facts
    return Standing(**{name: np.array([value]) for name, value in given.items()})


def score(papers: Standing, **more: float) -> float:
    (found,) = momentum(papers, **more)
    return float(found)


@given(standings())
def test_every_score_lies_between_nothing_and_one(papers: Standing) -> None:
    scores = momentum(papers)
    assert scores.shape == papers.pages.shape
    assert ((scores >= 0) & (scores <= 1)).all()


@given(standings())
def test_a_paper_on_no_page_scores_nothing_and_any_other_something(papers: Standing) -> None:
    assert ((momentum(papers) > 0) == (papers.pages > 0)).all()


@given(standings(least=1), st.randoms())
def test_papers_are_scored_alike_in_whatever_order_they_come(papers: Standing, random: Any) -> None:
    order = list(range(len(papers.pages)))
    random.shuffle(order)
    shuffled = Standing(
        **{field.name: getattr(papers, field.name)[order] for field in fields(papers)}
    )
    assert (momentum(shuffled) == momentum(papers)[order]).all()


@given(standings(least=1), st.data())
def test_a_paper_is_scored_without_regard_to_the_others(
    papers: Standing, data: st.DataObject
) -> None:
    i = data.draw(st.integers(0, len(papers.pages) - 1))
    alone = Standing(**{field.name: getattr(papers, field.name)[[i]] for field in fields(papers)})
    assert momentum(alone)[0] == momentum(papers)[i]


RISES = ("pages", "sources", "upvotes", "authors", "record", "stars", "comments", "ups")
FALLS = ("hours", "before", "place", "of", "downs")


@given(standings(least=1), st.sampled_from(RISES + FALLS), st.floats(1.0, 1000.0))
def test_more_of_what_speaks_for_a_paper_never_lowers_its_score(
    papers: Standing, name: str, more: float
) -> None:
    values: Floats = getattr(papers, name)
    known = ~np.isnan(values)
    raised = momentum(replace(papers, **{name: values + more}))[known]
    scores = momentum(papers)[known]
    # Equal but for the last digits of a float.
    assert (raised >= scores * (1 - 1e-12) if name in RISES else raised <= scores + 1e-12).all()


@pytest.mark.parametrize("name", RISES + FALLS)
def test_everything_that_is_known_moves_the_score(name: str) -> None:
    low = {"sources": 1.0, "of": 40.0, "hours": 6.0, "before": 2.0, "authors": 3.0, "record": 0.1}
    usual = one(**low, stars=2.0, comments=1.0, ups=1.0, downs=1.0)
    more = replace(usual, **{name: getattr(usual, name) + 1.0})
    assert (score(more) > score(usual)) is (name in RISES)
    assert score(more) != score(usual)


def test_what_only_lists_carry_that_rank_nothing_scores_below_all_that_was_noticed() -> None:
    scores = momentum(Standing(pages=np.ones(3)))
    assert 0 < scores[0] == scores[1] == scores[2] < NOTICED
    noticed = momentum(
        Standing(pages=np.ones(2), upvotes=np.array([1.0, 0.0]), place=np.array([np.nan, 90.0]))
    )
    assert (noticed >= NOTICED).all()
    assert momentum(Standing(pages=np.zeros(0))).shape == (0,)


def test_upvotes_that_are_not_shown_lie_between_none_and_many() -> None:
    none, unknown, many = (score(one(upvotes=n)) for n in (0.0, np.nan, 100.0))
    assert none < unknown < many


def test_without_any_upvotes_the_place_speaks() -> None:
    first, fifth, last = (score(one(place=n, upvotes=np.nan)) for n in (1.0, 5.0, 40.0))
    assert first > fifth > last


def test_a_paper_of_a_long_feed_does_not_beat_one_with_a_few_upvotes() -> None:
    first_of_feed, middle_of_feed = (score(one(place=n, of=300.0, upvotes=np.nan)) for n in (1, 99))
    assert middle_of_feed < score(one(place=9.0, of=20.0, upvotes=5.0, hours=7.0))
    assert first_of_feed < score(one(place=1.0, of=20.0, upvotes=np.nan))


def test_the_same_upvotes_in_fewer_hours_count_for_more() -> None:
    assert score(one(hours=4.0)) > score(one(hours=8.0)) > score(one(hours=30.0))


def test_half_of_the_upvotes_are_in_after_the_half_life() -> None:
    shares = share_in(np.array([-3.0, 0.0, 12.0, 24.0, 1e9]))
    assert shares.tolist() == [share_in(1.0), share_in(1.0), 0.5, 0.75, 1.0]


def test_many_early_upvotes_outweigh_what_was_expected_of_a_paper() -> None:
    unexpected = one(upvotes=60.0, authors=1.0, record=-1.0)
    expected = one(upvotes=6.0, authors=60.0, record=1.0)
    assert float(prior(expected)[0]) > 5 * float(prior(unexpected)[0])
    assert score(unexpected) > score(expected)


def test_few_early_upvotes_leave_the_word_to_what_was_expected() -> None:
    assert score(one(upvotes=1.0, authors=40.0)) > score(one(upvotes=2.0, authors=1.0))


def test_a_paper_that_ends_in_the_top_tenth_scores_half() -> None:
    late = one(upvotes=TOP, hours=1000.0, place=np.nan)
    assert score(late) == pytest.approx(0.5, abs=0.01)


def test_a_paper_that_grew_since_yesterday_beats_one_that_stood_still() -> None:
    grown, still, unknown = (score(one(before=n)) for n in (1.0, 10.0, np.nan))
    assert grown > still == unknown


def test_a_count_that_fell_is_not_held_against_a_paper() -> None:
    assert score(one(before=50.0)) == score(one())


# --- our readers' votes


def test_one_vote_of_ours_moves_little_and_many_move_much() -> None:
    silent, single, many = (score(one(ups=n), approval=0.7) for n in (0.0, 1.0, 50.0))
    assert silent < single < many
    assert single - silent < (many - silent) / 5


def test_votes_that_are_no_better_than_the_mean_say_nothing() -> None:
    assert score(one(ups=70.0, downs=30.0), approval=0.7) == pytest.approx(score(one()))


@given(st.floats(0.01, 0.99), counts, counts)
def test_votes_are_shrunk_towards_the_mean_of_all(
    approval: float, ups: float, downs: float
) -> None:
    silent = score(one(), approval=approval)
    voted = score(one(ups=ups, downs=downs), approval=approval)
    better = ups * (1 - approval) - downs * approval
    assert abs(better) < 1e-6 or (voted > silent) is (better > 0) or voted == pytest.approx(silent)


# --- records


def test_nobody_known_has_no_record() -> None:
    heat = np.array([2.0])
    assert records([{"Ann"}, set()], [{"Bob"}], heat).tolist() == [0.0, 0.0]
    assert records([{"Ann"}], [], np.zeros(0)).tolist() == [0.0]
    assert records([], [{"Bob"}], heat).shape == (0,)


def test_one_good_paper_makes_less_of_a_record_than_five() -> None:
    once, often = records([{"Ann"}, {"Bob"}], [{"Ann"}, *[{"Bob"}] * 5], np.ones(6)).tolist()
    assert 0 < once < often < 1


def test_whoever_stood_below_their_pages_has_a_record_below_none() -> None:
    (record,) = records([{"Ann"}], [{"Ann"}], np.array([-1.0]))
    assert record < 0


@given(
    st.lists(st.sets(st.sampled_from("abcdef"), max_size=4), max_size=5),
    st.lists(st.tuples(st.sets(st.sampled_from("abcdef"), max_size=4), st.floats(-5, 5))),
)
def test_a_record_lies_within_what_was_done(
    people: list[set[str]], past: list[tuple[set[str], float]]
) -> None:
    heat = np.array([value for _, value in past])
    found = records(people, [names for names, _ in past], heat)
    assert found.shape == (len(people),)
    most = np.abs(heat).max(initial=0.0)
    assert (np.abs(found) <= most + 1e-9).all()


def test_a_page_of_many_upvotes_raises_nobody_on_it_above_another_page() -> None:
    heat = above_page(np.array([9.0, 9.0, 99.0, 99.0]), np.array([0, 0, 1, 1]))
    assert heat == pytest.approx(0.0)
    assert above_page(np.zeros(0), np.zeros(0, np.int64)).shape == (0,)
