"""In which language a visitor is answered: their own as a subscriber, else their browser's."""

import re
import socket
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, expect

from digest.languages import PSEUDO, languages
from digest.links import Claim
from digest.store import open_database
from digest.store.tables import EditionItemRow, Subscriber
from digest.subscribers import SubscriberView, read_subscriber
from digest.web import create_web
from digest.web.feeds import feed_url
from digest.web.tongues import negotiated
from tests.web.conftest import LATER, World, client_of, expired, on_sqlite, serving, speaking, wire
from tests.web.pages import every_page
from tests.web.seed import NOON
from tests.web.test_accessibility import paths_of

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
ENGLISH = {"accept-language": "en-US,en;q=0.5"}

# What the pages of the walk hold that is nobody's language: names, titles, addresses, what was
# typed, and what is called so everywhere.
CONTENT = """
    Digest PDF arXiv Atom JSON English Deutsch ar-XB
    Ada Lovelace Emmy Noether On We show something More paper graphs proteins old more word another
    trending s never hourly xylophone nobody Mars Europa Berlin Europe GAN cs CR
    x y ann bob Bob cleo dan a1 new example org edition confirm
"""


def reads_german(world: World) -> World:
    """The reader has chosen German; the operator and their browser have not."""
    with world.app.sessions() as session:
        session.get_one(Subscriber, world.reader).language = "de"
    return world


def reader(world: World) -> SubscriberView:
    with world.app.sessions.reading() as session:
        return read_subscriber(session, world.reader)


def choose(world: World, language: str) -> int:
    path = f"{world.path(world.prefer())}/language"
    status: int = world.client.post(path, data={"language": language}).status_code
    return status


