import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from digest.links import Claim
from digest.profiles.interests import (
    LONGEST_TEXT,
    MOST,
    InterestView,
    embed_interests,
    interests_of,
    set_interest,
)
from digest.profiles.mutes import mute, mutes_of
from digest.store.tables import Delivery, Subscriber, VoteRow
from digest.subscribers import SubscriberView, leave, read_subscriber
from digest.votes import votes_of
from tests.editions.world import ENCODER, add_papers
from tests.web.conftest import READER, World, expired, on_sqlite
from tests.web.forms import forms_of
from tests.web.seed import NOON

HOUR = timedelta(hours=1)
SETTINGS = {
    "frequency": "weekly",
    "hour": "18",
    "timezone": "America/New_York",
    "length": "12",
    "mix": "0.5",
    "min_probability": "0.2",
}


def reader(world: World) -> SubscriberView:
    with world.app.sessions.reading() as session:
        return read_subscriber(session, world.reader)


def page(world: World) -> str:
    answer = world.client.get(world.path(world.prefer()))
    assert answer.status_code == 200
    return answer.text


def save(world: World, section: str, **given: object) -> str:
    """Save a section; the page that follows."""
    answer = world.client.post(f"{world.path(world.prefer())}/{section}", data=given)
    assert answer.status_code == 303
    assert "#" in answer.headers["location"]
    return world.client.get(answer.headers["location"]).text


def refused(world: World, section: str, **given: object) -> str:
    before = world.rows()
    answer = world.client.post(f"{world.path(world.prefer())}/{section}", data=given)
    assert answer.status_code == 422
    assert world.rows() == before
    return answer.text


@on_sqlite
def test_a_reader_s_own_feed_and_search_are_found_there(world: World) -> None:
    own = re.findall(r'<a href="(https?://[^"]+/(?:feed|search)/[^"]+)"', page(world))
    assert len(own) == 3
    for url in own:
        assert world.client.get(urlsplit(url).path).status_code == 200


def test_rhythm_length_and_mix_are_changed(world: World) -> None:
    assert "Saved." in save(world, "frequency", **SETTINGS)
    view = reader(world)
    assert (view.frequency, view.hour, view.timezone) == ("weekly", 18, "America/New_York")
    assert (view.length, view.mix, view.min_probability) == (12, 0.5, 0.2)
    save(world, "frequency", **{**SETTINGS, "min_probability": ""})
    assert reader(world).min_probability is None


@on_sqlite
@pytest.mark.parametrize("typed", ["0.2", "0,2", " 20%", "20 %", "20,0 %"])
def test_a_probability_is_read_however_people_write_it(world: World, typed: str) -> None:
    save(world, "frequency", **{**SETTINGS, "min_probability": typed})
    assert reader(world).min_probability == 0.2


@on_sqlite
def test_every_field_at_fault_is_named_and_linked_and_everything_typed_is_kept(
    world: World,
) -> None:
    faulty = {**SETTINGS, "timezone": "Mars/Olympus", "length": "99", "min_probability": "often"}
    text = refused(world, "frequency", **faulty)
    for name in ("timezone", "length", "min_probability"):
        tag = text.split(f'id="{name}"')[1].split(">")[0]
        assert 'aria-invalid="true"' in tag
        assert f"{name}-fault" in tag.split('aria-describedby="')[1].split('"')[0]
        assert f'id="{name}-fault"' in text
        assert f'href="#{name}"' in text
    assert "an IANA name like Europe/Berlin" in text
    assert "from 1 to 30" in text
    assert 'value="Mars/Olympus"' in text
    assert 'value="99"' in text
    assert '<option value="weekly" selected>' in text


def test_mail_is_held_until_a_day_or_for_good_and_sent_again(world: World) -> None:
    save(world, "pause", pause="until", until="2026-03-20")
    assert (reader(world).state, str(reader(world).paused_until)) == ("paused", "2026-03-20")
    assert 'value="2026-03-20"' in page(world)
    assert "is paused until Friday 20 March 2026" in page(world)
    save(world, "pause", pause="open")
    assert (reader(world).state, reader(world).paused_until) == ("paused", None)
    save(world, "pause", pause="no")
    assert reader(world).state == "active"


@on_sqlite
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pause": "until", "until": "soon"}, "must be a day like 2026-11-20"),
        ({"pause": "until", "until": "2026-02-01"}, "must be a day to come"),
        ({"pause": "until", "until": "9999-12-31"}, "must be no later than 2200"),
        ({"pause": "perhaps"}, "must be one of the three"),
        ({}, "must be one of the three"),
    ],
)
def test_a_pause_that_cannot_be_is_told(world: World, given: dict[str, str], said: str) -> None:
    assert said in refused(world, "pause", **given).lower()


