"""The reader for trending-papers pages saved as plain text: bytes -> lines -> texts -> cards.

Nothing on such a page marks what is a title, what an abstract and what belongs to the site around
them. The site is known by its wording; the rest is called title or abstract by the likeliest
reading of the page as a whole. Cleaning LaTeX and telling papers apart is left to `papers`.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from math import exp, log, log1p, log2
from statistics import median
from typing import Any

from digest.errors import UnreadablePage
from digest.sources.listing import Listing

EXPECTED = "a trending-papers page saved as plain text"
MAX_BYTES = 10_000_000
MAX_LINES = 200_000


@dataclass(frozen=True, slots=True)
class TrendingPage:
    """Reads `Get trending papers in your email inbox!` pages, titles and abstracts in turn."""

    name: str = "trending-page"

    def recognises(self, page: bytes) -> bool:
        """Whether one of the first lines is a header of such a page."""
        head = page[:8192].decode(_encoding(page), errors="ignore")
        return not _MARKUP.match(head) and any(_HEADER.match(line) for line in _clean_lines(head))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the page's papers, each once, where it first stands."""
        lines = _clean_lines(_decode(page))
        texts, ending = _texts(_unglued(lines), seen_on)
        if not texts:
            raise UnreadablePage(EXPECTED, "a header alone" if any(lines) else "an empty page")
        texts = _unwrapped(texts)
        segments = _segments(texts, habits={})
        segments = _segments(texts, _habits(segments))
        cards, stray = _cards(segments, ending)
        headed = any(_headed(text.scraps) for text in texts)
        if doubt := _doubt(cards, stray, headed=headed):
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
_MARKUP = re.compile("[\\s\ufeff]*(?:<[!?/a-zA-Z]|[{\\[]\\s*[\"{\\[}\\]])")
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
    if len(_CONTROL.findall(text)) * 100 > len(text):
        raise UnreadablePage(EXPECTED, "binary data")
    if _MARKUP.match(text) or len(_TAG.findall(text)) > 20:
        raise UnreadablePage(EXPECTED, "HTML, XML or JSON")
    if (lines := len(_LINE_END.findall(text))) > MAX_LINES:
        raise UnreadablePage(EXPECTED, f"{lines:,} lines, more than such a page has")
    return text


def _clean_lines(text: str) -> list[str]:
    return [" ".join(_INVISIBLE.sub("", line).split()) for line in _LINE_END.split(text)]


# --- the site's own wording -------------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_WEEKDAY = r"\(?(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?\b\.?\)?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?(?!\d)"
_YEAR = r"(?:,?\s*\d{4}(?!\d))?"
_DATE = (
    rf"(?:{_WEEKDAY},?\s*)?(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?!\d)"
    rf"|{_MONTH}\s*{_DAY}{_YEAR}|{_DAY}\s*(?:of\s)?{_MONTH}{_YEAR})(?:,?\s*{_WEEKDAY})?"
)
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,6}(?:\.\d{1,2})?[kKM]?)"
_LIKE = "[▲△⬆⇧👍❤]"
_EMAIL = r"Get trending papers in your (?:e-?mail )?inbox(?: (?:once|twice|every)[a-z ]{2,20})?!"
_BY = r"by\s?AK(?: and the research community)?(?!\w)"

