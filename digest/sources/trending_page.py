"""The reader for trending-papers pages saved as plain text: bytes -> lines -> segments -> cards.

A page is titles and abstracts with scraps of the site between them, and nothing marks which is
which. Scraps are known by their wording; what is left is called title or abstract by the likeliest
reading of the whole page. Cleaning LaTeX and telling papers apart is left to `papers`.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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

# --- bytes -> lines ---------------------------------------------------------------------------

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
    "|(?<![\u0590-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\U0010ffff])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MARKUP = re.compile(r"\s*(?:<[!?a-zA-Z]|[{\[]\s*(?:[\"{\[}\]]|$))")


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
    if _MARKUP.match(text.lstrip("\ufeff")):
        raise UnreadablePage(EXPECTED, "HTML, XML or JSON")
    return text


def _lines(text: str) -> list[str]:
    lines = [" ".join(_INVISIBLE.sub("", line).split()) for line in _LINE_END.split(text)]
    if not any(lines):
        raise UnreadablePage(EXPECTED, "an empty page")
    if len(lines) > MAX_LINES:
        raise UnreadablePage(EXPECTED, f"{len(lines):,} lines, more than such a page has")
    return lines


# --- the site's own wording -------------------------------------------------------------------

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,6}(?:\.\d{1,2})?[kKM]?)"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?(?!\d)"
_DATE = (
    rf"(?:{_WEEKDAY},?\s*)?(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?!\d)"
    rf"|{_MONTH}\s*{_DAY}(?:,?\s*\d{{4}}(?!\d))?|{_DAY}\s*(?:of\s)?{_MONTH}(?:,?\s*\d{{4}}(?!\d))?)"
    rf"(?:,?\s*\(?{_WEEKDAY}\)?(?![a-z]))?"
)
_EMAIL = r"Get trending papers in your (?:e-?mail )?inbox(?: (?:once|twice|every)[a-z ]{2,20})?!"
_AK = r"by\s?AK(?: and the research community)?"

# What a scrap of the site says, by kind; tried in this order. A line that consists of scraps alone,
# glued or parted by dots and bars, is not text. Words of the navigation keep their capitals.
_SCRAPS = {
    "header": rf"{_EMAIL}|{_AK}(?!\w)",
    "arxiv": r"(?i:(?:https?://)?(?:arxiv\.org/(?:abs|pdf)/|arxiv:\s*)?)"
    r"\d\d(?:0[1-9]|1[0-2])\.\d{4,5}(?!\d)(?:v\d+)?",
    "published": rf"(?i:(?:published|submitted|updated)(?: on)?:?\s*|on\s){_DATE}",
    "date": _DATE,
    "authors": r"(?i:\+?\s?\d{1,5}\s?(?:more\s)?authors?)",
    "comments": rf"(?i:{_NUMBER}\s?comments?|comments?:?\s?{_NUMBER})",
    "upvotes": rf"(?i:(?:[▲△⬆⇧👍❤]|upvotes?:?|likes?:)\s?{_NUMBER}|{_NUMBER}\s?(?:[▲👍❤]|upvotes?|likes?))",
    "submitter": rf"(?i:submitted by:?)\s?[^·•|]{{1,40}}?(?=\s*(?:[·•|]|$)|\s(?:on\s)?{_DATE})",
    "label": rf"(?i:github(?: page| repo)?)\s?{_NUMBER}?|[▲△⬆⇧👍❤]|(?i:upvotes?|likes?|comments?)"
    r"|(?i:submitted by|published(?: on)?):?"
    r"|arXiv [Pp]age|arXiv|Paper|Project [Pp]age|View PDF|PDF|Code|Abstract|AI-generated summary"
    rf"|{_NUMBER} (?:minutes?|hours?|days?|weeks?|months?) ago|[Yy]esterday|[Tt]oday",
    "count": _NUMBER,
    "site": r"Subscribe|new|New|Hugging Face|Models?|Datasets?|Spaces?|Community|Docs|Enterprise"
    r"|Pricing|Log [Ii]n|Sign [Uu]p|Sign [Ii]n|(?:Daily|Weekly|Monthly|Trending) [Pp]apers|Papers"
    r"|Daily|Weekly|Monthly|Trending|Previous|Next|Company|TOS|Terms|Privacy|About|Careers|Website"
    r"|Jobs|Blog|Forum|Posts|Learn|Solutions|Collections|Organizations|Buckets|Inference"
    r"|View all activity|View all(?: \w+)?|(?:Load|Show|Read) more|Back to top|System theme|Menu"
    r"|Search models, datasets, users\.\.\.|Search(?: papers)?|© ?.{0,40}",
}
_SCRAP = re.compile(
    "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _SCRAPS.items())
    + r"|(?P<nothing>[\W_]+)"
)
_LABEL = re.compile(r"(?i:upvotes?|github|comments?|submitted by|published(?: on)?):?|[▲△⬆⇧👍❤]")
_HEADER = re.compile(rf"(?:^|[\n\r\x85\u2028\u2029!])[\s\ufeff]*(?:new\s*)?(?:{_EMAIL}|{_AK} and)")
_EMAIL_END = re.compile(rf"{_EMAIL}$")
# "SubscribeTitle" is the button and a title, "Subscribers" and "Subscribe to" are words of a title.
_GLUED = re.compile(
    rf"(?P<header>(?:(?:new\s*)?{_EMAIL}\s*)*)(?P<button>Subscribe(?!rs?\b|d\b|\s+[a-z])\s*)?"
    rf"(?P<by>by\s?AK and the research community\s*)?(?P<date>{_DATE}(?=[^\W\d_]))?"
)


@dataclass(frozen=True, slots=True)
class _Scrap:
    kind: str
    value: Any = None


def _number(text: str) -> int:
    digits = re.search(r"[\d,.]+", text)
    number = float(digits[0].replace(",", "")) if digits else 0
    return round(number * {"k": 1e3, "m": 1e6}.get(text.rstrip()[-1:].lower(), 1))


def _as_date(text: str, seen_on: date) -> date | None:
    """Read a date; without a year it is the last such day that is not after `seen_on`."""
    numbers = [int(digits) for digits in re.findall(r"\d+", text)]
    name = re.search(_MONTH, text)
    if name is None:
        years, month, day = [numbers[0]], *numbers[1:3]
    else:
        month = _MONTHS.index(name[0][:3].lower()) + 1
        day = next((n for n in numbers if n < 100), 0)
        years = [n for n in numbers if n >= 100] or [seen_on.year - back for back in range(9)]
    for year in years:
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if len(years) == 1 or found <= seen_on:
            return found
    return None


def _scraps(line: str, seen_on: date) -> list[_Scrap] | None:
    """What the site says on this line, or None where the line is text."""
    scraps: list[_Scrap] = []
    at = 0
    while at < len(line):
        match = _SCRAP.match(line, at)
        if match is None:
            return None
        at = match.end()
        kind, text = str(match.lastgroup), match[0]
        value: Any = None
        if kind in ("date", "published"):
            value = _as_date(text, seen_on)
        elif kind in ("authors", "comments", "upvotes", "count"):
            value = _number(text)
        elif kind == "submitter":
            value = re.sub(r"(?i)^submitted by:?\s*", "", text)
        elif kind == "arxiv":
            value = re.sub(r".*(?=\d{4}\.)", "", text)
        if kind != "nothing":
            scraps.append(_Scrap(kind, value))
    return scraps


def _unglued(lines: Iterable[str]) -> Iterator[str]:
    """Part the page's header from the text that copying glued to it, and labels join values."""
    label, in_header = "", False
    for line in lines:
        if not line:
            yield line
            continue
        if label:
            whole = f"{label} {line}"
            label = ""
            if (match := _SCRAP.match(whole)) and match.end() == len(whole):
                yield whole
                continue
        glued = _GLUED.match(line)
        if glued and (in_header or glued["header"] or glued["by"]):
            yield from (part.strip() for part in glued.groups() if part)
            rest = line[glued.end() :]
        else:
            rest = line
        in_header = bool(_EMAIL_END.search(line))
        if _LABEL.fullmatch(rest):
            label = rest
        elif rest:
            yield rest