def interests(world: World) -> list[InterestView]:
    with world.app.sessions.reading() as session:
        return interests_of(session, world.reader)


def test_interests_are_added_renamed_switched_off_and_removed(world: World) -> None:
    save(world, "interests", **{"text-new": "graph networks\r\nfor molecules"})
    save(world, "interests", **{"text-new": "tides", "name-new": "moons"})
    first, second = interests(world)
    assert (first.name, first.text) == ("graph networks for molecules",
                                        "graph networks\nfor molecules")  # fmt: skip
    assert (second.name, second.text, second.is_on) == ("moons", "tides", True)
    n, m = first.interest_id, second.interest_id
    # They change names with each other; the first is switched off.
    save(world, "interests", **{
        f"name-{n}": "moons", f"text-{n}": first.text,
        f"name-{m}": first.name, f"text-{m}": "tides", f"on-{m}": "yes",
    })  # fmt: skip
    assert [(one.name, one.is_on) for one in interests(world)] == [
        ("moons", False),
        ("graph networks for molecules", True),
    ]
    save(world, "interests", **{f"name-{n}": "x", f"text-{n}": "x", f"remove-{n}": "yes"})
    assert [one.interest_id for one in interests(world)] == [m]


@on_sqlite
@pytest.mark.parametrize("letter", ["x", "字", "\N{HONEYBEE}"])
def test_as_many_and_as_long_interests_as_are_allowed_can_be_saved(
    world: World, letter: str
) -> None:
    with world.app.sessions() as session:
        for n in range(MOST):
            set_interest(session, world.reader, f"{n:a>80}", letter * LONGEST_TEXT, NOON)
    form = {}
    for one in interests(world):
        n = one.interest_id
        form |= {f"name-{n}": one.name, f"text-{n}": one.text, f"on-{n}": "yes"}
    save(world, "interests", **{**form, f"name-{n}": "the last"})
    assert interests(world)[-1].name == "the last"
    text = refused(world, "interests", **{**form, "text-new": letter * LONGEST_TEXT})
    assert "at most 20 interests" in text


@on_sqlite
def test_an_interest_at_fault_is_named_and_nothing_is_saved(world: World) -> None:
    save(world, "interests", **{"text-new": "graphs"})
    save(world, "interests", **{"text-new": "tides"})
    first, second = interests(world)
    n, m = first.interest_id, second.interest_id
    kept = {f"name-{m}": "tides", f"text-{m}": "tides of moons", f"on-{m}": "yes"}
    text = refused(world, "interests", **{f"name-{n}": "", f"text-{n}": "x" * 4001, **kept})
    assert f'id="name-{n}-fault"' in text
    assert f'id="text-{n}-fault"' in text
    assert "tides of moons" in text
    same = refused(world, "interests", **{f"name-{n}": "tides", f"text-{n}": "graphs", **kept})
    assert "two interests cannot both be named" in same.lower()


def test_what_is_muted_is_listed_and_can_come_again(world: World) -> None:
    save(world, "mutes", kind="author", text="Ada Lovelace")
    save(world, "mutes", kind="word", text="GAN", unmute="word of nobody")
    assert "Ada Lovelace" in page(world)
    # A double click mends nothing else.
    for _ in range(2):
        save(world, "mutes", kind="word", text="", unmute="author Ada Lovelace")
    with world.app.sessions.reading() as session:
        assert [(one.kind, one.text) for one in mutes_of(session, world.reader)] == [
            ("word", "GAN")
        ]
    assert 'id="text-fault"' in refused(world, "mutes", kind="word", text="!!", unmute="word GAN")
    assert 'id="kind-fault"' in refused(world, "mutes", kind="journal", text="Nature")
    assert 'id="text-fault"' in refused(world, "mutes", kind="word", text=" ")


def test_a_change_of_address_is_asked_for_and_shown_until_it_is_made(world: World) -> None:
    assert "ann@new.example.org" in save(world, "address", address="ann@new.example.org")
    with world.app.sessions.reading() as session:
        kinds = session.scalars(select(Delivery.kind).order_by(Delivery.id)).all()
    assert kinds == ["change_from", "change_to"]
    for purpose in ("change_from", "change_to"):
        path = world.path(world.move(purpose))
        assert world.client.get(path).text.count("<button") == 1
        answer = world.client.post(path)
        assert answer.status_code == 200
    assert "Your address is changed" in answer.text
    assert reader(world).address == "ann@new.example.org"
    assert world.client.post(path).status_code == 410
    said = refused(world, "address", address="nobody")
    assert 'id="address-fault"' in said
    assert 'value="nobody"' in said


