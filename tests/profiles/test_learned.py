from datetime import timedelta

import numpy as np
import pytest

from digest import votes
from digest.profiles.interests import embed_interests, set_interest
from digest.profiles.learned import (
    Learned,
    Moved,
    distinctive_words,
    learned,
    moved_by_votes,
    nearest_for,
)
from digest.profiles.mutes import mute
from digest.ranking.rank import LEAST_SCORE
from digest.store import Sessions
from digest.store.tables import VoteRow, VoteValue
from tests.editions.world import ENCODER as WORDS
from tests.editions.world import add_papers, withdraw
from tests.profiles.world import ENCODER, NOON, TOPICS, people, read_page

LATER = NOON + timedelta(days=1)


def known(sessions: Sessions, who: int, n: int = 5) -> Learned:
    embed_interests(sessions, ENCODER)
    with sessions.reading() as session:
        return learned(session, who, ENCODER.identity, now=LATER, n=n)


def tell(sessions: Sessions, who: int, text: str) -> None:
    with sessions() as session:
        set_interest(session, who, "told", text, NOON)


def cast(sessions: Sessions, who: int, paper: int, value: VoteValue) -> None:
    with sessions() as session:
        votes.vote(session, who, paper, value, at=NOON, via="cli")


@pytest.mark.parametrize("topic", TOPICS)
def test_words_and_nearest_papers_are_those_of_the_readers_topic(
    sessions: Sessions, topic: str
) -> None:
    (ada,) = people(sessions, 1)
    papers = read_page(sessions)
    tell(sessions, ada, TOPICS[topic])
    view = known(sessions, ada)
    assert {near.title for near in view.nearest} < {
        title for title in papers if title.startswith(topic)
    }
    scores = [near.score for near in view.nearest]
    assert scores == sorted(scores, reverse=True)
    assert all(LEAST_SCORE <= score <= 1 + 1e-6 for score in scores)
    said = set(" ".join(view.words).split())
    (other,) = set(TOPICS) - {topic}
    assert len(said & set(TOPICS[topic].split())) >= 3
    assert not said & {other, *TOPICS[other].split()}


def test_votes_are_learned_from_and_shown_newest_first(sessions: Sessions) -> None:
    (ada, bob), papers = people(sessions, 2), read_page(sessions)
    cast(sessions, ada, papers["robots paper a"], "up")
    cast(sessions, ada, papers["proteins paper a"], "down")
    cast(sessions, bob, papers["proteins paper a"], "up")
    view = known(sessions, ada)
    assert {(vote.title, vote.value) for vote in view.votes} == {
        ("robots paper a", "up"),
        ("proteins paper a", "down"),
    }
    assert view.nearest
    assert all(near.title.startswith("robots") for near in view.nearest)
    assert "robots paper a" not in {near.title for near in view.nearest}, "it was voted on"


@pytest.mark.parametrize("hides", ["a mute", "a withdrawal"])
def test_what_may_not_be_shown_is_in_no_list(sessions: Sessions, hides: str) -> None:
    (ada, bob), papers = people(sessions, 2), read_page(sessions)
    liked, hidden = papers["robots paper a"], papers["robots paper b"]
    cast(sessions, ada, liked, "up")

    def shown() -> list[set[str]]:
        with sessions.reading() as session:
            near = nearest_for(session, ada, liked, ENCODER.identity, n=5)
            moved = moved_by_votes(session, ada, ENCODER.identity, now=LATER, n=12)
        return [
            {paper.title for _, paper in near},
            {paper.title for paper in known(sessions, ada, n=12).nearest},
            {paper.title for paper in moved.up},
        ]

    assert all("robots paper b" in titles for titles in shown())
    with sessions() as session:
        mute(session, bob, "word", "robots", NOON)
    assert all("robots paper b" in titles for titles in shown())
    if hides == "a withdrawal":
        withdraw(sessions, hidden, NOON)
    else:
        with sessions() as session:
            mute(session, ada, "word", "bbbb", NOON)
    after = shown()
    assert all("robots paper b" not in titles for titles in after)
    assert all(len(titles & {f"robots paper {n}" for n in "cdef"}) == 4 for titles in after)


