from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from digest.delivery import outbox
from digest.delivery.suppression import suppress
from digest.links import Claim
from digest.store.tables import Consent, Delivery, Interest, Subscriber, SubscriberState
from digest.subscribers import CONSENT, SubscriberView, find, leave
from tests.web.conftest import NEWCOMER, READER, SECRET, World, client_of, expired, on_sqlite
from tests.web.seed import NOON, add_edition

FORM = {
    "address": "cleo@example.org",
    "interest": "graph networks\nproteins",
    "timezone": "Europe/Paris",
    "hour": "9",
    "frequency": "weekly",
    "length": "5",
    "mix": "0.5",
    "website": "",
}


def found(world: World, address: str) -> SubscriberView:
    with world.app.sessions.reading() as session:
        return find(session, address)


# Subscribing


@on_sqlite
def test_the_form_is_filled_with_the_defaults_and_has_the_words_of_consent(
    world: World,
) -> None:
    page = world.client.get("/").text
    assert CONSENT in page
    for default in (
        'name="timezone" list="zones"',
        'value="UTC"',
        '<option value="7" selected>07:00',
        '<option value="daily" selected>',
        '<option value="0.75" selected>',
        '<option value="Europe/Berlin">',
    ):
        assert default in page
    assert world.client.get("/subscribe").text == page


def test_signing_up_stores_what_was_asked_and_queues_one_mail(world: World) -> None:
    answer = world.client.post("/subscribe", data=FORM)
    assert answer.status_code == 200
    assert "Check your mail" in answer.text
    world.look_at_signups()
    view = found(world, "cleo@example.org")
    assert (view.state, view.timezone, view.hour) == ("pending", "Europe/Paris", 9)
    assert (view.frequency, view.length, view.mix) == ("weekly", 5, 0.5)
    with world.app.sessions.reading() as session:
        assert list(session.scalars(select(Interest.text).order_by(Interest.id))) == [
            "graph networks",
            "proteins",
        ]
        kinds = session.scalars(select(Delivery.kind)).all()
        assert session.scalars(select(Consent.wording)).all() == [CONSENT]
    assert kinds == ["confirmation"]


def test_the_same_bytes_answer_for_every_state_of_an_address(world: World) -> None:
    def answer() -> tuple[int, bytes, list[tuple[str, str]]]:
        got = world.client.post("/subscribe", data=FORM)
        world.look_at_signups()
        return got.status_code, got.content, got.headers.multi_items()

    unknown = answer()
    assert answer() == unknown
    for state in ("active", "paused", "left", "suspended"):
        with world.app.sessions() as session:
            session.execute(
                update(Subscriber)
                .where(Subscriber.address == FORM["address"])
                .values(state=state, confirmed_at=NOON)
            )
        assert answer() == unknown
    with world.app.sessions() as session:
        suppress(session, FORM["address"], SECRET, reason="bounced", now=NOON)
    assert answer() == unknown


@on_sqlite
def test_every_fault_is_told_at_its_field_and_the_rest_is_kept(world: World) -> None:
    answer = world.client.post(
        "/subscribe", data={**FORM, "address": "cleo", "timezone": "Europa/Paris", "hour": "25"}
    )
    assert answer.status_code == 422
    page = answer.text
    assert "3 things are not right yet" in page
    for name in ("address", "timezone", "hour"):
        assert f'id="{name}-fault"' in page
        assert f"{name}-fault" in page.split(f'id="{name}"')[1].split(">")[0]
    assert "did you mean Europe/Paris?" in page
    assert 'value="cleo"' in page
    assert 'value="Europa/Paris"' in page
    assert "graph networks\nproteins</textarea>" in page
    assert '<option value="weekly" selected>' in page
    assert '<option value="0.5" selected>' in page


@on_sqlite
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\x00", b"address=%00", b"a=1&" * 60, b"--x\r\n\r\n", b"timezone=" + b"a" * 60_000],
)
def test_a_body_that_is_no_form_of_ours_is_a_form_with_faults(world: World, body: bytes) -> None:
    before = world.rows()
    answer = world.client.post("/subscribe", content=body)
    assert answer.status_code == 422
    assert "One thing is not right yet" in answer.text or "2 things are" in answer.text
    assert world.rows() == before


@on_sqlite
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(max_size=200) | st.text(alphabet="\\${}^_%&#;<>a1 \n\x00\u202e", max_size=60),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("hour", "length", "mix"), st.text())),
)
@example("\\today" * 5, {})  # longer as it reads than as it is typed
def test_whatever_is_typed_is_taken_or_told_at_its_field(
    world: World, interest: str, others: dict[str, str]
) -> None:
    # A client of its own each time: whoever tries sixty at once is asked to wait.
    answer = client_of(world.app).post("/subscribe", data={**FORM, "interest": interest, **others})
    assert answer.status_code in (200, 422, 429)
    if answer.status_code == 429:
        assert "from your network in the last hour" in answer.text


def test_a_robot_that_fills_every_field_is_thanked_and_forgotten(world: World) -> None:
    before = world.rows()
    human = world.client.post("/subscribe", data={**FORM, "address": READER})
    robot = world.client.post("/subscribe", data={**FORM, "address": READER, "website": "x"})
    assert robot.content == human.content
    world.client.post("/subscribe", data={**FORM, "website": "http://spam.example"})
    world.look_at_signups()
    after = {name: rows for name, rows in world.rows().items() if name != "throttles"}
    assert after == {name: rows for name, rows in before.items() if name != "throttles"}


