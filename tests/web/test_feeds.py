"""Feeds are read by feed readers; what is trending and search are as open as the operator wants."""

import json
from dataclasses import replace
from datetime import timedelta
from xml.etree.ElementTree import fromstring

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from digest import subscribers
from digest.settings import Settings
from digest.store.tables import ListingRow
from digest.web.feeds import FOR_YEARS, Entry, Feed, atom, feed_url, json_feed, search_url
from tests.editions.world import add_papers
from tests.web.conftest import READER, World, client_of, on_sqlite
from tests.web.seed import NOON, add_edition, add_paper

hostile = st.text(alphabet=st.characters(codec=None), max_size=60) | st.sampled_from(
    ["<script>&amp;</script>", "]]>", "\x00\x0b\ud800\ufffe", "a\u202eb", "\U0001f9ec", "&#0;", ""]
)


def shut(world: World) -> World:
    """The same world, not open to the public."""
    app = replace(world.app, settings=Settings(base_url=world.app.settings.base_url))
    return replace(world, app=app, client=client_of(app))


def test_a_subscribers_feed_has_the_papers_of_their_editions_and_no_others(world: World) -> None:
    with world.app.sessions() as session:
        more = add_paper(session, "On robots")
        add_edition(session, world.reader, [more], days_later=1)
        other = add_paper(session, "Not for her")
        add_edition(session, world.newcomer, [other])
    url = feed_url(world.app.links, world.reader)
    assert url == feed_url(world.app.links, world.reader)
    answer = world.client.get(url)
    assert answer.headers["content-type"].startswith("application/atom+xml")
    read = feedparser.parse(answer.content)
    assert not read.bozo
    assert [entry.title for entry in read.entries] == ["On robots", "On graphs", "On proteins"]
    assert len({entry.id for entry in read.entries}) == 3
    assert read.entries[0].link == "https://arxiv.org/abs/2603.00001"
    assert "Matches your interest “graphs”" in read.entries[0].summary
    assert read.feed.links[0].href == url
    items = world.client.get(feed_url(world.app.links, world.reader, "json")).json()["items"]
    assert [item["title"] for item in items] == ["On robots", "On graphs", "On proteins"]
    assert READER not in answer.text


@on_sqlite
def test_a_feed_is_sent_again_only_when_it_changed(world: World) -> None:
    url = feed_url(world.app.links, world.reader)
    first = world.client.get(url)
    etag, changed = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"if-none-match": etag},
        {"if-none-match": f'"x", W/{etag}'},
        {"if-modified-since": changed},
    ):
        again = world.client.get(url, headers=headers)
        assert (again.status_code, again.content) == (304, b"")
    for headers in ({"if-none-match": '"x"'}, {"if-modified-since": "nonsense"}):
        assert world.client.get(url, headers=headers).status_code == 200
    with world.app.sessions() as session:
        add_edition(session, world.reader, [add_paper(session, "On robots")], days_later=1)
    assert world.client.get(url, headers={"if-none-match": etag}).status_code == 200


@on_sqlite
def test_a_feeds_link_is_good_for_years_and_for_nothing_else(world: World) -> None:
    token = feed_url(world.app.links, world.reader).rpartition("/")[2].removesuffix(".atom")
    claim = world.app.links.read(token, "feed", FOR_YEARS - timedelta(days=1))
    assert claim.subscriber_id == world.reader
    for path in ("/edition/", "/vote/", "/unsubscribe/", "/confirm/"):
        assert world.client.get(path + token).status_code == 404
    for ending in ("", ".xml", ".", ".atom.atom"):
        assert world.client.get(f"/feed/{token}{ending}").status_code == 404
    with world.app.sessions() as session:
        subscribers.erase(session, READER)
    assert world.client.get(f"/feed/{token}.atom").status_code == 410


