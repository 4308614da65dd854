from dataclasses import replace

import pytest

from digest.links import Choice, Claim
from digest.profiles.mutes import mutes_of
from digest.store.tables import EditionItemRow, EditionRow, VoteRow
from tests.web.conftest import World, expired, on_sqlite
from tests.web.seed import NOON, add_edition, add_paper


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
            assert f'action="{world.path(world.vote(value, n))}"' in page
    assert "Undo" not in page


def test_what_trends_outside_comes_last_as_in_the_mail(world: World) -> None:
    with world.app.sessions() as session:
        session.get_one(EditionItemRow, (world.edition, world.papers[0])).lane = "trending"
    page = shown(world, world.read())
    assert page.index(f'id="paper-{world.papers[1]}"') < page.index(f'id="paper-{world.papers[0]}"')


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
    assert "good until Sunday 1 March 2026" in answer.text
    assert "newest digest" in answer.text
    assert world.votes() == {}


# What else is on the page


def test_the_last_votes_are_listed_and_can_be_undone_there(world: World) -> None:
    assert "None yet" in shown(world, world.read())
    world.client.post(world.path(world.vote("up")))
    with world.app.sessions() as session:
        other = add_paper(session, "Of another edition")
        vote = {"paper_id": other, "value": "down", "via": "web", "at": NOON}
        session.add(VoteRow(subscriber_id=world.reader, **vote))
    listed = shown(world, world.read()).split('id="votes"')[1]
    assert "Of another edition" in listed
    assert "On graphs" in listed
    path = f"{world.path(world.read())}/undo"
    for paper in (str(other), str(other), "404", "9" * 40, "x", ""):
        answer = world.client.post(path, data={"paper": paper})
        assert answer.headers["location"].endswith("#votes")
    assert world.votes() == {world.papers[0]: "up"}


@on_sqlite
def test_why_a_paper_is_there_is_told_in_all_its_terms(world: World) -> None:
    with world.app.sessions() as session:
        item = session.get_one(EditionItemRow, (world.edition, world.papers[0]))
        item.score, item.probability, item.propensity = 0.731, 0.42, 0.25
        item.reasons = [
            {"kind": "interest", "share": 0.6, "name": "graphs"},
            {"kind": "liked", "share": 0.3, "title": "On trees"},
        ]
    for path in ("", f"/paper/{world.papers[0]}"):
        page = world.client.get(world.path(world.read()) + path).text
        for term in (
            "60% of its score: Matches your interest “graphs”.",
            "30% of its score: Close to “On trees”, which you liked.",
            "The rest, 10%, comes from other things",
            "it scores 0.73",
            "readers liked 42%",
            "the chance of this one was 25%",
        ):
            assert term in page


def test_an_author_or_a_word_is_muted_from_the_page_of_its_paper(world: World) -> None:
    path = f"{world.path(world.read())}/paper/{world.papers[0]}"
    assert "Ada Lovelace" in world.client.get(path).text
    nothing = world.client.post(path)
    assert nothing.status_code == 422
    assert "tick somebody" in nothing.text.lower()
    answer = world.client.post(path, data={"mute": ["0", "9", "x"], "word": " graphs "})
    assert "Muted" in world.client.get(answer.headers["location"]).text
    with world.app.sessions.reading() as session:
        muted = {(one.kind, one.text) for one in mutes_of(session, world.reader)}
    assert muted == {("author", "Ada Lovelace"), ("word", "graphs")}
    wrong = world.client.post(path, data={"word": "?!"})
    assert (wrong.status_code, "mute-fault" in wrong.text) == (422, True)


@on_sqlite
@pytest.mark.parametrize("paper", ["404", "9" * 40, "x", "-1"])
def test_a_paper_of_another_edition_has_no_page_here(world: World, paper: str) -> None:
    for method in ("GET", "POST"):
        path = f"{world.path(world.read())}/paper/{paper}"
        assert world.client.request(method, path).status_code == 410