# A line made of these alone, glued together or parted by dots and bars, is the site's; they are
# tried in this order. Words of its navigation keep their capitals.
_SCRAPS = {
    "header": _EMAIL,
    "byline": _BY,
    "arxiv": r"(?i:(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf)/|arxiv:\s*)?"
    r"\d\d(?:0[1-9]|1[0-2])\.\d{4,5}(?!\d)(?:v\d+)?",
    "published": rf"(?i:(?:published|submitted|updated)(?: on)?:?\s*|on\s){_DATE}",
    "date": _DATE,
    "authors": r"(?i:\+?\s?\d{1,5}\s?(?:more\s)?authors?\b)",
    "comments": rf"(?i:{_NUMBER}\s?comments?|comments?:?\s?{_NUMBER})",
    "upvotes": rf"(?i:(?:{_LIKE}|upvotes?:?|likes?:)\s?{_NUMBER}"
    rf"|{_NUMBER}\s?(?:{_LIKE}|upvotes?|likes?))",
    "submitter": rf"(?i:submitted by:?)\s?[^·•|]{{1,40}}?(?=\s*(?:[·•|]|$)|\s(?:on\s)?{_DATE})",
    "label": rf"(?i:github(?: page| repo)?(?:\s?{_NUMBER})?|upvotes?|likes?|comments?)|{_LIKE}"
    r"|(?i:submitted by|published(?: on)?):?|arXiv [Pp]age|arXiv|Paper|Project [Pp]age|View PDF"
    r"|PDF|Code|Abstract|AI-generated summary|[Yy]esterday|[Tt]oday"
    r"|\d{1,2} (?:minutes?|hours?|days?|weeks?|months?) ago",
    "count": _NUMBER,
    "site": r"Subscribe|[Nn]ew|Hugging Face|Models?|Datasets?|Spaces?|Community|Docs|Enterprise"
    r"|Pricing|Log [Ii]n|Sign [Uu]p|Sign [Ii]n|(?:Daily|Weekly|Monthly|Trending) [Pp]apers|Papers"
    r"|Daily|Weekly|Monthly|Trending|Previous|Next|Company|TOS|Terms|Privacy|About|Careers|Website"
    r"|Jobs|Blog|Forum|Posts|Learn|Solutions|Collections|Organizations|Buckets|Inference|Menu"
    r"|View all activity|View all|(?:Load|Show|Read) more|Back to top|System theme|©.{0,40}"
    r"|Search models, datasets, users\.\.\.|Search(?: papers)?",
}
_SCRAP = re.compile("|".join(f"(?P<{kind}>{wording})" for kind, wording in _SCRAPS.items()))
_BETWEEN = re.compile(r"[\W_]*")
_LABEL = re.compile(rf"(?i:upvotes?|github|comments?|submitted by|published(?: on)?):?|{_LIKE}")
_HEADER = re.compile(rf"(?:new\s*)?(?:{_EMAIL}|{_BY}$)")
# `SubscribeTitle` is the button and a title; `Subscribers` and `Subscribe to` are a title's words.
_GLUED = re.compile(
    rf"(?P<header>(?:(?:new\s*)?{_EMAIL}\s*)*)(?P<button>Subscribe(?!rs?\b|d\b|\s+[a-z])\s*)?"
    rf"(?P<byline>by\s?AK and the research community\s*)?(?P<date>{_DATE}(?=[^\W\d_]))?"
)


@dataclass(frozen=True, slots=True)
class _Scrap:
    """Something that the site says: a kind of `_SCRAPS`, and the value it gives, if any."""

    kind: str
    value: Any = None


@dataclass(slots=True)
class _Text:
    """A line of text, or what a hard wrap had parted, and what stands before it."""

    words: str
    scraps: list[_Scrap]
    blank: bool
    joins: float | None = None  # the log-odds that it continues the text before; None: it cannot

    @property
    def habit(self) -> object:
        """How it is parted from the text before, which a page does alike from card to card."""
        return self.blank, *(scrap.kind for scrap in self.scraps)


def _unglued(lines: Iterable[str]) -> Iterator[str]:
    """Part the page's header from the text glued to it; put a label and its value on one line."""
    label, below_header = "", False
    for line in lines:
        if not line:
            yield line
            continue
        if label and (match := _SCRAP.fullmatch(f"{label} {line}")):
            yield match[0]
            label = ""
            continue
        label = ""
        glued = _GLUED.match(line)
        if glued and (below_header or glued["header"] or glued["byline"]):
            yield from (part for part in glued.groups() if part)
            line = line[glued.end() :]  # noqa: PLW2901
        below_header = bool(glued and glued["header"] and not glued["button"])
        if _LABEL.fullmatch(line):
            label = line
        elif line:
            yield line