# --- title or abstract ------------------------------------------------------------------------

@dataclass(slots=True)
class _Text:
    """A line of text, or several that a hard wrap had parted, and what stands before it."""

    words: str
    scraps: list[_Scrap] = field(default_factory=list)
    blank: bool = True
    joins: float | None = None  # log-odds that it continues the text before; None: it cannot

    @property
    def habit(self) -> object:
        """What a page does alike before each title, and otherwise before each abstract."""
        return self.blank, *(scrap.kind for scrap in self.scraps)


_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_LINK = re.compile(r"https?://|www\.|\w\.\w{2,4}/\w")
_SENTENCE_END = re.compile(r"[.。．।؟!?！？…][\"'”’»)\]]*$")
_FULL_STOP = re.compile(r"[.。．।][\"'”’»)\]]*$")
_SAYS = frozenset(
    "we our us is are was were has have had be been can this these that which they it its their such "
    "however while not also both show propose present introduce".split()
)

def _signs(text: str) -> tuple[float, ...]:
    """What tells an abstract from a title, each sign a number near 1; `_WEIGHTS` explains them."""
    words = _WORD.findall(text)
    long = [word for word in words[1:] if len(word) > 3 and word[0].lower() != word[0].upper()]
    size = len(text.split()) + len(_UNSPACED.findall(text)) / 2
    return (
        log2(1 + size),
        max(0.0, log2((1 + size) / 32)),
        float(bool(_FULL_STOP.search(text))),
        sum(word[0].isupper() for word in long) / len(long) if long else 0.5,
        min(4.0, sum(word.lower() in _SAYS for word in words)),
        float(bool(_LINK.search(text))),
        float(":" in text[:50]),
    )


