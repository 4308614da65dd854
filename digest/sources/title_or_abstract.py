"""Which of a saved page's lines are titles and which abstracts: lines -> parts.

Between `site_words`, which takes away what is the site's, and `trending_page`, which groups the
parts into papers. Nothing marks a title, so each line is weighed by its wording and the page is
read as a whole, in the likeliest way; where it was hard-wrapped its lines are joined alike.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise, product
from math import exp, log, log1p, log2

from digest.sources.site_words import Scrap, headed, scraps_of, unglued


@dataclass(frozen=True, slots=True)
class Part:
    """A title, or one paragraph of an abstract, and what the site says above it."""

    is_title: bool
    words: str
    scraps: list[Scrap]


def parts_of(lines: Iterable[str], seen_on: date) -> tuple[list[Part], list[Scrap]]:
    """The titles and paragraphs of a page in its order, and what the site says below the last.

    `lines` have their white space folded; `seen_on` settles a date without a year.
    """
    lines = list(unglued(lines))
    texts, ending = _texts(lines, seen_on)
    if wrap := _wrap(texts):
        texts, ending = _texts(lines, seen_on, wrap)
    if not texts:
        return [], ending
    segments = _segments(texts, lifts={})
    segments = _segments(texts, _lifts(segments))
    parts = [Part(state == "T", text.words, text.scraps) for state, text in segments]
    return list(_titled(parts, ending)), ending


def _titled(parts: list[Part], ending: list[Scrap]) -> Iterator[Part]:
    """The parts with the titles that look like the site's words: `Models`, `42`.

    Such a one stands alone between two abstracts, where a page has one paragraph a title, and
    nowhere else on the page.
    """
    said = Counter(scrap.words for part in parts for scrap in part.scraps)
    said.update(scrap.words for scrap in ending)
    below = [n for n in range(1, len(parts)) if not (parts[n - 1].is_title or parts[n].is_title)]
    lost = {
        n: scrap.words
        for n in below
        for scrap in parts[n].scraps
        if len(parts[n].scraps) == said[scrap.words] == 1 and scrap.kind in _MAYBE_TITLE
    }
    if 10 * (len(below) - len(lost)) > len(parts) or 4 * len(lost) > len(parts):
        lost = {}
    for n, part in enumerate(parts):
        if n in lost:
            yield Part(is_title=True, words=lost[n], scraps=[])
            part = replace(part, scraps=[])
        yield part


_MAYBE_TITLE = ("count", "site", "label")
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
    for line in lines:
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

_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_LINK = re.compile(r"https?://|www\.|\w\.\w{2,4}/\w")
_FULL_STOP = re.compile(r"[.。\uff0e।][\"'”\u2019»)\]]*$")
_SENTENCE_END = re.compile(r"[.。\uff0e।؟!?\uff01\uff1f…][\"'”\u2019»)\]]*$")
_OF_SENTENCES = re.compile(
    r"(?i)\b(?:we|our|us|is|are|was|were|has|have|had|be|been|can|this|these|that|which|they|it|its"
    r"|their|such|however|while|not|also|both|show|propose|present|introduce)\b"
)
# Fitted by logistic regression on half of early 2026's arXiv and daily papers, titles against
# abstracts, these also cut to a few sentences; rounded and adjusted by hand. Of 4,321 papers, both
# halves, it mistakes 11 titles, no abstract, and 10 abstracts of which only a sentence is left.
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
        + _SENTENCES * min(4, len(_OF_SENTENCES.findall(text, 0, 400)))
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
    # For the first n texts by the last's state: their chance, where it begins, the state before.
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
                reading += parted + sum(lifts.get((state, sign), 0) for sign in signs)
                for before, (chance, _, _) in best[begin].items():
                    move = ("H" if headed(first.scraps) else before) + state
                    chance += reading + _MOVES[move] + lifts.get((move, first.gap), 0)
                    # A full line that ends a sentence is more often wrapped than a paragraph's end.
                    chance -= 1.5 * (move == "AA" and first.joins is not None)
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
_OPENING = "\"'“\u2018«`$[¿¡"


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
