import json
from base64 import b64encode
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from digest.delivery.returns import return_path
from digest.settings import BounceSettings
from digest.store.tables import Bounce, Delivery, Subscriber
from tests.delivery.returned import dsn
from tests.web.conftest import READER, SECRET, World, client_of, on_sqlite
from tests.web.seed import add_edition

PASSWORD = "a password of the relay, ä"
BEARER = {"Authorization": f"Bearer {PASSWORD}".encode()}
HARD = {"type": "hard", "address": READER, "status": "5.1.1", "reason": "550 no such user"}


@pytest.fixture
def world(world: World) -> World:
    """The same, where relays may post."""
    settings = world.app.settings
    bounces = settings.bounces.model_copy(update={"webhook_secret": SecretStr(PASSWORD)})
    app = replace(world.app, settings=settings.model_copy(update={"bounces": bounces}))
    return replace(world, app=app, client=client_of(app))


def state(world: World) -> str:
    with world.app.sessions.reading() as session:
        return session.get_one(Subscriber, world.reader).state


def test_what_a_relay_posts_is_settled_and_counted_once(world: World) -> None:
    full = {"type": "soft", "address": READER, "reason": "552 mailbox full"}
    answer = world.client.post("/bounces", json=[full, HARD], headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, {"counted": 1, "suppressed": 1})
    assert answer.headers["cache-control"] == "no-store"
    assert state(world) == "suspended"
    again = world.client.post("/bounces", json=[full, HARD], headers=BEARER)
    assert again.json() == {"read before": 2}
    opened = {"event": "open", "email": READER}
    assert world.client.post("/bounces", json=opened, headers=BEARER).json() == {"not a bounce": 1}


def test_a_mail_that_came_back_may_be_posted_whole(world: World) -> None:
    with world.app.sessions() as session:
        add_edition(session, world.reader, world.papers, days_later=1, queued=True)
        (delivery,) = session.scalars(select(Delivery.id))
    raw = dsn(to=return_path("digest@example.org", delivery, SECRET))
    headers = {**BEARER, "Content-Type": "message/rfc822"}
    answer = world.client.post("/bounces", content=raw, headers=headers)
    assert answer.json() == {"suppressed": 1}
    with world.app.sessions.reading() as session:
        assert session.scalars(select(Bounce.delivery_id)).all() == [delivery]
    nothing = world.client.post("/bounces", content=b"nothing", headers=headers)
    assert (nothing.status_code, "not a mail" in nothing.json()["error"]) == (400, True)


@on_sqlite
@pytest.mark.parametrize("user", ["", "relay"])
def test_the_password_may_come_by_http_basic(world: World, user: str) -> None:
    told = b64encode(f"{user}:{PASSWORD}".encode()).decode()
    answer = world.client.post("/bounces", json=HARD, headers={"Authorization": f"basic {told}"})
    assert answer.status_code == 200


@on_sqlite
@pytest.mark.parametrize(
    "told",
    [
        "",
        "Bearer",
        "Bearer wrong",
        f"Bearer {PASSWORD[:-1]}",
        "Basic",
        "Basic ???",
        "Basic " + b64encode(b"relay:wrong").decode(),
        "Basic " + b64encode(b"\xff\xfe").decode(),
        "Digest x",
    ],
)
def test_who_does_not_know_the_password_does_nothing(world: World, told: str) -> None:
    before = world.rows()
    answer = world.client.post("/bounces", json=HARD, headers={"Authorization": told})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert world.rows() == before


@on_sqlite
def test_without_a_password_in_the_settings_there_is_no_such_page(world: World) -> None:
    settings = world.app.settings.model_copy(update={"bounces": BounceSettings()})
    client = client_of(replace(world.app, settings=settings))
    for headers in (BEARER, {"Authorization": "Bearer "}, {}):
        assert client.post("/bounces", json=HARD, headers=headers).status_code == 404


@on_sqlite
@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"type": "hard"}', b"\xff", b"[" * 9999])
def test_a_body_that_is_no_event_is_400_and_does_nothing(world: World, body: bytes) -> None:
    before = world.rows()
    answer = world.client.post("/bounces", content=body, headers=BEARER)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    good_then_bad = json.dumps([HARD, {}]).encode()
    assert world.client.post("/bounces", content=good_then_bad, headers=BEARER).status_code == 400
    assert world.rows() == before


@on_sqlite
def test_a_mail_may_be_long_here_and_nowhere_else(world: World) -> None:
    def answer(n: int) -> int:
        body = json.dumps([{**HARD, "reason": "x" * n}]).encode()
        status: int = world.client.post("/bounces", content=body, headers=BEARER).status_code
        return status

    assert answer(900_000) == 200
    assert answer(1_000_000) == 413
    elsewhere = world.client.post("/unsubscribe/x", content=b"a" * 70_000)
    assert elsewhere.status_code == 413
