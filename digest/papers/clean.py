"""Text from outside to text that a person can read: no markup, LaTeX, entities or control codes."""

import html
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylatexenc.latex2text import LatexNodes2Text

# Cc and Cf but tab and line feed, lone surrogates, private use and unassigned code points.
_UNWANTED = {"Cc", "Cf", "Cs", "Co", "Cn"}
# Joiners change how Persian, Indic and emoji text reads.
_WANTED = "\t\n‌‍"
_MATH = re.compile(r"(?<!\\)\$\$?(?=\S)([^$\n]{1,400}?)(?<=[^\s\\])\$\$?(?!\d)")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\b|[\"'`^~=.]\s*(?:\{\s*\\?\w?\s*\}|\\?\w))|\\[(\[]")
_ESCAPE = re.compile(r"\\([%&#_$ ,{}])")
_BARE = re.compile(r"(?<!\\)([%&#])")
_SCRIPT = re.compile(r"([\^_])(?:\{([^{}]{1,12})\}|([0-9A-Za-z+\-]))")
_SUPER = str.maketrans("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
_SUB = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")


def plain(text: str) -> str:
    """Drop control characters, lone surrogates and invisible marks; fold white space in lines.

    Paragraphs stay: the result is NFC, with blank lines folded to one.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(c for c in text if c in _WANTED or unicodedata.category(c) not in _UNWANTED)
    kept = unicodedata.normalize("NFC", kept)
    lines = [" ".join(line.split()) for line in kept.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def readable(text: str) -> str:
    """`plain` text with entities resolved and LaTeX written out (`$n^2$` to n², `\\&` to &)."""
    text = plain(html.unescape(plain(text)))
    if "$" in text:
        text = _MATH.sub(lambda match: _spelled(match[1], math=True), text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda match: match[1].strip(","), text)
        if _COMMAND.search(text):
            text = _spelled(text, math=False)
    return plain(text)


def one_line(text: str) -> str:
    """`readable` text as a single line, for titles and names."""
    return " ".join(readable(text).split())


def _spelled(latex: str, *, math: bool) -> str:
    if math:
        latex = _SCRIPT.sub(_raised, latex)
    if "\\" not in latex and "{" not in latex:
        return latex
    # A bare % would start a comment and swallow the rest of the line.
    escaped = _BARE.sub(r"\\\1", latex)
    paragraphs = [str(_to_text().latex_to_text(part)) for part in escaped.split("\n\n")]
    return "\n\n".join(paragraphs)


def _raised(match: re.Match[str]) -> str:
    script, table = (match[2] or match[3]), (_SUPER if match[1] == "^" else _SUB)
    raised = script.translate(table)
    same = any(a == b for a, b in zip(script, raised, strict=True))
    return match[0] if same else raised


@cache
def _to_text() -> "LatexNodes2Text":
    from pylatexenc.latex2text import (
        LatexNodes2Text,
        MacroTextSpec,
        get_default_latex_context_db,
    )

    known = get_default_latex_context_db()
    # The library drops what it does not know; C:\\new is better left as it stands.
    known.set_unknown_macro_spec(MacroTextSpec("", lambda node: node.latex_verbatim()))
    return LatexNodes2Text(known, math_mode="text", strict_latex_spaces=True, keep_comments=True)