# Measured by logistic regression on every other day of arXiv's and the daily papers' titles and
# abstracts of early 2026, abstracts also cut to one to three sentences, with case and the last full
# stop of one in ten taken or given. On the other days it errs alone on 0.5 % of whole titles and
# no whole abstract.
_WEIGHTS = {
    "length": 3.0,
    "length beyond a title's": 3.2,
    "ends with a full stop": 4.8,
    "long words capitalised": -5.4,
    "verbs, pronouns and other words of whole sentences": 2.4,
    "link": 8.0,
    "colon near its beginning": -3.3,
}
_BIAS = -12.7


def _abstract_odds(text: str) -> float:
    """The log-odds that the text, seen alone, is of an abstract and not a title."""
    return _BIAS + sum(w * sign for w, sign in zip(_WEIGHTS.values(), _signs(text), strict=True))


def _log_chance(odds: float) -> float:
    return -log1p(exp(-odds)) if odds > -30 else odds


# The log-chance that a title (T), an abstract's paragraph (A) or a page's header (H) is followed
# so: one title in fifteen has no abstract, one paragraph in twenty is not the last.
_MOVES = {"HT": 0.0, "HA": -4.0, "TA": -0.07, "TT": -2.7, "AT": -0.05, "AA": -3.0}
_MOST_JOINS = 12


def _segments(texts: list[_Text], habits: dict[tuple[str, object], float]) -> list[tuple[str, _Text]]:
    """The likeliest reading of the page as titles and paragraphs (Viterbi's algorithm)."""
    # best[n][state]: log-chance of the first n texts, where their last segment begins, state before
    best: list[dict[str, tuple[float, int, str]]] = [{"H": (0.0, 0, "")}]
    for end in range(1, len(texts) + 1):
        best.append({})
        joined, begin = 0.0, end - 1
        while True:
            first = texts[begin]
            words = _joined(text.words for text in texts[begin:end])
            odds = _abstract_odds(words)
            parted = _log_chance(-first.joins) if first.joins is not None else 0.0
            for state, reading in ("T", _log_chance(-odds)), ("A", _log_chance(odds)):
                for before, (chance, _, _) in best[begin].items():
                    after = "H" if any(s.kind == "header" for s in first.scraps) else before
                    move = _MOVES[after + state] + habits.get((before + state, first.habit), 0.0)
                    total = chance + move + parted + joined + reading
                    if state not in best[end] or total > best[end][state][0]:
                        best[end][state] = (total, begin, before)
            if first.joins is None or end - begin > _MOST_JOINS:
                break
            joined += _log_chance(first.joins)
            begin -= 1
    segments: list[tuple[str, _Text]] = []
    end = len(texts)
    state = max(best[end], key=lambda state: best[end][state][0])
    while end:
        _, begin, before = best[end][state]
        first = texts[begin]
        words = _joined(text.words for text in texts[begin:end])
        segments.append((state, _Text(words, first.scraps, blank=first.blank)))
        end, state = begin, before
    return segments[::-1]


def _habits(segments: list[tuple[str, _Text]]) -> dict[tuple[str, object], float]:
    """How much likelier each way of parting two texts is before a title, or before an abstract."""
    moves = [(a + b, text.habit) for (a, _), (b, text) in pairwise(segments)]
    both, move, habit = Counter(moves), Counter(m for m, _ in moves), Counter(h for _, h in moves)
    return {
        (m, h): log((both[m, h] * len(moves) / habit[h] + 2) / (move[m] + 2))
        for m in _MOVES
        for h in habit
    }


# --- hard-wrapped pages -----------------------------------------------------------------------


def _joined(parts: Iterable[str]) -> str:
    """Lines of one paragraph as one; a word that was parted at its hyphen is whole again."""
    return re.sub(r"(?<=\w-)\n(?!and |or |to )(?=\w)", "", "\n".join(parts)).replace("\n", " ")


