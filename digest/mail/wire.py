"""Text to what crosses the wire: as it stands where every server leaves it alone, else quoted.

Most of what a mail says stands in many others. Such a part is a form, whose way across the wire is
found out once; what is each reader's own is put into its places.
"""

import re
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, NamedTuple, TypeVar

_LONGEST_LINE = 998  # RFC 5321, 4.5.3.1.6: octets, without CRLF
_COLUMNS = 75  # RFC 2045, 6.7: 76 with the sign of a soft line end
_CONTROLS = bytes(c for c in (*range(0x20), 0x7F) if c not in b"\t\n")
_MORE_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")  # U+0080 to U+009F in UTF-8
# The same as references, and those to lone surrogates.
_NO_REFERENCES = re.compile(
    rb"&#(?:12[89]|1[34]\d|15\d|5529[6-9]|55[3-9]\d\d|56\d{3}|57[0-2]\d\d|573[0-3]\d|5734[0-3]);"
)
# So a line begins that a mailbox may take for the next mail.
_MARK = b"From "
_PLACE = b"\0"
# What begins so behind a place may make a mark of what is put there.
_ENDS_OF_MARK = (b"rom ", b"om ", b"m ")
# In pieces between bars: a blank at the end, nothing at all, a mark.
_DOUBTFUL = (" |", "||", "|From")
_IS_LINK = re.compile(r"https?://[A-Za-z0-9:/._~+-]*").fullmatch
# The library writes a blank at the end of a line behind its limit.
_LATE_BLANK = re.compile(rb"^(.{74,75})(=20|=09)$", re.MULTILINE)
_LINE_END, _SOFT_END = b"\r\n", b"=\r\n"

S = TypeVar("S")


@dataclass(frozen=True)
class Form:
    """What many texts have in common: the `parts` before, between and behind its places."""

    parts: tuple[str, ...]

    @cached_property
    def size(self) -> int:
        """How many letters it has."""
        return sum(map(len, self.parts))

    @cached_property
    def text(self) -> "_Row[str]":
        """As it was written."""
        return _Row(self.parts, "")

    @cached_property
    def plain(self) -> "_Plain | None":
        """As it stands; None where a server may change it."""
        return _plain(_PLACE.join(map(_cleaned, self.parts)))

    @cached_property
    def quoted(self) -> "_Row[bytes]":
        """In quoted-printable, where what is put in has lines of its own."""
        parts = [_quoted(_cleaned(part)) for part in self.parts]
        for i in range(1, len(parts)):
            if parts[i - 1] and not parts[i - 1].endswith(_LINE_END):
                parts[i - 1] += _SOFT_END
            if not parts[i].startswith(_LINE_END) and (parts[i] or i < len(parts) - 1):
                parts[i] = _SOFT_END + parts[i]
        return _Row(parts, b"")


