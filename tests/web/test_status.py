import base64
from dataclasses import replace

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from digest.delivery.breaker import pause
from digest.web import create_web
from tests.web.conftest import World, on_sqlite
from tests.web.seed import NOON

TOKEN = "ünguessable"


@pytest.fixture
def client(world: World) -> TestClient:
    settings = world.app.settings
    web = settings.web.model_copy(update={"status_token": SecretStr(TOKEN)})
    app = replace(world.app, settings=settings.model_copy(update={"web": web}))
    return TestClient(create_web(app, now=lambda: NOON))


def basic(password: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"}


@on_sqlite
def test_without_a_token_in_the_settings_there_is_no_such_page(world: World) -> None:
    assert world.client.get("/status").status_code == 404


@on_sqlite
@pytest.mark.parametrize(
    "headers",
    [{}, basic("wrong"), {"authorization": "Bearer wrong"}, {"authorization": "Basic %%%"},
     {"authorization": "Digest x"}],
)  # fmt: skip
def test_without_the_token_the_page_asks_for_it_and_tells_nothing(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.get("/status", headers=headers)
    assert (answer.status_code, answer.text) == (401, "The token, please.")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_the_page_tells_the_day_and_draws_the_weeks(client: TestClient, world: World) -> None:
    answer = client.get("/status", headers=basic(TOKEN))
    assert answer.status_code == 200
    assert answer.text.count("<svg") == 4
    assert "1 active, 1 pending" in answer.text
    assert "style=" not in answer.text
    assert "@example.org" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    bearer = {"authorization": f"Bearer {TOKEN}".encode()}
    assert client.get("/status", headers=bearer).status_code == 200


@on_sqlite
def test_why_sending_is_paused_stands_first(client: TestClient, world: World) -> None:
    with world.app.sessions() as session:
        pause(session, "535 <wrong> password", NOON)
    text = client.get("/status", headers=basic(TOKEN)).text
    assert "535 &lt;wrong&gt; password" in text
