"""The reader for trending-papers pages saved as plain text: bytes -> lines -> texts -> cards.

Nothing on such a page marks what is a title, what an abstract and what belongs to the site around
them. `site_words` knows the site by its wording; the rest is called title or abstract by the
likeliest reading of the page as a whole. Cleaning LaTeX and telling papers apart is left to
`papers`.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate, takewhile
from typing import Any

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.site_words import Scrap, headed, is_header
from digest.sources.title_or_abstract import Part, parts_of

EXPECTED = "a trending-papers page saved as plain text"
# This reader comes last: what has no header either may be any format that nobody knows.
ANY_FORMAT = f"papers: {EXPECTED}, a feed, BibTeX, or CSV with headings like title, abstract, doi"
MAX_BYTES = 10_000_000
MAX_LINES = 30_000


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
        parts, ending = parts_of(lines, seen_on)
        parts = _below_the_header(parts)
        cards = _cards(parts, ending)
        if doubt := _doubt(cards, parts, lines):
            raise UnreadablePage(EXPECTED if any(map(is_header, lines)) else ANY_FORMAT, doubt)
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
        raise UnreadablePage(ANY_FORMAT, "binary data")
    if _MARKUP.match(text) or len(_TAG.findall(text)) * 500 > len(text) + 5000:
        is_html = re.match(r"\s*<(?:!doctype )?html\b", text, re.IGNORECASE)
        found = "HTML: in the browser, save it as text" if is_html else "HTML, XML or JSON"
        raise UnreadablePage(ANY_FORMAT, found)
    if (lines := len(_LINE_END.findall(text))) > MAX_LINES:
        raise UnreadablePage(EXPECTED, f"{lines:,} lines, more than such a page has")
    return text


def _clean_lines(text: str) -> list[str]:
    return [" ".join(_INVISIBLE.sub("", line).split()) for line in _LINE_END.split(text)]


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


def _below_the_header(parts: list[Part]) -> list[Part]:
    """Drop what stands above the header of the page, such as the name of the site."""
    first = next((n for n, part in enumerate(parts) if headed(part.scraps)), 0)
    return parts[first:] if all(part.is_title for part in parts[:first]) else parts


def _parted(scraps: list[Scrap]) -> tuple[list[Scrap], list[Scrap], list[Scrap]]:
    """What stands above a header, the header with what is within it, and what stands below it."""
    marks = [n for n, scrap in enumerate(scraps) if scrap.kind in ("header", "byline", "site")]
    if not headed(scraps):
        return scraps, [], []
    first, last = marks[0], marks[-1] + 1
    while last < len(scraps) and scraps[last].kind in ("date", "published"):
        last += 1
    return scraps[:first], scraps[first:last], scraps[last:]


def _cards(parts: list[Part], ending: list[Scrap]) -> list[_Card]:
    """Group titles with the paragraphs below them, and settle whose the scraps between are."""
    gaps = [_parted(part.scraps) for part in parts if part.is_title]
    # How often a kind surely belongs to the title below it, less how often to the one above.
    below = Counter(scrap.kind for _, _, under in gaps for scrap in under)
    below.subtract(scrap.kind for over, header, _ in gaps if header for scrap in over)
    below.subtract(
        s.kind for p in parts if not p.is_title and not headed(p.scraps) for s in p.scraps
    )
    below.subtract({scrap.kind for scrap in _before_the_footer(ending)})
    # A date above every card is the card's; above a few, it begins another day.
    dated = [any(s.kind == "date" for s in over) for over, header, _ in gaps if not header]
    days = sum(dated) * 3 < len(gaps)
    cards: list[_Card] = []
    page_date: date | None = None
    for part in parts:
        if not part.is_title:
            if cards:
                cards[-1].add(part.scraps)
                cards[-1].paragraphs.append(part.words)
            continue
        over, header, under = _parted(part.scraps)
        shown = [s.value for s in header if s.kind in ("date", "published") and s.value]
        if not header:
            shown = [s.value for s in over if s.kind == "date" and s.value and days]
            scraps = [s for s in over if not (s.kind == "date" and days)]
            cut = _cut(scraps, below) if cards else 0
            over, under = scraps[:cut], scraps[cut:]
        page_date = shown[0] if shown else page_date
        if cards:
            cards[-1].add(over)
        cards.append(_Card(part.words, page_date))
        cards[-1].add(under)
    if cards:
        cards[-1].add(_before_the_footer(ending))
    return cards


def _before_the_footer(ending: list[Scrap]) -> list[Scrap]:
    return list(takewhile(lambda scrap: scrap.kind != "site", ending))


def _cut(scraps: list[Scrap], below: Counter[str]) -> int:
    """How many of the scraps between two cards belong to the one above."""
    usual = [0.5 if scrap.kind in _ABOVE_THE_TITLE else -0.5 for scrap in scraps]
    weights = [max(-3, min(3, below[s.kind])) or w for s, w in zip(scraps, usual, strict=True)]
    sums = list(accumulate(weights, initial=0.0))
    return sums.index(min(sums))


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


def _doubt(cards: list[_Card], parts: list[Part], lines: list[str]) -> str | None:
    """Why what was read is not surely a page of papers, or None where it is."""
    if not any(lines):
        return "an empty page"
    if not any(map(is_header, lines)) and not _sure_without_header(cards):
        return f"{_kind(lines)} without `Get trending papers in your email inbox!`"
    if not parts:
        return "a header alone"
    told = [card for card in cards if card.paragraphs]
    n_paragraphs = sum(not part.is_title for part in parts)
    n_stray = n_paragraphs - sum(len(card.paragraphs) for card in told)
    if n_stray * 10 > len(cards):
        return "text before the first title"
    if not told:
        return f"{len(cards)} lines that may be titles, but no abstract"
    if len(told) * 4 < len(cards):
        return f"abstracts under only {len(told)} of what may be {len(cards)} titles"
    if n_paragraphs > 3 * len(cards):
        return f"{n_paragraphs} paragraphs under {len(cards)} titles, like plain prose"
    # Without a line end after it, the last title may be the stump of one, or of an abstract.
    if lines[-1] and parts[-1].is_title and parts[-1].words.endswith(lines[-1]):
        return f"a page that breaks off at {lines[-1][-40:]!r}"
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
