"""Reading trending-papers pages: three real ones, awkward ones written by hand, and refusals."""

import random
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.trending_page import MAX_BYTES, TrendingPage
from tests.shared import shared

SEEN_ON = date(2026, 11, 20)
HEADER_1 = [
    "Get trending papers in your email inbox once a day!",
    "Get trending papers in your email inbox!",
]
HEADER_2 = [
    "new",
    "Get trending papers in your email inbox!",
    "Subscribe",
    "byAK and the research community",
    "Mar 11",
]
TIDES = (
    "Tidal Mixing of Sparse Experts",
    (
        "We study how experts that are chosen by the phase of the moon share their work. On three"
        " harbours our method halves the waiting time, and it needs no almanac."
    ),
)
MOSS = (
    "Growing Moss with Graph Transformers",
    (
        "Moss grows slowly and is hard to measure. In this paper we propose a graph transformer"
        " that predicts its cover from one photograph, and show that it generalises to lichens."
    ),
)
KITES = (
    "Kites That Learn: Reinforcement Learning in Strong Wind",
    (
        "Flying a kite is a control problem with delayed rewards. We introduce a policy that stays"
        " aloft for nine hours, which is twice as long as the best human in our benchmark."
    ),
)
BREAD = (
    "How Long Should Bread Rest?",
    (
        "Bakers disagree about resting times. Our survey of 400 loaves shows that forty minutes are"
        " enough, while longer rests change nothing that can be tasted."
    ),
)
ALL = [TIDES, MOSS, KITES, BREAD]
LATEX_TITLE = (
    r"Bounds on $\mathcal{O}(n^{2}\log n)$ Growth of $\mathbb{R}^{d \times k}$-Valued Mosses under"
    " Light: A Survey with Applications to Bryophytes of the $SU(3)$ Forest & Beyond the Range of"
    " Settings That Were Looked at Before"
)
Cards = list[tuple[str, str]]
Layout = Callable[[Cards], list[str]]
PLACES = ["above", "between", "below"]


def layout_1(cards: "Cards") -> list[str]:
    """Header, then titles and abstracts in turn, the button glued to the first title."""
    lines = [line for card in cards for line in card if line]
    return [*HEADER_1, "Subscribe" + lines[0], *lines[1:]]


def layout_2(cards: "Cards") -> list[str]:
    """Header with a date, then titles and abstracts in turn, a blank line between all."""
    lines = [*HEADER_2, *(line for card in cards for line in card if line)]
    return [line for filled in lines for line in (filled, "")]


def read(lines: list[str] | str | bytes, seen_on: date = SEEN_ON) -> list[Listing]:
    page = "\n".join(lines) if isinstance(lines, list) else lines
    return TrendingPage().read(page.encode() if isinstance(page, str) else page, seen_on)


def texts(listings: list[Listing]) -> list[tuple[str, str]]:
    return [(listing.title, listing.abstract) for listing in listings]


class TestRealPages:
    @pytest.mark.parametrize(
        ("file", "n", "page_date", "fingerprint"),
        [
            ("000_1a0b26409cec8ea9.txt", 132, None, "06fdf300d618dd3d"),
            ("002_560618ece0018d93.txt", 110, date(2026, 3, 11), "99adbe9fd692bee2"),
            ("003_ff0f715519914a1f.txt", 54, date(2026, 3, 12), "e7434d5aa6432937"),
        ],
    )
    def test_every_title_and_abstract_comes_out_whole(
        self, file: str, n: int, page_date: date | None, fingerprint: str
    ) -> None:
        page = shared("pages", file).read_bytes()
        assert TrendingPage().recognises(page)
        listings = read(page)
        assert [listing.position for listing in listings] == list(range(1, n + 1))
        assert {listing.page_date for listing in listings} == {page_date}
        for title, abstract in texts(listings):
            assert 16 <= len(title) <= 180
            assert not title.startswith(("Subscribe", "by AK", "byAK", "Get trending", "Mar "))
            assert 683 <= len(abstract) <= 1917
            assert "\n" not in abstract
            assert "\xa0" not in abstract
        ends = sum(abstract.endswith(".") for _, abstract in texts(listings))
        assert ends >= 0.9 * n, "the others end in an address or without a stop on the page itself"
        # The texts as found by taking the page's lines in turn by hand.
        said = "\n".join(f"{title}\t{abstract}" for title, abstract in texts(listings))
        assert sha256(said.encode()).hexdigest()[:16] == fingerprint


