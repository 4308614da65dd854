"""Whatever papers say, it is text in all four places where it is shown."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from digest.cli.door import say, show
from digest.editions import EditionItem, Reason
from digest.engine.app import App
from digest.links import Claim
from digest.mail import render
from digest.store import open_database
from digest.store.tables import EditionItemRow, Paper
from tests.mail.hostile import PAYLOADS
from tests.mail.sample import ITEM, mail
from tests.web.conftest import client_of, wire
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

AT_ONCE = 30


class Elements(HTMLParser):
    """The elements of a page and their attributes' names; where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.schemes: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs if name != "dir")))
        self.schemes |= {
            re.split("[:/]", value or "")[0].strip().lower()
            for name, value in attrs
            if name in ("href", "action")
        }


def item(payload: str) -> EditionItem:
    """A paper that says it in six fields."""
    return replace(
        ITEM,
        title=payload,
        summary=payload,
        authors=(payload, payload, payload),
        sources=(payload,),
        url=payload,
        code_url=payload,
        reasons=(Reason("interest", 0.6, name=payload), Reason("liked", 0.4, title=payload)),
    )


def harmless() -> EditionItem:
    return replace(item("plain"), url=None, code_url=None)


ROUNDS = [PAYLOADS[n : n + AT_ONCE] for n in range(0, len(PAYLOADS), AT_ONCE)]


def test_there_are_five_hundred_and_each_is_another() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 500


@pytest.mark.parametrize("payloads", ROUNDS, ids=range(len(ROUNDS)))
def test_no_payload_is_live_in_html_or_changes_its_shape(payloads: tuple[str, ...]) -> None:
    shown = Elements(render(mail(*map(item, payloads))).html)
    plain = Elements(render(mail(*[harmless()] * len(payloads))).html)
    assert shown.found == plain.found
    assert shown.schemes <= {"https", "http"}


def test_no_payload_steers_what_shows_the_text() -> None:
    for payload in PAYLOADS:
        rendered = render(mail(item(payload), note=payload))
        assert not re.search(
            r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rendered.text
        )
        assert not re.search(r"[\x00-\x1f\x7f]", rendered.subject)


@pytest.fixture
def app(sqlite_url: str) -> Iterator[App]:
    sessions = open_database(sqlite_url)
    yield wire(sessions, "https://digest.example.org")
    sessions.engine.dispose()


def test_no_payload_is_live_on_the_edition_s_page(app: App) -> None:
    client: TestClient = client_of(app)
    with app.sessions() as session:
        who = add_subscriber(session, "ann@example.org")
        papers = [add_paper(session, f"Paper {n}") for n in range(AT_ONCE)]
        edition = add_edition(session, who, papers)
    url = app.links.path(Claim("edition", who, NOON.replace(year=2030), edition))
    plain = None
    for payloads in (("plain",) * AT_ONCE, *ROUNDS):
        with app.sessions() as session:
            for paper, payload in zip(papers, payloads, strict=False):
                one = item(payload)
                row = session.get_one(EditionItemRow, (edition, paper))
                row.card = {
                    **row.card,
                    "title": payload,
                    "summary": payload,
                    "authors": list(one.authors),
                    "sources": [payload],
                    "url": payload,
                    "code_url": payload,
                }
                row.reasons = [{"kind": "interest", "share": 1.0, "name": payload}]
                session.execute(update(Paper).where(Paper.id == paper).values(abstract=payload))
        answer = client.get(url)
        assert answer.status_code == 200
        found = [
            one for one in Elements(answer.text).found if one[0] not in ("details", "summary", "p")
        ]
        plain = plain or found
        assert len(payloads) < AT_ONCE or found == plain
        ours = re.compile(r'<script src="/static/live\.js\?v=[0-9a-f]+" defer></script>')
        parsed = Elements(ours.sub("", answer.text))
        assert not [
            names
            for tag, names in parsed.found
            if tag == "script" or "on" in {n[:2] for n in names}
        ]
        assert parsed.schemes <= {"https", "http", "", "#content"}


def test_no_payload_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for payload in PAYLOADS:
        say(payload)
    show([{"title": payload} for payload in PAYLOADS], {"title": "title"}, as_json=False)
    out = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