# Confirming


def test_confirming_takes_the_button_and_says_when_the_first_digest_comes(world: World) -> None:
    path = world.path(world.confirm())
    page = world.client.get(path).text
    assert f'<form method="post" action="{path}">' in page
    assert page.count("<button") == 1
    for _ in range(2):
        answer = world.client.post(path)
        assert answer.status_code == 200
        assert "Your first digest is being made now" in answer.text
        assert "every day at 07:00, Europe/Berlin time" in answer.text
    assert found(world, NEWCOMER).confirmed_at == NOON
    assert "<button" not in world.client.get(path).text


@on_sqlite
def test_a_confirmed_link_tells_the_next_digest_in_the_readers_own_time(world: World) -> None:
    with world.app.sessions() as session:
        row = session.get_one(Subscriber, world.reader)
        row.next_due_at = NOON + timedelta(hours=18)
    page = world.client.get(world.path(Claim("confirm", world.reader, NOON + timedelta(1)))).text
    assert "comes on Monday 2 March 2026 at 07:00" in page


def test_an_old_confirmation_does_not_bring_back_who_left(world: World) -> None:
    with world.app.sessions() as session:
        leave(session, world.newcomer, now=NOON, why="test")
    path = world.path(world.confirm())
    assert "Subscribe again" in world.client.get(path).text
    assert world.client.post(path).status_code == 409
    assert found(world, NEWCOMER).state == "left"


@on_sqlite
@pytest.mark.parametrize(
    ("state", "confirming", "leaving"),
    [
        ("pending", "One press, and you are in", "Stop the digest?"),
        ("active", "You are in", "Stop the digest?"),
        ("paused", "Your subscription is paused", "Stop the digest?"),
        ("left", "You have unsubscribed since", "You are unsubscribed"),
        ("suspended", "Mail to you came back", "Stop the digest?"),
    ],
)
def test_each_state_of_a_subscriber_has_its_page(
    world: World, state: SubscriberState, confirming: str, leaving: str
) -> None:
    with world.app.sessions() as session:
        session.get_one(Subscriber, world.newcomer).state = state
    leave_ = replace(world.unsubscribe(), subscriber_id=world.newcomer)
    for claim, title in ((world.confirm(), confirming), (leave_, leaving)):
        assert f"<h1>{title}</h1>" in world.client.get(world.path(claim)).text


# Leaving


def test_unsubscribing_takes_the_button_and_offers_a_way_back(world: World) -> None:
    path = world.path(world.unsubscribe())
    assert f'<form method="post" action="{path}">' in world.client.get(path).text
    with world.app.sessions() as session:
        add_edition(session, world.reader, [], days_later=1, queued=True)
    for _ in range(2):
        answer = world.client.post(path)
        assert answer.status_code == 200
        assert "You are unsubscribed" in answer.text
        assert 'href="/">Subscribe again' in answer.text
    assert found(world, READER).state == "left"
    with world.app.sessions.reading() as session:
        query = select(func.count()).where(Delivery.state != "cancelled")
        assert session.scalar(query) == 0
    assert "You are unsubscribed" in world.client.get(path).text


@on_sqlite
@pytest.mark.parametrize(("body", "goodbyes"), [({"by": "page"}, 1), ({}, 0)])
def test_a_goodbye_goes_to_who_pressed_our_button_and_to_nobody_else(
    world: World, body: dict[str, str], goodbyes: int
) -> None:
    path = world.path(world.unsubscribe())
    assert '<input type="hidden" name="by" value="page">' in world.client.get(path).text
    for _ in range(2):
        world.client.post(path, data={**body, "List-Unsubscribe": "One-Click"})
    with world.app.sessions() as session:
        query = select(Delivery.id).where(Delivery.kind == "goodbye")
        waiting = session.scalars(query).all()
        assert len(waiting) == goodbyes
        assert outbox.claim(session, "me", 9, SECRET, NOON).delivery_ids == tuple(waiting)


MULTIPART = b"""--x\r
Content-Disposition: form-data; name="List-Unsubscribe"\r
\r
One-Click\r
--x--\r
"""


@on_sqlite
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=x",
            MULTIPART,
        ),
        ("multipart/form-data", b"broken"),
        ("text/plain; charset=nonsense", b""),
    ],
)
def test_a_mail_programs_one_click_unsubscribes_without_redirect(
    world: World, kind: str, body: bytes
) -> None:
    """RFC 8058, 3.1 and 3.2: no cookies, no redirect, whatever the encoding of the form."""
    answer = world.client.post(
        world.path(world.unsubscribe()), content=body, headers={"content-type": kind}
    )
    assert answer.status_code == 200
    assert found(world, READER).state == "left"


@on_sqlite
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_expired_links_of_a_subscription_are_gone(world: World, method: str) -> None:
    before = world.rows()
    for claim in (world.confirm(), world.unsubscribe()):
        answer = world.client.request(method, world.path(expired(claim)))
        assert answer.status_code == 410
        assert "subscribe again" in answer.text
    assert world.rows() == before


@on_sqlite
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_links_of_one_who_was_erased_are_gone(world: World, method: str) -> None:
    for purpose in ("confirm", "unsubscribe"):
        claim = Claim(purpose, 404, NOON + timedelta(days=1))
        answer = world.client.request(method, world.path(claim))
        assert answer.status_code == 410
        assert "no longer exists" in answer.text
