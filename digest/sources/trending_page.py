"""The reader for trending-papers pages saved as plain text: bytes -> lines -> texts -> cards.

Nothing on such a page marks what is a title, what an abstract and what belongs to the site around
them. `site_words` knows the site by its wording; the rest is called title or abstract by the
likeliest reading of the page as a whole. Cleaning LaTeX and telling papers apart is left to
`papers`.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise, product, takewhile
from math import exp, log, log1p, log2
from typing import Any

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.site_words import Scrap, is_header, scraps_of, unglued

EXPECTED = "a trending-papers page saved as plain text"
MAX_BYTES = 10_000_000
MAX_LINES = 50_000


@dataclass(frozen=True, slots=True)
class TrendingPage:
    """Reads `Get trending papers in your email inbox!` pages, titles and abstracts in turn."""

    name: str = "trending-page"

    def recognises(self, page: bytes) -> bool:
        """Whether one of the first lines is a header of such a page."""
        head = page[:8192].decode(_encoding(page), errors="ignore")
        return not _MARKUP.match(head) and any(map(is_header, _clean_lines(head)))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the page's papers, each once, where it first stands.

        Raises UnreadablePage for what is not text, not such a page, or not surely read.
        """
        lines = _clean_lines(_decode(page))
        texts, ending = _texts(lines, seen_on)
        if wrap := _wrap(texts):
            texts, ending = _texts(lines, seen_on, wrap)
        if not texts:
            raise UnreadablePage(EXPECTED, "a header alone" if any(lines) else "an empty page")
        segments = _segments(texts, lifts={})
        segments = _below_the_header(_segments(texts, _lifts(segments)))
        cards = _cards(segments, ending)
        if doubt := _doubt(cards, segments, lines):
            raise UnreadablePage(EXPECTED, doubt)
        return [card.listing(n) for n, card in enumerate(_once(cards), start=1)]


# --- bytes -> lines ---------------------------------------------------------------------------

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_INVISIBLE = re.compile(  # joiners stay where a script beyond Latin and Greek needs them
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
    "|(?<![\u0590-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\U0010ffff])"
)
_MARKUP = re.compile('[\\s\ufeff]*(?:<[!?/a-zA-Z]|[{\\[]\\s*["{\\[}\\]])')
_TAG = re.compile(r"</?(?:html|body|div|span|script|p|li|a)\b[^<>]{0,200}>", re.IGNORECASE)


def _encoding(page: bytes) -> str:
    return next((name for bom, name in _BOMS if page.startswith(bom)), "utf-8")


def _decode(page: bytes) -> str:
    if len(page) > MAX_BYTES:
        raise UnreadablePage(EXPECTED, f"{len(page):,} bytes, over the {MAX_BYTES:,} allowed")
    encoding = _encoding(page)
    try:
        text = page.decode(encoding, errors="surrogatepass")
    except UnicodeDecodeError as error:
        found = f"byte 0x{page[error.start]:02x} at {error.start}, which is not {encoding.upper()}"
        raise UnreadablePage("text in UTF-8, or in UTF-16 with a byte-order mark", found) from None
    if len(_CONTROL.findall(text)) * 100 > len(text) or "\x00" in text:
        raise UnreadablePage(EXPECTED, "binary data")
    if _MARKUP.match(text) or len(_TAG.findall(text)) * 500 > len(text) + 5000:
        raise UnreadablePage(EXPECTED, "HTML, XML or JSON")
    if (lines := len(_LINE_END.findall(text))) > MAX_LINES:
        raise UnreadablePage(EXPECTED, f"{lines:,} lines, more than such a page has")
    return text


def _clean_lines(text: str) -> list[str]:
    return [" ".join(_INVISIBLE.sub("", line).split()) for line in _LINE_END.split(text)]


# --- lines -> texts ---------------------------------------------------------------------------


_MAYBE_TEXT = ("count", "site", "label", "date")  # `Models` alone on a line may end a sentence


@dataclass(slots=True)
class _Text:
    """A line of text, or what a hard wrap had parted, and what stands before it."""

    words: str
    scraps: list[Scrap]
    blank: bool
    joins: float | None = None  # the log-odds that it continues the text before; None: it cannot
    glue: str = " "

    @property
    def gap(self) -> object:
        """How it is parted from the text before, which a page does alike from card to card."""
        return self.blank, *(scrap.kind for scrap in self.scraps)