class TestLayouts:
    @pytest.mark.parametrize("layout", [layout_1, layout_2])
    @pytest.mark.parametrize("n", [1, 2, 3, 4])
    def test_few_papers_are_enough(self, layout: Layout, n: int) -> None:
        assert texts(read(layout(ALL[:n]))) == ALL[:n]

    def test_the_page_date_is_that_of_the_header(self) -> None:
        assert {listing.page_date for listing in read(layout_2(ALL))} == {date(2026, 3, 11)}
        assert {listing.page_date for listing in read(layout_1(ALL))} == {None}

    def test_the_header_may_be_in_another_order_below_the_name_of_the_site(self) -> None:
        lines = ["Hugging Face's logo", "Skip to content", "Trending Papers", "by AK", "12 March"]
        cards = [line for card in ALL for line in card]
        page = read([*lines, *HEADER_1, "Subscribe", *cards])
        assert texts(page) == ALL
        assert page[0].page_date == date(2026, 3, 12)

    def test_a_header_glued_into_one_line_is_parted(self) -> None:
        glued = "".join(HEADER_2[1:]) + TIDES[0]
        page = read([glued, TIDES[1], *MOSS])
        assert texts(page) == [TIDES, MOSS]
        assert page[0].page_date == date(2026, 3, 11)

    def test_without_a_header_only_research_in_turn_is_read(self) -> None:
        long = [(title, f"{abstract} {abstract} {abstract}") for title, abstract in ALL]
        assert texts(read([line for card in long for line in card])) == long
        with pytest.raises(UnreadablePage, match="plain text without"):
            read([line for card in ALL for line in card])

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n\n", "\u2028", "\n\f"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_line_ends_and_encodings_change_nothing(self, end: str, encoding: str) -> None:
        page = end.join(layout_1(ALL)).encode(encoding)
        assert TrendingPage().recognises(page)
        assert texts(read(page)) == ALL

    def test_odd_white_space_is_folded(self) -> None:
        page = "\n".join(layout_2(ALL)).replace(" of ", "\xa0of \u200b ").replace("\n", " \n\t")
        assert texts(read(page)) == ALL

    @pytest.mark.parametrize("layout", [layout_1, layout_2])
    @pytest.mark.parametrize("width", [60, 80])
    def test_hard_wrapped_lines_are_joined(self, layout: Layout, width: int) -> None:
        wrapped = [line for text in layout(ALL) for line in textwrap.wrap(text, width) or [""]]
        assert texts(read(wrapped)) == ALL


