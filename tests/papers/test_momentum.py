"""How much a paper trends, from its listings of the last days; on both databases."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from digest.papers.momentum import OLD, RECORD, WINDOW, Momentum, momenta
from digest.store import Sessions
from digest.store.tables import ListingRow, Page, Paper, Subscriber, VotedVia, VoteRow, VoteValue

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOTHING = Momentum(0.0, 0, None, resurfaced=False)


TODAY = NOON.date()
DAY = timedelta(days=1)
_numbers = count()


def add_paper(
    sessions: Sessions,
    *authors: str,
    first_seen_at: datetime = NOON,
    published_on: date | None = None,
) -> int:
    with sessions() as session:
        paper = Paper(
            title="Bees",
            abstract="",
            authors=list(authors),
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
    source: str = "here",
    reader: str = "trending-page",
    page_date: date | None = None,
    **facts: Any,
) -> None:
    """Show a paper on a page of its own."""
    add_page(
        sessions,
        {paper_id: position},
        upvotes=upvotes,
        at=at,
        source=source,
        reader=reader,
        page_date=page_date,
        **facts,
    )


def add_page(
    sessions: Sessions,
    positions: dict[int, int],
    *,
    upvotes: int | None = None,
    at: datetime = NOON,
    source: str = "here",
    reader: str = "trending-page",
    page_date: date | None = None,
    **facts: Any,
) -> None:
    with sessions() as session:
        page = Page(
            source=source,
            reader=reader,
            sha256=str(next(_numbers)),
            content=b"",
            page_date=page_date,
            seen_at=at,
        )
        session.add(page)
        session.flush()
        for paper_id, position in positions.items():
            session.add(
                ListingRow(
                    page_id=page.id,
                    paper_id=paper_id,
                    source=source,
                    page_date=page_date,
                    seen_at=at,
                    position=position,
                    upvotes=upvotes,
                    title="Bees",
                    facts=facts,
                )
            )


def cast_votes(
    sessions: Sessions,
    paper_id: int,
    n: int,
    value: VoteValue = "up",
    *,
    via: VotedVia = "web",
    at: datetime = NOON,
) -> None:
    """Let `n` new subscribers vote on a paper."""
    with sessions() as session:
        for _ in range(n):
            address = f"reader{next(_numbers)}@example.org"
            subscriber = Subscriber(
                address=address,
                address_key=address,
                state="active",
                timezone="UTC",
                hour=7,
                frequency="daily",
                length=10,
                mix=0.7,
                created_at=NOON,
            )
            session.add(subscriber)
            session.flush()
            session.add(
                VoteRow(subscriber_id=subscriber.id, paper_id=paper_id, value=value, via=via, at=at)
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


def test_a_paper_that_is_asked_for_twice_is_answered_once(sessions: Sessions) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 1)
    with sessions.reading() as session:
        assert list(momenta(session, [paper, paper], NOON)) == [paper]


def test_the_score_of_a_paper_does_not_depend_on_who_else_is_asked_for(sessions: Sessions) -> None:
    one, other = add_paper(sessions, "Ann"), add_paper(sessions, "Bob", "Cy")
    add_page(sessions, {one: 1, other: 2}, upvotes=7)
    assert measured(sessions, one, other) == [*measured(sessions, one), *measured(sessions, other)]


# --- pages, sources, places


def test_a_place_on_a_list_that_ranks_nothing_is_no_place(sessions: Sessions) -> None:
    first, noticed = add_paper(sessions, "Ada"), add_paper(sessions, "Ben")
    show(sessions, first, 1, reader="arxiv-feed")
    show(sessions, first, 1, reader="feed", source="there")
    show(sessions, noticed, 40)
    listed, ranked = measured(sessions, first, noticed)
    assert (listed.place, listed.of) == (None, 0)
    assert ranked.place == 40
    assert listed.score < ranked.score


def test_the_best_place_is_told_with_the_length_of_its_page(sessions: Sessions) -> None:
    paper, *others = (add_paper(sessions) for _ in range(5))
    add_page(sessions, {paper: 2} | dict(zip(others, (1, 3, 4, 5), strict=True)))
    show(sessions, paper, 9, source="there")
    (momentum,) = measured(sessions, paper)
    assert (momentum.place, momentum.of) == (2, 5)


def test_a_page_that_was_read_again_is_one_page_and_its_last_reading_counts(
    sessions: Sessions,
) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 1, page_date=TODAY, at=NOON - timedelta(hours=6))
    show(sessions, paper, 4, page_date=TODAY, at=NOON - timedelta(hours=3))
    (momentum,) = measured(sessions, paper)
    assert (momentum.pages, momentum.sources, momentum.place) == (1, 1, 4)


def test_a_list_that_ranks_nothing_is_one_page_however_many_days_it_says_the_same(
    sessions: Sessions,
) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 1)
    for days in range(3):
        show(sessions, paper, 1, reader="arxiv-days", source="there", at=NOON - days * DAY)
    (momentum,) = measured(sessions, paper)
    assert (momentum.pages, momentum.sources) == (2, 2)


def test_two_sources_say_more_than_two_days_of_one(sessions: Sessions) -> None:
    often, widely = add_paper(sessions), add_paper(sessions)
    show(sessions, often, 5)
    show(sessions, often, 5, at=NOON - DAY)
    show(sessions, widely, 5)
    show(sessions, widely, 5, source="there")
    one, other = measured(sessions, often, widely)
    assert (one.pages, one.sources) == (2, 1)
    assert (other.pages, other.sources) == (2, 2)
    assert other.score > one.score


# --- upvotes


def test_the_same_upvotes_on_a_page_of_yesterday_count_for_less(sessions: Sessions) -> None:
    new, old = add_paper(sessions), add_paper(sessions)
    show(sessions, new, 3, upvotes=20, page_date=TODAY)
    show(sessions, old, 3, upvotes=20, page_date=TODAY - DAY)
    one, other = measured(sessions, new, old)
    assert one.score > other.score


def test_what_a_paper_gained_since_yesterday_is_told_and_counts(sessions: Sessions) -> None:
    grows, stands, new = (add_paper(sessions) for _ in range(3))
    for paper, before in (grows, 10), (stands, 40):
        show(sessions, paper, 3, upvotes=before, page_date=TODAY - DAY, at=NOON - DAY)
        show(sessions, paper, 3, upvotes=40, page_date=TODAY - DAY)
    show(sessions, new, 3, upvotes=40, page_date=TODAY)
    one, other, third = measured(sessions, grows, stands, new)
    assert (one.growth, other.growth, third.growth) == (30, 0, None)
    assert one.score > other.score


def test_counts_of_two_sources_are_no_growth(sessions: Sessions) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 3, upvotes=5, source="there", at=NOON - DAY)
    show(sessions, paper, 3, upvotes=50)
    (momentum,) = measured(sessions, paper)
    assert (momentum.upvotes, momentum.growth) == (50, None)


def test_stars_and_comments_count_where_a_page_gives_them(sessions: Sessions) -> None:
    plain, starred, discussed = (add_paper(sessions) for _ in range(3))
    show(sessions, plain, 3)
    show(sessions, starred, 3, github_stars=900)
    show(sessions, discussed, 3, comments=9)
    scores = [momentum.score for momentum in measured(sessions, plain, starred, discussed)]
    assert scores[0] < min(scores[1:])


@pytest.mark.parametrize("junk", ["many", -3, True, None, [7], {"n": 7}])
def test_facts_that_are_no_numbers_say_nothing(sessions: Sessions, junk: Any) -> None:
    plain, odd = add_paper(sessions), add_paper(sessions)
    show(sessions, plain, 3)
    show(sessions, odd, 3, github_stars=junk, comments=junk, submitter=junk)
    one, other = measured(sessions, plain, odd)
    assert one == other


# --- people


def past_page(sessions: Sessions, *, at: datetime, submitter: str = "Dot") -> None:
    """A page on which Ann's paper was the star and nobody knows the others."""
    papers = [add_paper(sessions, "Ann", first_seen_at=at)]
    papers += [add_paper(sessions, f"{n}", first_seen_at=at) for n in range(4)]
    for place, paper in enumerate(papers, start=1):
        show(
            sessions,
            paper,
            place,
            upvotes=0 if place > 1 else 90,
            at=at,
            page_date=at.date(),
            submitter=submitter if place == 1 else f"submitter {place}",
        )