def _texts(
    lines: Iterable[str], seen_on: date, wrap: "_Wrap | None" = None
) -> tuple[list[_Text], list[Scrap]]:
    """The page's lines of text, each with the scraps before it; and the scraps after the last."""
    texts: list[_Text] = []
    before: list[Scrap] = []
    above, blank = "", False
    for line in unglued(lines):
        if not line:
            above, blank = "", True
            continue
        scraps = scraps_of(line, seen_on)
        within = wrap and above and all(scrap.kind in _MAYBE_TEXT for scrap in scraps or ())
        if scraps is not None and not (wrap and within and wrap.must_join(above, line)):
            above = ""
            before += scraps
            continue
        text = _Text(line.strip(), before, blank)
        if wrap and above:
            text.joins, text.glue = wrap.odds(above, text.words), wrap.glue(above, text.words)
        if text.joins is not None and text.joins > _SURE:
            texts[-1].words = _joined([texts[-1], text])
        else:
            texts.append(text)
        above, before, blank = line, [], False
    return texts, before


def _joined(texts: list[_Text]) -> str:
    return texts[0].words + "".join(text.glue + text.words for text in texts[1:])


# --- title or abstract ------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_LINK = re.compile(r"https?://|www\.|\w\.\w{2,4}/\w")
_FULL_STOP = re.compile(r"[.。．।][\"'”’»)\]]*$")
_SENTENCE_END = re.compile(r"[.。．।؟!?！？…][\"'”’»)\]]*$")
_OF_SENTENCES = frozenset(
    "we our us is are was were has have had be been can this these that which they it its their"
    " such however while not also both show propose present introduce".split()
)
# Measured by logistic regression on every other day of early 2026's arXiv and daily papers: titles
# against abstracts, these also cut to one to three sentences, with case and last stop changed on
# one in ten of each. On the other days it mistakes 12 of 2,254 titles and no whole abstract.
_BIAS = -12.7
_LENGTH, _BEYOND_TITLES, _STOP, _CAPITALS, _SENTENCES, _LINKS, _COLON = (
    3,
    3.2,
    4.8,
    -5.4,
    2.4,
    8,
    -3.3,
)


def _capitals(words: list[str]) -> float:
    """The share of capitalised ones among the long words after the first."""
    long = [word for word in words[1:] if len(word) > 3 and word[0].lower() != word[0].upper()]
    return sum(word[0].isupper() for word in long) / len(long) if long else 0.5


def _abstract_odds(text: str) -> float:
    """The log-odds that the text, seen alone, is of an abstract and not a title."""
    words = _WORD.findall(text)
    size = 1 + len(text.split()) + len(_UNSPACED.findall(text)) / 2
    return (
        _BIAS
        + _LENGTH * log2(size)
        + _BEYOND_TITLES * max(0.0, log2(size / 32))
        + _STOP * bool(_FULL_STOP.search(text[-8:]))
        + _CAPITALS * _capitals(words)
        + _SENTENCES * min(4, sum(word.lower() in _OF_SENTENCES for word in words))
        + _LINKS * bool(_LINK.search(text))
        + _COLON * (":" in text[:50])
    )


def _log_chance(odds: float) -> float:
    return -log1p(exp(-odds)) if odds > -30 else odds


# The log-chance that a title (T), an abstract's paragraph (A) or a page's header (H) is followed
# so: one title in fifteen has no abstract, one paragraph in twenty is not its abstract's last.
_MOVES = {"HT": 0.0, "HA": -4.0, "TA": -0.07, "TT": -2.7, "AT": -0.05, "AA": -3.0}
_MOST_JOINS = 12
_DOUBT = 3  # how many texts it takes to believe what a page does

_Lifts = Mapping[tuple[str, object], float]


