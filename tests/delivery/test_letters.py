import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlalchemy import event, select, update
from starlette.testclient import TestClient

from digest.delivery.letters import (
    CONFIRM_WITHIN,
    LINKS_LIVE,
    Postage,
    compose_letter,
    mail_as_sent,
    note_press,
    prepare_letter,
    read_letters,
)
from digest.delivery.returns import Returned, read_mark
from digest.delivery.transport import Smtp
from digest.engine.app import App
from digest.errors import BadInput, Unknown
from digest.links import Links
from digest.mail import Signer, WireMessage
from digest.settings import MailSettings
from digest.store import Sessions, open_database
from digest.store.deliveries import queue
from digest.store.tables import Delivery, EditionRow, MailKind, Paper, Press, Subscriber
from tests.delivery.servers import HOST, smtp_server
from tests.mail.dkim_keys import SIGNER, verified
from tests.web.conftest import SECRET, client_of, wire
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


def compose(
    app: App,
    delivery_id: int,
    settings: MailSettings = SETTINGS,
    signer: Signer | None = None,
) -> WireMessage:
    with app.sessions.reading() as session:
        (letter,) = read_letters(session, [delivery_id])
    postage = Postage(app.links, settings, SECRET, signer)
    return prepare_letter(letter, postage).signed()


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
    https, mailto = message["List-Unsubscribe"].split(", ")
    assert re.fullmatch(rf"<{BASE}/unsubscribe/[\w-]+>", https)
    assert mailto.startswith("<mailto:digest@example.org?subject=unsubscribe%20")
    assert read_mark(mailto.replace("%20", " "), SECRET) == Returned("unsubscribe", 1)
    assert "On graphs" in message["Subject"]


def test_every_mail_names_its_kind_to_who_counts_complaints_and_nobody_s_name(app: App) -> None:
    said = [parsed(compose(app, n))["Feedback-ID"] for n in (1, 2)]
    assert said == [
        "2026-03-01:example.org:edition:digest",
        "2026-03-01:example.org:confirmation:digest",
    ]


@pytest.mark.parametrize("delivery_id", [1, 2])
def test_the_envelope_sender_names_the_delivery(app: App, delivery_id: int) -> None:
    sender = compose(app, delivery_id).envelope_sender
    assert re.fullmatch(r"digest\+b[a-z2-7]+@example\.org", sender)
    assert read_mark(sender, SECRET) == Returned("bounce", delivery_id)


def test_what_comes_back_goes_to_the_bounce_address_if_there_is_one(app: App) -> None:
    apart = SETTINGS.model_copy(update={"bounce_address": "bounces+digest@bücher.example"})
    message = compose(app, 1, apart)
    assert re.fullmatch(
        r"bounces\+digest\+b[a-z2-7]+@xn--bcher-kva\.example", message.envelope_sender
    )
    assert read_mark(message.envelope_sender, SECRET) == Returned("bounce", 1)
    leave = parsed(message)["List-Unsubscribe"]
    assert "<mailto:bounces+digest@xn--bcher-kva.example?subject=" in leave
    assert parsed(message)["From"].addresses[0].addr_spec == "digest@example.org"


def test_without_verp_the_envelope_sender_is_the_address_itself(app: App) -> None:
    plain = SETTINGS.model_copy(update={"verp": False})
    assert compose(app, 1, plain).envelope_sender == "digest@example.org"
    apart = plain.model_copy(update={"bounce_address": "bounces@example.org"})
    assert compose(app, 1, apart).envelope_sender == "bounces@example.org"


@pytest.mark.parametrize("delivery_id", [1, 2])
def test_a_signed_mail_is_the_mail_with_its_signatures_before_it(
    app: App, delivery_id: int
) -> None:
    signed, bare = compose(app, delivery_id, signer=SIGNER), compose(app, delivery_id)
    assert signed.raw.endswith(bare.raw)
    assert replace(signed, raw=bare.raw) == bare
    assert verified(signed.raw, SIGNER) == [True, True]
    assert signed == compose(app, delivery_id, signer=SIGNER)