class TestAwkwardCards:
    @pytest.mark.parametrize("layout", [layout_1, layout_2])
    @pytest.mark.parametrize("bare", [0, 1, 2, 3])
    def test_an_abstract_may_be_missing_anywhere(self, layout: Layout, bare: int) -> None:
        cards = [(title, "" if n == bare else abstract) for n, (title, abstract) in enumerate(ALL)]
        assert texts(read([*layout(cards), ""])) == cards

    @pytest.mark.parametrize("layout", [layout_1, layout_2])
    def test_an_abstract_may_have_several_paragraphs(self, layout: Layout) -> None:
        first, second = TIDES[1].replace("work. On", "work.\n\nOn").split("\n\n")
        lines = layout([KITES, (TIDES[0], first), (second, ""), MOSS, BREAD])
        assert texts(read(lines)) == [KITES, (TIDES[0], f"{first}\n\n{second}"), MOSS, BREAD]

    def test_a_card_shown_twice_is_given_once_where_it_first_stands(self) -> None:
        page = read(layout_2([TIDES, MOSS, TIDES, KITES, MOSS]))
        assert texts(page) == [TIDES, MOSS, KITES]
        assert [listing.position for listing in page] == [1, 2, 3]

    def test_a_card_shown_again_with_its_abstract_is_completed(self) -> None:
        assert texts(read(layout_2([(TIDES[0], ""), MOSS, TIDES, KITES]))) == [MOSS, TIDES, KITES]

    def test_two_papers_of_one_title_stay_two(self) -> None:
        cards = [TIDES, (TIDES[0], MOSS[1]), KITES]
        assert texts(read(layout_2(cards))) == cards

    @pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
    def test_a_header_repeated_in_the_middle_is_not_a_paper(self, at: int) -> None:
        lines = [line for card in ALL for line in card]
        page = read([*HEADER_2, *lines[:at], *HEADER_2, *lines[at:]])
        assert texts(page) == ALL

    def test_each_part_of_a_page_of_several_days_has_its_own_date(self) -> None:
        second = [*HEADER_2[:-1], "Mar 10"]
        page = read([*HEADER_2, *TIDES, *MOSS, *second, *KITES, "Mar 9", *BREAD])
        assert texts(page) == ALL
        assert [listing.page_date.day for listing in page if listing.page_date] == [11, 11, 10, 9]

    @pytest.mark.parametrize(
        "title",
        [
            "Mossformer",
            "xMoss: a small moss",
            "tidal mixing of lower case experts",
            "Is Moss All You Need?",
            "Grow. Measure. Repeat.",
            "Stop Watering!",
            "2 Mosses, 1 Rock",
            LATEX_TITLE,
            "Subscribers Matter: Newsletters as a Benchmark",
            "May 5: A Data Set of Spring Days",
            "132 Ways to Upvote",
            "Models",
            "42",
            "Code",
            "Next",
        ],
    )
    @pytest.mark.parametrize("layout", [layout_1, layout_2])
    def test_titles_may_look_odd(self, layout: Layout, title: str) -> None:
        cards = [TIDES, (title, MOSS[1]), KITES, BREAD]
        assert texts(read(layout(cards))) == cards

    @pytest.mark.parametrize(
        "abstract",
        [
            "We grow moss.",
            "moss grows slowly, and we show why it does.",
            "A method that measures moss without touching it is presented",
            "We release it all at https://moss.example/code",
        ],
    )
    def test_abstracts_may_be_short(self, abstract: str) -> None:
        cards = [TIDES, (MOSS[0], abstract), KITES, BREAD]
        assert texts(read(layout_2(cards))) == cards


class TestWhatTheSiteSays:
    @pytest.mark.parametrize(
        ("shown", "expected"),
        [
            ("Mar 11", date(2026, 3, 11)),
            ("11 March", date(2026, 3, 11)),
            ("Mar 11, 2024", date(2024, 3, 11)),
            ("Wednesday, March 11th", date(2026, 3, 11)),
            ("2025-03-11", date(2025, 3, 11)),
            ("Published on Oct 4, 2026", date(2026, 10, 4)),
            ("published on oct 4, 2026", date(2026, 10, 4)),
            ("Nov 20", SEEN_ON),
            ("Nov 21", date(2025, 11, 21)),
            ("Dec 31", date(2025, 12, 31)),
            ("Feb 29", date(2024, 2, 29)),
            ("Feb 30", None),
        ],
    )
    def test_dates_are_read_and_none_without_a_year_is_later_than_the_page(
        self, shown: str, expected: date | None
    ) -> None:
        page = read([*HEADER_2[:-1], shown, *TIDES, *MOSS])
        assert texts(page) == [TIDES, MOSS]
        assert page[0].page_date == expected

    @pytest.mark.parametrize(
        ("shown", "upvotes"),
        [
            (["132"], 132),
            (["1.2k"], 1200),
            (["1,204"], 1204),
            (["▲ 41"], 41),
            (["▲", "41"], 41),
            (["41 upvotes"], 41),
            (["Upvote", "", "41"], 41),
            (["Upvote 41"], 41),
            (["·12 authors · 41 upvotes · 3 comments"], 41),
        ],
    )
    @pytest.mark.parametrize("place", PLACES)
    def test_upvotes_belong_to_their_card_wherever_they_stand(
        self, shown: list[str], upvotes: int, place: str
    ) -> None:
        lines = list(HEADER_2)
        for n, (title, abstract) in enumerate(ALL):
            said = [line.replace("41", f"4{n + 1}") for line in shown]
            above, between, below = (said if place == at else [] for at in PLACES)
            lines += [*above, title, *between, abstract, *below]
        page = read(lines)
        assert texts(page) == ALL
        expected = [upvotes + n if upvotes == 41 else upvotes for n in range(4)]
        assert [listing.upvotes for listing in page] == expected

    def test_all_that_a_card_of_the_site_shows_is_kept_or_dropped(self) -> None:
        lines = list(HEADER_2)
        for n, card in enumerate(ALL, start=1):
            lines += ["Submitted by", f"gardener{n}", *card, f"·{n} authors"]
            lines += [f"· Published on Oct {n}, 2025", "Upvote", f"{n}0", "GitHub", "1.2k"]
            lines += [f"https://arxiv.org/abs/2510.0000{n}v2", "arXiv Page", f"{n} comments"]
        page = read([*lines, "Previous", "1", "2", "...", "Next", "Company", "TOS", "© 2026 Moss"])
        assert texts(page) == ALL
        last = page[-1]
        assert (last.page_date, last.published_on) == (date(2026, 3, 11), date(2025, 10, 4))
        assert (last.arxiv_id, last.upvotes) == ("2510.00004v2", 40)
        assert dict(last.facts) == {"author_count": 4, "submitter": "gardener4", "comments": 4}


