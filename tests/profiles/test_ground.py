"""The ground of a day: what spans it, what it leaves out, and that it is made once."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import delete, insert, select, update

from digest.papers.embedding import vectors_of
from digest.papers.identity import text_hash
from digest.profiles import ground as module
from digest.profiles.ground import Ground, fit_words, ground_of, terms_of
from digest.profiles.interests import embed_interests, set_interest
from digest.profiles.signals import signals_of
from digest.ranking.space import LIKED_WEIGHT
from digest.ranking.types import Floats
from digest.store import Sessions
from digest.store.tables import Interest, Paper, Subscriber, VectorRow, VoteRow
from tests.profiles.world import ENCODER, NOON, TOPICS, people, read_page

TOMORROW = NOON + timedelta(days=1)


def ground(sessions: Sessions, at: object = TOMORROW) -> Ground:
    with sessions.reading() as session:
        found = ground_of(session, ENCODER.identity, now=at)  # type: ignore[arg-type]
    assert found is not None
    return found


def add_paper(sessions: Sessions, title: str, vector: Floats | None = None) -> str:
    hash_ = text_hash(title)
    if vector is None:
        (vector,) = ENCODER.encode([title])
    with sessions() as session:
        session.add(VectorRow(encoder=ENCODER.identity, text_hash=hash_, vector=vector))
        session.add(
            Paper(
                title=title,
                abstract="",
                authors=[],
                text_hash=hash_,
                first_seen_at=NOON,
                ready_at=NOON,
            )
        )
    return hash_


def test_there_is_no_ground_before_there_is_a_paper(sessions: Sessions) -> None:
    with sessions.reading() as session:
        assert ground_of(session, ENCODER.identity, now=NOON) is None


def test_papers_of_a_topic_are_near_each_other(sessions: Sessions) -> None:
    read_page(sessions)
    texts = {text_hash(text): text for text in TOPICS.values()}
    vectors = dict(zip(texts, ENCODER.encode(list(texts.values())), strict=True))
    here = ground(sessions)
    typed = here.points(vectors, texts)
    with sessions.reading() as session:
        papers = {row.text_hash: f"{row.title}. {row.abstract}" for row in session.query(Paper)}
        points = here.points(vectors_of(session, ENCODER.identity, papers), papers)
    for hash_, topic in zip(typed, TOPICS, strict=True):
        near = {papers[paper]: float(point @ typed[hash_]) for paper, point in points.items()}
        assert len(near) == 12
        best = sorted(near, key=lambda text: -near[text])[:6]
        assert all(text.startswith(topic) for text in best)


def test_the_same_papers_give_the_same_ground_and_a_new_one_another(sessions: Sessions) -> None:
    read_page(sessions)
    first = ground(sessions)
    assert ground(sessions, TOMORROW + timedelta(hours=3)) is first
    add_paper(sessions, "a paper on something else")
    assert ground(sessions) is not first


def test_threads_that_ask_at_once_share_one_ground(sessions: Sessions) -> None:
    read_page(sessions)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _n: ground(sessions), range(8)))
    assert len({id(one) for one in found}) == 1


def test_todays_papers_are_no_background_where_there_are_enough_others(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_page(sessions)
    assert len(ground(sessions, NOON).space.background) == 12
    monkeypatch.setattr(module, "ENOUGH", 12)
    late = add_paper(sessions, "a paper of the day after")
    with sessions() as session:
        paper = session.query(Paper).filter_by(text_hash=late).one()
        paper.ready_at = TOMORROW
    assert len(ground(sessions).space.background) == 12
    monkeypatch.setattr(module, "ENOUGH", 13)
    assert len(ground(sessions).space.background) == 13


@pytest.mark.parametrize(
    "vector", [np.ones(3, np.float32), np.full(256, np.nan, np.float32)], ids=["short", "nan"]
)
def test_a_vector_of_another_length_or_not_finite_is_left_out(
    sessions: Sessions, vector: Floats
) -> None:
    read_page(sessions)
    whole = ground(sessions)
    broken = add_paper(sessions, "broken", vector)
    here = ground(sessions)
    assert len(here.space.background) == len(whole.space.background)
    assert here.points({broken: vector}, {broken: "broken"}) == {}


def test_what_was_asked_for_before_is_not_worked_out_again_and_memory_is_bounded(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_page(sessions)
    here = ground(sessions)
    monkeypatch.setattr(module, "REMEMBERED", 10)
    texts = {str(n): f"robot number {n}" for n in range(8)}
    vectors = dict(zip(texts, ENCODER.encode(list(texts.values())), strict=True))
    first = here.points(vectors, texts)
    assert all(here.points(vectors, texts)[key] is point for key, point in first.items())
    others = {f"more {key}": text for key, text in texts.items()}
    again = here.points({f"more {key}": vector for key, vector in vectors.items()}, others)
    assert len(here._points) <= 10
    for key, point in first.items():
        np.testing.assert_allclose(again[f"more {key}"], point, atol=1e-6)
    np.testing.assert_allclose(here.points(vectors, texts)["3"], first["3"], atol=1e-6)


def vote_of_many(sessions: Sessions, n: int, papers: list[int]) -> None:
    """`n` readers like three papers each: those at even places, or those at odd ones."""
    people(sessions, 1)
    with sessions() as session:
        row = session.query(Subscriber).one()
        facts = {
            column.name: getattr(row, column.name)
            for column in Subscriber.__table__.columns
            if column.name not in ("id", "address", "address_key")
        }
        session.execute(
            insert(Subscriber),
            [
                {**facts, "address": f"voter{i}@example.org", "address_key": f"voter{i}"}
                for i in range(n)
            ],
        )
        voters = [id_ for (id_,) in session.query(Subscriber.id).where(Subscriber.id != row.id)]
        session.execute(
            insert(VoteRow),
            [
                {
                    "subscriber_id": voter,
                    "paper_id": papers[(2 * (i + step) + i % 2) % len(papers)],
                    "value": "up",
                    "at": NOON,
                    "via": "cli",
                }
                for i, voter in enumerate(voters)
                for step in range(3)
            ],
        )


def test_what_many_readers_like_together_is_taken_in_and_quickly(sessions: Sessions) -> None:
    papers = list(read_page(sessions).values())
    assert ground(sessions).space.liked is None
    vote_of_many(sessions, 200, papers)
    start = time.perf_counter()
    voted = ground(sessions)
    assert time.perf_counter() - start < 5
    assert voted.space.liked is not None
    assert voted.space.liked.weight == pytest.approx(LIKED_WEIGHT * 150 / 450, abs=0.01)
    assert ground(sessions) is voted


def test_the_votes_of_few_change_nothing(sessions: Sessions) -> None:
    papers = list(read_page(sessions).values())
    alone = ground(sessions)
    vote_of_many(sessions, 40, papers)
    assert ground(sessions) is alone


# What readers mean by what they type

OTHER = {"proteins": "robots", "robots": "proteins"}


def points_of(here: Ground, text: str, reader: int | None = None) -> Floats:
    """Where a text is that somebody typed."""
    texts = {text_hash(text): text}
    vectors = dict(zip(texts, ENCODER.encode([text]), strict=True))
    if reader is None:
        return here.interests(vectors, texts)[text_hash(text)]
    return here.own_interests(vectors, texts, [(reader, text_hash(text))])[reader, text_hash(text)]


def topics_of(sessions: Sessions, here: Ground, point: Floats) -> dict[str, float]:
    """How near a point is to the papers of each topic."""
    with sessions.reading() as session:
        papers = {row.text_hash: f"{row.title}. {row.abstract}" for row in session.query(Paper)}
        points = here.points(vectors_of(session, ENCODER.identity, papers), papers)
    return {
        topic: sum(
            float(at @ point) for hash_, at in points.items() if papers[hash_][:6] == topic[:6]
        )
        for topic in TOPICS
    }


@pytest.fixture
def meant(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sixty readers who type one topic each, and like papers of the other; their numbers."""
    # The ground of another test's database would have the same key.
    monkeypatch.setattr(module, "_KEPT", module._Kept())
    papers = read_page(sessions)
    vote_of_many(sessions, 60, list(papers.values()))
    with sessions() as session:
        session.execute(delete(VoteRow))
        readers = session.scalars(
            select(Subscriber.id).where(Subscriber.address.like("voter%")).order_by(Subscriber.id)
        ).all()
        for n, id_ in enumerate(readers):
            topic = list(TOPICS)[n % 2]
            set_interest(session, id_, "mine", f"{TOPICS[topic]} mine{n}", NOON)
            liked = [paper for title, paper in papers.items() if title.startswith(OTHER[topic])]
            session.execute(
                insert(VoteRow),
                [
                    {
                        "subscriber_id": id_,
                        "paper_id": paper,
                        "value": "up",
                        "at": NOON,
                        "via": "cli",
                    }
                    for paper in liked[n % 3 : n % 3 + 3]
                ],
            )
    embed_interests(sessions, ENCODER)
    return list(readers)