async def test_what_crosses_the_wire_is_whole_and_verifies_and_names_its_delivery(
    app: App,
) -> None:
    with app.sessions() as session:
        session.execute(update(EditionRow).values(note=".dot\u2028 " + "é" * 400))
    async with smtp_server() as inbox, Smtp(HOST, inbox.port, security="none") as transport:
        for n in (1, 2):
            outcome = await transport.send(compose(app, n, signer=SIGNER))
            assert outcome.state == "sent"
    for n, raw, (sender, recipients) in zip((1, 2), inbox.received, inbox.envelopes, strict=True):
        assert raw == compose(app, n, signer=SIGNER).raw
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|[^\r\n]{999}", raw)
        assert verified(raw, SIGNER) == [True, True]
        assert read_mark(sender or "", SECRET) == Returned("bounce", n)
        bulk = ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Precedence"]
        assert list(message_from_bytes(raw).keys()) == [
            *("DKIM-Signature", "DKIM-Signature"),
            *("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Feedback-ID"),
            *(bulk if n == 1 else []),
            *("Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"),
        ]
        assert recipients == [("ann@example.org", "bob@example.org")[n - 1]]


def test_a_confirmation_is_no_bulk_mail_and_its_link_lives_a_week(app: App) -> None:
    message = compose(app, 2)
    assert "List-Unsubscribe" not in parsed(message)
    (token,) = set(links_in(message)["confirm"])
    claim = app.links.read(token, "confirm", NOON)
    assert (claim.subscriber_id, claim.expires_at) == (2, NOON + CONFIRM_WITHIN)


def test_the_links_of_an_edition_say_whose_and_which_and_live_for_a_season(app: App) -> None:
    found = links_in(compose(app, 1))
    assert set(found) == {"edition", "vote", "unsubscribe", "preferences"}
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
        "preferences": "ann@example.org",
        "confirm": "bob@example.org",
    }
    for delivery_id in (1, 2):
        found = links_in(compose(app, delivery_id))
        assert set(found) - {"preferences"} <= set(expected)
        for page in expected.keys() & found.keys():
            for token in found[page]:
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


@pytest.fixture
def busy(sessions: Sessions) -> Sessions:
    """Thirty mails of editions and a confirmation, on each kind of database."""
    with sessions() as session:
        papers = [add_paper(session, f"Paper {n}") for n in range(4)]
        for n in range(30):
            who = add_subscriber(session, f"r{n}@example.org")
            add_edition(session, who, papers[n % 4 :] + papers[: n % 4], queued=True)
        who = add_subscriber(session, "bob@example.org", "pending")
        queue(session, kind="confirmation", subscriber_id=who, now=NOON)
    return sessions


def test_a_batch_is_read_in_three_queries_and_in_its_order(busy: Sessions) -> None:
    asked: list[str] = []
    event.listen(
        busy.engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: asked.append(sql)
    )
    wanted = [*range(31, 0, -1), 404]
    with busy.reading() as session:
        letters = read_letters(session, wanted)
    assert [sql.split()[0] for sql in asked if "PRAGMA" not in sql and "BEGIN" not in sql] == [
        "SELECT"
    ] * 3
    assert [letter.delivery_id for letter in letters] == wanted[:-1]


def test_a_letter_of_a_batch_is_the_letter_that_is_read_alone(busy: Sessions) -> None:
    with busy.reading() as session:
        batch = read_letters(session, range(1, 32))
        assert batch == [read_letters(session, [n])[0] for n in range(1, 32)]
    assert [letter.edition is None for letter in batch] == [False] * 30 + [True]
    for letter in batch[:30]:
        assert letter.edition is not None
        assert letter.edition.subscriber_id == letter.subscriber_id
        assert len(letter.edition.items) == 4


def test_letters_are_composed_in_threads_as_in_one(busy: Sessions) -> None:
    postage = Postage(Links(BASE, [SECRET]), SETTINGS, SECRET, SIGNER)
    with busy.reading() as session:
        letters = read_letters(session, range(1, 32))
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda letter: compose_letter(letter, postage), letters))
    assert at_once == [compose_letter(letter, postage) for letter in letters]


