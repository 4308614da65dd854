"""Sources that come in several pages, from a real server that can be busy; nobody sleeps."""

import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from digest.errors import SourceUnreachable
from digest.papers import collect as collecting
from digest.papers.collect import SourceReport, collect
from digest.papers.verdict import day_of_sources
from digest.papers.visits import LONGEST_WAIT
from digest.settings import SourceSettings
from digest.sources.fetch import RETRY_AFTER
from digest.store import Sessions, open_database
from digest.store.tables import ListingRow, PageMark, SourceState
from tests.sources.arxiv_pages import BEES, api, api_entry, oai, oai_record, rss, rss_item
from tests.sources.other_pages import post, posts

HERE = "127.0.0.1"
SATURDAY = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)

Answer = tuple[int, dict[str, str], bytes]
ARXIV = [
    {**BEES, "id": f"2611.{n:05}", "title": f"Bees in Hive {n}", "abstract": f"We count hive {n}."}
    for n in range(1, 8)
]


@dataclass
class Site:
    """A server that answers a query by `answer`, and remembers what it was asked."""

    url: str = ""
    answer: Callable[[dict[str, str]], Answer] = lambda _: (404, {}, b"")
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def sessions(sqlite_url: str) -> Iterator[Sessions]:
    """One kind of database is enough: what is tried here is on the way to it."""
    sessions = open_database(sqlite_url)
    yield sessions
    sessions.engine.dispose()


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on this machine."""
    here = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = {name: said[0] for name, said in parse_qs(urlsplit(self.path).query).items()}
            here.asked.append(asked)
            here.headers.append(dict(self.headers))
            status, headers, body = here.answer(asked)
            self.send_response_only(status)
            for header in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer((HERE, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    here.url = f"http://{HERE}:{server.server_port}/query"
    yield here
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Hours:
    """A clock that goes on only where somebody waits."""

    at: datetime = SATURDAY
    waits: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)


def run(
    sessions: Sessions, url: str, hours: Hours | None = None, name: str = "arxiv"
) -> tuple[SourceReport, list[float]]:
    """One run of a source at `url`, and the seconds that it would have waited."""
    hours = hours or Hours()
    report = collect(
        sessions,
        SourceSettings(name=name, url=url),
        contact="me@example.org",
        allow=[HERE],
        clock=hours.now,
        wait=hours.wait,
        jitter=lambda: 0.0,
    )
    return report, hours.waits


def n_stored(sessions: Sessions) -> int:
    with sessions.reading() as session:
        return session.scalar(select(func.count()).select_from(ListingRow)) or 0


def state(sessions: Sessions) -> SourceState:
    with sessions.reading() as session:
        return session.scalars(select(SourceState)).one()


def results(asked: dict[str, str], most: int = 3) -> Answer:
    """The seven papers of the query API, at most three at once."""
    start, n = int(asked.get("start", 0)), int(asked["max_results"])
    entries = map(api_entry, ARXIV[start : start + min(n, most)])
    return 200, {}, api(*entries, total=len(ARXIV), start=start, size=n)


def records(asked: dict[str, str]) -> Answer:
    """The seven papers of OAI-PMH, two at once."""
    start = int(asked.get("resumptionToken", 0))
    token = f"<resumptionToken>{start + 2}</resumptionToken>" if start + 2 < 7 else ""
    return 200, {}, oai(*map(oai_record, ARXIV[start : start + 2]), token=token)


def busy(times: int, status: int, headers: dict[str, str]) -> Callable[[dict[str, str]], Answer]:
    """A server that is busy the first `times` that it is asked."""
    left = [(status, headers, b"Rate exceeded.")] * times

    def answer(asked: dict[str, str]) -> Answer:
        return left.pop() if left else results(asked)

    return answer


class TestPages:
    def test_a_query_is_paged_until_all_that_it_asks_for_came(
        self, sessions: Sessions, site: Site
    ) -> None:
        site.answer = results
        report, waits = run(sessions, f"{site.url}?search_query=cat:cs.LG&max_results=100")
        assert (report.verdict, report.n_listings, report.n_new_papers) == ("fresh", 7, 7)
        assert [asked.get("start") for asked in site.asked] == [None, "3", "6"]
        assert waits == [1.0, 1.0]
        assert n_stored(sessions) == 7

    def test_no_more_is_fetched_than_was_asked_for(self, sessions: Sessions, site: Site) -> None:
        site.answer = results
        report, _ = run(sessions, f"{site.url}?max_results=5")
        assert (report.verdict, report.n_listings, len(site.asked)) == ("fresh", 5, 2)

    def test_records_are_followed_by_their_tokens(self, sessions: Sessions, site: Site) -> None:
        site.answer = records
        report, waits = run(sessions, f"{site.url}?verb=ListRecords&metadataPrefix=arXiv&set=cs")
        assert (report.verdict, report.n_new_papers, waits) == ("fresh", 7, [1.0] * 3)
        assert site.asked[1] == {"verb": "ListRecords", "resumptionToken": "2"}

    def test_none_of_many_results_makes_a_partial_run(self, sessions: Sessions, site: Site) -> None:
        site.answer = lambda asked: results(asked, most=0 if "start" in asked else 3)
        report, _ = run(sessions, f"{site.url}?max_results=100")
        assert (report.verdict, report.n_new_papers) == ("partial", 3)
        assert "none of the 4 results from 3 on" in state(sessions).detail

    def test_a_source_that_goes_on_and_on_is_left(
        self, sessions: Sessions, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(collecting, "MOST_PAGES", 4)

        def answer(_: dict[str, str]) -> Answer:
            token = f"<resumptionToken>{len(site.asked)}</resumptionToken>"
            return 200, {}, oai(oai_record(BEES), token=token)

        site.answer = answer
        report, _ = run(sessions, f"{site.url}?verb=ListRecords")
        assert (report.verdict, len(site.asked)) == ("partial", 4)
        assert "more than 4 pages" in report.problems[0]

    def test_pages_that_go_round_in_a_circle_are_left(self, sessions: Sessions, site: Site) -> None:
        token = "<resumptionToken>again</resumptionToken>"
        site.answer = lambda _: (200, {}, oai(oai_record(BEES), token=token))
        report, _ = run(sessions, f"{site.url}?verb=ListRecords")
        assert (report.verdict, len(site.asked)) == ("partial", 2)
        assert "in a circle" in report.problems[0]


class TestBusy:
    @pytest.mark.parametrize(
        ("status", "headers", "seconds"),
        [
            (429, {"Retry-After": "7"}, 7.0),
            (503, {"Retry-After": "0"}, 1.0),
            (
                503,
                {
                    "Date": "Sat, 21 Nov 2026 05:00:00 GMT",
                    "Retry-After": "Sat, 21 Nov 2026 05:00:20 GMT",
                },
                20.0,
            ),
            (503, {}, RETRY_AFTER),
            (429, {"Retry-After": "soon"}, RETRY_AFTER),
            (429, {"Retry-After": "-5"}, RETRY_AFTER),
            (503, {"Retry-After": "Sat, 21 Nov 2026 05:00:20 GMT"}, RETRY_AFTER),
        ],
        ids=["seconds", "zero", "date", "nothing", "words", "negative", "no clock"],
    )
    def test_a_busy_server_is_asked_again_when_it_says(
        self,
        sessions: Sessions,
        site: Site,
        status: int,
        headers: dict[str, str],
        seconds: float,
    ) -> None:
        site.answer = busy(2, status, headers)
        report, waits = run(sessions, f"{site.url}?max_results=3")
        assert (report.verdict, report.n_new_papers, waits) == ("fresh", 3, [seconds] * 2)

    def test_one_that_stays_busy_is_unreachable(self, sessions: Sessions, site: Site) -> None:
        site.answer = busy(9, 503, {})
        with pytest.raises(SourceUnreachable, match="answered 503"):
            run(sessions, f"{site.url}?max_results=3")
        assert len(site.asked) == 3
        assert (state(sessions).verdict, state(sessions).last_read_at) == ("unreachable", None)

    def test_nobody_waits_for_an_hour(self, sessions: Sessions, site: Site) -> None:
        site.answer = busy(1, 429, {"Retry-After": str(int(LONGEST_WAIT) + 1)})
        with pytest.raises(SourceUnreachable, match="answered 429"):
            run(sessions, f"{site.url}?max_results=3")
        assert len(site.asked) == 1

    def test_what_is_not_there_is_not_asked_for_again(self, sessions: Sessions, site: Site) -> None:
        with pytest.raises(SourceUnreachable, match="answered 404"):
            run(sessions, site.url)
        assert len(site.asked) == 1

    def test_a_server_that_fails_half_way_gives_a_partial_run(
        self, sessions: Sessions, site: Site
    ) -> None:
        site.answer = lambda asked: results(asked) if "start" not in asked else (500, {}, b"")
        report, _ = run(sessions, f"{site.url}?max_results=100")
        assert (report.verdict, report.n_new_papers) == ("partial", 3)
        assert "answered 500" in report.problems[0]


class TestQuietDays:
    def test_an_empty_weekend_feed_is_quiet_and_not_unreadable(
        self, sessions: Sessions, site: Site
    ) -> None:
        site.answer = lambda _: (200, {}, rss())
        report, _ = run(sessions, site.url)
        assert (report.verdict, report.problems, report.n_listings) == ("quiet", (), 0)

    def test_a_feed_with_papers_is_fresh_once(self, sessions: Sessions, site: Site) -> None:
        site.answer = lambda _: (200, {}, rss(rss_item(BEES)))
        assert run(sessions, site.url)[0].verdict == "fresh"
        assert run(sessions, site.url)[0].verdict == "quiet"


class TestAnnounced:
    def test_fewer_results_than_announced_are_partial(self, sessions: Sessions, site: Site) -> None:
        def answer(asked: dict[str, str]) -> Answer:
            start = int(asked.get("start", 0))
            entries = map(api_entry, ARXIV[start : start + 3] if start < 3 else [])
            return 200, {}, api(*entries, total=3 if start else 7, start=start, size=3)

        site.answer = answer
        report, _ = run(sessions, f"{site.url}?max_results=100")
        assert (report.verdict, report.n_listings) == ("partial", 3)
        assert report.problems == (f"{site.url}?max_results=100: 7 were announced, 3 came",)

    def test_fewer_records_than_the_list_has_are_partial(
        self, sessions: Sessions, site: Site
    ) -> None:
        token = '<resumptionToken cursor="0" completeListSize="9"></resumptionToken>'
        site.answer = lambda _: (200, {}, oai(*map(oai_record, ARXIV[:4]), token=token))
        report, _ = run(sessions, f"{site.url}?verb=ListRecords")
        assert (report.verdict, report.n_listings) == ("partial", 4)
        assert "9 were announced, 4 came" in state(sessions).detail

    def test_as_many_are_fresh(self, sessions: Sessions, site: Site) -> None:
        token = '<resumptionToken cursor="0" completeListSize="4"/>'
        site.answer = lambda _: (200, {}, oai(*map(oai_record, ARXIV[:4]), token=token))
        assert run(sessions, f"{site.url}?verb=ListRecords")[0].verdict == "fresh"

    def test_rows_that_biorxiv_counts_and_does_not_give_are_missed(
        self, sessions: Sessions, site: Site
    ) -> None:
        def answer(_: dict[str, str]) -> Answer:
            rows = [post(n, f"Bees {n}") for n in (1, 2)] if len(site.asked) == 1 else []
            return 200, {}, posts(*rows, total=5, cursor=2 * len(site.asked) - 2)

        site.answer = answer
        days = "details/biorxiv/2026-11-20/2026-11-21"
        report, _ = run(sessions, site.url.replace("query", days))
        assert (report.verdict, len(site.asked)) == ("partial", 2)
        assert report.problems[0].endswith("5 were announced, 2 came")


class TestTheSameAgain:
    def marked(self, site: Site, body: bytes) -> Callable[[dict[str, str]], Answer]:
        def answer(_: dict[str, str]) -> Answer:
            same = site.headers[-1].get("If-None-Match") == '"1"'
            return (304, {}, b"") if same else (200, {"ETag": '"1"'}, body)

        return answer

    def test_an_unchanged_page_is_not_sent_again_and_counts_as_the_one_before(
        self, sessions: Sessions, site: Site
    ) -> None:
        site.answer = self.marked(site, rss(rss_item(BEES)))
        on_friday = Hours(SATURDAY - timedelta(hours=12))
        assert run(sessions, site.url, on_friday)[0].verdict == "fresh"
        report, _ = run(sessions, site.url, on_friday)
        assert (report.verdict, report.pages[0].known) == ("quiet", True)
        assert site.headers[-1]["If-None-Match"] == '"1"'
        on_monday = Hours(SATURDAY + timedelta(days=2, hours=7))
        assert run(sessions, site.url, on_monday)[0].verdict == "stale"

    def test_pages_behind_an_unchanged_one_are_followed(
        self, sessions: Sessions, site: Site
    ) -> None:
        def answer(asked: dict[str, str]) -> Answer:
            if "start" not in asked and site.headers[-1].get("If-None-Match"):
                return 304, {}, b""
            status, _, body = results(asked)
            return status, {"ETag": '"1"'}, body

        site.answer = answer
        url = f"{site.url}?max_results=6"
        assert run(sessions, url)[0].n_listings == 6
        report, _ = run(sessions, url)
        assert [page.known for page in report.pages] == [True, True]
        assert len(site.asked) == 4

    def test_what_could_not_be_read_is_asked_for_whole(
        self, sessions: Sessions, site: Site
    ) -> None:
        site.answer = self.marked(site, b"[{]")
        assert run(sessions, site.url)[0].verdict == "unreadable"
        assert run(sessions, site.url)[0].verdict == "unreadable"
        assert "If-None-Match" not in site.headers[-1]

    def test_addresses_that_are_not_asked_for_again_are_forgotten(
        self, sessions: Sessions, site: Site
    ) -> None:
        def answer(asked: dict[str, str]) -> Answer:
            start = int(asked.get("resumptionToken", "0-0").split("-")[0])
            token = f"{start + 2}-{len(site.asked)}" if start < 4 else ""
            said = f"<resumptionToken>{token}</resumptionToken>"
            body = oai(*map(oai_record, ARXIV[start : start + 2]), token=said)
            return 200, {"ETag": f'"{start}"'}, body

        site.answer = answer
        for _ in range(3):
            run(sessions, f"{site.url}?verb=ListRecords")
        with sessions.reading() as session:
            assert len(session.scalars(select(PageMark)).all()) == 3

    def test_the_same_papers_in_other_bytes_are_stale_the_next_working_day(
        self, sessions: Sessions, site: Site
    ) -> None:
        thursday = SATURDAY - timedelta(hours=36)
        site.answer = lambda _: (200, {}, rss(rss_item(BEES)) + b"<!-- %d -->" % len(site.asked))
        assert run(sessions, site.url, Hours(thursday))[0].verdict == "fresh"
        assert run(sessions, site.url, Hours(thursday))[0].verdict == "quiet"
        report, _ = run(sessions, site.url, Hours(thursday + timedelta(days=1)))
        assert (report.verdict, report.n_new_papers) == ("stale", 0)
        with sessions.reading() as session:
            days = day_of_sources(session, thursday.date(), SATURDAY.date())
        assert [(day.day.day, day.verdict, day.n_listings) for day in days] == [
            (19, "fresh", 2), (20, "stale", 1),
        ]  # fmt: skip


class TestTurns:
    def test_two_sources_on_one_host_share_its_pace(self, sessions: Sessions, site: Site) -> None:
        site.answer = lambda _: (200, {}, rss(rss_item(BEES)))
        hours = Hours()
        for name in ("one", "two", "three"):
            run(sessions, f"{site.url}?{name}", hours, name)
        assert hours.waits == [1.0, 1.0]

    def test_what_one_source_is_told_the_others_heed(self, sessions: Sessions, site: Site) -> None:
        site.answer = busy(1, 429, {"Retry-After": "3600"})
        hours = Hours()
        with pytest.raises(SourceUnreachable, match="answered 429"):
            run(sessions, site.url, hours, "one")
        with pytest.raises(SourceUnreachable, match=r"is left alone until 06:00 UTC, as it asked"):
            run(sessions, site.url, hours, "two")
        assert (len(site.asked), hours.waits) == (1, [])
        hours.at += timedelta(hours=1, seconds=1)
        assert run(sessions, f"{site.url}?max_results=3", hours, "two")[0].verdict == "fresh"

    def test_a_turn_from_a_clock_that_was_wrong_holds_nobody_up(
        self, sessions: Sessions, site: Site
    ) -> None:
        site.answer = lambda _: (200, {}, rss(rss_item(BEES)))
        run(sessions, site.url, Hours(SATURDAY + timedelta(days=4000)))
        report, waits = run(sessions, site.url)
        assert (report.verdict, waits) == ("quiet", [])

    def test_a_connection_that_broke_off_is_tried_again(
        self, sessions: Sessions, site: Site
    ) -> None:
        broken = [(200, {"Content-Encoding": "gzip"}, gzip.compress(rss(rss_item(BEES)))[:-5])]
        site.answer = lambda _: broken.pop() if broken else (200, {}, rss(rss_item(BEES)))
        report, waits = run(sessions, site.url)
        assert (report.verdict, waits) == ("fresh", [1.0])
