import re
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from digest.delivery.letters import CONFIRM_WITHIN, LINKS_LIVE, letter
from digest.engine.app import App
from digest.errors import BadInput
from digest.links import Links
from digest.mail.message import WireMessage
from digest.settings import MailSettings
from digest.store import open_database
from digest.store.deliveries import queue
from digest.store.tables import Delivery, Paper, Subscriber
from tests.web.conftest import client_of, wire
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

SETTINGS = MailSettings(
    from_address="digest@example.org",
    from_name="Digest of Ärzte",
    reply_to="people@example.org",
    postal_address="12 Observatory Lane, Heidelberg",
)
BASE = "http://digest.example.org"
LINK = re.compile(rf"{BASE}/(\w+)/([\w-]+)")


@pytest.fixture
def app(sqlite_url: str) -> Iterator[App]:
    """Ann with an edition of one paper, and Bob who has not confirmed; both mails are queued."""
    sessions = open_database(sqlite_url)
    with sessions() as session:
        ann = add_subscriber(session, "ann@example.org")
        add_edition(session, ann, [add_paper(session, "On graphs")], queued=True)
        bob = add_subscriber(session, "bob@example.org", "pending")
        queue(session, kind="confirmation", subscriber_id=bob, now=NOON)
    yield wire(sessions, BASE)
    sessions.engine.dispose()


def compose(app: App, delivery_id: int, settings: MailSettings = SETTINGS) -> WireMessage:
    with app.sessions.reading() as session:
        return letter(session, delivery_id, app.links, settings)


def parsed(message: WireMessage) -> EmailMessage:
    found = message_from_bytes(message.raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def links_in(message: WireMessage) -> dict[str, list[str]]:
    """Tokens in the text part, by the page that they lead to."""
    body = parsed(message).get_body(("plain",))
    assert body is not None
    found: dict[str, list[str]] = {}
    for page, token in LINK.findall(body.get_content()):
        found.setdefault(page, []).append(token)
    return found


def test_an_edition_s_headers_are_those_of_bulk_mail_that_one_click_ends(app: App) -> None:
    message = parsed(compose(app, 1))
    with app.sessions.reading() as session:
        kept = session.get_one(Delivery, 1)
    assert message["To"] == "ann@example.org"
    assert message["From"] == "Digest of Ärzte <digest@example.org>"
    assert message["Reply-To"] == "people@example.org"
    assert message["Message-ID"] == f"<{kept.message_id}@example.org>"
    assert message["Date"].datetime == kept.created_at
    assert message["List-Id"] == "Digest of Ärzte <digest.example.org>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(rf"<{BASE}/unsubscribe/[\w-]+>", message["List-Unsubscribe"])
    assert "On graphs" in message["Subject"]


def test_a_confirmation_is_no_bulk_mail_and_its_link_lives_a_week(app: App) -> None:
    message = compose(app, 2)
    assert "List-Unsubscribe" not in parsed(message)
    (token,) = set(links_in(message)["confirm"])
    claim = app.links.read(token, "confirm", NOON)
    assert (claim.subscriber_id, claim.expires_at) == (2, NOON + CONFIRM_WITHIN)


def test_the_links_of_an_edition_say_whose_and_which_and_live_for_a_season(app: App) -> None:
    found = links_in(compose(app, 1))
    assert set(found) == {"edition", "vote", "unsubscribe"}
    for token in found["vote"]:
        claim = app.links.read(token, "vote", NOON)
        assert (claim.subscriber_id, claim.edition_id, claim.paper_id) == (1, 1, 1)
        assert claim.expires_at == NOON + LINKS_LIVE
    values = {app.links.read(token, "vote", NOON).value for token in found["vote"]}
    assert values >= {"up", "down"}


def test_every_link_opens_its_page(app: App) -> None:
    client: TestClient = client_of(app)
    expected = {
        "edition": "On graphs",
        "vote": "On graphs",
        "unsubscribe": "ann@example.org",
        "confirm": "bob@example.org",
    }
    for delivery_id in (1, 2):
        for page, tokens in links_in(compose(app, delivery_id)).items():
            for token in tokens:
                answer = client.get(f"/{page}/{token}")
                assert answer.status_code == 200
                assert expected[page] in answer.text or page in ("unsubscribe", "confirm")


def test_every_link_leads_to_the_base_url(app: App) -> None:
    for delivery_id in (1, 2):
        text = compose(app, delivery_id).raw.decode().replace("=\r\n", "")
        hosts = set(re.findall(r"https?://([^/\s\"<>]+)", text))
        assert hosts <= {"digest.example.org", "arxiv.org", "www.w3.org"}


def test_the_same_delivery_is_the_same_bytes_whatever_becomes_of_the_paper(app: App) -> None:
    before = compose(app, 1)
    with app.sessions() as session:
        session.execute(update(Paper).values(title="Other", abstract="Other."))
    assert compose(app, 1) == before


def test_other_editions_have_other_message_ids(app: App) -> None:
    with app.sessions() as session:
        paper = session.scalars(select(Paper.id)).one()
        add_edition(session, 1, [paper], days_later=1, queued=True)
    assert len({compose(app, n).message_id for n in (1, 2, 3)}) == 3


def test_an_address_that_cannot_stand_in_a_header_is_refused(app: App) -> None:
    with app.sessions() as session:
        session.execute(update(Subscriber).values(address="a@example.org\r\nBcc: x@example.org"))
    with pytest.raises(BadInput, match="no e-mail address"):
        compose(app, 1)


def test_a_rotated_key_signs_anew_and_old_mails_still_hold(app: App) -> None:
    old = links_in(compose(app, 1))["edition"][0]
    rotated = Links(BASE, [b"another secret, as long", b"a secret of enough bytes"])
    assert rotated.read(old, "edition", NOON + timedelta(days=1)).edition_id == 1
