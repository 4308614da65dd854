import re
from email import policy
from email.parser import BytesParser
from itertools import pairwise
from unicodedata import category

from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest.mail.wire import Filled, Form, Text, encoded, in_references, whole

# What tells lines, marks and encodings apart, and what is much of a mail.
words = st.text("From m.=|%s\0\r\n\t é注\x85\ud800<&#", max_size=12)
long = st.sampled_from(
    ["x" * 70, "y" * 400, "z" * 998, "https://digest.example.org/vote/" + "a" * 60]
)
pieces = words | long


@st.composite
def forms(draw: st.DrawFn) -> Filled:
    own = draw(st.lists(pieces, max_size=3))
    parts = draw(st.lists(pieces, min_size=len(own) + 1, max_size=len(own) + 1))
    return Filled(Form(tuple(parts)), tuple(own))


def said(text: Text) -> str:
    return "".join(one.text for one in text)


def printable(text: str) -> str:
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unix if c in "\t\n" or category(c) not in {"Cc", "Cs"})


def ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def read_back(encoding: str, body: bytes) -> str:
    head = (
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    read = BytesParser(policy=policy.default).parsebytes(head.encode() + body)
    content: str = read.get_content()
    return content.replace("\r\n", "\n")


def filled(*parts: str, own: tuple[str, ...] = ()) -> Filled:
    return Filled(Form(parts), own)


@settings(max_examples=150, deadline=None)
@given(st.lists(forms(), max_size=5).map(tuple))
@example((filled("\n", "m here", own=("Fro",)),))
@example((filled("Fr"), filled("om here")))
@example((filled("a "), filled("\nb")))
@example((filled("a ", "\nb", own=("",)),))
@example((filled("x" * 500), filled("y", "y", own=("x" * 500,))))
@example((filled("a\n", "\nb", own=("c ",)),))
@example((filled("a", "", own=("\n",)), filled("b")))
@example((filled("é", "", "", own=("", "")), filled("", "", own=("",))))
@example((filled("é"), filled("x" * 76), filled("y")))
@example((filled("é\n" + "x" * 74 + " \n" + "x" * 75 + "\t\n"),))
@example((filled("é", "y", own=("x" * 70 + "é",)),))
@example((filled("", "", "\n", own=("", "\r")),))
def test_whatever_its_pieces_a_text_crosses_unchanged_in_lines_that_stay(text: Text) -> None:
    encoding, body = encoded(text)
    assert body.isascii()
    assert body.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00|[ \t]\r\n|(\A|\n)From ", body)
    longest = max(map(len, body.split(b"\r\n")))
    assert longest <= (998 if encoding == "7bit" else 76)
    # A line end that comes in two pieces may be one or two.
    pieces = [piece for one in text for piece in _of(one)]
    in_pieces = "".join(map(printable, pieces))
    assert read_back(encoding, body) in (ended(in_pieces), ended(printable("".join(pieces))))


def _of(one: Filled) -> list[str]:
    row = [""] * (len(one.form.parts) + len(one.own))
    row[::2], row[1::2] = one.form.parts, one.own
    return row


@settings(max_examples=200, deadline=None)
@given(words | st.text(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_how_a_text_is_cut_never_makes_it_unreadable(text: str, cuts: list[int]) -> None:
    text = printable(text)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parts = [text[a:b] for a, b in pairwise(ends)] or [""]
    for cut in (
        tuple(filled(part) for part in parts),
        (filled(*parts[::2], own=tuple(parts[1::2])),),
    ):
        if len(cut[0].form.parts) == len(cut[0].own) + 1:
            assert read_back(*encoded(cut)) == ended(text)


def test_links_and_a_few_words_stand_as_they_are() -> None:
    form = Form(('<a\nhref="', '">', "</a>\n"))
    url = "https://digest.example.org/vote/" + "a" * 60
    name, body = encoded((Filled(form, (url, "Close to one you liked")), *whole("end\n")))
    assert name == "7bit"
    assert body == f'<a\r\nhref="{url}">Close to one you liked</a>\r\nend\r\n'.encode()


def test_a_form_is_the_same_whatever_it_was_filled_with_before() -> None:
    form = Form(("100 %s of ", "\n"))
    texts = [(Filled(form, (own,)),) for own in ("é", "ascii", "x" * 2000, "From ", "")]
    assert [read_back(*encoded(one)) for one in texts] == [said(one) for one in texts]


def test_what_browsers_read_as_controls_is_no_reference() -> None:
    assert in_references("né\x85\ud800") == "n&#233;"
    assert in_references("&#133;") == "&#133;"
