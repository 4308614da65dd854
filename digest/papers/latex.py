"""LaTeX as abstracts use it, written out as a person would read it aloud; never raises.

pylatexenc knows the symbols. Its parser is not used: it raises on some real abstracts, takes what
follows a percent sign for a comment, and leaves or loses the commands it does not know.
"""

import re
import unicodedata
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

_LONGEST_FORMULA = 400
# Deeper nesting than this is not written by people; what remains of it loses its braces.
_DEEPEST = 12

_FORMULA = re.compile(r"\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.DOTALL)
_DOLLARS = re.compile(r"(?<!\\)\$\$?")
_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{3,}")
_IN_PROSE = re.compile(r"\s[a-z]{2,}\s")

_ESCAPED = str.maketrans({"%": "\ue000", "&": "\ue001", "#": "\ue002", "_": "\ue003"})
_ESCAPED.update(str.maketrans({"$": "\ue004", "{": "\ue005", "}": "\ue006"}))
_ESCAPES = {hidden: chr(char) for char, hidden in _ESCAPED.items()}
_ESCAPE = re.compile(r"\\([%&#_${}])")
_UNSEEN = re.compile(
    r"\\(?:left|right)\.|\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits"
    r"|math(?:cal|bf|rm|frak|sf|it|scr|tt)|boldsymbol|bm|operatorname|xspace|protect|bf|it|em|sc|tt|rm"
    r"|sf|bfseries|itshape|centering|noindent|newline|item)(?![A-Za-z])\s*"
)
_STYLED = re.compile(r"\{\s?\\(?:em|bf|it|sc|tt|rm|sf|bfseries|itshape)\s([^{}]*)\}")
_THIN = re.compile(r"(?<=\d)\\,(?=\d)|\\!")
_SPACE = re.compile(r"\\[,;:>/ ]|\\\\(?!\w)|\\(?=\s|$)|~(?=\\)|(?<=[A-Za-z.,)\]}])~(?=[\w(\[])")
_TIE = re.compile(r"[\s~]+(?=\\(?:footnote|cite[a-z]{0,9})\s?\{)")
_ACCENT = re.compile(
    r"\\([\"'`^~=.])\s*(?:\{\s*\\?([A-Za-z])\s*\}|\\?([A-Za-z]))|\\([uvHcdbkr])\s*\{\s*\\?([A-Za-z])\s*\}"
    r"|(?<=[A-Za-z{])\\([uvHckr])\s+([A-Za-z])"
)
_ACCENTS = dict(
    zip(
        "\"'`^~=.uvHcdbkr",
        "\u0308\u0301\u0300\u0302\u0303\u0304\u0307\u0306\u030c\u030b\u0327\u0323\u0331\u0328\u030a",
        strict=True,
    )
)
_LETTERS = {
    "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "i": "\u0131", "j": "ȷ", "ss": "ß", "ae": "æ",
    "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "dh": "ð", "DH": "Ð", "th": "þ",
    "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ",
}  # fmt: skip
_LETTER = re.compile(
    r"\{{\\({0})\s*\}}|\\({0})(?:\s*\{{\}}|\s+(?=[a-z])|(?![A-Za-z]))".format("|".join(_LETTERS))
)
_ALONE = re.compile(r"\{\\([A-Za-z]+)\s*\}")
_HATS = {
    "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0304", "vec": "\u20d7",
    "tilde": "\u0303", "widetilde": "\u0303", "dot": "\u0307", "ddot": "\u0308",
}  # fmt: skip
_PAIR = re.compile(
    r"\\([dt]?frac|binom|href|textcolor|stackrel)\s*\{([^{}]*)\}\s*\{([^{}]*)\}"
    r"|\\([dt]?frac)\s*(\d)\s*(\d)"
)
_COMMAND = re.compile(
    r"\\(?!(?:[dt]?frac|binom|href|textcolor|stackrel)(?![A-Za-z]))([A-Za-z]+)\*?"
    r"\s{0,3}(?:\[[^\[\]{}]{0,99}\])?\s{0,3}\{([^{}]*)\}"
)
_SCRIPT = re.compile(r"([\^_])\s*(?:\{([^{}]*)\}|([0-9A-Za-z+\-*']|\\[A-Za-z]+))")
_BRACED_SCRIPT = re.compile(r"(?<=[\w)\]])([\^_])\{([^{}]{1,40})\}()")
_BARE_GROUP = re.compile(r"(?<![A-Za-z}\]*])\{([^{}]*)\}")
# What a command becomes must not run into the name before it: \lfloor\frac{n}{r}.
_NEXT = re.compile(r"(\\[A-Za-z]+)(?=\\[A-Za-z]+\s?\{)")
_DOUBLE = re.compile(r"\\mathbb\s*([A-Za-z])(?![A-Za-z])")
_CODE_POINT = re.compile(r"\\unicode\{x([0-9A-Fa-f]{2,5})\}")
_GROUP = re.compile(r"\{([^{}]*)\}")
_UNCLOSED = re.compile(r"\\(?:footnote|thanks|cite[a-z]{0,9})\s?\{[^{}]*$|\\[A-Za-z]+\{")
_SYMBOL = re.compile(r"([A-Za-z0-9:]?)\\([A-Za-z]+)([A-Za-z0-9]?)")
_DROPPED = {
    "cite", "citep", "citet", "citealp", "citeauthor", "ref", "eqref", "autoref", "cref", "label",
    "footnote", "footnotetext", "thanks", "vspace", "hspace", "color", "begin", "end", "index",
}  # fmt: skip
_SAID = {
    "eg": "e.g.", "ie": "i.e.", "etal": "et al.", "implies": "⇒", "iff": "⇔", "colon": ":",
    "degree": "°", "copyright": "©", "checkmark": "✓", "ne": "≠", "lbrack": "[", "rbrack": "]",
    "quad": " ", "qquad": " ", "textbackslash": "", "textgreater": ">", "textless": "<",
    "textquotesingle": "'",
}  # fmt: skip
_SUPER = str.maketrans(
    "0123456789+-=()abcdefghijklmnoprstuvwxyzT*",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ*",
)
_SUB = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_BLACKBOARD = str.maketrans("CHNPQRZ", "ℂℍℕℙℚℝℤ")  # noqa: RUF001 - that they look like Latin is their purpose


def without_latex(text: str) -> str:
    r"""Write out formulas and commands: `$n^2$` as n², `\emph{so}` as so, `costs $5` as it is."""
    if "\\" in text:
        text = _FORMULA.sub(lambda match: _spelled(match[1] or match[2], math=True), text)
    if "$" in text:
        text = _formulas_spelled(text)
    if "\\" in text or _BRACED_SCRIPT.search(text):
        text = _spelled(text, math=False)
    return text


def raised(text: str) -> str:
    """The text in superscript letters, as far as there are any."""
    return text.translate(_SUPER)


def lowered(text: str) -> str:
    """The text in subscript letters, as far as there are any."""
    return text.translate(_SUB)


def _formulas_spelled(text: str) -> str:
    parts, at = [], 0
    marks = list(_DOLLARS.finditer(text))
    for opening, closing in pairwise(marks):
        if opening.start() < at:
            continue
        inside = text[opening.end() : closing.start()]
        if _is_formula(inside, after=text[closing.end() : closing.end() + 1]):
            parts += [text[at : opening.start()], _spelled(inside, math=True)]
            at = closing.end()
    return "".join(parts) + text[at:]


def _is_formula(inside: str, after: str) -> bool:
    """Whether what stands between two dollar signs is a formula and not a price and some prose."""
    if not inside.strip() or len(inside) > _LONGEST_FORMULA or "\n\n" in inside:
        return False
    if re.search(r"[\\^{]", inside):
        return True
    words = len(_WORD.findall(inside))
    if inside[0].isdigit() and _IN_PROSE.search(inside):
        return False
    if after.isdigit():
        return not (inside[0].isdigit() or inside[-1].isspace() or words)
    return words < (1 if inside[0].isdigit() else 3)


def _spelled(latex: str, *, math: bool) -> str:
    latex = _ESCAPE.sub(lambda match: match[1].translate(_ESCAPED), latex)
    latex = _CODE_POINT.sub(lambda match: chr(int(match[1], 16)), latex)
    latex = _NEXT.sub(r"\1 ", _DOUBLE.sub(r"\\mathbb{\1}", latex))
    latex = _STYLED.sub(r"\1", latex)
    latex = _SPACE.sub(" ", _THIN.sub("", _TIE.sub("", _UNSEEN.sub("", latex))))
    latex = _ACCENT.sub(_accented, latex)
    if not math:
        latex = _LETTER.sub(lambda match: _LETTERS[match[1] or match[2]], latex)
        latex = _ALONE.sub(lambda match: _said(match[1]) or match[0], latex)
    script = _SCRIPT if math else _BRACED_SCRIPT

    def opened(group: re.Match[str]) -> str:
        # Prose has sets: {one, two}.
        return group[0] if not math and ", " in group[1] else group[1]

    for _ in range(_DEEPEST):
        before = latex
        latex = script.sub(_raised, _PAIR.sub(_pair, _COMMAND.sub(_command, latex)))
        if latex == before:
            latex = _BARE_GROUP.sub(opened, latex)
        if latex == before:
            latex = _GROUP.sub(opened, latex)
        if latex == before:
            break
    latex = re.sub(r"[{}]", "", latex) if math else _UNCLOSED.sub("", latex)
    latex = _SYMBOL.sub(lambda match: _symbol(match, math=math), latex)
    latex = re.sub(r"\\(?=[^A-Za-z0-9\s]|$)", "", latex)
    return "".join(_ESCAPES.get(c, c) for c in latex)


def _accented(match: re.Match[str]) -> str:
    accent, letter = filter(None, match.groups())
    return unicodedata.normalize("NFC", letter + _ACCENTS[accent])


def _pair(match: re.Match[str]) -> str:
    name, one, other = (match[i] or match[i + 3] for i in (1, 2, 3))
    if name == "binom":
        return f"({one} choose {other})"
    if name.endswith("frac"):
        return "/".join(x if re.fullmatch(r"\\?\w+", x) else f"({x})" for x in (one, other))
    return other or one


def _command(match: re.Match[str]) -> str:
    name, inside = match[1], match[2].strip()
    if name in _DROPPED:
        return ""
    if name in _HATS:
        letter = (_said(inside[1:]) if inside[:1] == "\\" else inside) or inside
        return unicodedata.normalize("NFC", letter + (_HATS[name] if len(letter) == 1 else ""))
    if name == "sqrt":
        return f"√{inside}" if re.fullmatch(r"\\?\w+", inside) else f"√({inside})"
    if name == "mathbb":
        return inside.translate(_BLACKBOARD)
    # \alpha{} is a symbol and an empty group; \anything{text} says its text.
    return match[2] if inside or not _said(name) else f"\\{name} "


def _raised(match: re.Match[str]) -> str:
    script = match[2] if match[2] is not None else match[3]
    table = _SUPER if match[1] == "^" else _SUB
    script = script.strip()
    if not script or script in ("'", "\\prime"):
        return "'" if script else ""
    if script == "\\circ":
        return "°"
    if script in ("*", "\\ast", "\\star"):
        return "*"
    raised = script.translate(table)
    if all(a != b for a, b in zip(script, raised, strict=True)):
        return raised
    return match[1] + (script if re.fullmatch(r"\\?\w+|\W", script) else f"({script})")


def _symbol(match: re.Match[str], *, math: bool) -> str:
    before, name, after = match.groups()
    said = _said(name)
    if said is None and not math and before:
        return match[0]  # C:\new and a\b are no LaTeX
    said = name if said is None else said
    wordy = len(said) > 1 and said.isalpha()
    return (
        before
        + (" " if before and wordy and math else "")
        + said
        + (" " if after and wordy and math else "")
        + after
    )


@lru_cache(maxsize=1000)
def _said(name: str) -> str | None:
    """The text of a command without arguments, or None where nobody knows it."""
    if name in _SAID:
        return _SAID[name]
    spec = _table().get_macro_spec(name)
    said = spec.simplify_repl if spec else None
    return said.strip() if isinstance(said, str) and "%" not in said else None


@cache
def _table() -> Any:
    from pylatexenc.latex2text import get_default_latex_context_db

    return get_default_latex_context_db()
