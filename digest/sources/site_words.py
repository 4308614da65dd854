"""What the site around the papers says on a saved page: a line -> scraps, or text.

Below `trending_page`, which reads the text that is left; this module knows the site's wording.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

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
_LIKE = "[▲△⬆⇧👍❤♥]\ufe0f?"
_EMAIL = r"Get trending papers in your (?:e-?mail )?inbox(?: (?:once|twice|every)[a-z ]{2,20})?!"
_BY = r"by\s?AK(?: and the research community)?(?!\w)"

# A line made of these alone, glued together or parted by dots and bars, is the site's; they are
# tried in this order. Words of its navigation keep their capitals.
_SCRAPS = {
    "header": _EMAIL,
    "byline": _BY,
    "arxiv": r"(?i:(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf)/|arxiv:\s*)?"
    r"\d\d(?:0[1-9]|1[0-2])\.\d{4,5}(?!\d)(?:v\d+)?(?:\.pdf)?",
    "published": rf"(?i:(?:(?:published|submitted|updated)(?: on)?:?\s*|on\s){_DATE})",
    "date": _DATE,
    "authors": r"(?i:\+?\s?\d{1,5}\s?(?:more\s)?authors?\b|authors?:\s?\d{1,5}\b)",
    "comments": rf"(?i:{_NUMBER}\s?(?:comments?|replies)\b|(?:comments?|💬):?\s?{_NUMBER})",
    "upvotes": rf"(?i:(?:{_LIKE}|upvotes?:?|likes?:)\s?{_NUMBER}"
    rf"|{_NUMBER}\s?(?:{_LIKE}|upvotes?\b|likes?\b))",
    "submitter": rf"(?i:submitted by:?)\s?[^·•|]{{1,40}}?(?=\s*(?:[·•|]|$)|\s(?:on\s)?{_DATE})",
    "stars": rf"(?i:[★☆⭐]\s?{_NUMBER}|{_NUMBER}\s?(?:[★☆⭐]|(?:github )?stars?\b)"
    rf"|github(?: page| repo)?:?(?:\s?{_NUMBER})?(?!\w))",
    "label": rf"(?i:(?:upvotes?|likes?|comments?)\b|(?:submitted by|published(?: on)?):?)|{_LIKE}"
    r"|(?:View )?arXiv(?: [Pp]age)?\b|Paper(?: page)?\b|Project [Pp]age|View PDF|PDF\b|Code\b"
    r"|Abstract\b|AI-generated summary|Yesterday|Today"
    r"|(?:about )?\d{1,2} (?:minutes?|hours?|days?|weeks?|months?) ago",
    "count": _NUMBER,
    "site": r"(?:Subscribe|[Nn]ew|Hugging Face|Models?|Datasets?|Spaces?|Community|Docs|Enterprise"
    r"|Pricing|Log [Ii]n|Sign [Uu]p|Sign [Ii]n|(?:Daily|Weekly|Monthly|Trending) [Pp]apers|Papers"
    r"|Daily|Weekly|Monthly|Trending|Previous|Next|Company|TOS|Terms|Privacy|About|Careers|Website"
    r"|Jobs|Blog|Forum|Posts|Learn|Solutions|Collections|Organizations|Buckets|Inference|Menu"
    r"|View all activity|View all|(?:Load|Show|Read) more|Back to top|System theme"
    r"|Search(?: papers)?|Your daily dose of AI research from AK)(?!\w)"
    r"|Search models, datasets, users\.\.\.|©.{0,40}",
}
_SCRAP = re.compile(
    r"[\W_]{0,8}?(?:"
    + "|".join(f"(?P<{kind}>{wording})" for kind, wording in _SCRAPS.items())
    + ")"
)
_WORD = re.compile(r"[^\W_]")
_LABEL = re.compile(rf"(?i:upvotes?|github|comments?|submitted by|published(?: on)?):?|{_LIKE}")
_HEADER = re.compile(rf"(?:new\s*)?(?:{_EMAIL}|{_BY}$)")
# `SubscribeTitle` is the button and a title; `Subscribers` and `Subscribe to` are a title's words.
_GLUED = re.compile(
    rf"(?P<header>(?:(?:new\s*)?{_EMAIL}\s*)*)(?P<button>Subscribe(?!rs?\b|d\b|\s+[a-z])\s*)?"
    rf"(?P<byline>by\s?AK and the research community\s*)?(?P<date>{_DATE}(?=[^\W\d_]))?"
)
_LONGEST = 120
_MOST_ON_A_LINE = 20


@dataclass(frozen=True, slots=True)
class Scrap:
    """Something that the site says: a kind of `_SCRAPS`, the value it gives, if any, and how."""

    kind: str
    value: Any = None
    words: str = ""


def is_header(line: str) -> bool:
    """Whether a line begins with the words that such pages have at their top."""
    return bool(_HEADER.match(line))


def headed(scraps: Iterable[Scrap]) -> bool:
    """Whether the page's header is among them."""
    return any(scrap.kind in ("header", "byline") for scrap in scraps)