@settings(max_examples=80)
@given(hostile, hostile, hostile)
def test_whatever_a_title_holds_the_feed_is_well_formed_and_says_it(
    title: str, authors: str, about: str
) -> None:
    entry = Entry("https://d.example/#1", title, "https://x.example/?a=1&b=2", authors, about, NOON)
    feed = Feed("Digest", "https://d.example/f.atom", "https://d.example/", (entry,))
    written = atom(feed)
    found = fromstring(written).find("{*}entry/{*}title")
    assert found is not None
    kept = "".join(c for c in title if c.isprintable() and c not in "\ufffe\uffff")
    assert all(c in (found.text or "") for c in kept if c.isalnum())
    read = feedparser.parse(written)
    assert len(read.entries) == 1
    assert read.entries[0].link == entry.url
    assert json.loads(json_feed(feed))["items"][0]["title"] == title


@on_sqlite
def test_what_is_trending_is_a_page_and_two_feeds(world: World) -> None:
    add_papers(world.app.sessions, ["first on its page", "second"], NOON - timedelta(hours=2))
    page = world.client.get("/trending").text
    assert page.index("first on its page") < page.index("second")
    read = feedparser.parse(world.client.get("/trending.atom").content)
    assert not read.bozo
    assert [entry.title for entry in read.entries] == ["first on its page", "second"]
    items = world.client.get("/trending.json").json()
    assert items["version"] == "https://jsonfeed.org/version/1.1"
    assert len(items["items"]) == 2


@on_sqlite
def test_a_papers_upvotes_are_told_once(world: World) -> None:
    add_papers(world.app.sessions, ["noticed"], NOON - timedelta(hours=2))
    with world.app.sessions() as session:
        session.execute(update(ListingRow).values(upvotes=42))
    assert world.client.get("/trending").text.count("42 upvotes") == 1


@on_sqlite
def test_public_pages_are_there_when_the_operator_wants_them(world: World) -> None:
    closed = shut(world)
    for path in ("/trending", "/trending.atom", "/trending.json", "/search?q=graphs"):
        assert world.client.get(path).status_code == 200
        assert closed.client.get(path).status_code == 404
    assert 'href="/trending"' in world.client.get("/").text
    assert 'href="/trending"' not in closed.client.get("/").text
    own = search_url(closed.app.links, closed.reader)
    assert "On graphs" in closed.client.get(own, params={"q": "graphs"}).text


@on_sqlite
def test_search_finds_by_words_and_meaning_the_nearest_first(world: World) -> None:
    titles = ["robot gripper", "a robot gripper of steel", "protein residue"]
    add_papers(world.app.sessions, titles, NOON - timedelta(hours=2))
    page = world.client.get("/search", params={"q": "robot gripper"}).text
    assert page.index(">robot gripper</a>") < page.index("a robot gripper of steel</a>")
    assert "protein residue</a>" not in page
    # What comes in is found at once.
    add_papers(world.app.sessions, ["a robot gripper that is new"], NOON - timedelta(hours=1))
    assert "that is new</a>" in world.client.get("/search", params={"q": "robot gripper"}).text


@on_sqlite
@pytest.mark.parametrize("asked", ["", "   ", "zzzzz", "%", "\x00", "a" * 200, "' OR 1=1 --"])
def test_search_takes_any_words(world: World, asked: str) -> None:
    assert world.client.get("/search", params={"q": asked}).status_code == 200


@on_sqlite
def test_a_search_that_is_too_long_is_told_so_and_kept(world: World) -> None:
    answer = world.client.get("/search", params={"q": "word " * 50})
    assert answer.status_code == 422
    assert "At most 200 letters" in answer.text
    assert "word word" in answer.text


@on_sqlite
def test_searches_are_had_at_a_pace(world: World) -> None:
    said = [world.client.get("/search?q=graphs").status_code for _ in range(35)]
    assert said == [200] * 30 + [429] * 5
    assert world.client.get("/search").status_code == 200
