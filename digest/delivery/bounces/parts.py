"""A mail taken apart, however broken it is: headers, and the parts of its body.

The standard parser recurses and keeps what is malformed in ways of its own; this one reads what is
there, to a depth and a number of parts that no honest notice exceeds.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.header import decode_header
from html import unescape
from quopri import decodestring

# A notice comes before the mail that it returns, so that nothing is lost with what is cut off.
LONGEST = 1_000_000
_LONGEST_TEXT = 64_000
_DEEPEST = 6
_MOST_PARTS = 50

Headers = Mapping[str, Sequence[str]]

_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]*:[ \t]*(.*)", re.DOTALL)
_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))""", re.IGNORECASE)
_CHARSET = re.compile(r"""charset\s*=\s*"?([\w.:-]+)""", re.IGNORECASE)
# Python knows codecs that are none for text, and some that are slow.
_FOR_TEXT = re.compile(
    r"utf|us|ascii|iso|windows|cp|koi|big5|gb|euc|shift|sjis|mac|latin|ks", re.IGNORECASE
)
# UTF-7 can make lone surrogates.
_NEVER_STORED = re.compile("[\0\ud800-\udfff]")
_UNSEEN = re.compile(r"(?is)<(style|script|head|title)\b[^<>]*>.*?(?:</\1>|\Z)")
_BREAK = re.compile(r"(?i)<(?:br|/?p|/?div|/?tr|/?li|/?h\d)\b[^<>]*>")
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a mail: its headers, media type in lower case, and content without its encoding."""

    headers: Headers
    type: str
    content: bytes

    @property
    def text(self) -> str:
        """The content as text, as well as it can be read; of HTML what is to be seen."""
        said = " ".join(self.headers.get("content-type", ()))
        charset = _CHARSET.search(said)
        name = charset[1] if charset and _FOR_TEXT.match(charset[1]) else "utf-8"
        text = decoded(self.content[:_LONGEST_TEXT], name)
        if self.type == "text/html":
            text = unescape(_TAG.sub(" ", _BREAK.sub("\n", _UNSEEN.sub(" ", text))))
        return text


def take_apart(raw: bytes) -> tuple[Headers, list[Part]]:
    """The headers of a mail and its leaves; what it encloses as a mail is one of them."""
    raw = raw[:LONGEST].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    headers, body = head_and_body(raw)
    leaves: list[Part] = []
    for part in _leaves(headers, body, _DEEPEST):
        leaves.append(part)
        if len(leaves) == _MOST_PARTS:
            break
    return headers, leaves


def head_and_body(raw: bytes) -> tuple[Headers, bytes]:
    """The headers at the beginning of `raw`, names in lower case, and what follows them."""
    head, _, body = raw.partition(b"\n\n")
    headers = fields(decoded(head[:_LONGEST_TEXT]))
    # A part may begin with its text, though an empty line is missing.
    return (headers, body) if headers or not head.strip() else ({}, raw)


def fields(text: str) -> dict[str, list[str]]:
    """`Name: value` lines, with those that continue them; other lines are passed over."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\n[ \t]+", " ", text).split("\n"):
        if field := _FIELD.fullmatch(line):
            found.setdefault(field[1].lower(), []).append(field[2].strip())
    return found


def readable(value: str) -> str:
    """A header's value without its encoded words (RFC 2047)."""
    if "=?" not in value:
        return value
    try:
        words = decode_header(value)
    except Exception:  # noqa: BLE001 - it raises what its authors did not foresee
        return value
    return "".join(
        word if isinstance(word, str) else decoded(word, name or "ascii") for word, name in words
    )


def decoded(raw: bytes, charset: str = "utf-8") -> str:
    """Bytes as text, as well as they can be read, without what no database stores."""
    try:
        text = raw.decode(charset, "replace")
    except (LookupError, UnicodeError):
        text = raw.decode("utf-8", "replace")
    return _NEVER_STORED.sub("", text)


def _leaves(headers: Headers, body: bytes, depth: int) -> Iterator[Part]:
    described = " ".join(headers.get("content-type", ()))
    type_ = described.partition(";")[0].strip().lower()
    if type_.startswith("multipart/") and depth:
        boundary = _BOUNDARY.search(described)
        line = re.escape((boundary[1] or boundary[2]).strip().encode()) if boundary else rb"\S+"
        pieces = re.split(rb"(?m)^--" + line + rb"(?:--)?[ \t]*(?:\n|\Z)", body)
        for piece in pieces[1:]:
            yield from _leaves(*head_and_body(piece), depth - 1)
        if len(pieces) > 1:
            return
        type_ = "text/plain"
    encoding = " ".join(headers.get("content-transfer-encoding", ())).lower()
    yield Part(headers, type_ or "text/plain", _plain(body, encoding))


def _plain(body: bytes, encoding: str) -> bytes:
    if "quoted-printable" in encoding:
        return decodestring(body)
    if "base64" in encoding:
        try:
            return b64decode(re.sub(rb"[^A-Za-z0-9+/]", b"", body) + b"==")
        except NotBase64:
            return body
    return body
