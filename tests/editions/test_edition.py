from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from digest.editions import Reason, edition_of, in_words, read_edition, read_editions
from digest.errors import Unknown
from digest.store import Sessions
from digest.store.tables import Paper
from tests.editions.world import DAY, MONDAY, add_papers, add_reader, build, titles


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason("interest", 1.0, name="graphs"), "Matches your interest “graphs”"),
        (Reason("liked", 0.5, title="A"), "Close to “A”, which you liked"),
        (Reason("saved", 0.5, title="A"), "Close to “A”, which you saved"),
        (Reason("disliked", 0.5, title="A"), "Unlike “A”, which you did not want"),
        (
            Reason("interest", 1.0, name="bees", is_close=False),
            "At the edge of your interest “bees”",
        ),
        (Reason("saved", 1.0, title="Bees", is_close=False), "Somewhat like “Bees”"),
        (Reason("trending", 1.0, pages=1), "New, and nobody has said yet what to think of it"),
        (Reason("trending", 1.0, pages=1, place=2, of=32), "Trending, 2nd of 32 on its page"),
        (Reason("trending", 1.0, pages=1, place=12, of=32), "Trending on today's page"),
        (
            Reason("trending", 1.0, upvotes=41, growth=12, place=11, of=50),
            "Trending, 11th of 50 on its page, 41 upvotes (+12 since yesterday)",
        ),
        (Reason("trending", 1.0, upvotes=1, pages=1), "Trending, 1 upvote"),
        (Reason("trending", 1.0, upvotes=41, pages=3), "Trending, 41 upvotes, on 3 pages"),
        (
            Reason("resurfaced", 1.0, upvotes=7, pages=2),
            "An older paper, newly trending, 7 upvotes, on 2 pages",
        ),
        (Reason("exploration", 1.0), "New territory; tell us whether you want more like it"),
    ],
)
def test_every_kind_of_reason_has_its_words(reason: Reason, words: str) -> None:
    assert in_words(reason) == words


def test_a_reason_that_nobody_knows_is_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError, match="no reason is 'moon'"):
        in_words(Reason("moon", 1.0))


def test_an_edition_is_found_by_its_date_or_as_the_last(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    for n in range(2):
        add_papers(sessions, [f"paper {n}"], MONDAY + n * DAY)
        build(sessions, reader, MONDAY + n * DAY)
    with sessions.reading() as session:
        assert titles(edition_of(session, reader)) == ["paper 1"]
        first = edition_of(session, reader, MONDAY.date())
        assert titles(first) == ["paper 0"]
        assert read_edition(session, first.edition_id) == first


def test_many_are_read_at_once_without_their_abstracts(sessions: Sessions) -> None:
    readers = [add_reader(sessions, f"r{n}@example.org") for n in range(3)]
    add_papers(sessions, ["one", "two", "three"], MONDAY)
    with sessions() as session:
        session.execute(update(Paper).values(abstract="We show something."))
    build(sessions, readers, MONDAY)
    with sessions.reading() as session:
        wholes = [edition_of(session, reader) for reader in readers]
        found = read_editions(session, [whole.edition_id for whole in wholes] + [404])
    abstracts = {item.abstract for whole in wholes for item in whole.items}
    assert abstracts == {"We show something."}
    assert found == {
        whole.edition_id: replace(
            whole, items=tuple(replace(item, abstract="") for item in whole.items)
        )
        for whole in wholes
    }


def test_an_edition_that_is_not_there_is_unknown(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    with sessions.reading() as session:
        with pytest.raises(Unknown, match="no edition 404"):
            read_edition(session, 404)
        with pytest.raises(Unknown, match="no edition yet"):
            edition_of(session, reader)
        with pytest.raises(Unknown, match="of 2026-03-01: digest why tells"):
            edition_of(session, reader, date(2026, 3, 2) - timedelta(days=1))