def test_what_letters_are_sealed_with_is_not_printed(app: App) -> None:
    assert SECRET.decode() not in repr(Postage(app.links, SETTINGS, SECRET))


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


OTHER_KINDS: tuple[MailKind, ...] = ("fresh_link", "sunset", "goodbye")


@pytest.fixture
def others(app: App) -> dict[MailKind, int]:
    """A mail of each other kind to Ann, who reads German, by kind."""
    with app.sessions() as session:
        session.execute(update(Subscriber).values(language="de"))
        queued = {
            kind: queue(session, kind=kind, subscriber_id=1, now=NOON) for kind in OTHER_KINDS
        }
    return {kind: id_ for kind, id_ in queued.items() if id_}


def test_the_other_mails_lead_where_they_say_in_their_reader_s_language(
    app: App, others: dict[MailKind, int]
) -> None:
    made = {kind: compose(app, id_) for kind, id_ in others.items()}
    said = {kind: parsed(message)["Subject"] for kind, message in made.items()}
    assert said == {
        "fresh_link": "Ihre neuen Links zu Digest",
        "sunset": "Lesen Sie Digest noch?",
        "goodbye": "Sie haben Digest abbestellt",
    }
    fresh = links_in(made["fresh_link"])
    assert app.links.read(fresh["edition"][0], "edition", NOON).edition_id == 1
    assert app.links.read(fresh["preferences"][0], "preferences", NOON).subscriber_id == 1
    assert set(links_in(made["sunset"])) == {"preferences", "unsubscribe"}
    assert links_in(made["goodbye"]) == {}


def test_a_fresh_link_without_an_edition_leads_to_the_preferences(app: App) -> None:
    with app.sessions() as session:
        id_ = queue(session, kind="fresh_link", subscriber_id=2, now=NOON)
    assert id_ is not None
    assert set(links_in(compose(app, id_))) == {"preferences"}


def test_only_what_nobody_asked_for_is_bulk_mail(app: App, others: dict[MailKind, int]) -> None:
    bulk = {kind for kind, id_ in others.items() if parsed(compose(app, id_))["List-Unsubscribe"]}
    assert bulk == {"sunset"}


def test_a_mail_of_which_nothing_is_known_is_refused(app: App) -> None:
    with app.sessions() as session:
        id_ = queue(session, kind="change_to", subscriber_id=1, now=NOON)
    assert id_ is not None
    with pytest.raises(BadInput, match="asked no more"):
        compose(app, id_)


def test_the_operator_s_language_is_for_those_who_have_chosen_none(app: App) -> None:
    german = SETTINGS.model_copy(update={"language": "de"})
    assert "Bitte bestätigen" in parsed(compose(app, 2, german))["Subject"]
    with app.sessions() as session:
        session.execute(update(EditionRow).values(language="en"))
        session.execute(update(Subscriber).values(language="en"))
    assert "Please confirm" in parsed(compose(app, 2, german))["Subject"]
    body = parsed(compose(app, 1, german)).get_body(("plain",))
    assert body is not None
    assert "for you from" in body.get_content()


def test_a_mail_is_shown_as_it_was_sent_and_whether_it_looked_the_same(app: App) -> None:
    postage = Postage(app.links, SETTINGS, SECRET, SIGNER)
    sent = compose(app, 1, signer=SIGNER)
    with app.sessions() as session:
        note_press(session, postage, NOON)
        note_press(session, postage, NOON + timedelta(hours=1))
        assert len(session.scalars(select(Press)).all()) == 1
        session.execute(update(Delivery).values(state="sent", settled_at=NOON))
    with app.sessions.reading() as session:
        assert mail_as_sent(session, 1, postage) == (sent, None)
        other = replace(postage, settings=SETTINGS.model_copy(update={"postal_address": "X"}))
        assert mail_as_sent(session, 1, other)[1] == NOON
    with app.sessions() as session:
        note_press(session, other, NOON + timedelta(days=1))
    with app.sessions.reading() as session:
        assert mail_as_sent(session, 1, other)[1] == NOON
        assert mail_as_sent(session, 1, postage)[1] is None
        with pytest.raises(Unknown, match="no mail of this edition"):
            mail_as_sent(session, 404, postage)