def _texts(lines: Iterable[str], seen_on: date) -> tuple[list[_Text], list[_Scrap]]:
    """The page's lines of text, each with the scraps before it; and the scraps after the last."""
    texts: list[_Text] = []
    before: list[_Scrap] = []
    blank = False
    for line in lines:
        if not line:
            blank = True
        elif (scraps := _scraps(line, seen_on)) is not None:
            before += scraps
        else:
            texts.append(_Text(line, before, blank))
            before, blank = [], False
    return texts, before


def _scraps(line: str, seen_on: date) -> list[_Scrap] | None:
    """What the site says on this line, or None where the line is text."""
    scraps: list[_Scrap] = []
    at = 0
    while (at := _BETWEEN.match(line, at).end()) < len(line):
        match = _SCRAP.match(line, at)
        if match is None:
            return None
        kind, at = str(match.lastgroup), match.end()
        scraps.append(_Scrap(kind, _value(kind, match[0], seen_on)))
    return scraps


def _value(kind: str, wording: str, seen_on: date) -> Any:
    match kind:
        case "date" | "published":
            return _as_date(wording, seen_on)
        case "authors" | "comments" | "upvotes" | "count":
            return _as_number(wording)
        case "submitter":
            return re.sub(r"(?i)submitted by:?\s*", "", wording)
        case "arxiv":
            return re.sub(r".*(?=\b\d{4}\.)", "", wording)
    return None


def _as_number(wording: str) -> int:
    digits, unit = re.search(r"(\d[\d,.]*)\s*([kKM]?)", wording).groups()
    return round(float(digits.replace(",", "")) * {"k": 1e3, "m": 1e6}.get(unit.lower(), 1))


def _as_date(wording: str, seen_on: date) -> date | None:
    """Read a date; one without a year is the last such day that is not after `seen_on`."""
    numbers = [int(digits) for digits in re.findall(r"\d+", wording)]
    if name := re.search(_MONTH, wording):
        month, day = _MONTHS.index(name[0][:3].lower()) + 1, min(numbers)
        years = numbers[1:] and [max(numbers)] or [seen_on.year - back for back in range(9)]
    else:
        (*years, month, day) = numbers
    for year in years:
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found <= seen_on or len(years) == 1:
            return found
    return None


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
_LENGTH, _BEYOND_TITLES, _STOP, _CAPITALS, _SENTENCES, _LINKS, _COLON = 3, 3.2, 4.8, -5.4, 2.4, 8, -3.3


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

_Habits = Mapping[tuple[str, object], float]


def _segments(texts: list[_Text], habits: _Habits) -> list[tuple[str, _Text]]:
    """The likeliest reading of the page as titles and paragraphs (Viterbi's algorithm)."""
    # For each n and state: chance of the first n texts, where their last segment begins, state before
    best: list[dict[str, tuple[float, int, str]]] = [{"H": (0.0, 0, "")}]
    for end in range(1, len(texts) + 1):
        best.append({})
        joined = 0.0
        for begin in range(end - 1, max(-1, end - 2 - _MOST_JOINS), -1):
            first = texts[begin]
            odds = _abstract_odds(_joined(text.words for text in texts[begin:end]))
            parted = joined + (_log_chance(-first.joins) if first.joins is not None else 0.0)
            for state, reading in ("T", _log_chance(-odds)), ("A", _log_chance(odds)):
                for before, (chance, _, _) in best[begin].items():
                    move = ("H" if _headed(first.scraps) else before) + state
                    chance += parted + reading + _MOVES[move] + habits.get((move, first.habit), 0)
                    if state not in best[end] or chance > best[end][state][0]:
                        best[end][state] = (chance, begin, before)
            if first.joins is None:
                break
            joined += _log_chance(first.joins)
    segments = []
    end, state = len(texts), max(best[-1], key=lambda state: best[-1][state])
    while end:
        _, begin, before = best[end][state]
        words = _joined(text.words for text in texts[begin:end])
        segments.append((state, replace(texts[begin], words=words)))
        end, state = begin, before
    return segments[::-1]