@on_sqlite
def test_who_was_asked_whether_they_still_read_says_so_with_one_press(world: World) -> None:
    assert "keep it coming" not in page(world)
    with world.app.sessions() as session:
        session.execute(update(Subscriber).values(sunset_at=NOON))
    assert "Yes, keep it coming" in page(world)
    assert "keep it coming" not in save(world, "stay")
    with world.app.sessions.reading() as session:
        row = session.get_one(Subscriber, world.reader)
    assert (row.sign_at is not None, row.sunset_at) == (True, None)


def test_votes_are_listed_as_learned_from_and_forgotten_one_by_one_or_all(world: World) -> None:
    for n in (0, 1):
        world.client.post(world.path(world.vote("up", n)))
    assert page(world).count('name="forget"') == 2
    save(world, "learned", forget=str(world.papers[0]))
    assert world.votes() == {world.papers[1]: "up"}
    assert 'id="reset-fault"' in refused(world, "reset")
    save(world, "reset", sure="yes")
    assert world.votes() == {}


def learned_form(world: World) -> dict[str, list[str]]:
    """What can be ticked of what was learned."""
    text = page(world)
    names = ("never", "less", "forget")
    return {name: re.findall(rf'name="{name}" value="([^"]*)"', text) for name in names}


@on_sqlite
def test_what_was_ticked_counts_whatever_came_in_since(world: World) -> None:
    ids = add_papers(world.app.sessions, [f"bees of kind {n}" for n in range(8)], NOON - HOUR)
    with world.app.sessions() as session:
        set_interest(session, world.reader, "bees", "bees honey", NOON - HOUR)
    embed_interests(world.app.sessions, ENCODER)
    shown = learned_form(world)
    assert set(map(int, shown["less"])) <= set(ids)
    add_papers(world.app.sessions, [f"bees honey {n}" for n in range(8)], NOON)
    assert not set(learned_form(world)["less"]) & set(shown["less"])
    save(world, "learned", less=[*shown["less"], "99999"], never=["honey"], forget=["99999"])
    assert world.votes() == {int(id_): "down" for id_ in shown["less"]}
    with world.app.sessions.reading() as session:
        assert [one.text for one in mutes_of(session, world.reader)] == ["honey"]


@on_sqlite
def test_everything_is_exported_as_a_file(world: World) -> None:
    answer = world.client.get(f"{world.path(world.prefer())}/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="digest.json"'
    assert json.loads(answer.content)["subscriber"]["address"] == READER


def test_deleting_takes_a_tick_on_a_page_of_its_own(world: World) -> None:
    path = f"{world.path(world.prefer())}/erase"
    assert "Delete everything?" in world.client.get(path).text
    before = world.rows()
    answer = world.client.post(path)
    assert (answer.status_code, "sure-fault" in answer.text) == (422, True)
    assert world.rows() == before
    assert "Everything is deleted" in world.client.post(path, data={"sure": "yes"}).text
    with world.app.sessions.reading() as session:
        assert session.get(Subscriber, world.reader) is None
    for again in (path, world.path(world.prefer()), world.path(world.read())):
        assert world.client.get(again).status_code == 410
    assert world.client.post(path, data={"sure": "yes"}).status_code == 410


@on_sqlite
@pytest.mark.parametrize("state", ["active", "paused", "left", "suspended", "pending"])
def test_a_form_that_is_sent_as_it_stands_changes_nothing(world: World, state: str) -> None:
    with world.app.sessions() as session:
        set_interest(session, world.reader, "graphs", "graph\nnetworks", NOON)
        mute(session, world.reader, "word", "GAN", NOON)
        row = session.get_one(Subscriber, world.reader)
        row.state, row.min_probability, row.mix = state, 0.25, 0.6
        vote = {"paper_id": world.papers[0], "value": "up", "via": "web", "at": NOON}
        session.add(VoteRow(subscriber_id=world.reader, **vote))
    before, sent = world.rows(), 0
    for action, given in forms_of(page(world)):
        assert world.client.post(action, data=given).status_code in (303, 422)
        sent += 1
    assert sent >= 5
    assert world.rows() == before


@on_sqlite
@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"a=1&" * 2000, b"--x\r\n\r\n", b"%"])
def test_a_body_that_is_no_form_of_ours_changes_nothing(world: World, body: bytes) -> None:
    before = world.rows()
    for section in ("frequency", "pause", "interests", "mutes", "address", "learned", "reset"):
        answer = world.client.post(f"{world.path(world.prefer())}/{section}", content=body)
        assert answer.status_code in (303, 422)
    assert world.client.post(f"{world.path(world.prefer())}/nonsense").status_code == 404
    assert world.rows() == before


