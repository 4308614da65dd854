import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from digest.errors import BadInput
from digest.profiles.exchange import export_profile, import_profile, reset_profile
from digest.profiles.interests import interests_of, remove_interest, set_interest
from digest.store import Sessions
from digest.store.tables import Interest, VoteRow
from tests.profiles.world import NOON, people, read_page

A_DAY = timedelta(days=1)
NOTHING = {"interests": [], "votes": [], "mutes": []}
MUTE = '{"kind": "word", "text": "GAN"}'


def voted(sessions: Sessions, who: int) -> dict[int, tuple[str, datetime]]:
    with sessions.reading() as session:
        rows = session.scalars(select(VoteRow).where(VoteRow.subscriber_id == who))
        return {row.paper_id: (row.value, row.at) for row in rows}


def imported(sessions: Sessions, who: int, file: object, now: datetime = NOON) -> list[str]:
    with sessions() as session:
        return list(import_profile(session, who, json.dumps(file), now=now).unknown)


def exported(sessions: Sessions, who: int) -> dict[str, object]:
    with sessions.reading() as session:
        file: dict[str, object] = json.loads(json.dumps(export_profile(session, who)))
    return file


def test_what_one_exports_another_imports(sessions: Sessions) -> None:
    (ada, bob), papers = people(sessions, 2), read_page(sessions)
    votes = [{"title": title, "value": "up", "at": str(NOON - A_DAY)} for title in papers]
    mutes = [{"kind": "author", "text": "A. Turing"}, {"kind": "word", "text": "GAN"}]
    interests = [{"name": "ir", "text": "retrieval"}]
    file = {"interests": interests, "votes": votes, "mutes": mutes}
    assert imported(sessions, ada, file) == []
    assert imported(sessions, ada, {"mutes": [{"kind": "word", "text": "gan"}]}) == []
    assert imported(sessions, bob, exported(sessions, ada)) == []
    assert exported(sessions, bob) == exported(sessions, ada)
    assert exported(sessions, bob)["mutes"] == mutes
    assert len(voted(sessions, bob)) == len(papers)


def test_a_paper_is_found_by_any_of_its_names_and_else_named(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), read_page(sessions)
    first = next(iter(papers))
    votes = [
        {"title": "Renamed since", "arxiv_id": "arXiv:2601.00001v3", "value": "up"},
        {"title": f"  {first.upper()} ", "value": "down"},
        {"title": "Unheard of", "doi": "10.1/none", "value": "saved"},
    ]
    assert imported(sessions, ada, {"votes": votes}) == ["Unheard of"]
    assert len(voted(sessions, ada)) == 2


def test_a_newer_vote_stays_and_an_older_one_goes(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), read_page(sessions)
    (title, *_) = papers
    for value, at, kept in (
        ("up", NOON, "up"),
        ("down", NOON - A_DAY, "up"),
        ("saved", NOON + A_DAY, "saved"),
    ):
        vote = {"title": title, "value": value, "at": at.isoformat()}
        imported(sessions, ada, {"votes": [vote]}, now=NOON + 2 * A_DAY)
        assert voted(sessions, ada)[papers[title]][0] == kept


def test_a_vote_from_the_future_is_of_today_and_again_changes_nothing(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), read_page(sessions)
    (title, *_) = papers
    file = {"votes": [{"title": title, "value": "up", "at": "2999-01-01T00:00:00Z"}]}
    for now in (NOON, NOON + A_DAY):
        imported(sessions, ada, file, now)
        assert voted(sessions, ada) == {papers[title]: ("up", NOON)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "profile: Invalid JSON"),
        ("\ud800", "profile: "),
        ("[]", "profile: "),
        ('{"interest": []}', "interest: "),
        ('{"interests": [{"name": "", "text": "x"}]}', r"interests\.0\.name: "),
        ('{"interests": [{"name": "a", "text": "b"}] }'.replace("b", "b" * 4001), r"\.text: "),
        ('{"votes": [{"title": "x", "value": "sideways"}]}', r"votes\.0\.value: "),
        ('{"votes": [{"title": "x", "value": "up", "at": "2026-01-01T00:00"}]}', r"votes\.0\.at"),
        ('{"votes": [{"title": "x", "value": "up", "at": "0001-01-01T00:00+09:00"}]}', r"\.at: "),
        ('{"interests": [{"name": "a", "text": "\\u0000"}]}', "an interest's text has 1 to"),
        ('{"mutes": [{"kind": "journal", "text": "x"}]}', r"mutes\.0\.kind: "),
        ('{"mutes": [{"kind": "word", "text": "WORD"}]}'.replace("WORD", "w" * 101), r"\.text: "),
        ('{"mutes": [MUTE]}'.replace("MUTE", ",".join([MUTE] * 201)), "mutes: "),
        ('{"mutes": [MUTE, {"kind": "word", "text": "?"}]}'.replace("MUTE", MUTE), "a muted word"),
    ],
)
def test_what_is_no_profile_is_refused_with_where_and_changes_nothing(
    sessions: Sessions, text: str, said: str
) -> None:
    (ada,) = people(sessions, 1)
    with pytest.raises(BadInput, match=said), sessions() as session:
        import_profile(session, ada, text, now=NOON)
    assert exported(sessions, ada) == NOTHING


def test_a_reset_forgets_one_subscriber_alone(sessions: Sessions) -> None:
    (ada, bob), papers = people(sessions, 2), read_page(sessions)
    votes = [{"title": title, "value": "up"} for title in papers]
    interests, mutes = [{"name": "ir", "text": "retrieval"}], [json.loads(MUTE)]
    file = {"interests": interests, "votes": votes, "mutes": mutes}
    for who in (ada, bob):
        imported(sessions, who, file)
    with sessions() as session:
        assert reset_profile(session, ada) == {"interests": 1, "votes": len(papers), "mutes": 1}
        assert reset_profile(session, ada) == {"interests": 0, "votes": 0, "mutes": 0}
    assert exported(sessions, ada) == NOTHING
    assert len(voted(sessions, bob)) == len(papers)
    assert exported(sessions, bob)["mutes"] == mutes


def test_an_interest_set_again_keeps_its_age_unless_it_changes(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    ages = []
    for day, text in enumerate(["retrieval", "retrieval", "dense retrieval"]):
        with sessions() as session:
            set_interest(session, ada, "ir", text, NOON + day * A_DAY)
        with sessions.reading() as session:
            (told,) = interests_of(session, ada)
            ages.append(session.get_one(Interest, told.interest_id).created_at)
    assert ages == [NOON, NOON, NOON + 2 * A_DAY]


def test_a_subscriber_has_at_most_twenty_interests(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    with sessions() as session:
        for n in range(20):
            set_interest(session, ada, f"topic {n}", "words", NOON)
        set_interest(session, ada, "topic 3", "other words", NOON)
        with pytest.raises(BadInput, match="at most 20 interests"):
            set_interest(session, ada, "one more", "words", NOON)
        assert remove_interest(session, ada, "topic 3")
        assert not remove_interest(session, ada, "topic 3")
        set_interest(session, ada, "one more", "words", NOON)


def test_times_are_kept_in_utc(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), read_page(sessions)
    (title, *_) = papers
    vote = {"title": title, "value": "up", "at": "2026-03-01T09:00:00+09:00"}
    imported(sessions, ada, {"votes": [vote]})
    assert voted(sessions, ada)[papers[title]][1] == datetime(2026, 3, 1, tzinfo=UTC)
