"""Text from outside becomes text that a person can read, whatever it was."""

import re
import unicodedata
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest.papers.clean import one_line, plain, readable
from digest.sources.hf_daily import HuggingFaceDaily
from tests.shared import shared

any_text = st.text(st.characters(exclude_categories=()))
LATEX = [
    r"\frac", r"\sqrt", r"\emph", r"\textbf", r"\href", r"\cite", r"\footnote", r"\alpha", r"\le",
    r"\log", r"\left", r"\right", r"\[", r"\]", r"\(", r"\)", r"\"", r"\'", r"\%", r"\&", r"\$",
    r"\{", r"\}", r"\\", r"\,", "$", "$$", "{", "}", "^", "_", "~", "%", "&", "#", "&amp;", "&lt;",
    "<b>", "</p>", "``", "''", "--", "---", "**", "*", "a", "B", "1", "5", ".", ",", ", ", " ",
    "\n", "\n\n", "é", "\x00", "\ud800", "\u200b", "C:", "and",
]  # fmt: skip
latex_like = st.lists(st.sampled_from(LATEX), max_size=30).map("".join)
some_text = any_text | latex_like | st.lists(latex_like).map(" ".join)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        # prices and other prose with LaTeX's characters
        ("costs $5 and $6", "costs $5 and $6"),
        (r"costs \$5 and \$6", "costs $5 and $6"),
        ("under $50, or 10$ a month", "under $50, or 10$ a month"),
        ("from $127 to $4.85M per petabyte", "from $127 to $4.85M per petabyte"),
        ("100% of it, R&D #1 in my_file", "100% of it, R&D #1 in my_file"),
        ("in {here, now, I} and C:\\new", "in {here, now, I} and C:\\new"),
        ("about ~5% and 1.5~1.8x", "about ~5% and 1.5~1.8x"),
        ("for 2**3 and k<b and c>d", "for 2**3 and k<b and c>d"),
        ("emits <search> tokens", "emits <search> tokens"),
        # formulas
        ("$n^2$ and $O(n\\log n)$", "n² and O(n log n)"),
        (r"$A \geq c\,n^3$", "A ≥ c n³"),
        (r"a factor of $N^{1/12}$", "a factor of N^(1/12)"),
        (r"$>$97\% and 90$^\circ$", ">97% and 90°"),
        (r"$\ell_{1,2}$, $x_{i,j}^{t+1}$, $k_{cat}$", "ℓ_(1,2), x_(i,j)ᵗ⁺¹, k_cat"),  # noqa: RUF001
        (r"$\frac{a_{1}}{b+2}$ and $\sqrt{2}$", "a₁/(b+2) and √2"),
        (r"$\hat{\theta}_{\mathrm{MLE}} \in \mathbb{R}^{d}$", "θ̂_MLE ∈ ℝᵈ"),
        (r"$\mathcal{O}(1/\epsilon^2)$", "O(1/ϵ²)"),
        (r"codes $ [\![ n, k ]\!] $ over \(F_q\)", "codes [[ n, k ]] over F_q"),
        (r"$3f + 1$ and $\left( \pi^* \right)$", "3f + 1 and ( π* )"),
        (r"100% of $50$ trials", "100% of 50 trials"),
        (r"rank\left(\bigl[\mathbf{F}_{I};G\bigr]\right)", "rank([F_I;G])"),
        ("an ell_{1,2}-norm", "an ell_(1,2)-norm"),
        # what is left of LaTeX without its backslashes and dollars
        ("D^2VLM in O(n^4), 10^-3, QK^T; x^1/2", "D²VLM in O(n⁴), 10⁻³, QKᵀ; x^1/2"),
        (
            "Net~(BCSI), i.e.,~so; AUC~0.8, x~N(0,1)",
            "Net (BCSI), i.e., so; AUC~0.8, x~N(0,1)",
        ),
        ("{S}ignal {FRISM}; {ADD, UPDATE}, P={h}", "Signal FRISM; {ADD, UPDATE}, P={h}"),
        ("a GAMBI} and {Highways} of {it", "a GAMBI and Highways of it"),
        ("at hrefhttps://a.b/c{https://a.b/c}.", "at https://a.b/c."),
        ("https://a.b/long/chttps://a.b/long/c.", "https://a.b/long/c."),
        ("Z_3, my_2 and LLM_annotate", "Z₃, my_2 and LLM_annotate"),
        ("a `Compose' step; it's *so*, A* and D*", "a ‘Compose’ step; it's so, A* and D*"),  # noqa: RUF001
        ("(MMPL)--a method, 20%--50%, digest --json", "(MMPL)–a method, 20%–50%, digest --json"),  # noqa: RUF001
        (r"$\lfloor\frac{n}{r}\rfloor$, $\mathbb R^d$, a\unicode{x2013}b", "⌊ n/r⌋, ℝᵈ, a–b"),  # noqa: RUF001
        # commands
        (r"\textbf{bold}, \emph{so \textit{deep}} and {\em old}", "bold, so deep and old"),
        (r"\texttt{Steer\_M} by \underline{M}ine", "Steer_M by Mine"),
        (r"see \href{https://a.b/~c_d}{the {\bf code}}", "see the code"),
        (r"at \url{https://a.b/c_d}", "at https://a.b/c_d"),
        (r"It works~\cite{one,two}.\footnote{Not here.}", "It works."),
        (r"open work.\footnote{Code is at \url{x}, and", "open work."),
        (r"We present \BenchName, an \eg benchmark", "We present BenchName, an e.g. benchmark"),
        (r"S{\o}ren Gro{\ss}e, Ho{\v s}ek, Fran\c cois", "Søren Große, Hošek, François"),
        (r"{\L}ukasz {\DJ}or{\dj}evi{\'c} p{\textless}5", "Łukasz Đorđević p<5"),
        (r"M\"uller, G\"{o}del, Erd\H{o}s, \v{S}koda, \O re", "Müller, Gödel, Erdős, Škoda, Øre"),
        (r"\begin{itemize} \item one \item two \end{itemize}", "one two"),
        # entities, tags, quotes, dashes
        ("R&amp;D, x &lt; 5, caf&#233;, AT&T &copy 1", "R&D, x < 5, café, AT&T &copy 1"),
        ("&amp;amp;lt;", "<"),
        ("H<sub>2</sub>O and <i>E. coli</i>", "H2O and E. coli"),
        ("<jats:p>One.</jats:p><jats:p>Two.</jats:p>", "One.\n\nTwo."),
        ("``black box'' and ''white''", "“black box” and “white”"),
        ("10--13 points -- yes --- no", "10–13 points – yes — no"),  # noqa: RUF001
        ("**E**motion-**A**ware", "Emotion-Aware"),
        # white space
        ("a line\nand its end\n\n\n\nnew  paragraph\t!", "a line and its end\n\nnew paragraph !"),
        (
            "zero\u200bwidth \u202eright\u202c soft\u00adhyphen no\u00a0break",
            "zerowidth right softhyphen no break",
        ),
    ],
)
def test_it_reads_as_a_person_would(said: str, read: str) -> None:
    assert readable(said) == read