# Links that are over


@on_sqlite
def test_links_in_the_old_mailbox_are_over_when_the_address_has_changed(world: World) -> None:
    for purpose in ("change_from", "change_to"):
        world.client.post(world.path(world.move(purpose)))
    claims = world.prefer(), world.read(), world.vote(), world.unsubscribe()
    preferences, edition, vote, leave = (
        world.path(replace(claim, expires_at=claim.expires_at - timedelta(days=1)))
        for claim in claims
    )
    shown = preferences, f"{preferences}/export", f"{preferences}/erase", edition, vote, leave
    for path in shown:
        answer = world.client.get(path)
        assert (answer.status_code, READER in answer.text, "new.example" in answer.text) == (
            410, False, False,
        )  # fmt: skip
        assert len([*forms_of(answer.text)]) == 1, "a button that has a fresh link mailed"
    one_click = {"List-Unsubscribe": "One-Click"}
    assert world.client.post(leave, data=one_click).status_code == 410
    assert world.client.post(f"{preferences}/erase", data={"sure": "yes"}).status_code == 410
    assert reader(world).state == "active"


def test_an_expired_link_has_a_fresh_one_mailed_once_a_day_and_says_the_same_to_all(
    world: World,
) -> None:
    page = world.client.get(world.path(expired(world.read()))).text
    ((action, _),) = forms_of(page)
    first = world.client.post(action)
    assert "Check your mail" in first.text

    def mailed() -> int:
        with world.app.sessions.reading() as session:
            query = select(Delivery.id).where(Delivery.kind == "fresh_link")
            return len(session.scalars(query).all())

    assert mailed() == 1
    nobody = Claim("edition", 404, NOON - timedelta(days=1), 1)
    assert world.client.post(action).content == first.content
    assert world.client.post(f"/fresh/{world.app.links.token(nobody)}").content == first.content
    with world.app.sessions() as session:
        leave(session, world.reader, now=NOON, why="test")
    assert world.client.post(action).content == first.content
    assert mailed() == 1


@on_sqlite
def test_a_link_of_a_stranger_has_no_fresh_one_mailed(world: World) -> None:
    before = world.rows()
    assert world.client.post("/fresh/AAAA").status_code == 404
    assert "<form" not in world.client.get("/edition/AAAA").text
    assert "<form" not in world.client.get(world.path(expired(world.confirm()))).text
    assert world.rows() == before


# Posts from elsewhere


@on_sqlite
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_post_from_another_site_is_refused_but_for_unsubscribing(world: World, site: str) -> None:
    before, headers = world.rows(), {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    preferences = world.path(world.prefer())
    for path in (world.path(world.vote()), f"{preferences}/reset", f"{preferences}/erase"):
        answer = world.client.post(path, data={"sure": "yes"}, headers=headers)
        assert answer.status_code == 403
        assert "from our own page only" in answer.text
    assert world.rows() == before
    leaving = world.client.post(world.path(world.unsubscribe()), headers=headers)
    assert leaving.status_code == 200
    assert reader(world).state == "left"


def test_unsubscribing_offers_a_pause_or_one_mail_a_week_instead(world: World) -> None:
    path = world.path(world.unsubscribe())
    assert [given.get("instead") for _, given in forms_of(world.client.get(path).text)] == [
        *(None, "pause", "weekly")
    ]
    weekly = world.client.post(path, data={"by": "page", "instead": "weekly"})
    assert "One digest a week" in weekly.text
    assert (reader(world).state, reader(world).frequency) == ("active", "weekly")
    assert "Your digest is paused" in world.client.post(path, data={"instead": "pause"}).text
    assert str(reader(world).paused_until) == "2026-03-29"
    assert "You are unsubscribed" in world.client.post(path, data={"instead": "x"}).text
    assert world.client.post(path, data={"instead": "weekly"}).status_code == 409
    with world.app.sessions.reading() as session:
        assert votes_of(session, world.reader) == {}