def test_whose_papers_did_well_before_is_expected_to_do_well(sessions: Sessions) -> None:
    past_page(sessions, at=NOON - 10 * DAY)
    known, unknown, poor = (add_paper(sessions, name) for name in ("Ann", "Eve", "1"))
    for paper in known, unknown, poor:
        show(sessions, paper, 3)
    one, other, third = measured(sessions, known, unknown, poor)
    assert one.score > other.score > third.score


def test_who_submits_a_paper_has_a_record_too(sessions: Sessions) -> None:
    past_page(sessions, at=NOON - 10 * DAY, submitter="Dot")
    known, unknown = add_paper(sessions, "Eve"), add_paper(sessions, "Eve")
    show(sessions, known, 3, submitter="Dot")
    show(sessions, unknown, 3, submitter="Ed")
    one, other = measured(sessions, known, unknown)
    assert one.score > other.score


@pytest.mark.parametrize("at", [NOON - RECORD - DAY, NOON - DAY, NOON + DAY])
def test_no_record_is_made_of_what_is_long_ago_or_still_on_the_pages_or_to_come(
    sessions: Sessions, at: datetime
) -> None:
    past_page(sessions, at=at)
    known, unknown = add_paper(sessions, "Ann"), add_paper(sessions, "Eve")
    show(sessions, known, 3)
    show(sessions, unknown, 3)
    one, other = measured(sessions, known, unknown)
    assert one == other