def _segments(texts: list[_Text], lifts: _Lifts) -> list[tuple[str, _Text]]:
    """The likeliest reading of the page as titles and paragraphs (Viterbi's algorithm)."""
    # For each n and state: chance of the first n texts, where their last segment begins, state before
    best: list[dict[str, tuple[float, int, str]]] = [{"H": (0.0, 0, "")}]
    for end in range(1, len(texts) + 1):
        best.append({})
        joined = 0.0
        for begin in range(end - 1, max(-1, end - 2 - _MOST_JOINS), -1):
            first = texts[begin]
            words = _joined(texts[begin:end])
            odds, signs = _abstract_odds(words), _signs(words)
            parted = joined + (_log_chance(-first.joins) if first.joins is not None else 0.0)
            for state, reading in ("T", _log_chance(-odds)), ("A", _log_chance(odds)):
                reading += parted + sum(lifts.get((state, sign), 0) for sign in signs)  # noqa: PLW2901
                for before, (chance, _, _) in best[begin].items():
                    move = ("H" if _headed(first.scraps) else before) + state
                    chance += reading + _MOVES[move] + lifts.get((move, first.gap), 0)
                    if state not in best[end] or chance > best[end][state][0]:
                        best[end][state] = (chance, begin, before)
            if first.joins is None:
                break
            joined += _log_chance(first.joins)
    segments = []
    end, state = len(texts), max(best[-1], key=lambda state: best[-1][state])
    while end:
        _, begin, before = best[end][state]
        words = _joined(texts[begin:end])
        segments.append((state, replace(texts[begin], words=words)))
        end, state = begin, before
    return segments[::-1]


def _signs(words: str) -> tuple[object, object]:
    """What the titles of one page, and its abstracts, have in common: last stop and length."""
    return bool(_FULL_STOP.search(words[-8:])), f"{words.count(' ').bit_length()} bits of words"


def _lifts(segments: list[tuple[str, _Text]]) -> _Lifts:
    """How much likelier on this page than at large a sign is a title's, a gap a move's."""
    signed = [(state, _signs(text.words)) for state, text in segments]
    stops, lengths = ([(state, signs[n]) for state, signs in signed] for n in (0, 1))
    moves = [(a + b, text.gap) for (a, _), (b, text) in pairwise(segments)]
    lifts = {}
    for seen in stops, lengths, moves:
        both = Counter(seen)
        states, signs = Counter(state for state, _ in seen), Counter(sign for _, sign in seen)
        for state, sign in product(states, signs):
            share = states[state] / len(seen)
            chance = (both[state, sign] + _DOUBT * share) / (signs[sign] + _DOUBT)
            lifts[state, sign] = log(chance / share)
    return lifts


# --- hard-wrapped lines -----------------------------------------------------------------------

_SURE = 5.0
_WIDEST = 140
_PARTED_WORD = re.compile(r"\w--?\n(?!and |or |to )\w|\w\n--\w")
_OPENING = "\"'“‘«`$[¿¡"


@dataclass(slots=True)
class _Wrap:
    """How a page was wrapped: its width; whether at hyphens; with blanks between what is not.

    `full` is the share of wrapped lines that had no room for one word more, `lower` the share of
    lines below all others that begin with a small letter.
    """

    width: int
    hyphens: bool = True
    full: float = 0.5
    blanks: bool = False
    lower: float = 0.02

    def room(self, a: str, b: str) -> int:
        """How many columns were left on line `a` if the first word of `b` had stood there."""
        word = re.match(r"[^\s-]*-?" if self.hyphens else r"\S*", b)
        return self.width - len(a) - 1 - len(word[0] if word else "")

    def glue(self, a: str, b: str) -> str:
        """What parts two lines that are joined; a word parted after its hyphen is whole again."""
        return "" if self.hyphens and _PARTED_WORD.search(f"{a[-9:]}\n{b[:9]}") else " "

    def must_join(self, a: str, b: str) -> bool:
        """Whether line `b`, though it looks like the site's, is the rest of the sentence above."""
        return len(a) <= _WIDEST and self.room(a, b) < 0 and not _SENTENCE_END.search(a[-8:])

    def odds(self, a: str, b: str) -> float | None:
        """The log-odds that line `b` goes on with line `a`, weighed by hand; None: it cannot."""
        if max(len(a), len(b)) > _WIDEST:
            return None
        if self.blanks:
            return 2 * _SURE
        odds = log(self.full / 0.1) if self.room(a, b) < 0 else log((1 - self.full) / 0.9)
        odds += -1.5 if _SENTENCE_END.search(a[-8:]) else 1.5
        if b[0].islower():
            return odds - log(self.lower)
        if not b[0].isalpha() and b[0] not in _OPENING:
            odds += 2.0
        odds -= 5 * max(0.0, abs(_capitals(_WORD.findall(a)) - _capitals(_WORD.findall(b))) - 0.3)
        return odds if odds > -_SURE else None


