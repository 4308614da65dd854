"""A reader's days in German: signed up on a German page, answered and mailed in German."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape

from sqlalchemy import select

from digest.delivery.letters import compose_letter, read_letters
from digest.links import Claim
from digest.store.tables import Delivery
from digest.subscribers import find
from tests.web.conftest import LATER, World, on_sqlite, speaking
from tests.web.seed import add_edition, add_paper
from tests.web.test_tongues import ENGLISH, GERMAN

FORM = {"address": "emmy@example.org", "interest": "Ringe", "timezone": "Europe/Berlin"}


def newest_mail(world: World) -> EmailMessage:
    with world.app.sessions.reading() as session:
        newest = session.scalars(select(Delivery.id).order_by(Delivery.id.desc()).limit(1)).one()
        letters = read_letters(session, [newest])
    wire = compose_letter(letters[0], world.app.postage)
    return message_from_bytes(wire.raw, policy=default)


def link_in(mail: EmailMessage, page: str) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    words: list[str] = body.get_content().split()
    return next(word for word in words if f"/{page}/" in word)


def said(world: World, path: str, **more: object) -> str:
    """What a page says to a reader whose browser would rather have English."""
    post = "data" in more
    answer = world.client.request("POST" if post else "GET", path, headers=ENGLISH, **more)  # type: ignore[arg-type]
    if answer.status_code == 303:
        answer = world.client.get(answer.headers["location"], headers=ENGLISH)
    assert answer.status_code == 200
    assert answer.headers["content-language"] == "de"
    return unescape(answer.text)


@on_sqlite
def test_a_german_reader_never_meets_another_language(world: World) -> None:
    page = world.client.get("/", headers=GERMAN).text
    assert "Die neuen Arbeiten, die für Sie zählen, in einer kurzen Mail" in page
    wrong = world.client.post("/subscribe", data={**FORM, "timezone": "Mars"}, headers=GERMAN)
    assert "Eines stimmt noch nicht" in wrong.text
    taken = world.client.post("/subscribe", data=FORM, headers=GERMAN)
    assert "Sehen Sie in Ihr Postfach" in taken.text

    world.look_at_signups()
    mail = newest_mail(world)
    assert mail["Subject"] == "Bitte bestätigen: Ihr Digest neuer Arbeiten"
    confirm = link_in(mail, "confirm")
    assert "Mein Abonnement bestätigen" in said(world, confirm)
    page = said(world, confirm, data={})
    assert "Sie sind dabei" in page
    assert "Er geht jeden Tag um 07:00 Uhr (Zeitzone Europe/Berlin) an" in page

    with world.app.sessions() as session:
        emmy = find(session, "emmy@example.org").id
        rings = add_paper(session, "Rings without ends", "We close them.\n\nAll of them.")
        edition = add_edition(session, emmy, [rings])
    vote = world.path(Claim("vote", emmy, LATER, edition, rings, "up"))
    page = said(world, vote)
    assert "Noch ein Druck" in page
    assert "Sonntag, 1. März 2026" in page
    assert "Passt zu Ihrem Interesse „graphs“" in page
    assert "Sie möchten mehr davon." in said(world, vote, data={})
    paper = f"{world.path(Claim('edition', emmy, LATER, edition))}/paper/{rings}"
    assert "Ähnliche Arbeiten" in said(world, paper)

    preferences = world.path(Claim("preferences", emmy, LATER))
    assert "Was Ihnen wohl gefällt" in said(world, preferences)
    assert "Gespeichert." in said(world, f"{preferences}/frequency", data={"hour": "9"})
    address = {"address": "noether@example.org"}
    assert "Ein Wechsel zu" in said(world, f"{preferences}/address", data=address)
    move = link_in(newest_mail(world), "change_to")
    assert "Ist das Ihre neue Adresse?" in said(world, move)

    leave = world.path(Claim("unsubscribe", emmy, LATER))
    assert "Den Digest abbestellen?" in said(world, leave)
    page = said(world, leave, data={"by": "page", "instead": "weekly"})
    assert "Von nun an ein Digest in der Woche" in page
    assert "kommt am Montag, 2. März 2026, um 09:00 Uhr." in page
    assert "Sie haben abbestellt" in said(world, leave, data={"by": "page"})
    assert newest_mail(world)["Subject"] == "Sie haben Digest abbestellt"


@on_sqlite
def test_the_operators_language_is_not_written_down_as_a_choice(world: World) -> None:
    for operator, headers, kept in (
        ("en", ENGLISH, None),
        ("de", GERMAN, None),
        ("de", ENGLISH, "en"),
    ):
        here = speaking(world, operator)
        address = f"{operator}{kept}@example.org"
        here.client.post("/subscribe", data={**FORM, "address": address}, headers=headers)
        here.look_at_signups()
        with here.app.sessions.reading() as session:
            assert find(session, address).language == kept


@on_sqlite
def test_who_comes_back_by_a_page_in_another_language_gets_it_with_the_confirmation(
    world: World,
) -> None:
    """Until then it may have been a stranger who asked: mail and page stay as they were."""
    leave = Claim("unsubscribe", world.reader, LATER)
    world.client.post(world.path(leave), data={"by": "page"})
    again = {**FORM, "address": "ann@example.org"}
    world.client.post("/subscribe", data=again, headers=GERMAN)
    world.look_at_signups()
    mail = newest_mail(world)
    assert mail["Subject"] == "Please confirm: your Digest of new papers"
    confirm = link_in(mail, "confirm")
    assert "One press, and you are in" in world.client.get(confirm, headers=GERMAN).text
    assert "Sie sind dabei" in said(world, confirm, data={})