_NOUNS = ["Moss", "Kites", "Tides", "Bread", "Lichen", "Harbours", "Wind", "Graphs", "Experts"]
_TITLE = st.builds(
    "{} {} for {} {}".format,
    st.sampled_from(["Learning", "Sparse", "Towards Better", "Scaling", "On the Limits of"]),
    st.sampled_from(_NOUNS),
    st.sampled_from(["Robust", "Multimodal", "Few-Shot", "Efficient"]),
    st.sampled_from([f"{noun}{end}" for noun in _NOUNS for end in ("", "?", ": A Survey")]),
)
_SENTENCE = st.builds(
    "{} that {} is {} by our method, which {}.".format,
    st.sampled_from(["We show", "This paper explains", "Experiments demonstrate", "We prove"]),
    st.sampled_from(["moss", "the tide", "a kite in strong wind", "every loaf"]),
    st.sampled_from(["improved", "measured", "predicted"]),
    st.sampled_from(["needs no labels", "runs on one machine", "beats $n^2$ baselines by 4%"]),
)
_PARAGRAPH = st.lists(_SENTENCE, min_size=2, max_size=5).map(" ".join)
_CARDS = st.lists(
    st.tuples(_TITLE, st.one_of(_PARAGRAPH, _PARAGRAPH, _PARAGRAPH, st.just(""))),
    min_size=2,
    max_size=12,
    unique_by=lambda card: card[0],
).filter(lambda cards: sum(bool(abstract) for _, abstract in cards) * 2 >= len(cards))


class TestAnyPage:
    @settings(max_examples=80, deadline=None)
    @given(cards=_CARDS, layout=st.sampled_from([layout_1, layout_2]), data=st.data())
    def test_what_was_written_is_read(
        self, cards: Cards, layout: Layout, data: st.DataObject
    ) -> None:
        lines = layout(cards)
        first = 3 if layout is layout_1 else len(HEADER_2) * 2
        for at in range(len(lines) - 1, first, -1):
            if data.draw(st.integers(0, 5)) == 0:
                lines[at:at] = data.draw(st.sampled_from([["12 authors"], ["▲ 41"], ["", ""]]))
        end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
        assert texts(read(end.join([*lines, ""]))) == cards

    @settings(max_examples=80, deadline=None)
    @given(page=st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode()))
    def test_any_bytes_are_read_or_refused(self, page: bytes) -> None:
        for whole in page, "\n".join(layout_1(ALL[:1])).encode() + b"\n" + page:
            TrendingPage().recognises(whole)
            with suppress(UnreadablePage):
                read(whole)


