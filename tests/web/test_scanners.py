"""Six kinds of mail scanner, over every link of real mails: what they may do, and what never."""

import asyncio
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from html import unescape
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import func, select
from starlette.testclient import TestClient

from digest.delivery.letters import compose_letter, read_letters
from digest.engine.app import App
from digest.profiles.ground import ground_of
from digest.profiles.signals import signals_of
from digest.ranking.types import KINDS
from digest.store import Sessions, open_database
from digest.store.deliveries import queue
from digest.store.tables import Base, Delivery, Paper, Subscriber, VectorRow, VoteRow
from digest.web import create_web
from tests.engine.world import Clock
from tests.web.conftest import serving, wire
from tests.web.forms import forms_of
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber
from tests.worlds import WordEncoder

ENCODER = WordEncoder()
A_PRESS = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin", "sec-fetch-user": "?1"}
# Every tenth mail asks for a confirmation; the others are editions of two papers.
FEW, MANY = 10, 500
# A browser takes a hundred times as long as a client to open a link.
BROWSED = 500


@dataclass
class Post:
    """An installation, its clock, and the links of each mail that it has composed."""

    app: App
    clock: Clock
    mails: list[list[str]]

    @property
    def paths(self) -> list[str]:
        return [path for mail in self.mails for path in mail]

    def client(self) -> TestClient:
        web = create_web(self.app, now=self.clock)
        return TestClient(web, raise_server_exceptions=True, follow_redirects=False)

    def rows(self) -> dict[str, list[str]]:
        with self.app.sessions.reading() as session:
            return {
                table.name: sorted(repr(row) for row in session.execute(select(table)))
                for table in Base.metadata.sorted_tables
            }

    def votes(self) -> list[VoteRow]:
        with self.app.sessions.reading() as session:
            return list(session.scalars(select(VoteRow)))

    def learned_from(self) -> int:
        """How many votes ranking takes for signals, of all readers."""
        with self.app.sessions.reading() as session:
            ground = ground_of(session, ENCODER.identity, now=self.clock.now)
            assert ground is not None
            ids = session.scalars(select(Subscriber.id)).all()
            signals = signals_of(session, ids, ENCODER.identity, ground, now=self.clock.now)
            return int((signals.kinds != KINDS.index("interest")).sum())


@contextmanager
def posted(sessions: Sessions, base_url: str, n: int) -> Iterator[Post]:
    app = wire(sessions, base_url)
    with sessions() as session:
        papers = [add_paper(session, "On graphs"), add_paper(session, "On proteins")]
        for row in session.scalars(select(Paper)):
            (vector,) = ENCODER.encode([row.title])
            session.add(VectorRow(encoder=ENCODER.identity, text_hash=row.text_hash, vector=vector))
        for i in range(n):
            pending = i % 10 == 0
            reader = add_subscriber(
                session, f"r{i}@example.org", "pending" if pending else "active"
            )
            if pending:
                queue(session, kind="confirmation", subscriber_id=reader, now=NOON)
            else:
                add_edition(session, reader, papers, queued=True)
    with sessions.reading() as session:
        letters = read_letters(session, session.scalars(select(Delivery.id)).all())
    mails = [links_in(compose_letter(letter, app.postage).raw, base_url) for letter in letters]
    assert len(mails) == n
    yield Post(app, Clock(NOON), mails)


@pytest.fixture
def post(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Post]:
    n, base_url = request.param
    sessions = open_database(sqlite_url)
    with posted(sessions, base_url, n) as made:
        yield made
    sessions.engine.dispose()


def mails(n: int, base_url: str = "https://digest.example.org") -> tuple[int, str]:
    return n, base_url


over_all = pytest.mark.parametrize(
    "post", [mails(FEW), pytest.param(mails(MANY), marks=pytest.mark.slow)], indirect=True
)