def test_what_readers_of_such_words_like_moves_an_interest(
    sessions: Sessions, meant: list[int]
) -> None:
    here = ground(sessions)
    assert set(here.readers) == set(meant)
    plain = replace(here, space=replace(here.space, meanings=None), _points={})
    for topic, text in TOPICS.items():
        before = topics_of(sessions, here, points_of(plain, text))
        after = topics_of(sessions, here, points_of(here, text))
        rises = {name: after[name] - before[name] for name in TOPICS}
        assert rises[OTHER[topic]] > max(0.0, rises[topic])


def test_a_readers_own_votes_do_not_come_back_as_what_his_words_mean(
    sessions: Sessions, meant: list[int]
) -> None:
    here, reader, text = ground(sessions), meant[0], f"{TOPICS['proteins']} mine0"
    found, shared = points_of(here, text, reader), points_of(here, text)
    assert np.abs(found - shared).max() > 1e-3
    meanings = here.space.meanings
    assert meanings is not None
    others = meanings.owners != here.readers[reader]
    assert others.sum() == len(meant) - 1
    with sessions.reading() as session:
        signals = signals_of(session, [reader], ENCODER.identity, here, now=TOMORROW)
        typed = session.scalars(select(Interest.id).where(Interest.subscriber_id == reader)).one()
        assert signals.refs[0] == typed
        np.testing.assert_allclose(signals.points[signals.rows[0]], found, atol=1e-6)
        # Somebody who has not voted typed the same: the same words, and another point.
        (new,) = people(sessions, 2)[1:]
    with sessions() as session:
        set_interest(session, new, "mine", text, NOON)
        both = signals_of(session, [reader, new], ENCODER.identity, here, now=TOMORROW)
    first, second = both.points[both.rows[both.starts[:-1]]]
    np.testing.assert_allclose(first, found, atol=1e-6)
    np.testing.assert_allclose(second, shared, atol=1e-6)