class TestRefusals:
    @pytest.mark.parametrize(
        ("page", "found"),
        [
            (b"", "an empty page"),
            (b" \n\n\t", "an empty page"),
            ("\n".join(HEADER_2), "a header alone"),
            (b"\x89PNG\r\n\x1a\n\x00\x00", "byte 0x89 at 0, which is not UTF-8"),
            (b"\x00\x01\x02 text", "binary data"),
            ("\n".join(layout_1(ALL)).replace(".", "é").encode("latin-1"), "which is not UTF-8"),
            (
                "<!DOCTYPE html><html><body>papers</body></html>",
                "HTML: in the browser, save it as text",
            ),
            ('[{"title": "Moss"}]', "HTML, XML or JSON"),
            ("import os\n\ndef moss():\n    return os.name\n" * 5, "source code without"),
            ("id,name,height\n1,moss,2\n2,fern,30\n3,oak,3000\n", "a table without"),
            ("2026-03-11 10:00:01 INFO moss grew\n" * 5, "a log file without"),
            ("From: a@moss.example\nMessage-ID: <1@moss.example>\n\nHello there.", "an e-mail"),
            ("Chapter One\n\n" + "It was a dark night, and the moss was wet. " * 9, "plain text"),
            ("# Moss\n\nGrows moss.\n\n## Install\n\nRun `moss`.\n", "plain text without"),
            ([*HEADER_1, TIDES[0], MOSS[0]], "2 lines that may be titles, but no abstract"),
            ([*HEADER_1, TIDES[0], *[a for _, a in ALL]], "4 paragraphs under 1 titles"),
            ([*HEADER_2, TIDES[1], MOSS[1], *KITES], "text before the first title"),
            (b"a" * (MAX_BYTES + 1), "10,000,001 bytes, over the 10,000,000 allowed"),
        ],
    )
    def test_a_refusal_says_what_was_found(self, page: list[str] | str | bytes, found: str) -> None:
        with pytest.raises(UnreadablePage) as refusal:
            read(page)
        assert found in refusal.value.found
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("left", ["Kites Th", "Kites That Learn"])
    def test_a_page_cut_off_within_a_line_makes_no_paper_of_the_stump(self, left: str) -> None:
        whole = layout_1([TIDES, MOSS])
        with pytest.raises(UnreadablePage) as refusal:
            read([*whole, left])
        assert refusal.value.found == f"a page that breaks off at {left[-40:]!r}"
        # A line that has an end is whole.
        assert texts(read([*whole, KITES[0], ""]))[-1] == (KITES[0], "")

    @pytest.mark.parametrize("file", ["000_1a0b26409cec8ea9.txt", "003_ff0f715519914a1f.txt"])
    def test_a_real_page_cut_off_anywhere_has_no_title_that_the_whole_has_not(
        self, file: str
    ) -> None:
        page = shared("pages", file).read_bytes()
        titles = {listing.title for listing in read(page)}
        for end in range(1777, len(page), 17_770):
            with suppress(UnreadablePage):
                assert {listing.title for listing in read(page[:end])} <= titles

    @pytest.mark.parametrize(
        "line", ["a", " ", "Aa ", "1 ", "<a ", "-", ".", "1,", "Submitted by "]
    )
    def test_hostile_pages_cost_no_more_than_their_size(self, line: str) -> None:
        header = "\n".join(HEADER_1)
        started = time.perf_counter()
        for page in line * (1_000_000 // len(line)), (line * (119 // len(line)) + "\n") * 2_000:
            with suppress(UnreadablePage):
                read(f"{header}\n{page}")
        assert time.perf_counter() - started < 5

    def test_a_thousand_papers_take_less_than_two_seconds(self) -> None:
        rng = random.Random(7)
        words = [abstract.split() for _, abstract in ALL]
        cards = [
            (
                f"{rng.choice(_NOUNS)} and {rng.choice(_NOUNS)} No. {n}",
                " ".join(rng.choice(words) * 4),
            )
            for n in range(1000)
        ]
        started = time.perf_counter()
        assert len(read(layout_2(cards))) == 1000
        assert time.perf_counter() - started < 2
