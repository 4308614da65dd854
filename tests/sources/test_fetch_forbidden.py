"""Addresses that are not public, in every spelling that a page or an operator might try.

Each is asked for at every entry, and no socket is opened to where it leads.
"""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import BadSettings, SourceUnreachable
from digest.papers.collect import collect
from digest.settings import SourceSettings, load_settings
from digest.sources import READERS, Paged
from digest.sources.fetch import _Guard, fetch, is_public
from digest.store import Sessions, open_database
from tests.sources.arxiv_pages import BEES, api, api_entry, oai, oai_record
from tests.sources.test_fetch import HERE, Site, serving

# Names that somebody else's name server answers for.
NAMES = {
    "metadata.google.internal": ["169.254.169.254"],
    "intranet.internal": ["10.0.0.7"],
    "rebound.example.org": ["127.0.0.1"],
    "one-of-two.example.org": ["93.184.215.14", "192.168.0.1"],
    "six.example.org": ["::1"],
    "mapped.example.org": ["::ffff:10.0.0.1"],
    "nat64.example.org": ["64:ff9b::a9fe:a9fe"],
    "zone.example.org": ["fe80::1%lo"],
    "xn--bcher-kva.example.org": ["172.16.0.1"],
}
HOSTS = [
    # 127.0.0.1, as the system's resolver may read it
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001",
    "0x7F.0.0.1", "0x7f.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.1", "017700000001",
    "00000177.0.0.1", "127.0.0.01", "localhost", "localhost.", "LOCALHOST", "localhost.localdomain",
    "%31%32%37.0.0.1", "127.0.0.1%2e", "127。0。0。1", "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "①②⑦.⓪.⓪.①",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "١٢٧.0.0.1", "loc\u00adalhost",
    # nothing, this network, everybody
    "0", "0.0.0.0", "0.1.2.3", "0x0", "000.000.000.000", "255.255.255.255", "240.0.0.1",
    # private networks, links, providers' own, tests, documents, relays, many at once
    "10.0.0.1", "10.1", "167772161", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.168.257",
    "0300.0250.1.1", "169.254.169.254", "169.254.43518", "2852039166", "0xA9FEA9FE",
    "0251.0376.0251.0376", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "168.63.129.16",
    # IPv6, and IPv4 within it
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::127.0.0.1]", "[::7f00:1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[2001:db8::1]", "[3fff::1]",
    "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]",
    "[fec0::1]", "[ff02::1]", "[ff0e::1]", "[100::1]", "[5f00::1]", "[4000::1]", "[::ffff:0:0]",
    # names that lead inside
    *NAMES, "METADATA.google.internal.", "bücher.example.org",
]  # fmt: skip
SPELLINGS = [f"http://{host}/" for host in HOSTS] + [
    "https://127.0.0.1/", "HTTP://127.0.0.1/", "http://127.0.0.1:80/", "http://127.0.0.1:443/x",
    "http://example.org@127.0.0.1/", "http://example.org:80@127.0.0.1/",
    "http://example.org%40127.0.0.1/", "http://example.org#@127.0.0.1/",
    "http://127.0.0.1#@example.org/", "http://127.0.0.1?@example.org/",
    "http://127.0.0.1\\@example.org/", "http://example.org\\@127.0.0.1/", "http:127.0.0.1/",
    "http:///127.0.0.1/", "http:\\\\127.0.0.1/", "//127.0.0.1/", "http://127.0.0.1:0/",
    "http://user:secret@[::1]/", "http://[::1]:11211/", "http://127.0.0.1\t/", "ht\ntp://127.0.0.1/",
    "gopher://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "unix:///run/docker.sock",
    "data:text/plain,papers", "jar:http://127.0.0.1!/", "dict://127.0.0.1:11211/", "http://[::1",
    "http://127.0.0.1:99999/", "http://127.0.0.1:http/",
]  # fmt: skip
# These become the digits of 127.0.0.1 before anything is looked at.
SAME = [f"http://{host}/" for host in ("①②⑦.⓪.⓪.①",)]
every_spelling = pytest.mark.parametrize("url", SPELLINGS)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where sockets were opened to; names are resolved as `NAMES` says, or as numbers are."""
    ask, connect = socket.getaddrinfo, socket.socket.connect
    opened: list[Any] = []

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = (host.decode() if isinstance(host, bytes) else host).rstrip(".").lower()
        if name in NAMES:
            return [one for ip in NAMES[name] for one in ask(ip, port, *args, **kwargs)]
        if not name.startswith("localhost"):
            kwargs["flags"] = socket.AI_NUMERICHOST
        return ask(host, port, *args, **kwargs)

    def record(self: socket.socket, address: Any) -> None:
        opened.append(address)
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", record)
    return opened


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a server of our own, which redirects to what it is asked for."""
    with serving() as url:
        yield url


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Sessions]:
    """What is tried here is on the way to a database, whichever it is."""
    sessions = open_database(sqlite_url)
    yield sessions
    sessions.engine.dispose()