@settings(deadline=None)
@given(some_text)
@example("\\" * 50)
@example("{" * 5_000 + "\\a")
@example("$" * 999)
@example("&" + "amp;" * 30)
@example(r"\frac" * 500)
@example("C:\\new\\$x$")
def test_any_text_becomes_readable_and_stays_so(text: str) -> None:
    read = readable(text)
    assert readable(read) == read


@settings(deadline=None)
@given(some_text)
def test_nothing_invisible_is_left(text: str) -> None:
    for clean in plain(text), readable(text), one_line(text):
        kinds = {unicodedata.category(c) for c in clean if c not in "\n\u200c\u200d"}
        assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn"}
        clean.encode()


@settings(deadline=None)
@given(some_text)
def test_white_space_is_folded(text: str) -> None:
    for paragraph in readable(text).split("\n\n") if readable(text) else []:
        assert paragraph
        assert paragraph == " ".join(paragraph.split())
    assert "\n" not in one_line(text)


@settings(deadline=None)
@given(some_text)
def test_plain_text_is_plain_already(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.lists(st.from_regex(r"[A-Za-z]{1,9}[,.]?", fullmatch=True)).map(" ".join))
def test_prose_is_left_alone(prose: str) -> None:
    assert readable(prose) == prose


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "$",
        "\\(",
        "\\a{",
        "`` ",
        "<b ",
        "a^",
        "\\frac{",
        "** ",
        "&#",
        "https://ab",
        "}{",
        "~ (",
    ],
)
def test_a_long_hostile_text_is_soon_read(piece: str) -> None:
    readable(piece * 20_000)  # a quadratic pattern would take minutes


def test_real_abstracts_keep_their_words_and_lose_their_markup() -> None:
    reader = HuggingFaceDaily()
    abstracts = [
        listing.abstract
        for file in sorted(shared("hf_daily").glob("2026-0[12]*.json"))
        for listing in reader.read(file.read_bytes(), date(2026, 4, 1))
    ]
    assert len(abstracts) > 700
    read = [readable(abstract) for abstract in abstracts]
    commands = [text for text in read if re.search(r"\\[A-Za-z]+|\$[^$\d]*[\\^_{][^$]*\$", text)]
    assert len(commands) <= 1
    for before, after in zip(abstracts, read, strict=True):
        if not re.search(r"\\|\$", before):
            assert len(re.findall(r"\w", after)) >= 0.97 * len(re.findall(r"\w", before))