class Filled(NamedTuple):
    """A form and what is put into its places."""

    form: Form
    own: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that it makes."""
        return "".join(self.form.text.filled(self.own))


Text = tuple[Filled, ...]


def whole(text: str) -> Text:
    """A text that has nothing in common with others."""
    return (Filled(Form((text,))),)


class _Row(Generic[S]):
    """The parts of a form, ready to be joined with what is put between them."""

    def __init__(self, parts: Sequence[S], empty: S) -> None:
        self._parts: list[S] = [piece for part in parts for piece in (part, empty)][:-1]

    def filled(self, own: Sequence[S]) -> list[S]:
        row = list(self._parts)
        row[1::2] = own
        return row


class _Plain(NamedTuple):
    """A form as it stands, and what depends on what it is filled with.

    `first` and `last` are the lengths and places of the lines that its neighbours' go on with, the
    same unless it `folds`. What is put into any place has `room` for so many letters. It `opens` as
    a mailbox's mark does, or ends in a blank.
    """

    row: _Row[str]
    first: tuple[int, int]
    last: tuple[int, int]
    room: int
    folds: bool
    opens: bool
    blank: bool


def encoded(text: Text) -> tuple[str, bytes]:
    """The name of an encoding, and a text in it, which ends with a line end, CRLF.

    No controls are in it any more but tabs and line ends.
    """
    own = [piece for _, pieces in text for piece in pieces]
    name, body = "7bit", _as_it_stands(text, own)
    if body is None:
        name, body = "quoted-printable", _all_quoted(text)
    return name, body if body.endswith(_LINE_END) else body + _LINE_END


def in_references(html: str) -> str:
    """HTML with a reference for each letter beyond ASCII; controls and lone surrogates go."""
    if html.isascii():
        return html
    # Escaped text has no reference of its own, so all of these are ours.
    return _NO_REFERENCES.sub(b"", html.encode("ascii", "xmlcharrefreplace")).decode()


def _as_it_stands(text: Text, all_own: Sequence[str]) -> bytes | None:
    """None where a server may change something; lines may go on from one form to the next."""
    wires: list[str] = []
    column, blank = 0, False
    joined = f"|{'|'.join(all_own)}|"
    if not joined.isascii():
        return None
    are_simple = joined.isprintable() and not any(one in joined for one in _DOUBTFUL)
    for form, own in text:
        plain, longest = form.plain, 0
        if own:
            longest = max(map(len, own))
            if plain is None or not are_simple or longest > plain.room:
                # To be sure, it is looked at as a whole.
                plain, own, longest = Form((Filled(form, own).text,)).plain, (), 0
        if plain is None or (plain.opens and not column):
            return None
        first = plain.first[0] + plain.first[1] * longest
        if column + first > _LONGEST_LINE or (blank and plain.folds and not first):
            return None
        column = plain.last[0] + plain.last[1] * longest + (0 if plain.folds else column)
        blank = plain.blank or (blank and not plain.folds and not first)
        wires += plain.row.filled(own)
    return None if blank else "".join(wires).encode()


def _plain(shown: bytes) -> _Plain | None:
    if not shown.isascii():
        return None
    lines = shown.split(b"\n")
    inner, last = lines[1:-1], lines[-1]
    if (
        b" \n" in shown
        or b"\t\n" in shown
        or any(line.startswith(_MARK) for line in inner)
        or any(_opens(line.partition(_PLACE)[0]) for line in inner if _PLACE in line)
        or (len(lines) > 1 and _opens(last.partition(_PLACE)[0]))
        or any(part.startswith(_ENDS_OF_MARK) for part in shown.split(_PLACE)[1:])
    ):
        return None
    measured = [(len(line) - line.count(_PLACE), line.count(_PLACE)) for line in lines]
    room = min((_LONGEST_LINE - length) // max(n, 1) for length, n in measured)
    if room < 0:
        return None
    return _Plain(
        row=_Row(shown.replace(b"\n", _LINE_END).decode().split("\0"), ""),
        first=measured[0],
        last=measured[-1],
        room=room,
        folds=len(lines) > 1,
        opens=_opens(lines[0].partition(_PLACE)[0]),
        blank=shown[-1:] in (b" ", b"\t"),
    )


def _opens(line: bytes) -> bool:
    """Whether a line is a mailbox's mark, or what comes behind it may make it one."""
    return line[:1] == _MARK[:1] and _MARK.startswith(line[:5])


def _all_quoted(text: Text) -> bytes:
    """Each by itself: a soft line end comes between those that share a line."""
    wires: list[bytes] = []
    is_open = False
    for form, own in text:
        row = form.quoted.filled([*map(_quoted_own, own)])
        begin, end = row[0] or row[:2][-1], row[-1] or row[-2:][0]
        if is_open and not begin.startswith(_LINE_END):
            wires.append(_SOFT_END)
        wires += row
        if end:
            is_open = not end.endswith(_LINE_END)
    while wires and not wires[-1].removesuffix(_SOFT_END):
        wires.pop()
    return b"".join(wires).removesuffix(_SOFT_END)


def _quoted_own(piece: str) -> bytes:
    if len(piece) <= 2 * _COLUMNS and _IS_LINK(piece):
        wire = piece.encode()
        return wire if len(wire) <= _COLUMNS else wire[:_COLUMNS] + _SOFT_END + wire[_COLUMNS:]
    return _quoted_words(piece)


@lru_cache(4096)
def _quoted_words(piece: str) -> bytes:
    return _quoted(_cleaned(piece))


def _quoted(shown: bytes) -> bytes:
    lines = b"\n" + _LATE_BLANK.sub(rb"\1=\n\2", b2a_qp(shown, istext=True))
    if len(lines) - lines.rfind(b"\n") - 1 > _COLUMNS:
        # The sign of a soft line end may come behind it; no =XX is parted.
        cut = -3 if lines[-3:-2] == b"=" else -1
        lines = lines[:cut] + b"=\n" + lines[cut:]
    return lines.replace(b"\nFrom ", b"\n=46=\nrom ")[1:].replace(b"\n", b"\r\n")


def _cleaned(text: str) -> bytes:
    """UTF-8, one line feed at the end of each line, without controls or lone surrogates."""
    if text.isascii() and text.isprintable():
        return text.encode()
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    shown = _MORE_CONTROLS.sub(b"", text.encode(errors="ignore"))
    return shown.translate(None, _CONTROLS)