def unglued(lines: Iterable[str]) -> Iterator[str]:
    """Part the page's header from the text glued to it; put a label and its value on one line.

    Text that was glued keeps its column, as spaces before it: a wrapped line's width tells.
    """
    label, below_header = "", False
    for line in lines:
        if not line:
            yield line
            continue
        if label and len(line) <= _LONGEST and (match := _SCRAP.fullmatch(f"{label} {line}")):
            yield match[0]
            label = ""
            continue
        label = ""
        glued = _GLUED.match(line)
        if glued and (below_header or glued["header"] or glued["byline"]):
            yield from (part for part in glued.groups() if part)
            line = (" " * glued.end() + line[glued.end() :]).rstrip()
        below_header = bool(glued and glued["header"] and not glued["button"])
        if _LABEL.fullmatch(line):
            label = line
        elif line:
            yield line


def scraps_of(line: str, seen_on: date) -> list[Scrap] | None:
    """What the site says on this line, or None where the line is a paper's text.

    A date without a year is the last such day that is not after `seen_on`.
    """
    if len(line) > _LONGEST:
        return None if _WORD.search(line) else []
    scraps: list[Scrap] = []
    at = 0
    while len(scraps) < _MOST_ON_A_LINE and (match := _SCRAP.match(line, at)):
        kind, at = str(match.lastgroup), match.end()
        scraps.append(Scrap(kind, _value(kind, match[0], seen_on), match[0]))
    return None if _WORD.search(line, at) else scraps


def _value(kind: str, wording: str, seen_on: date) -> Any:
    match kind:
        case "date" | "published":
            return _as_date(wording, seen_on)
        case "authors" | "comments" | "upvotes" | "count":
            return _as_number(wording)
        case "submitter":
            return re.sub(r"(?i)\W*submitted by:?\s*", "", wording)
        case "arxiv":
            found = re.search(r"\d{4}\.\d{4,5}(?:v\d+)?", wording)
            return found and found[0]
    return None


def _as_number(wording: str) -> int:
    digits, unit = re.findall(r"(\d[\d,.]*)\s*([kKM]?)", wording)[0]
    return round(float(digits.replace(",", "")) * {"k": 1e3, "m": 1e6}.get(unit.lower(), 1))


def _as_date(wording: str, seen_on: date) -> date | None:
    numbers = [int(digits) for digits in re.findall(r"\d+", wording)]
    years: list[int]
    if name := re.search(_MONTH, wording, re.IGNORECASE):
        month, day = _MONTHS.index(name[0][:3].lower()) + 1, numbers[0]
        years = numbers[1:] or [seen_on.year - back for back in range(9)]
    else:
        *years, month, day = numbers
    for year in years:
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found <= seen_on or len(years) == 1:
            return found
    return None
