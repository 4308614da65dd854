"""Text from outside to text that a person can read: no markup, LaTeX, entities or control codes."""

import html
import re
import unicodedata

from digest.papers.latex import without_latex

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
_EN_DASH = re.compile(r"(?<=\w)--(?=\w)|(?<=\s)--(?=\s)")
_EM_DASH = re.compile(r"(?<=[\w\s,.)])---(?=[\w\s(])")
# Real text is stable after two rounds; a page made to need more loses its special characters.
_ROUNDS = 6
_SPECIAL = re.compile(r"[\\$&{}<>*`~^-]")


def plain(text: str) -> str:
    """Drop control characters, lone surrogates and invisible marks; fold white space in lines.

    Paragraphs stay: the result is NFC, with blank lines folded to one.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _PLAIN_ALREADY.fullmatch(text):
        text = "".join(c for c in text if c in _WANTED or unicodedata.category(c) not in _UNWANTED)
        text = unicodedata.normalize("NFC", text)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def readable(text: str) -> str:
    r"""`plain` paragraphs with entities and tags resolved and LaTeX written out.

    `$n^2$` becomes n², `R\&D` becomes R&D, and `costs $5 and $6` stays. Lines within a paragraph
    are joined. Readable text stays as it is.
    """
    for _ in range(_ROUNDS):
        before, text = text, _read_once(text)
        if text == before:
            return text
    return _joined(plain(_SPECIAL.sub(" ", text)))


def one_line(text: str) -> str:
    """`readable` text as a single line, for titles and names."""
    return " ".join(readable(text).split())


def _read_once(text: str) -> str:
    text = _joined(plain(text))
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "<" in text:
        text = _TAG.sub("", _PARAGRAPH_TAG.sub("\n\n", text))
    text = without_latex(text)
    text = _QUOTED.sub(r"“\1\2”", _BOLD.sub(r"\1", text))
    text = _EM_DASH.sub("—", _EN_DASH.sub("\u2013", text))
    return _joined(plain(text))


def _joined(text: str) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)