class Seen(HTMLParser):
    """What a page says: its text, and the attributes that are read out or shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        # Time zones are named as they are everywhere.
        self.feed(re.sub(r"(?s)<datalist.*?</datalist>", "", html))

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        shown = ("aria-label", "placeholder", "title", "alt")
        self.said += [value or "" for name, value in attrs if name in shown or name[:5] == "data-"]

    def handle_data(self, text: str) -> None:
        self.said.append(text)

    @property
    def words(self) -> set[str]:
        # Addresses of pages and anchors in data-live are for programs.
        told = (one for one in self.said if not re.fullmatch(r"paper-\d+|/subscribe/\w+", one))
        return {word for one in told for word in re.findall(r"[A-Za-z][\w-]*", one)}


# Asking the browser


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-de", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr, de;q=0.3, en;q=0.7", "en"),
        ("en;q=0.2 , de ; q=0.9", "de"),
        ("de;q=0, en", "en"),
        ("de;q=0", None),
        ("fr-CH, it", None),
        ("*", None),
        ("", None),
        ("de;q=much, en;q=0.1", "en"),
        # Readers cannot ask for what nobody speaks.
        (PSEUDO, None),
    ],
)
def test_the_best_of_our_languages_that_the_browser_asks_for(header: str, code: str | None) -> None:
    assert negotiated(header) == code


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_no_header_breaks_it(header: str) -> None:
    assert negotiated(header) in (*languages(), None)


@on_sqlite
@pytest.mark.parametrize("path", ["/", "/trending", "/search", "/nowhere", "/edition/x"])
def test_a_visitor_is_answered_in_their_browsers_language(world: World, path: str) -> None:
    for headers, code in ((GERMAN, "de"), (ENGLISH, "en"), ({"accept-language": "fr"}, "en")):
        answer = world.client.get(path, headers=headers)
        assert f'<html lang="{code}" dir="ltr">' in answer.text
        assert answer.headers["content-language"] == code
        assert answer.headers["vary"] == "Accept-Language"


@on_sqlite
def test_the_operators_language_is_for_who_asks_for_none_of_ours(world: World) -> None:
    german = speaking(world, "de").client
    assert "Arbeiten suchen" in german.get("/search", headers={"accept-language": "fr"}).text
    assert "Search the papers" in german.get("/search", headers=ENGLISH).text


# Who opened a link


@on_sqlite
def test_who_opened_a_link_is_answered_in_their_own_language(world: World) -> None:
    reads_german(world)
    for path in (world.path(world.read()), world.path(world.vote()), world.path(world.prefer())):
        answer = world.client.get(path, headers=ENGLISH)
        assert '<html lang="de" dir="ltr">' in answer.text
        assert answer.headers["content-language"] == "de"
        assert "vary" not in answer.headers


@on_sqlite
def test_problems_with_a_link_are_told_in_the_language_of_its_subscriber(world: World) -> None:
    reads_german(world)
    old = world.client.get(world.path(expired(world.read())), headers=ENGLISH)
    assert (old.status_code, old.headers["content-language"]) == (410, "de")
    assert "Dieser Link galt bis Sonntag, 1. März 2026." in old.text
    assert "Schicken Sie mir einen neuen Link" in old.text
    unknown = world.client.get(f"{world.path(world.read())}/paper/404", headers=ENGLISH)
    assert "Diese Arbeit ist nicht in jener Ausgabe." in unknown.text
    gone = world.client.get(world.path(Claim("unsubscribe", 404, NOON.replace(year=2030))))
    assert gone.headers["content-language"] == "en"


@on_sqlite
def test_the_last_page_of_who_is_erased_still_speaks_their_language(world: World) -> None:
    path = f"{world.path(reads_german(world).prefer())}/erase"
    assert "Alles ist gelöscht" in world.client.post(path, data={"sure": "yes"}).text


def test_without_a_readable_database_the_browser_is_asked(tmp_path: Path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    app = wire(sessions)
    for claim in (Claim("edition", 1, LATER, 1), Claim("edition", 1, NOON, 1)):
        answer = client_of(app).get(app.links.path(claim), headers=GERMAN)
        assert answer.status_code == (503 if claim.expires_at == LATER else 410)
        assert answer.headers["content-language"] == "de"
    sessions.engine.dispose()


@on_sqlite
def test_a_fault_of_ours_is_told_in_the_language_that_the_page_would_have_had(world: World) -> None:
    reads_german(world)
    with world.app.sessions() as session:
        session.get_one(EditionItemRow, (world.edition, world.papers[0])).card = {}
    answer = world.client.get(world.path(world.read()), headers=ENGLISH)
    assert answer.status_code == 500
    assert "Etwas ist schiefgegangen" in answer.text


@on_sqlite
def test_what_is_too_long_is_refused_in_the_browsers_language(world: World) -> None:
    long = world.client.post("/fresh/x", content=b"x" * 70_000, headers=GERMAN)
    assert (long.status_code, long.headers["connection"]) == (413, "close")
    assert "Das ist zu viel Text" in long.text


# Choosing


@on_sqlite
def test_a_reader_chooses_their_language_and_the_page_follows(world: World) -> None:
    before = world.client.get(world.path(world.prefer())).text
    assert '<option value="en" selected>English</option>' in before
    assert choose(world, "de") == 303
    assert reader(world).language == "de"
    page = world.client.get(f"{world.path(world.prefer())}?saved=language").text
    assert "<h1>Einstellungen</h1>" in page
    assert '<option value="de" selected>Deutsch</option>' in page
    # Chosen is chosen, also where it is the operator's.
    choose(world, "en")
    assert reader(world).language == "en"


@on_sqlite
def test_saved_as_it_stands_nothing_is_chosen(world: World) -> None:
    before = world.rows()
    choose(world, "en")
    assert world.rows() == before
    assert reader(world).language is None


@on_sqlite
def test_a_language_that_there_is_not_is_refused_at_its_field(world: World) -> None:
    answer = world.client.post(f"{world.path(world.prefer())}/language", data={"language": "tlh"})
    assert answer.status_code == 422
    assert "Must be one of en, de, or none, not &#39;tlh&#39;" in answer.text
    assert 'id="language-fault"' in answer.text
    # On the subscribe page it is the page's, whatever is posted.
    form = {"address": "cleo@example.org", "language": "tlh"}
    assert world.client.post("/subscribe", data=form).status_code == 200


# What is said


def test_faults_of_forms_are_told_in_the_readers_language(world: World) -> None:
    reads_german(world)
    path = world.path(world.prefer())
    for section, typed, said in (
        ("frequency", {"hour": "25"}, "Bitte eine Stunde von 0 bis 23, nicht &#39;25&#39;"),
        ("frequency", {"timezone": "Mars"}, "&#39;Mars&#39; ist keine Zeitzone"),
        ("pause", {"pause": "until", "until": "2020-01-01"}, "Bitte ein künftiger Tag"),
        ("mutes", {"kind": "word", "text": "?!"}, "Ein stummgeschaltetes Wort braucht"),
        ("address", {"address": "ann@a"}, "ist keine E-Mail-Adresse: Der Teil hinter dem @-Z"),
        ("address", {"address": "ann@example.org"}, "Das ist die Adresse, an die Digest jetzt"),
        ("interests", {"name-new": "x" * 99, "text-new": "x"}, "Der Name eines Interesses hat 1"),
        ("reset", {}, "Bitte ankreuzen, um alle Stimmen zu vergessen"),
    ):
        answer = world.client.post(f"{path}/{section}", data=typed)
        assert answer.status_code == 422
        assert said in answer.text
        assert "Noch nicht gespeichert: „" in answer.text


@on_sqlite
def test_a_feed_has_its_title_and_its_reasons_in_the_readers_language(world: World) -> None:
    url = feed_url(world.app.links, world.reader)
    english = world.client.get(url)
    reads_german(world)
    german = world.client.get(url, headers={"if-none-match": english.headers["etag"]})
    assert german.status_code == 200
    assert "<title>Digest: Ihre Arbeiten</title>" in german.text
    assert "Passt zu Ihrem Interesse „graphs“." in german.text
    for headers, title in ((GERMAN, "viel beachtete Arbeiten"), (ENGLISH, "trending papers")):
        public = world.client.get("/trending.json", headers=headers)
        assert public.json()["title"] == f"Digest: {title}"
        assert public.headers["vary"] == "Accept-Language"


@on_sqlite
def test_every_page_says_all_that_it_says_in_one_language(world: World) -> None:
    """In a language that nobody speaks every word of ours is in other letters."""
    n = 0
    for name, page in every_page(speaking(world, PSEUDO)):
        if page.status_code == 303:
            continue
        assert f'<html lang="{PSEUDO}" dir="rtl">' in page.text, name
        left = {word for word in Seen(page.text).words if set(word) != {"x"}}
        assert left - set(CONTENT.split()) == set(), name
        n += 1
    assert n > 100


# Longer words, and words that are read from the right


@on_sqlite
@pytest.mark.parametrize(("code", "begins_at"), [("de", 20), (PSEUDO, 300)])
def test_pages_fit_a_small_phone_and_begin_where_they_are_read_from(
    world: World, browser: Browser, code: str, begins_at: int
) -> None:
    there = speaking(world, code)
    web = create_web(there.app, now=lambda: NOON)
    nothing = {"accept-language": ""}
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, extra_http_headers=nothing
    )
    page = context.new_page()
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(web, listener):
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for path in paths_of(there):
            page.goto(base + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
            brand = page.locator(".brand").bounding_box()
            assert brand is not None
            side = brand["x"] + (brand["width"] if code == PSEUDO else 0)
            assert side == pytest.approx(begins_at, abs=1)
        page.goto(base + there.path(there.read()))
        title = page.get_by_role("heading", name="On graphs")
        assert title.evaluate("one => getComputedStyle(one).direction") == "ltr"
    context.close()


@on_sqlite
def test_what_the_script_says_is_in_the_pages_language(world: World, browser: Browser) -> None:
    web = create_web(reads_german(world).app, now=lambda: NOON)
    page = browser.new_page()
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(web, listener):
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        page.goto(base + world.path(world.read()))
        page.get_by_role("button", name="Merken").first.click()
        expect(page.get_by_role("status")).to_have_text("Sie haben sich diese Arbeit gemerkt.")
        page.get_by_role("article").first.get_by_role("button", name="Zurücknehmen").click()
        expect(page.get_by_role("status")).to_have_text("Zurückgenommen.")
    page.close()