def _habits(segments: list[tuple[str, _Text]]) -> _Habits:
    """How much more or less likely this page parts two texts so, where it moves so."""
    pairs = [(a + b, text.habit) for (a, _), (b, text) in pairwise(segments)]
    both, moves, habits = Counter(pairs), Counter(m for m, _ in pairs), Counter(h for _, h in pairs)
    return {
        (move, habit): log((both[move, habit] * len(pairs) / n + 2) / (moves[move] + 2))
        for move in moves
        for habit, n in habits.items()
    }


# --- hard-wrapped lines -----------------------------------------------------------------------

_SURE = 5.0


def _joined(parts: Iterable[str]) -> str:
    """Lines as one; a word that was parted after its hyphen is whole again."""
    return re.sub(r"(?<=\w-)\n(?!and |or |to )(?=\w)", "", "\n".join(parts)).replace("\n", " ")


def _unwrapped(texts: list[_Text]) -> list[_Text]:
    """Where many lines begin within a sentence, join those that surely go on; mark the doubtful."""
    near = [(a, b) for a, b in pairwise(texts) if not (b.blank or b.scraps)]
    widths = sorted(
        len(a.words)
        for a, b in near
        if 40 <= len(a.words) <= 140 and len(b.words) <= 140 and b.words[0].islower()
    )
    if len(widths) < 3 or len(widths) * 5 < len(texts):
        return texts
    width = widths[len(widths) * 9 // 10]
    paragraphs = [[texts[0]]]
    for before, text in pairwise(texts):
        text.joins = _join_odds(before.words, text, width)
        if text.joins is not None and text.joins > _SURE:
            paragraphs[-1].append(text)
        else:
            paragraphs.append([text])
    return [replace(p[0], words=_joined(text.words for text in p)) for p in paragraphs]


def _join_odds(a: str, text: _Text, width: int) -> float | None:
    """The log-odds that a line goes on with line `a` before it, weighed by hand; None: it cannot."""
    b = text.words
    if text.blank or text.scraps or max(len(a), len(b)) > 140:
        return None
    room = width - len(a) - 1 - len(b.split(" ", 1)[0])
    odds = 1.0 if room < 0 else -1.0 if room < 10 else -4.0
    odds += -1.5 if _SENTENCE_END.search(a[-8:]) else 1.5
    if b[0].islower():
        return odds + 4.0
    odds -= 4 * max(0.0, _capitals(_WORD.findall(a)) - 0.4, _capitals(_WORD.findall(b)) - 0.4)
    return odds if odds > -_SURE else None


# --- cards ------------------------------------------------------------------------------------

_DATES = ("date", "published")


@dataclass(slots=True)
class _Card:
    title: str
    page_date: date | None
    paragraphs: list[str] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)

    def add(self, scraps: Iterable[_Scrap]) -> None:
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


def _headed(scraps: Iterable[_Scrap]) -> bool:
    return any(scrap.kind in ("header", "byline") for scrap in scraps)


def _kinds(scraps: Iterable[_Scrap]) -> Counter[str]:
    return Counter(scrap.kind for scrap in scraps)


def _cards(
    segments: list[tuple[str, _Text]], ending: list[_Scrap]
) -> tuple[list[_Card], int]:
    """The cards, and how many paragraphs stood under no title."""
    cards: list[_Card] = []
    stray = 0
    gaps = [text.scraps for state, text in segments if state == "T"]
    places = _Places(gaps, ending)
    page_date: date | None = None
    for state, text in segments:
        opening = not cards or _headed(text.scraps)
        if state == "A":
            if opening and (not cards or cards[-1].paragraphs):
                stray += 1
            else:
                cards[-1].add(text.scraps)
                cards[-1].paragraphs.append(text.words)
            continue
        above, below = places.parted(text.scraps, opening=opening)
        if opening:
            shown, below = places.dated(text.scraps, below)
            page_date = shown or page_date
        if cards:
            cards[-1].add(above)
            if opening and not any(card.paragraphs for card in cards) : cards = []
        cards.append(_Card(text.words, page_date))
        cards[-1].add(below)
    if cards:
        cards[-1].add(takewhile(lambda scrap: scrap.kind != "site", ending))
    return cards, stray
