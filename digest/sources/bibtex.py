"""The reader for BibTeX and BibLaTeX files; LaTeX but for braces is left to `papers.clean`."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from bibtexparser.entrypoint import parse_string
from bibtexparser.library import Library
from bibtexparser.middlewares.names import split_multiple_persons_names
from bibtexparser.model import (
    Block,
    DuplicateBlockKeyBlock,
    DuplicateFieldKeyBlock,
    Entry,
    ImplicitComment,
    ParsingFailedBlock,
)

from digest.errors import UnreadablePage
from digest.sources.listing import Listing
from digest.sources.names import name_said
from digest.sources.records import Record, arxiv_id_in, day_in, doi_in, listings_of, year_in
from digest.sources.text import decoded, folded, paragraphs, start_of

EXPECTED = "a BibTeX file"
# A broken entry takes 0.1 ms, and every one of these characters a microsecond.
MOST_ENTRIES, MOST_MARKS = 30_000, 1_500_000
# Five thousand authors.
LONGEST_VALUE = 100_000
# What abbreviations may make of a file, beyond its own length: they can say anything of it.
MOST_EXPANDED = 10_000_000

# What it says of broken entries is no news to us.
logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)

_ENTRY = re.compile(
    r"^[ \t]*@(?:\w{2,30}\s{0,9}[{(]\s{0,9}"
    r"(?:[^\s,{}()=]{0,200}\s{0,9},)?\s{0,200}[\w-]{1,50}\s{0,9}="
    r"|string\s{0,9}[{(]\s{0,9}[\w:-]{1,99}\s{0,9}=)",
    re.IGNORECASE | re.MULTILINE,
)
_TWICE = (DuplicateBlockKeyBlock, DuplicateFieldKeyBlock)
_TOKEN = re.compile(r"\\[A-Za-z]+\s*|\\.|\$[^$]*\$|[{}]|[^\\{}$]+|.", re.DOTALL)
_PIECE = re.compile(r"[{}\"#]|[^{}\"#]+")
# Where a field surely begins, in an entry that has lost a comma or a brace.
_FIELD = re.compile(
    r"(?:^[ \t]*|[,}\"]\s*)(title|subtitle|author|editor|abstract|year|date|month|doi|url"
    r"|eprint|arxivid|archiveprefix|primaryclass|journal|journaltitle|booktitle|series|volume"
    r"|number|pages|publisher|address|organization|school|institution|note|howpublished|keywords|issn|isbn|file|timestamp"
    r"|biburl|bibsource|urldate)\s*=\s*(?=[{\"\w])",
    re.IGNORECASE | re.MULTILINE,
)
_LOST_COMMA = re.compile(r"[}\"][ \t]*\n[ \t]*[A-Za-z][\w-]{1,30}\s*=\s*[{\"\w]")
_URL = re.compile(r"https?://[!-z|~]{1,2000}")
_ARXIV = re.compile(
    r"arxiv(?::|\.org/(?:abs|pdf)/)\s*([a-z-]{2,20}(?:\.[a-z]{2})?/\d{7}|\d{4}\.\d{4,5})",
    re.IGNORECASE,
)
# dblp writes an arXiv paper as volume abs/1706.03762 of CoRR.
_CORR = re.compile(r"abs/(\d{4}\.\d{4,5})")


@dataclass(frozen=True, slots=True)
class BibTex:
    """Reads the entries that have a title, from broken ones what can be read of them."""

    name: str = "bibtex"

    def recognises(self, page: bytes) -> bool:
        """Whether there is an entry with a field, or an abbreviation, in the first megabyte."""
        return bool(_ENTRY.search(start_of(page, 1_000_000)))

    def read(self, page: bytes, seen_on: date) -> list[Listing]:
        """Read the entries in order."""
        text = _text_of(page)
        if (n := text.count("\n@")) > MOST_ENTRIES:
            raise UnreadablePage(EXPECTED, f"{n:,} entries")
        if (n := sum(map(text.count, '{}",=@\n'))) > MOST_MARKS:
            raise UnreadablePage(EXPECTED, f"{n:,} braces, quotes, commas and ends of lines")
        found, room = [], len(text) + MOST_EXPANDED
        for fields in _entries(text):
            room -= sum(map(len, fields.values()))
            if room < 0:
                raise UnreadablePage(EXPECTED, f"more than {MOST_EXPANDED:,} letters abbreviated")
            found.append(fields)
        records = [record for fields in found if (record := _record(fields))]
        if not records:
            raise UnreadablePage(EXPECTED, f"{len(found)} entries, none of them with a title")
        return listings_of(records, seen_on)

    def broken(self, page: bytes) -> list[str]:
        """The entries that are not whole, by line from 1, and what `read` makes of each."""
        return list(_broken(page))


def _broken(page: bytes) -> Iterator[str]:
    text = _text_of(page)
    lines = text.split("\n")
    library = parse_string(text, parse_stack=[])
    for block, end in _ends(library, len(lines)):
        start = block.start_line or 0
        if isinstance(block, ParsingFailedBlock) and not isinstance(block, _TWICE):
            taken = _record(_salvaged("\n".join(lines[start:end])))
            said = f"read as “{taken.title[:80]}”" if taken else "left out"
            yield f"line {start + 1}: a broken entry, {said}"
        elif isinstance(block, Entry) and not block.fields_dict.get("title"):
            yield f"line {start + 1}: an entry without a title, left out"


def _text_of(page: bytes) -> str:
    return decoded(page, EXPECTED).replace("\r\n", "\n").replace("\r", "\n")


# --- text -> fields ---------------------------------------------------------------------------


def _entries(text: str) -> Iterator[dict[str, str]]:
    """The fields of each entry, names in small letters, values without what encloses them."""
    library = parse_string(text, parse_stack=[])
    abbreviations = {
        name.lower(): _value(said.value, {}) for name, said in library.strings_dict.items()
    }
    lines = text.split("\n")
    for found, end in _ends(library, len(lines)):
        # Two of one name are still two.
        block = found.ignore_error_block if isinstance(found, _TWICE) else found
        if isinstance(block, ParsingFailedBlock):
            yield _salvaged("\n".join(lines[block.start_line or 0 : end]))
        elif isinstance(block, Entry):
            if any(_LOST_COMMA.search(str(one.value)) for one in block.fields):
                yield _salvaged(block.raw or "")
                continue
            # The first of two fields of one name counts.
            fields = reversed(block.fields)
            yield {one.key.lower(): _value(str(one.value), abbreviations) for one in fields}


def _ends(library: Library, n_lines: int) -> Iterator[tuple[Block, int]]:
    """Each block, and the line on which the next begins; what is between blocks is none."""
    blocks = [block for block in library.blocks if not isinstance(block, ImplicitComment)]
    starts = [block.start_line or 0 for block in blocks] + [n_lines]
    return zip(blocks, (after for _, after in pairwise(starts)), strict=True)


def _value(raw: str, abbreviations: Mapping[str, str]) -> str:
    """A value without its braces or quotes; `#` joins what stands on both its sides.

    One that is too long is cut where it becomes so: abbreviations make gigabytes of few letters.
    """
    parts: list[str] = []
    room = LONGEST_VALUE
    depth, quoted = 0, False
    for piece in _PIECE.findall(raw):
        inside = depth > 0 or quoted
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth = max(depth - 1, 0)
        elif piece == '"' and depth == 0:
            quoted = not quoted
        elif not inside and piece != "#":
            if word := piece.strip():
                parts.append(abbreviations.get(word.lower(), word))
                room -= len(parts[-1])
            if room < 0:
                break
            continue
        outermost = piece in ("{", "}") and depth == (piece == "{") and not quoted
        if inside and not outermost and not (piece == '"' and depth == 0):
            parts.append(piece)
    return "".join(parts)


def _salvaged(raw: str) -> dict[str, str]:
    """The fields of a broken entry, each from its name to the next; the first of a name counts."""
    found = list(_FIELD.finditer(raw))
    ends = [*(match.start() for match in found[1:]), len(raw)][: len(found)]
    said = [
        (match[1].lower(), raw[match.end() : end].strip(' \t\n,"{}'))
        for match, end in zip(found, ends, strict=True)
    ]
    return dict(reversed(said))


# --- fields -> record -------------------------------------------------------------------------


def _record(fields: Mapping[str, str]) -> Record | None:
    fields = {name: value for name, value in fields.items() if len(value) <= LONGEST_VALUE}
    said = {name: _unbraced(value) for name, value in fields.items()}
    title = ": ".join(filter(None, (folded(said.get(x, "")) for x in ("title", "subtitle"))))
    if not any(map(str.isalnum, title)):
        return None
    loose = " ".join(
        said.get(name, "") for name in ("journal", "journaltitle", "note", "howpublished", "url")
    )
    url = _URL.search(said.get("url", "") or loose)
    dated = said.get("date") or said.get("year", "")
    return Record(
        title=title,
        abstract=paragraphs(said.get("abstract", "")),
        authors=tuple(_names(fields.get("author") or fields.get("editor", ""))),
        doi=doi_in(said.get("doi", "").replace("\\", ""), url[0] if url else ""),
        arxiv_id=_arxiv_id(said, loose),
        url=url[0] if url else None,
        published_on=day_in(dated),
        year=year_in(dated),
    )


def _arxiv_id(said: Mapping[str, str], loose: str) -> str | None:
    stated = arxiv_id_in(said.get("arxivid", ""), said.get("eprint", ""), said.get("doi", ""))
    if stated:
        return stated
    match = _ARXIV.search(loose) or _CORR.search(said.get("volume", ""))
    return match[1] if match else None


def _names(line: str) -> Iterator[str]:
    for name in split_multiple_persons_names(line.replace("\n", " ")):
        whole = folded(_unbraced(name))
        # An institution in braces may have a comma of its own.
        said = whole if name.startswith("{") and name.endswith("}") else name_said(whole)
        if said and said.lower() != "others":
            yield said


def _unbraced(text: str) -> str:
    r"""The text without the braces that keep capitals; those of `\emph{so}` and `{\"o}` stay."""
    pieces = _TOKEN.findall(text)
    parts: list[str] = []
    stack: list[bool] = []
    takes = False
    for piece, after in pairwise([*pieces, ""]):
        if piece == "{":
            stack.append(takes or after.startswith("\\"))
        keeps = piece not in "{}" or (stack[-1] if stack else False)
        takes = piece.startswith("\\") or (piece == "}" and keeps)
        if piece == "}" and stack:
            stack.pop()
        if keeps:
            parts.append(piece)
    return "".join(parts) + "}" * sum(stack)
