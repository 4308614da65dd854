from dataclasses import replace

import pytest

from digest.links import Choice, Claim
from digest.store.tables import EditionRow, VoteRow
from tests.web.conftest import World, expired, on_sqlite
from tests.web.seed import NOON, add_edition


def shown(world: World, claim: Claim) -> str:
    answer = world.client.get(world.path(claim))
    assert answer.status_code == 200
    return answer.text


def test_an_edition_shows_every_paper_with_three_live_thumbs(world: World) -> None:
    page = shown(world, world.read())
    assert "On graphs" in page
    assert "On proteins" in page
    assert "Matches your interest “graphs”" in page
    for n in (0, 1):
        for value in ("up", "down", "saved"):
            assert f'<form method="post" action="{world.path(world.vote(value, n))}">' in page
    assert "Undo" not in page


def test_a_vote_link_opens_the_edition_with_one_big_button_and_all_thumbs(world: World) -> None:
    page = shown(world, world.vote("down"))
    assert page.count('class="solid') == 1
    button = page.index('class="solid')
    assert page.index(world.path(world.vote("down"))) < button < page.index("<article")
    assert world.path(world.vote("up", 1)) in page


@on_sqlite
@pytest.mark.parametrize("value", ["up", "down", "saved"])
def test_a_vote_is_recorded_and_shown_with_an_undo(world: World, value: Choice) -> None:
    claim = world.vote(value)
    voted = world.client.post(world.path(claim))
    assert voted.status_code == 303
    assert voted.headers["location"] == f"{world.path(world.read())}#paper-{world.papers[0]}"
    assert world.votes() == {world.papers[0]: value}
    page = world.client.get(voted.headers["location"]).text
    assert page.count('aria-pressed="true"') == 1
    assert f'action="{world.path(claim)}/undo"' in page


def test_the_last_vote_wins_and_the_same_again_changes_nothing(world: World) -> None:
    for value in ("up", "down", "down"):
        world.client.post(world.path(world.vote(value)))
    assert world.votes() == {world.papers[0]: "down"}


def test_a_vote_can_be_undone_twice(world: World) -> None:
    path = world.path(world.vote())
    world.client.post(path)
    for _ in range(2):
        undone = world.client.post(f"{path}/undo")
        assert undone.status_code == 303
        assert world.votes() == {}
    assert 'aria-pressed="true"' not in world.client.get(undone.headers["location"]).text


def test_a_vote_link_says_when_its_vote_stands_and_when_it_would_change_one(world: World) -> None:
    world.client.post(world.path(world.vote("up")))
    assert "Your vote counts" in shown(world, world.vote("up"))
    assert "Change your vote?" in shown(world, world.vote("down"))
    assert "One press to go" in shown(world, world.vote("down", 1))


def test_a_vote_on_a_paper_of_another_edition_is_refused(world: World) -> None:
    answer = world.client.post(world.path(replace(world.vote(), paper_id=404)))
    assert answer.status_code == 409
    assert world.votes() == {}


@on_sqlite
def test_an_edition_without_papers_is_a_page_too(world: World) -> None:
    with world.app.sessions() as session:
        edition = add_edition(session, world.reader, [], days_later=1)
        session.get_one(EditionRow, edition).note = "Nothing new came <close>."
    page = shown(world, replace(world.read(), edition_id=edition))
    assert "Nothing new for you today" in page
    assert "Nothing new came &lt;close&gt;." in page
    assert "<article" not in page


@on_sqlite
def test_the_votes_of_others_are_not_shown(world: World) -> None:
    with world.app.sessions() as session:
        vote = {"paper_id": world.papers[0], "value": "up", "via": "web", "at": NOON}
        session.add(VoteRow(subscriber_id=world.newcomer, **vote))
    assert 'aria-pressed="true"' not in shown(world, world.read())


@on_sqlite
@pytest.mark.parametrize("door", ["edition", "vote"])
def test_an_edition_that_was_erased_is_gone(world: World, door: str) -> None:
    claim = world.read() if door == "edition" else world.vote()
    with world.app.sessions() as session:
        session.delete(session.get_one(EditionRow, world.edition))
    answer = world.client.get(world.path(claim))
    assert answer.status_code == 410
    assert "subscribe" in answer.text


@on_sqlite
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_expired_vote_link_is_gone_and_says_what_to_do(world: World, method: str) -> None:
    answer = world.client.request(method, world.path(expired(world.vote())))
    assert answer.status_code == 410
    assert "good until 2026-03-01" in answer.text
    assert "newest digest" in answer.text
    assert world.votes() == {}
