"""A Zotero library through its web API, from a real server on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from digest.errors import BadInput, SourceUnreachable, UnreadablePage
from digest.profiles.zotero import import_zotero
from digest.sources.fetch import fetch
from digest.store import Sessions
from tests.profiles.test_seeds import liked
from tests.profiles.world import NOON, people

HERE = "127.0.0.1"


def item(n: int, **said: object) -> dict[str, object]:
    return {"key": "K", "data": {"itemType": "preprint", "title": f"Bees {n}"} | said}


class _Api(BaseHTTPRequestHandler):
    """The few endpoints that are asked: the top items of three libraries, one of them private."""

    asked: list[tuple[str, str | None]]
    elsewhere: str

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        key = self.headers["Authorization"]
        self.asked.append((self.path, key))
        asked = parse_qs(url.query)
        start, limit = int(asked["start"][0]), int(asked["limit"][0])
        assert asked["v"] == ["3"]
        match url.path:
            case "/users/1/items/top" if key == "Bearer s3cret":
                found = [item(n) for n in range(250)]
            case "/groups/2/collections/ABCD2345/items/top":
                notes = [item(n, itemType="note", title="") for n in range(100)]
                found = [*notes, item(1, DOI="10.1000/bees")]
            case "/groups/4/items/top":
                found = []
            case "/groups/5/items/top":
                self.send_response(302)
                self.send_header("Location", f"{self.elsewhere}{self.path.replace('5', '4', 1)}")
                self.end_headers()
                return
            case _:
                self.send_error(403)
                return
        body = json.dumps(found[start : start + limit]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests free of it."""


@pytest.fixture
def api() -> Iterator[str]:
    """Where the API answers; `_Api.elsewhere` is the same under another name."""
    _Api.asked = []
    server = ThreadingHTTPServer((HERE, 0), _Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    _Api.elsewhere = f"http://localhost:{server.server_port}"
    yield f"http://{HERE}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def get(key: str = "") -> Callable[[str], bytes]:
    def got(url: str) -> bytes:
        return (
            fetch(url, contact="ops@example.org", allow=(HERE, "localhost"), token=key).body or b""
        )

    return got


def test_a_private_library_is_read_whole_with_its_key(sessions: Sessions, api: str) -> None:
    (ada,) = people(sessions, 1)
    report = import_zotero(sessions, ada, "users/1", get("s3cret"), now=NOON, base=api)
    assert (report.votes, report.new_papers) == (250, 250)
    assert len(liked(sessions, ada)) == 250
    assert [path.rpartition("=")[2] for path, _ in _Api.asked] == ["0", "100", "200"]
    assert not any("s3cret" in path for path, _ in _Api.asked)
    again = import_zotero(sessions, ada, "1", get("s3cret"), now=NOON, base=api)
    assert (again.votes, again.new_papers) == (250, 0)


def test_a_collection_of_a_group_needs_no_key_and_notes_are_no_papers(
    sessions: Sessions, api: str
) -> None:
    (ada,) = people(sessions, 1)
    place = "https://www.zotero.org/groups/2/the-bee-society/collections/ABCD2345"
    report = import_zotero(sessions, ada, place, get(), now=NOON, base=api)
    assert report.votes == 1
    assert liked(sessions, ada) == {"Bees 1": "up"}


@pytest.mark.parametrize(
    ("library", "error", "said"),
    [
        ("users/1", SourceUnreachable, "answered 403"),
        ("groups/4", UnreadablePage, "0 items without a title"),
        ("../../etc", BadInput, "users/NUMBER"),
        ("users/1?key=x", BadInput, "users/NUMBER"),
    ],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(
    sessions: Sessions, api: str, library: str, error: type[Exception], said: str
) -> None:
    (ada,) = people(sessions, 1)
    with pytest.raises(error, match=said) as refused:
        import_zotero(sessions, ada, library, get("wr0ng"), now=NOON, base=api)
    assert "wr0ng" not in str(refused.value)
    assert liked(sessions, ada) == {}


def test_a_key_does_not_follow_to_another_host(sessions: Sessions, api: str) -> None:
    (ada,) = people(sessions, 1)
    with pytest.raises(UnreadablePage):
        import_zotero(sessions, ada, "groups/5", get("s3cret"), now=NOON, base=api)
    assert [key for _, key in _Api.asked] == ["Bearer s3cret", None]