def test_interests_that_are_off_of_later_or_without_a_vector_teach_nothing(
    sessions: Sessions, meant: list[int]
) -> None:
    off, late, waiting, broken, *_ = meant
    with sessions() as session:
        for id_, text, at, is_on in (
            (off, f"{TOPICS['robots']} off", NOON, False),
            (late, f"{TOPICS['robots']} late", TOMORROW + timedelta(hours=1), True),
            (broken, f"{TOPICS['robots']} broken", NOON, True),
        ):
            set_interest(session, id_, "mine", text, at, is_on=is_on)
    embed_interests(sessions, ENCODER)
    with sessions() as session:
        set_interest(session, waiting, "mine", "robots that nobody has embedded", NOON)
        session.execute(
            update(VectorRow)
            .where(VectorRow.text_hash == text_hash(f"{TOPICS['robots']} broken"))
            .values(vector=np.full(256, np.nan, np.float32))
        )
    assert set(ground(sessions).readers) == set(meant) - {off, late, waiting, broken}


def test_of_too_many_interests_those_of_readers_who_like_the_most_are_taken(
    sessions: Sessions, meant: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = list(read_page(sessions).values())
    with sessions() as session:
        eager = meant[-25:]
        has = set(session.execute(select(VoteRow.subscriber_id, VoteRow.paper_id)).all())
        rows = [
            {"subscriber_id": id_, "paper_id": paper, "value": "up", "at": NOON, "via": "cli"}
            for id_ in eager
            for paper in papers
            if (id_, paper) not in has
        ]
        session.execute(insert(VoteRow), rows)
    monkeypatch.setattr(module, "TOLD", 25)
    assert set(ground(sessions).readers) == set(eager)


def test_the_words_of_few_voters_mean_what_they_say(sessions: Sessions, meant: list[int]) -> None:
    with sessions() as session:
        session.execute(delete(VoteRow).where(VoteRow.subscriber_id.in_(meant[:15])))
    here = ground(sessions)
    assert here.readers == {}
    assert here.space.meanings is None


# Words


@pytest.mark.parametrize("texts", [[], [""], ["the of and"]])
def test_texts_of_no_words_have_none(texts: list[str]) -> None:
    assert fit_words(texts) is None
    assert terms_of(None, ["robots"]).shape == (1, 1)


def test_rows_of_words_have_length_one_or_zero() -> None:
    words = fit_words(["robots walk", "robots grasp", "proteins fold"])
    lengths = np.sqrt(
        (terms_of(words, ["robots fold", "nothing known"]).toarray() ** 2).sum(axis=1)
    )
    np.testing.assert_allclose(lengths, [1, 0], atol=1e-6)
