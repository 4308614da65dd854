"""Text as a page gives it, with its lines folded; LaTeX and entities are left to `papers.clean`."""

import codecs
import html
import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

from digest.errors import UnreadablePage

# Control characters that are no white space, and lone surrogates.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
# arXiv indents a paragraph's first line; in the middle of a sentence it is only a wrapped line.
_PARAGRAPH = re.compile(r"\n[ \t]*\n|(?<=[.!?])[ \t]*\n[ \t]+(?=[A-Z])")


def folded(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join(_UNWANTED.sub("", text).split())


def paragraphs(text: str) -> str:
    """The text with its hard-wrapped lines joined; a blank line parts its paragraphs."""
    parts = map(folded, _PARAGRAPH.split(text.replace("\r\n", "\n")))
    return "\n\n".join(part for part in parts if part)


# --- text -> time ------------------------------------------------------------------------------


def instant(text: str) -> datetime | None:
    """The instant that a page tells, in ISO 8601 or as mail does; without a zone it is UTC."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(text.strip()[:64])
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if 1990 < at.year < 3000:
            return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None


def day(text: str) -> date | None:
    """The date of an instant as the page words it."""
    at = instant(text)
    return at.date() if at else None


# --- bytes -> text ----------------------------------------------------------------------------

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def decoded(page: bytes, expected: str) -> str:
    """The text of a file that somebody keeps: UTF-8, else Windows-1252, unless a mark says other.

    Raises UnreadablePage for binary data, saying that `expected` was expected.
    """
    encoding = next((name for bom, name in _BOMS if page.startswith(bom)), "utf-8-sig")
    try:
        text = page.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8-sig":
            raise UnreadablePage(expected, f"bytes that are not {encoding.upper()}") from None
        text = page.decode("cp1252", errors="replace")
    if "\0" in text or len(_CONTROL.findall(text)) * 100 > len(text):
        raise UnreadablePage(expected, "binary data")
    return text


def start_of(page: bytes, size: int = 8192) -> str:
    """The first characters of a page, whatever they are; to look at."""
    encoding = next((name for bom, name in _BOMS if page.startswith(bom)), "utf-8-sig")
    return page[:size].decode(encoding, errors="ignore")


# --- HTML -> text -----------------------------------------------------------------------------

# No tree is built: that takes a time that grows with the square of nesting, 25 s for 100,000 tags.
_TAG = re.compile(r"<(/?)(?:[A-Za-z]{1,20}:)?([A-Za-z][A-Za-z0-9]{0,15})(?=[\s/>])([^<>]*)>")
_ESCAPED_TAG = re.compile(
    r"&lt;/?(?:p|br|div|span|em|strong|[abi]|h[1-6]|ul|li)(?=[\s/]|&gt;)[^<>]{0,300}?&gt;",
    re.IGNORECASE,
)
_DOCTYPE = re.compile(r"<!doctype[^<>]*>", re.IGNORECASE)
_HIDDEN = {"script", "style", "head", "svg", "template", "noscript", "iframe"}
_BLOCKS = {
    "p", "div", "br", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol", "dl", "dt", "dd", "tr",
    "table", "blockquote", "section", "article", "header", "footer", "pre", "hr", "figure",
    "figcaption", "sec", "title", "caption",
}  # fmt: skip
# Only these are tags; in `k<b, x> = 0` and <search> the brackets are the author's.
_INLINE = {
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "body", "center", "cite", "code", "data",
    "del", "dfn", "em", "font", "html", "i", "img", "inline", "ins", "italic", "bold", "kbd",
    "label", "link", "main", "mark", "math", "mi", "mn", "mo", "mrow", "msub", "msup", "nav",
    "picture", "q", "s", "samp", "small", "source", "span", "strike", "strong", "sub", "sup", "td",
    "tbody", "tfoot", "th", "thead", "time", "tt", "u", "var", "video", "wbr",
}  # fmt: skip
_KNOWN = _HIDDEN | _BLOCKS | _INLINE
# Some feeds escape their HTML twice.
_ROUNDS = 2


def of_html(text: str) -> str:
    """The `paragraphs` that a browser would show of `text`, which may be HTML or plain text."""
    for _ in range(_ROUNDS):
        if any(map(_name, _TAG.finditer(text))):
            text = _without_tags(_without_comments(text))
        elif not _ESCAPED_TAG.search(text):
            break
        text = html.unescape(text)
    return paragraphs(text)


def _name(tag: re.Match[str]) -> str:
    """The tag's name; empty where it is none, as in `k<b and c>d`."""
    name = tag[2].lower()
    is_prose = len(name) == 1 and tag[3].strip(" /\n") and not re.search("=\\s*[\"']", tag[3])
    return "" if is_prose or name not in _KNOWN else name


def _without_comments(text: str) -> str:
    parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts.append(text[at:start])
        at = end + 3
    return _DOCTYPE.sub("", "".join(parts) + text[at:])


def _without_tags(text: str) -> str:
    """The text between the tags; those of blocks become blank lines, its own lines are folded."""
    parts: list[str] = []
    at, hidden = 0, ""
    for match in _TAG.finditer(text):
        closing, name = match[1], _name(match)
        if not name or (hidden and (name != hidden or not closing)):
            continue
        if not hidden:
            parts += [_spaced(text[at : match.start()]), "\n\n" * (name in _BLOCKS)]
        hidden = name if name in _HIDDEN and not closing and not hidden else ""
        at = match.end()
    return "".join(parts) + ("" if hidden else _spaced(text[at:]))


def _spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text)
