"""Text from outside to text that a person can read: no markup, LaTeX, entities or control codes."""

import html
import re
import unicodedata
from functools import lru_cache
from typing import Any

from digest.papers.latex import lowered, raised, without_latex

# Cc and Cf but tab and line feed, lone surrogates, private use and unassigned code points.
_UNWANTED = {"Cc", "Cf", "Cs", "Co", "Cn"}
# Joiners change how Persian, Indic and emoji text reads.
_WANTED = "\t\n\u200c\u200d"
_PLAIN_ALREADY = re.compile(r"[\t\n -~]*")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Only what is surely HTML or JATS: `k<b and c>d` is prose, and <search> is some model's token.
_TAG = re.compile(
    r"</?(?:jats:[a-z-]{1,20}|i|b|u|em|strong|sub|sup|span|div|p|br|italic|bold|title|sec)"
    r"""(?:\s+[\w:-]{1,30}=(?:"[^"<>]{0,300}"|'[^'<>]{0,300}'))*\s*/?>""",
    re.IGNORECASE,
)
_PARAGRAPH_TAG = re.compile(r"</(?:jats:)?(?:p|div|title|sec)>|<br\s*/?>", re.IGNORECASE)
_BOLD = re.compile(r"(?<![\w*])\*\*(?=[^\s*])([^*\n]{1,200}?)(?<=[^\s*])\*\*(?!\*)")
_QUOTED = re.compile(r"``([^`\n]{1,300}?)(?:''|\"|”)|(?<![\w'])''(?=\w)([^'\n]{1,200})''(?!')")
_SINGLY_QUOTED = re.compile(r"(?<![\w`])`([^`'\u2019\n]{1,80})'(?![\w'])")
_ITALIC = re.compile(r"(?<![\w*)\]])\*([A-Za-z][\w -]{0,58}\w)\*(?![\w*])")
# What is left of LaTeX where somebody took its backslashes or dollars away.
_HREF = re.compile(r"\bhref\{?(?=https?://)")
_LABEL = re.compile(r"(https?://[^\s{}]{4,300})\{(?:[^{}]{0,200}|[^{}]{0,40}\{[^{}]{0,99}\})\}")
_TWICE = re.compile(r"(https?://[^\s]{6,200}?)/?\1/?(?=[\s.,;)]|$)")
_TIE = re.compile(r"(?:(?<=[a-z]{2})|(?<=[.,)\]]))~\s?(?=[A-Za-z(\[])|~\s+(?=https?://)")
_BRACED = re.compile(r"(?<![=∈\\^_(])\{([A-Za-z][\w-]{0,40})\}")
_POWER = re.compile(r"(?<=[A-Za-z0-9)\]])\^(-?\d{1,3}|T(?!\w))(?![\d/]|\.\d)")
_NUMBERED = re.compile(r"(?<![\w/.-])([A-Za-z])_(\d{1,2})(?![\w])")
_EN_DASH = re.compile(r"(?<=[\w)\]\"”%\u00d7])--(?=[\w(])|(?<=\s)--(?=\s)")
_EM_DASH = re.compile(r"(?<=[\w\s,.)])---(?=[\w\s(])")
# Real text is stable after two rounds; a page made to need more loses its special characters.
_ROUNDS = 6
_LONGEST_REMEMBERED = 5000
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}", re.IGNORECASE)
_SPECIAL = re.compile(r"[\\$&{}<>*`~^-]")


class _Kept(dict[int, int | None]):
    """What stands for a character in readable text: itself, or nothing; asked once each."""

    def __missing__(self, code: int) -> int | None:
        c = chr(code)
        self[code] = code if c in _WANTED or unicodedata.category(c) not in _UNWANTED else None
        return self[code]


_KEPT = _Kept()


def plain(text: str) -> str:
    """Drop control characters, lone surrogates and invisible marks; fold white space in lines.

    Paragraphs stay: the result is NFC, with blank lines folded to one.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _PLAIN_ALREADY.fullmatch(text):
        text = unicodedata.normalize("NFC", text.translate(_KEPT))
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def readable(text: str) -> str:
    r"""`plain` paragraphs with entities and tags resolved and LaTeX written out.

    `$n^2$` becomes n², `R\&D` becomes R&D, and `costs $5 and $6` stays. Lines within a paragraph
    are joined. Readable text stays as it is.
    """
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _readable(text)


def _readable(text: str) -> str:
    for _ in range(_ROUNDS):
        before, text = text, _read_once(text)
        if text == before:
            return text
    return _joined(plain(_SPECIAL.sub(" ", text)))


# A page's texts are asked for several times, and come back on the next day's.
_remembered = lru_cache(2048)(_readable)


def one_line(text: str) -> str:
    """`readable` text as a single line, for titles and names."""
    return " ".join(readable(text).split())


def web_address(text: Any) -> str | None:
    """The text if it is an address that a mail may link to; javascript: and the like are not."""
    address = text.strip() if isinstance(text, str) else ""
    return address if _ADDRESS.fullmatch(address) else None


def _read_once(text: str) -> str:
    text = _joined(plain(text))
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "<" in text:
        text = _TAG.sub("", _PARAGRAPH_TAG.sub("\n\n", text))
    text = without_latex(text)
    text = _without_remains(text)
    text = _QUOTED.sub(r"“\1\2”", _BOLD.sub(r"\1", text))
    text = _SINGLY_QUOTED.sub("\u2018\\1\u2019", _ITALIC.sub(r"\1", text))
    text = _EM_DASH.sub("—", _EN_DASH.sub("\u2013", text))
    return _joined(plain(text))


def _without_remains(text: str) -> str:
    """The text without the braces, ties, carets and links that are left of LaTeX in it."""
    if "http" in text:
        text = _TWICE.sub(r"\1", _LABEL.sub(r"\1", _HREF.sub("", text)))
    if "~" in text:
        text = _TIE.sub(" ", text)
    if "{" in text or "}" in text:
        text = _paired(_BRACED.sub(r"\1", text))
    if "^" in text:
        text = _POWER.sub(lambda match: raised(match[1]), text)
    if "_" in text:
        text = _NUMBERED.sub(lambda match: match[1] + lowered(match[2]), text)
    return text


def _paired(text: str) -> str:
    """The text without the braces that nobody opened or closed."""
    open_ones: list[int] = []
    lone: set[int] = set()
    for match in re.finditer("[{}]", text):
        if match[0] == "{":
            open_ones.append(match.start())
        elif open_ones:
            open_ones.pop()
        else:
            lone.add(match.start())
    lone.update(open_ones)
    return "".join(c for i, c in enumerate(text) if i not in lone)


def _joined(text: str) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)