def _unwrapped(texts: list[_Text]) -> list[_Text]:
    """Join the lines that plainly continue the one before, and mark those that may.

    Only on a page where many do: lines of about a width, most of which begin within a sentence.
    """
    near = [(a, b) for a, b in pairwise(texts) if not (b.blank or b.scraps)]
    near = [(a, b) for a, b in near if 40 <= len(a.words) <= 140 and len(b.words) <= 140]
    within = sorted(len(a.words) for a, b in near if b.words[0].islower())
    if len(within) < 3 or len(within) * 5 < len(texts):
        return texts
    width = within[len(within) * 9 // 10]
    pieces = [texts[0]]
    for before, text in pairwise(texts):
        odds = _join_odds(before, text, width)
        if odds > _SURE:
            pieces[-1].words = _joined((pieces[-1].words, text.words))
        else:
            pieces.append(replace(text, joins=odds if odds > -_SURE else None))
    return pieces


_SURE = 5.0


def _join_odds(before: _Text, text: _Text, width: int) -> float:
    """The log-odds that a line goes on with the sentence of the line before; set by hand."""
    a, b = before.words, text.words
    if text.blank or text.scraps or max(len(a), len(b)) > 140:
        return -99.0
    room = width - len(a) - 1 - len(b.split(" ", 1)[0])
    odds = 1.0 if room < 0 else -1.0 if room < 10 else -4.0
    odds += -1.5 if _SENTENCE_END.search(a) else 1.5
    if b[0].islower():
        return odds + 4.0
    return odds - 4.0 * max(0.0, _capitals(a) - 0.4, _capitals(b) - 0.4)


# --- cards ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Card:
    title: str
    page_date: date | None
    in_page: bool  # below a header of the page
    paragraphs: list[str] = field(default_factory=list)
    scraps: dict[str, Any] = field(default_factory=dict)

    def add(self, scraps: Iterable[_Scrap]) -> None:
        """Keep what the page says; the first of each kind, and a second bare number is comments."""
        for scrap in scraps:
            kind = scrap.kind
            if kind == "count":
                kind = "comments" if "upvotes" in self.scraps else "upvotes"
            elif kind == "date":
                kind = "published"
            if scrap.value is not None:
                self.scraps.setdefault(kind, scrap.value)

    def same_paper(self, other: "_Card") -> bool:
        """Whether two cards of one title are one paper; abstracts may be cut short or missing."""
        mine, theirs = ("".join(card.paragraphs)[:60].casefold() for card in (self, other))
        return not mine or not theirs or mine == theirs

    def listing(self, position: int) -> Listing:
        """The value that leaves this room."""
        facts = ("author_count", "authors"), ("submitter", "submitter"), ("comments", "comments")
        return Listing(
            title=self.title,
            abstract="\n\n".join(self.paragraphs),
            position=position,
            page_date=self.page_date,
            arxiv_id=self.scraps.get("arxiv"),
            published_on=self.scraps.get("published"),
            upvotes=self.scraps.get("upvotes"),
            facts={name: self.scraps[kind] for name, kind in facts if kind in self.scraps},
        )


def _has_header(scraps: Iterable[_Scrap]) -> bool:
    return any(scrap.kind == "header" for scrap in scraps)


def _around_header(scraps: list[_Scrap]) -> tuple[list[_Scrap], list[_Scrap]]:
    at = [n for n, scrap in enumerate(scraps) if scrap.kind == "header"]
    return (scraps[: at[0]], scraps[at[-1] + 1 :]) if at else ([], scraps)


class _Places:
    """Where this page puts what it says of a paper: before the title, or after the abstract."""

    def __init__(self, gaps: list[list[_Scrap]], last: list[_Scrap]) -> None:
        """Learn from the `gaps` before titles, and from the `last`, which has no title after it."""
        inner = [gap for gap in gaps[1:] if not _has_header(gap)]
        after = {scrap.kind for scrap in last}
        self._card_dates = {
            kind
            for kind in ("date", "published")
            if kind not in after and sum(_has(gap, kind) for gap in inner) * 2 > len(inner)
        }
        self._before = Counter[str]()
        for gap in gaps[:1] + [gap for gap in gaps[1:] if _has_header(gap)]:
            self._before |= Counter(scrap.kind for scrap in self.opening(gap)[1])
        if not self._before.keys() & _FACTS:
            self._before |= Counter({"submitter", "upvotes", "count"} - after)

    def opening(self, scraps: list[_Scrap]) -> tuple[date | None, list[_Scrap]]:
        """The page's date, and what is said of the first paper below a header."""
        below = _around_header(scraps)[1]
        dates = [scrap for scrap in below if scrap.kind in ("date", "published")]
        byline = any(scrap.kind == "header" and scrap.value == "by" for scrap in scraps)
        if not dates or (len(dates) == 1 and not byline and dates[0].kind in self._card_dates):
            return None, below
        return dates[0].value, [scrap for scrap in below if scrap is not dates[0]]

    def parted(self, scraps: list[_Scrap]) -> tuple[list[_Scrap], list[_Scrap]]:
        """What is said of the paper above, and what of the paper below."""
        left = self._before.copy()
        sides: tuple[list[_Scrap], list[_Scrap]] = [], []
        for scrap in reversed(scraps):
            below = left[scrap.kind] > 0
            left[scrap.kind] -= below
            sides[below].insert(0, scrap)
        return sides