def links_in(raw: bytes, base_url: str) -> list[str]:
    """The paths of all links of ours in a mail: HTML, text and headers."""
    mail = message_from_bytes(raw, policy=default)
    parts = [str(mail.get("List-Unsubscribe", ""))]
    parts += [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
    found = re.findall(rf"{re.escape(base_url)}[^\s\"'<>]*", unescape(" ".join(parts)))
    return list(dict.fromkeys(urlsplit(url).path for url in found))


def assert_nothing_was_done(post: Post, before: dict[str, list[str]]) -> None:
    assert post.rows() == before
    assert post.votes() == []


# Those that press nothing


@over_all
def test_a_scanner_that_gets_every_link_does_nothing(post: Post) -> None:
    before, client = post.rows(), post.client()
    assert {path.split("/")[1] for path in post.paths} == {
        *("edition", "vote", "unsubscribe", "preferences", "confirm")
    }
    for path in post.paths:
        assert client.get(path).status_code == 200
    assert_nothing_was_done(post, before)


@over_all
def test_a_scanner_that_asks_for_the_head_of_every_link_does_nothing(post: Post) -> None:
    before, client = post.rows(), post.client()
    for path in post.paths:
        assert client.head(path).status_code == 200
    assert_nothing_was_done(post, before)


@over_all
def test_a_scanner_that_opens_all_links_at_once_does_nothing(post: Post) -> None:
    before = post.rows()

    async def at_once(base: str, paths: Sequence[str]) -> set[int]:
        async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
            answers = await asyncio.gather(*(client.get(path) for path in paths))
        return {answer.status_code for answer in answers}

    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(create_web(post.app, now=post.clock), listener):
            for mail in post.mails:
                assert asyncio.run(at_once(base, mail)) == {200}
    assert_nothing_was_done(post, before)


@pytest.mark.parametrize(
    "post", [mails(1), pytest.param(mails(MANY), marks=pytest.mark.slow)], indirect=True
)
def test_a_scanner_that_runs_javascript_and_touches_nothing_does_nothing(
    post: Post, browser: Browser
) -> None:
    before = post.rows()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(create_web(post.app, now=post.clock), listener):
            page = browser.new_page()
            for path in post.paths[:: max(1, len(post.paths) // BROWSED)]:
                answer = page.goto(base + path)
                assert answer is not None
                assert answer.status == 200
            page.close()
    assert_nothing_was_done(post, before)


@over_all
def test_a_scanner_that_comes_back_days_later_does_nothing(post: Post) -> None:
    before, client = post.rows(), post.client()
    for days in (0, 1, 6):
        post.clock.now = NOON + timedelta(days=days)
        for path in post.paths:
            post.clock.now += timedelta(seconds=7)
            assert client.get(path).status_code == 200
    assert_nothing_was_done(post, before)


# Those that press what they find


def press_everything(post: Post, paths: Sequence[str], *, every: timedelta) -> int:
    """Open every link, and send every form of its page; how many were sent."""
    client, n = post.client(), 0
    for path in paths:
        for action, given in forms_of(client.get(path).text):
            post.clock.now += every
            assert client.post(action, data=given).status_code < 500
            n += 1
    return n


# Every link leads to a page with dozens of forms.
@pytest.mark.parametrize(
    "post", [mails(2), pytest.param(mails(20), marks=pytest.mark.slow)], indirect=True
)
def test_a_scanner_that_posts_every_form_teaches_nothing_until_a_person_presses(
    post: Post,
) -> None:
    """Over TLS browsers tell of presses: what does not is held, however slowly it comes."""
    assert press_everything(post, post.paths, every=timedelta(seconds=20)) > 40
    n_readers = sum("edition" in " ".join(mail) for mail in post.mails)
    assert len(post.votes()) > n_readers
    assert all(vote.held_at is not None for vote in post.votes())
    assert post.learned_from() == 0

    post.clock.now += timedelta(hours=1)
    links = next(mail for mail in post.mails if any("/vote/" in path for path in mail))
    link = next(path for path in links if path.startswith("/vote/"))
    assert post.client().post(link, headers=A_PRESS).status_code == 303
    assert post.learned_from() == 1
    # What it presses after that takes nothing away from the person.
    press_everything(post, links, every=timedelta(seconds=20))
    assert post.learned_from() == 1


@pytest.mark.parametrize("post", [mails(2, "http://digest.lab")], indirect=True)
def test_without_tls_a_scanner_that_posts_every_form_is_known_by_its_haste(post: Post) -> None:
    press_everything(post, post.paths, every=timedelta(milliseconds=200))
    assert post.votes()
    assert post.learned_from() == 0


@pytest.mark.parametrize("post", [mails(2)], indirect=True)
def test_a_machine_that_presses_all_of_a_preferences_page_changes_nothing(post: Post) -> None:
    client, before = post.client(), post.rows()
    (path,) = [path for path in post.paths if path.startswith("/preferences/")]
    forms = list(forms_of(client.get(path).text))
    forms += list(forms_of(client.get(f"{path}/erase").text))
    assert len(forms) >= 5
    for action, given in forms:
        assert client.post(action, data=given).status_code in (303, 422)
    assert post.rows() == before


@pytest.mark.parametrize("post", [mails(2, "http://127.0.0.1")], indirect=True)
def test_a_script_that_submits_forms_is_no_person(post: Post, browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(create_web(post.app, now=post.clock), listener):
            votes = [path for path in post.paths if path.startswith("/vote/")]
            for n, (link, submit) in enumerate(
                zip((votes[0], votes[3]), ("submit", "requestSubmit"), strict=True), 1
            ):
                page = browser.new_page()
                # Playwright's `evaluate` counts as a person's act; a script of a page does not.
                page.add_init_script(
                    "addEventListener('load', () => location.pathname.startsWith('/vote/') && "
                    f"setTimeout(() => document.querySelector('main form').{submit}()))"
                )
                page.goto(base + link)
                expect(page.locator("article .noted")).to_have_count(n)
                assert [vote.held_at is not None for vote in post.votes()] == [True] * n
                page.close()
            page = browser.new_page()
            page.goto(base + link)
            # A person who looks says that it was theirs, without any script.
            page.get_by_label("These votes are mine").check()
            page.get_by_role("button", name="Let them count").click()
            page.wait_for_url("**#votes")
            assert [vote.held_at for vote in post.votes()] == [None, None]
            page.close()


@pytest.mark.parametrize("post", [mails(2)], indirect=True)
def test_the_page_of_held_votes_says_so_and_a_tick_lets_them_count(post: Post) -> None:
    client = post.client()
    links = next(mail for mail in post.mails if any("/vote/" in path for path in mail))
    client.post(next(path for path in links if path.startswith("/vote/")))
    edition = next(path for path in links if path.startswith("/edition/"))
    assert "1 of the votes on this page does not count yet" in client.get(edition).text
    client.post(f"{edition}/count")
    assert post.learned_from() == 0
    client.post(f"{edition}/count", data={"mine": "yes"})
    assert post.learned_from() == 1
    assert "not count yet" not in client.get(edition).text


@pytest.mark.parametrize("post", [mails(2)], indirect=True)
def test_who_is_unsubscribed_by_a_machine_hears_of_it_and_who_leaves_by_mail_does_not(
    post: Post,
) -> None:
    client = post.client()

    def goodbyes() -> int:
        with post.app.sessions.reading() as session:
            query = select(func.count()).where(Delivery.kind == "goodbye")
            return session.scalar(query) or 0

    link = next(path for path in post.paths if path.startswith("/unsubscribe/"))
    client.post(link, data={"List-Unsubscribe": "One-Click"})
    assert goodbyes() == 0
    with post.app.sessions() as session:
        for row in session.scalars(select(Subscriber)):
            row.state = "active"
    client.post(link, data={"by": "page"})
    client.post(link, data={"by": "page"})
    assert goodbyes() == 1