def test_there_are_enough_of_them() -> None:
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 60


@every_spelling
def test_asked_for(opened: list[Any], url: str) -> None:
    with pytest.raises(SourceUnreachable):
        fetch(url, contact="me@example.org")
    assert opened == []


@every_spelling
def test_redirected_to_by_a_host_that_is_allowed(opened: list[Any], site: str, url: str) -> None:
    """Only what is written as it is allowed is, on every port: no other name of that address."""
    Site.to = url
    with pytest.raises(SourceUnreachable):
        fetch(f"{site}/to-what-is-set", contact="me@example.org", allow=[HERE])
    assert opened[0] == (HERE, int(site.rpartition(":")[2]))
    assert all(HERE in url for _ in opened[1:]) or url in SAME
    assert {address[0] for address in opened} == {HERE}


def test_a_run_of_a_source_opens_none(opened: list[Any], sqlite: Sessions, tmp_path: Path) -> None:
    asked = 0
    for number, url in enumerate(SPELLINGS):
        try:
            source = SourceSettings(name=f"s{number}", url=url)
        except ValueError:
            continue
        asked += 1
        with pytest.raises(SourceUnreachable):
            collect(
                sqlite, source, contact="me@example.org", clock=lambda: NOON, wait=lambda _: None
            )
    assert asked > 60
    assert opened == []


PAGED = [reader for reader in READERS if isinstance(reader, Paged)]
TOKENS = ["@127.0.0.1/", "//127.0.0.1/", "http://127.0.0.1/", "\\\\127.0.0.1\\", "#@[::1]/", "\n/x"]


@pytest.mark.parametrize("token", TOKENS)
def test_no_page_says_on_which_host_it_goes_on(token: str) -> None:
    escaped = token.replace("&", "&amp;").replace("<", "&lt;")
    pages = [
        oai(oai_record(BEES), token=f"<resumptionToken>{escaped}</resumptionToken>"),
        api(api_entry(BEES), total=900, size=1),
    ]
    for page in pages:
        for reader in PAGED:
            following = reader.next_url(page, "https://papers.example.org/oai?max_results=9&p=1")
            assert following is None or following.startswith("https://papers.example.org/oai?")