def test_a_paper_is_no_record_of_itself(sessions: Sessions) -> None:
    again, new = add_paper(sessions, "Ann"), add_paper(sessions, "Eve")
    weak = add_paper(sessions, "Bob")
    show(sessions, again, 1, upvotes=90, at=NOON - 10 * DAY)
    show(sessions, weak, 2, upvotes=0, at=NOON - 10 * DAY)
    show(sessions, again, 3)
    show(sessions, new, 3)
    one, other = measured(sessions, again, new)
    assert one.score == other.score


# --- votes


def test_our_readers_votes_count_and_are_told(sessions: Sessions) -> None:
    liked, silent, disliked = (add_paper(sessions) for _ in range(3))
    for paper in liked, silent, disliked:
        show(sessions, paper, 3)
    cast_votes(sessions, liked, 4)
    cast_votes(sessions, liked, 1, "saved")
    cast_votes(sessions, disliked, 5, "down")
    one, other, third = measured(sessions, liked, silent, disliked)
    assert one.score > other.score > third.score
    assert (one.votes, other.votes, third.votes) == (5, 0, 0)


def test_a_few_votes_are_shrunk_towards_the_mean(sessions: Sessions) -> None:
    one, few, many = (add_paper(sessions) for _ in range(3))
    for paper in one, few, many:
        show(sessions, paper, 3)
    cast_votes(sessions, few, 1)
    cast_votes(sessions, many, 12)
    cast_votes(sessions, add_paper(sessions), 12, "down")
    silent, single, several = (momentum.score for momentum in measured(sessions, one, few, many))
    assert 0 < single - silent < (several - silent) / 3


@pytest.mark.parametrize(
    ("via", "at"), [("import", NOON), ("web", NOON + DAY), ("web", NOON - RECORD - DAY)]
)
def test_imports_and_votes_of_other_times_say_nothing_of_today(
    sessions: Sessions, via: VotedVia, at: datetime
) -> None:
    paper = add_paper(sessions)
    show(sessions, paper, 3)
    before = measured(sessions, paper)
    cast_votes(sessions, paper, 3, via=via, at=at)
    assert measured(sessions, paper) == before
