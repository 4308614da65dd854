"""Rankers are set against each other on days whose truth is known."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zlib import crc32

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from digest import subscribers, votes
from digest.evaluation.learning import evaluate
from digest.evaluation.rankers import Comparison, count_editions, replay_rankers
from digest.profiles.interests import embed_interests
from digest.ranking.ranker import STANDARD, Ranker
from digest.settings import SubscriberDefaults
from digest.store import Sessions, open_database
from digest.store.rankers import promote
from digest.store.tables import Delivery, EditionItemRow, EditionRow, Subscriber, VoteRow
from tests.editions.world import DAY, ENCODER, MONDAY, add_papers, build

# It goes by the top of the page, whatever its reader likes.
TRENDY = Ranker("trendy", momentum=100.0)
CITIES = ("oslo", "rome", "kiel", "bern", "graz", "lyon", "turin", "paris", "basel", "ghent",
          "porto", "sofia")  # fmt: skip
NOW = MONDAY + 5 * DAY


def readers(sessions: Sessions, interests: list[str], length: int) -> list[int]:
    with sessions() as session:
        made = [
            subscribers.add(
                session,
                {"address": f"r{n}@example.org", "interest": text, "mix": 1.0, "length": length},
                SubscriberDefaults(),
                secret=b"a secret of enough bytes",
                now=MONDAY - timedelta(minutes=5),
            ).subscriber.id
            for n, text in enumerate(interests)
        ]
    embed_interests(sessions, ENCODER)
    return made


def morning(sessions: Sessions, ids: list[int], likes: Callable[[int, str], bool], n: int) -> None:
    """Build and mail what is due on MONDAY and `n` days; readers vote within the day."""
    now = MONDAY + n * DAY
    build(sessions, ids, now)
    with sessions() as session:
        session.execute(update(Delivery).values(state="sent"))
        for who, paper, card in session.execute(
            select(EditionItemRow.subscriber_id, EditionItemRow.paper_id, EditionItemRow.card)
            .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
            .where(EditionRow.built_at == now)
        ).all():
            if likes(who, card["title"]):
                votes.vote(session, who, paper, "up", at=now + timedelta(hours=3), via="web")


def sure_papers(sessions: Sessions) -> set[tuple[int, str]]:
    """Of every edition, the reader and the titles that no lot has drawn."""
    query = select(EditionItemRow).where(EditionItemRow.lane != "exploration")
    with sessions.reading() as session:
        return {(item.subscriber_id, item.card["title"]) for item in session.scalars(query)}


def replayed(sessions: Sessions, *rankers: Ranker, since: datetime = MONDAY) -> Comparison:
    return replay_rankers(sessions, rankers, ENCODER.identity, since=since, now=NOW)


def test_who_ranks_by_what_readers_like_beats_who_does_not_even_where_that_one_was_live(
    sessions: Sessions,
) -> None:
    def wants(who: int, title: str) -> bool:
        return "protein" in title and title.split()[-1][:-1] in CITIES[: 1 + who % 3]

    ids = readers(sessions, ["graph networks"] * 5, 8)
    liked = add_papers(sessions, [f"protein folding in {c}" for c in CITIES[6:]], MONDAY - 30 * DAY)
    with sessions() as session:
        promote(session, TRENDY, at=MONDAY - DAY)
        for who in ids:
            for paper in liked:
                votes.vote(session, who, paper, "up", at=MONDAY - 30 * DAY, via="cli")
    for n in range(2):
        page = [f"{topic} in {city}{n}" for topic in ("graph networks", "protein folding")
                for city in CITIES[:4]]  # fmt: skip
        add_papers(sessions, page, MONDAY + n * DAY - timedelta(hours=1))
        morning(sessions, ids, wants, n)
    assert count_editions(sessions, since=MONDAY, now=NOW) == 10
    found = replayed(sessions, STANDARD, TRENDY)
    standard, trendy = found.rankers
    assert (found.editions, found.readers) == (10, 5)
    assert standard.ndcg.value > trendy.ndcg.value
    assert found.ndcg_difference is not None
    assert found.ndcg_difference.value > 2 * found.ndcg_difference.error
    # What was live is read again as it was shown.
    assert (trendy.kept.value, trendy.likes.value) == (1.0, found.shown.value)
    assert trendy.judged == pytest.approx(1.0)
    with sessions.reading() as session:
        week = evaluate(session, 1, now=NOW).weeks[0]
    assert week.editions_liked == found.liked
    # What came later is not known then.
    add_papers(sessions, ["protein folding in oslo9", "graph networks in oslo9"], NOW - DAY / 2)
    with sessions() as session:
        for who in ids:
            votes.vote(session, who, liked[0], "down", at=NOW - DAY / 2, via="cli")
    again = replayed(sessions, TRENDY)
    assert (again.editions, again.rankers[0].kept, again.rankers[0].likes) == (
        10, trendy.kept, trendy.likes,
    )  # fmt: skip
    assert again.likes_difference.value == 0.0


def test_the_likes_that_a_ranker_would_have_had_are_estimated_within_the_error(
    sqlite_url: str,
) -> None:
    """Live shows five of twelve papers for sure and draws one of the other seven by lot."""
    sessions = open_database(sqlite_url)
    ids = readers(sessions, [f"graph networks {CITIES[n % 12]}" for n in range(100)], 6)

    def likes(who: int, title: str) -> bool:
        return crc32(f"{who} {title}".encode()) % 5 < 2

    add_papers(sessions, [f"graph networks in {city}" for city in CITIES], MONDAY - DAY / 4)
    morning(sessions, ids, likes, 0)
    found = replayed(sessions, TRENDY)
    shown = sure_papers(sessions)
    with sessions() as session:
        session.execute(delete(EditionRow))
        session.execute(update(Subscriber).values(next_due_at=MONDAY))
        promote(session, TRENDY, at=MONDAY)
    build(sessions, ids, MONDAY)
    listed = sure_papers(sessions)
    truth = sum(likes(*one) for one in listed) / len(ids)
    beyond = [likes(*one) for one in listed - shown]
    (trendy,) = found.rankers
    assert trendy.likes.error is not None
    assert trendy.likes.error < 0.4
    assert trendy.likes.value == pytest.approx(truth, abs=3 * trendy.likes.error)
    assert trendy.judged == pytest.approx(1.0, abs=0.25)
    assert len(beyond) > 100
    assert trendy.rate.error is not None
    assert trendy.rate.value == pytest.approx(np.mean(beyond), abs=3 * trendy.rate.error)
    assert 1 < trendy.rate.effective <= trendy.explored
    sessions.engine.dispose()


def test_held_votes_and_mails_that_never_left_count_for_nothing(sessions: Sessions) -> None:
    ids = readers(sessions, ["graph networks"] * 2, 6)
    add_papers(sessions, [f"graph networks in {city}" for city in CITIES], MONDAY - DAY / 4)
    morning(sessions, ids, lambda _who, title: "oslo" in title or "rome" in title, 0)
    with sessions() as session:
        session.execute(update(VoteRow).values(held_at=MONDAY))
        session.execute(
            update(Delivery).where(Delivery.subscriber_id == ids[0]).values(state="failed")
        )
    found = replayed(sessions, STANDARD, TRENDY)
    assert (found.editions, found.liked, found.shown.value) == (1, 0, 0.0)
    assert found.rankers[0].ndcg.value is None
    assert found.ndcg_difference is not None
    assert found.ndcg_difference.value is None


def test_without_mails_there_is_nothing_to_read_again(sessions: Sessions) -> None:
    found = replayed(sessions, STANDARD, TRENDY)
    assert (found.editions, found.shown.value, found.overlap) == (0, None, None)