class TestRebinding:
    def test_a_name_is_asked_for_anew_and_checked_at_each_connection(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([["93.184.215.14"], ["127.0.0.1"]])
        tried: list[Any] = []
        ask = socket.getaddrinfo

        def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
            ips = next(answers) if host == "turncoat.example.org" else [host]
            return [one for ip in ips for one in ask(ip, port, *args, **kwargs)]

        def refuse(_: socket.socket, address: Any) -> None:
            tried.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        get = partial(fetch, "http://turncoat.example.org/", contact="me@example.org")
        with pytest.raises(SourceUnreachable, match=r"refused|ConnectError"):
            get()
        with pytest.raises(SourceUnreachable, match=r"is at 127\.0\.0\.1"):
            get()
        assert tried == [("93.184.215.14", 80)]

    @pytest.mark.parametrize("name", ["rebound.example.org", "localhost", "mapped.example.org"])
    def test_no_name_of_others_resolves_to_an_address_that_is_allowed(
        self, opened: list[Any], name: str
    ) -> None:
        with pytest.raises(SourceUnreachable, match=r"not in \[fetch\] allow"):
            fetch(f"http://{name}/", contact="me@example.org", allow=["127.0.0.0/8", "10.0.0.0/8"])
        assert opened == []

    def test_a_page_outside_does_not_lead_inside(self) -> None:
        guard = _Guard([HERE], end=inf)
        guard.check(HERE, [HERE])
        guard.check("papers.example.org", ["93.184.215.14"])
        with pytest.raises(SourceUnreachable, match="a page outside led there"):
            guard.check(HERE, [HERE])


class TestAllowed:
    @pytest.mark.parametrize("allow", [["127.0.0.1"], ["127.0.0.0/8"], ["::1", "127.0.0.0/30"]])
    def test_an_address_or_its_network(self, site: str, allow: list[str]) -> None:
        assert fetch(f"{site}/page", contact="me@example.org", allow=allow).body == b"papers"

    @pytest.mark.parametrize("name", ["mirror.lan", "MIRROR.lan", "mirror.lan."])
    def test_a_name_whatever_address_it_has(
        self, site: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(NAMES, "mirror.lan", [HERE])
        url = site.replace(HERE, name)
        assert fetch(f"{url}/page", contact="me@example.org", allow=["mirror.lan"]).body
        with pytest.raises(SourceUnreachable, match=r"not in \[fetch\] allow"):
            fetch(f"{url}/page", contact="me@example.org", allow=["lan", "other.lan"])

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ('["Mirror.LAN.", "10.1.0.0/16", "::1"]', ("mirror.lan", "10.1.0.0/16", "::1/128")),
            ('["cafe.de", "host-1", "my_mirror.lan"]', ("cafe.de", "host-1", "my_mirror.lan")),
            ("[]", ()),
        ],
    )
    def test_settings_name_them(self, tmp_path: Path, given: str, kept: tuple[str, ...]) -> None:
        (tmp_path / "digest.toml").write_text(f"[fetch]\nallow = {given}\n")
        assert load_settings(tmp_path / "digest.toml", {}).fetch.allow == kept

    def test_a_variable_names_several_with_commas(self) -> None:
        settings = load_settings(None, {"DIGEST_FETCH_ALLOW": "mirror.lan, 10.1.0.0/16"})
        assert settings.fetch.allow == ("mirror.lan", "10.1.0.0/16")

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            ("10.1.2.3/16", "did you mean 10.1.0.0/16?"),
            ("10.1.0.0/33", "no host or network"),
            ("http://mirror.lan", "no host or network"),
            ("mirror.lan:8080", "no host or network"),
            ("*.lan", "no host or network"),
            ("300.1.1.1", "no host or network"),
            ("", "no host or network"),
        ],
    )
    def test_what_is_neither_is_refused_in_a_line(
        self, tmp_path: Path, place: str, said: str
    ) -> None:
        (tmp_path / "digest.toml").write_text(f'[fetch]\nallow = ["{place}"]\n')
        with pytest.raises(BadSettings, match=r"line 2: fetch\.allow") as refused:
            load_settings(tmp_path / "digest.toml", {})
        assert said in str(refused.value)


@given(
    st.ip_addresses(network="10.0.0.0/8")
    | st.ip_addresses(network="100.64.0.0/10")
    | st.ip_addresses(network="fc00::/7")
    | st.ip_addresses(network="::/8")
    | st.ip_addresses(network="2002::/16")
)
def test_no_address_within_is_public(address: Any) -> None:
    hidden = getattr(address, "ipv4_mapped", None)
    assert not is_public(address) or (hidden is not None and is_public(hidden))