def _wrap(texts: list[_Text]) -> _Wrap | None:
    """How the page is wrapped, where many of its lines begin within a sentence."""
    near = [(a.words, b.words) for a, b in pairwise(texts) if not (b.blank or b.scraps)]
    within = [(a, b) for a, b in near if b[0].islower() and max(len(a), len(b)) <= _WIDEST]
    if len(within) < 3 or len(within) * 5 < len(texts):
        return None
    wrap = _Wrap(sorted(len(a) for a, _ in within)[len(within) * 49 // 50])
    fits = sum(wrap.room(a, b) >= 0 for a, b in within)
    wrap.hyphens = False
    never_full = sum(wrap.room(a, b) >= 0 for a, b in within)
    wrap.hyphens = sum(a[-1] == "-" for a, _ in within) > fits - never_full
    wrap.full = 1 - ((fits if wrap.hyphens else never_full) + 1) / (len(within) + 2)
    ends = [b for a, b in pairwise(texts) if wrap.room(a.words, b.words) > 10]
    if wrap.full > 0.95:
        wrap.lower = (sum(b.words[0].islower() for b in ends) + 0.4) / (len(ends) + 20)
    wrap.blanks = sum(not (b.blank or b.scraps) for b in ends) * 20 <= len(ends)
    return wrap


# --- cards ------------------------------------------------------------------------------------

_TELLING = 80  # two abstracts of one title are the same if so many characters are
_ABOVE_THE_TITLE = ("upvotes", "count", "submitter")  # where a page's edges do not tell


@dataclass(slots=True)
class _Card:
    title: str
    page_date: date | None
    paragraphs: list[str] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)

    def add(self, scraps: Iterable[Scrap]) -> None:
        """Keep the first of each kind; a bare number is the upvotes, a second one the comments."""
        for scrap in scraps:
            kind = {"date": "published", "count": "upvotes"}.get(scrap.kind, scrap.kind)
            if scrap.kind == "count" and "upvotes" in self.said:
                kind = "comments"
            if scrap.value is not None:
                self.said.setdefault(kind, scrap.value)

    def listing(self, position: int) -> Listing:
        """The value that leaves this room."""
        facts = {"author_count": "authors", "submitter": "submitter", "comments": "comments"}
        return Listing(
            title=self.title,
            abstract="\n\n".join(self.paragraphs),
            position=position,
            page_date=self.page_date,
            arxiv_id=self.said.get("arxiv"),
            published_on=self.said.get("published"),
            upvotes=self.said.get("upvotes"),
            facts={name: self.said[kind] for name, kind in facts.items() if kind in self.said},
        )


def _headed(scraps: Iterable[Scrap]) -> bool:
    return any(scrap.kind in ("header", "byline") for scrap in scraps)


def _below_the_header(segments: list[tuple[str, _Text]]) -> list[tuple[str, _Text]]:
    """Drop what stands above the header of the page, such as the name of the site."""
    first = next((n for n, (_, text) in enumerate(segments) if _headed(text.scraps)), 0)
    return segments if any(state == "A" for state, _ in segments[:first]) else segments[first:]


def _parted(scraps: list[Scrap]) -> tuple[list[Scrap], list[Scrap], list[Scrap]]:
    """What stands above a header, the header with what is within it, and what stands below it."""
    marks = [n for n, scrap in enumerate(scraps) if scrap.kind in ("header", "byline", "site")]
    if not _headed(scraps):
        return scraps, [], []
    first, last = marks[0], marks[-1] + 1
    while last < len(scraps) and scraps[last].kind in ("date", "published"):
        last += 1
    return scraps[:first], scraps[first:last], scraps[last:]


def _cards(segments: list[tuple[str, _Text]], ending: list[Scrap]) -> list[_Card]:
    """Group titles with the paragraphs below them, and settle whose the scraps between are."""
    gaps = [_parted(text.scraps) for state, text in segments if state == "T"]
    below = Counter(scrap.kind for _, _, under in gaps for scrap in under)
    below.subtract(scrap.kind for over, header, _ in gaps if header for scrap in over)
    below.subtract({scrap.kind for scrap in takewhile(lambda s: s.kind != "site", ending)})
    cards: list[_Card] = []
    page_date: date | None = None
    for state, text in segments:
        over, header, under = _parted(text.scraps)
        if state == "A":
            if cards:
                cards[-1].add(text.scraps)
                cards[-1].paragraphs.append(text.words)
            continue
        if header:
            shown = [s.value for s in header if s.kind in ("date", "published") and s.value]
            page_date = shown[0] if shown else page_date
        else:
            over = [s for s in over if not _opens(s.kind, below)]
            under = [s for s in text.scraps if not cards or _opens(s.kind, below)]
        if cards:
            cards[-1].add(over)
        cards.append(_Card(text.words, page_date))
        cards[-1].add(under)
    if cards:
        cards[-1].add(takewhile(lambda scrap: scrap.kind != "site", ending))
    return cards


def _opens(kind: str, below: Counter[str]) -> bool:
    """Whether scraps of a kind belong to the title that follows them."""
    return below[kind] > 0 or (below[kind] == 0 and kind in _ABOVE_THE_TITLE)


def _once(cards: list[_Card]) -> Iterable[_Card]:
    """Each card where it first stands, with the fullest abstract that it is shown with."""
    once: dict[tuple[str, str], _Card] = {}
    titles = Counter(card.title.casefold() for card in cards if card.paragraphs)
    for card in cards:
        title = card.title.casefold()
        key = (title, " ".join(card.paragraphs)[:_TELLING])
        if not card.paragraphs and titles[title]:
            continue
        first = once.setdefault(key, card)
        first.paragraphs = max(first.paragraphs, card.paragraphs, key=lambda p: sum(map(len, p)))
    return once.values()


# --- refusals ---------------------------------------------------------------------------------

# What a text is when so many of its lines are so, for the person who is told what was found.
_OTHERWISE = {
    "a log file": (
        0.5,
        r"\[?\d{4}-\d\d-\d\d[T ]\d\d:|[A-Z][a-z]{2} +\d+ \d\d:\d\d:|(?:INFO|DEBUG|ERROR)\b",
    ),
    "source code": (0.2, r".*[;{}]$|(?:def|class|import|from|return|if|for|#include|const|var)\b"),
    "a table": (0.8, r"[^,;\t|]+(?:[,;|][^,;|]*){2,}$"),
    "an e-mail": (0.0, r"(?:Received|Return-Path|MIME-Version|Message-ID): "),
}
_RESEARCH = re.compile(r"\b(?:[Ww]e|[Oo]ur|[Tt]his (?:paper|work|study)|propose[ds]?|results?)\b")


def _doubt(cards: list[_Card], segments: list[tuple[str, _Text]], lines: list[str]) -> str | None:
    """Why what was read is not surely a page of papers, or None where it is."""
    told = [card for card in cards if card.paragraphs]
    n_paragraphs = sum(state == "A" for state, _ in segments)
    n_stray = n_paragraphs - sum(len(card.paragraphs) for card in told)
    if not any(_headed(text.scraps) for _, text in segments) and not _sure_without_header(cards):
        return f"{_kind(lines)} without `Get trending papers in your email inbox!`"
    if not told:
        return f"{len(cards)} lines that may be titles, and no abstract"
    if len(told) * 4 < len(cards):
        return f"abstracts under only {len(told)} of what may be {len(cards)} titles"
    if n_stray * 10 > len(cards):
        return "an abstract before the first title"
    if n_paragraphs > 3 * len(cards):
        return f"plain prose: {n_paragraphs} paragraphs under {len(cards)} titles"
    return None


def _sure_without_header(cards: list[_Card]) -> bool:
    """Whether these are titles and long abstracts in turn, and the abstracts are of research."""
    told = [" ".join(card.paragraphs) for card in cards if card.paragraphs]
    long = sum(len(text.split()) >= 60 and bool(_RESEARCH.search(text)) for text in told)
    single = sum(len(card.paragraphs) == 1 for card in cards)
    return len(cards) >= 3 and min(long, single) >= 0.9 * len(cards)


def _kind(lines: list[str]) -> str:
    filled = [line[:200] for line in lines if line]
    for kind, (share, wording) in _OTHERWISE.items():
        if sum(bool(re.match(wording, line)) for line in filled) > share * len(filled):
            return kind
    return "plain text"
