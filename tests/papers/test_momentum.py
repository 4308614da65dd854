"""How much a paper trends, from its listings of the last days; on both databases."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from digest.papers.momentum import OLD, WINDOW, Momentum, _score, momenta
from digest.store import Sessions
from digest.store.tables import ListingRow, Page, Paper

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOTHING = Momentum(0.0, 0, None, resurfaced=False)


def add_paper(
    sessions: Sessions, *, first_seen_at: datetime = NOON, published_on: date | None = None
) -> int:
    with sessions() as session:
        paper = Paper(
            title="Bees",
            abstract="",
            authors=[],
            text_hash="",
            first_seen_at=first_seen_at,
            published_on=published_on,
        )
        session.add(paper)
        session.flush()
        return paper.id


def show(
    sessions: Sessions,
    paper_id: int,
    position: int,
    *,
    upvotes: int | None = None,
    at: datetime = NOON,
) -> None:
    with sessions() as session:
        page = Page(
            source="here",
            reader="given",
            sha256=f"{paper_id} {position} {at}",
            content=b"",
            page_date=None,
            seen_at=at,
        )
        session.add(page)
        session.flush()
        session.add(
            ListingRow(
                page_id=page.id,
                paper_id=paper_id,
                source="here",
                page_date=None,
                seen_at=at,
                position=position,
                upvotes=upvotes,
                title="Bees",
                facts={},
            )
        )


def measured(sessions: Sessions, *paper_ids: int, now: datetime = NOON) -> list[Momentum]:
    with sessions.reading() as session:
        found = momenta(session, paper_ids, now)
    assert list(found) == list(paper_ids)
    return [found[id_] for id_ in paper_ids]


def test_a_paper_that_no_page_showed_lately_has_none(sessions: Sessions) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 1, at=NOON - WINDOW)
    assert measured(sessions, paper, 999) == [NOTHING, NOTHING]


def test_what_will_be_shown_tomorrow_says_nothing_of_today(sessions: Sessions) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 1, at=NOON + timedelta(hours=1))
    assert measured(sessions, paper) == [NOTHING]


def test_a_higher_place_and_more_pages_count_for_more(sessions: Sessions) -> None:
    top, twice, once = (add_paper(sessions) for _ in range(3))
    show(sessions, top, 1)
    show(sessions, twice, 5)
    show(sessions, twice, 9, at=NOON - timedelta(days=1))
    show(sessions, once, 5)
    scores = [momentum.score for momentum in measured(sessions, top, twice, once)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


def test_the_most_upvotes_that_any_page_showed_count(sessions: Sessions) -> None:
    many, few = add_paper(sessions), add_paper(sessions)
    show(sessions, many, 2, upvotes=10, at=NOON - timedelta(days=1))
    show(sessions, many, 2, upvotes=90)
    show(sessions, few, 2, upvotes=3)
    show(sessions, few, 2, at=NOON - timedelta(days=1))
    one, other = measured(sessions, many, few)
    assert (one.upvotes, one.pages) == (90, 2)
    assert (other.upvotes, other.pages) == (3, 2)
    assert one.score > other.score


def test_a_page_without_upvotes_says_so(sessions: Sessions) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 1)
    (momentum,) = measured(sessions, paper)
    assert (momentum.upvotes, momentum.resurfaced) == (None, False)


def test_an_old_paper_that_is_shown_again_has_resurfaced(sessions: Sessions) -> None:
    long_ago = NOON - OLD - timedelta(days=1)
    papers = [
        add_paper(sessions),
        add_paper(sessions, first_seen_at=long_ago),
        add_paper(sessions, published_on=long_ago.date()),
    ]
    for paper in papers:
        show(sessions, paper, 1)
    assert [m.resurfaced for m in measured(sessions, *papers)] == [False, True, True]


def test_no_papers_have_no_momenta(sessions: Sessions) -> None:
    assert measured(sessions) == []


positive = st.integers(1, 10**6).map(float)


@given(st.integers(1, 20).flatmap(lambda n: arrays(float, (3, n), elements=positive)))
def test_every_score_lies_between_nothing_and_one(listed: np.ndarray) -> None:
    for upvotes in listed[1], np.zeros_like(listed[1]):
        scores = _score(listed[0], upvotes, listed[2])
        assert ((scores > 0) & (scores <= 1)).all()