def test_from_dislikes_alone_nothing_is_thought_to_be_liked(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    topics = ("bees and honey", "cotton towels", "quantum strings", "protein nets", "city traffic")
    first, *_ = add_papers(sessions, topics, NOON)
    cast(sessions, ada, first, "down")
    with sessions.reading() as session:
        view = learned(session, ada, WORDS.identity, now=LATER)
        moved = moved_by_votes(session, ada, WORDS.identity, now=LATER)
    assert ([vote.value for vote in view.votes], view.words, view.nearest) == (["down"], (), ())
    assert (moved.n_votes, moved.up) == (1, ())


def test_there_is_nothing_to_learn_from_nothing(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    assert known(sessions, ada) == Learned((), (), (), ())
    read_page(sessions)
    assert known(sessions, ada) == Learned((), (), (), ())


def test_interests_are_shown_before_there_are_papers(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    tell(sessions, ada, "retrieval")
    view = known(sessions, ada)
    assert [told.text for told in view.interests] == ["retrieval"]
    assert (view.words, view.nearest) == ((), ())


def test_no_more_is_shown_than_asked_for(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    read_page(sessions)
    tell(sessions, ada, TOPICS["robots"])
    view = known(sessions, ada, n=2)
    assert (len(view.words), len(view.nearest)) == (2, 2)


# Words

TEXTS = [
    "language models recall answers",
    "language models forget an answer",
    "grasping robots",
    "walking robots",
]


def words(likes: list[float], texts: list[str] = TEXTS, n: int = 10) -> list[str]:
    return distinctive_words(texts, np.array(likes), n=n)


def test_a_pair_stands_for_its_words_and_a_word_for_its_plural() -> None:
    found = words([1, 1, 0, 0])
    assert "language models" in found
    assert not {"language", "models"} & set(found)
    assert len({"answer", "answers"} & set(found)) <= 1


def test_a_pair_is_one_that_somebody_wrote() -> None:
    found = words([1, 1, 0, 0], ["the proof of the theorem", "any proof, a theorem", "beta", "tau"])
    assert set(found) == {"proof", "theorem"}


def test_a_text_that_counts_more_has_more_of_the_words() -> None:
    texts = ["alpha alpha gamma", "alpha gamma", "beta", "beta delta", "epsilon"]
    assert words([5, 5, 1, 1, 0], texts)[0].startswith("alpha")
    assert words([1, 1, 5, 5, 0], texts)[0].startswith("beta")


@pytest.mark.parametrize(
    ("likes", "texts"),
    [
        ([0.0, 0.0, 0.0, 0.0], TEXTS),
        ([1.0, 1.0, 1.0, 1.0], TEXTS),
        ([1.0, 0.0], ["the of and", "a an it"]),
        ([1.0, 0.0], ["", ""]),
    ],
)
def test_where_nothing_tells_texts_apart_there_are_no_words(
    likes: list[float], texts: list[str]
) -> None:
    assert words(likes, texts) == []


# What votes changed


def moved(sessions: Sessions, who: int) -> Moved:
    embed_interests(sessions, ENCODER)
    with sessions.reading() as session:
        return moved_by_votes(session, who, ENCODER.identity, now=LATER)


def test_without_votes_nothing_was_moved(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    assert moved(sessions, ada) == Moved(0, 0, ())
    read_page(sessions)
    tell(sessions, ada, TOPICS["robots"])
    assert moved(sessions, ada) == Moved(0, 0, ())


def test_what_the_newest_votes_moved_up_is_what_it_says(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    papers = read_page(sessions)
    tell(sessions, ada, TOPICS["robots"])
    for letter in "abc":
        cast(sessions, ada, papers[f"proteins paper {letter}"], "up")
    view = moved(sessions, ada)
    assert (view.n_votes, view.n_papers) == (3, 9)
    assert view.up
    for paper in view.up:
        assert paper.title.startswith("proteins")
        assert paper.before is not None
        assert paper.before > paper.after
    steps = [(paper.before or 0) - paper.after for paper in view.up]
    assert steps == sorted(steps, reverse=True)


def test_the_first_votes_put_papers_on_top_of_nothing(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    papers = read_page(sessions)
    cast(sessions, ada, papers["robots paper a"], "up")
    view = moved(sessions, ada)
    assert [paper.before for paper in view.up] == [None] * len(view.up)
    assert [paper.after for paper in view.up] == list(range(1, len(view.up) + 1))
    assert all(paper.title.startswith("robots") for paper in view.up)


def test_a_vote_that_is_held_moves_nothing(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    papers = read_page(sessions)
    cast(sessions, ada, papers["robots paper a"], "up")
    with sessions() as session:
        session.get_one(VoteRow, (ada, papers["robots paper a"])).held_at = NOON
    assert moved(sessions, ada).n_votes == 0
    (vote,) = known(sessions, ada).votes
    assert vote.held is True
