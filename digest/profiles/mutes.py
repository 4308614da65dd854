"""What a subscriber never wants to be shown: words, authors, categories.

Obeyed wherever papers are chosen for them; what they search for themselves, they find.

Whatever is compared is folded first, so that case, accents and widths make no difference.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.languages import msgid
from digest.papers.clean import one_line
from digest.store import insert, parts
from digest.store.tables import ListingRow, Mute, MuteKind, Paper

LONGEST_MUTE, MOST_MUTES = 100, 200

_NAMED = 30
# A day's candidates, so that shard after shard need not fold the same texts again.
_REMEMBERED = 2048
_ACCENTS = re.compile("[\u0300-\u036f]")
# Letters that Unicode does not take apart, and marks that it would glue to their word.
_LETTERS = str.maketrans(
    dict(zip("łøđðħ\u0131", "loddhi", strict=True)) | {"æ": "ae", "œ": "oe", "þ": "th"}
)
_TRADE_MARKS = re.compile("[™℠]")
# Scripts written without spaces, or (Hangul) with endings that belong to no word.
_UNSPACED = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL", "THAI", "LAO",
             "KHMER", "MYANMAR", "TIBETAN")  # fmt: skip
_TITLES = re.compile(r"(?i:dr|prof|jr|sr|ph\.?d)\.?|III?|IV")


_LENGTH: Mapping[MuteKind, str] = {
    "word": msgid("a muted word has 1 to %(most)s characters, not %(n)s"),
    "author": msgid("a muted author has 1 to %(most)s characters, not %(n)s"),
    "category": msgid("a muted category has 1 to %(most)s characters, not %(n)s"),
}
_EMPTY: Mapping[MuteKind, str] = {
    "word": msgid("a muted word needs a letter or a digit, and %(text)s has none"),
    "author": msgid("a muted author needs a letter or a digit, and %(text)s has none"),
    "category": msgid("a muted category needs a letter or a digit, and %(text)s has none"),
}


@dataclass(frozen=True, slots=True)
class MuteView:
    """A mute as its subscriber worded it."""

    kind: MuteKind
    text: str


def mute(session: Session, subscriber_id: int, kind: MuteKind, text: str, now: datetime) -> bool:
    """Never show what `text` names again; False where that was so already.

    Raises BadInput for a text that is empty, overlong or only punctuation, and for too many.
    """
    text = one_line(text)
    if not 1 <= len(text) <= LONGEST_MUTE:
        raise BadInput(msgid(_LENGTH[kind], most=LONGEST_MUTE, n=len(text)))
    if not (_words(text) and _key(kind, text)):
        raise BadInput(msgid(_EMPTY[kind], text=repr(text)))
    known = mutes_of(session, subscriber_id)
    if any(_key(kind, text) == _key(kind, view.text) for view in known if view.kind == kind):
        return False
    if len(known) >= MOST_MUTES:
        raise BadInput(
            msgid(
                "a subscriber has at most %(most)s mutes: unmute something first", most=MOST_MUTES
            )
        )
    row = {"subscriber_id": subscriber_id, "kind": kind, "text": text, "created_at": now}
    session.execute(insert(session, Mute).values(row).on_conflict_do_nothing())
    return True


def unmute(session: Session, subscriber_id: int, kind: MuteKind, text: str) -> bool:
    """Take a mute back, however it is written; False where there was none."""
    wanted = _key(kind, one_line(text))
    mutes = mutes_of(session, subscriber_id)
    texts = [view.text for view in mutes if view.kind == kind and _key(kind, view.text) == wanted]
    session.execute(
        delete(Mute).where(
            Mute.subscriber_id == subscriber_id, Mute.kind == kind, Mute.text.in_(texts)
        )
    )
    return bool(texts)


def mutes_of(session: Session, subscriber_id: int) -> list[MuteView]:
    """A subscriber's mutes, by kind, oldest first."""
    query = (
        select(Mute.kind, Mute.text)
        .where(Mute.subscriber_id == subscriber_id)
        .order_by(Mute.kind, Mute.created_at, Mute.text)
    )
    return [MuteView(kind, text) for kind, text in session.execute(query)]


def names_of(session: Session, paper_id: int) -> list[MuteView]:
    """What a paper could be muted by: its authors, at most `_NAMED` of them, and its categories."""
    authors = session.scalar(select(Paper.authors).where(Paper.id == paper_id)) or []
    told = session.scalars(
        select(ListingRow.facts["categories"])
        .where(ListingRow.paper_id == paper_id)
        .order_by(ListingRow.id)
    )
    categories = [
        name
        for listed in told
        if isinstance(listed, list)
        for name in listed
        if isinstance(name, str) and _key("category", name)
    ]
    return [
        *(MuteView("author", name) for name in authors[:_NAMED] if _key("author", name)),
        *(MuteView("category", name) for name in dict.fromkeys(categories)),
    ]


def muted(
    session: Session, subscriber_ids: Sequence[int], paper_ids: Sequence[int]
) -> NDArray[np.bool_]:
    """Which papers must never be shown to whom, shape (len(subscriber_ids), len(paper_ids)).

    Each text that somebody mutes is looked for once, however many mute it. Of the papers only
    that is read which the mutes ask about: nothing where there are none.
    """
    owners, row_of = np.unique(np.asarray(subscriber_ids, np.int64), return_inverse=True)
    papers, column_of = np.unique(np.asarray(paper_ids, np.int64), return_inverse=True)
    told: dict[MuteKind, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    if len(papers):
        rows = {id_: row for row, id_ in enumerate(owners.tolist())}
        for ids in parts(rows):
            query = select(Mute.kind, Mute.text, Mute.subscriber_id)
            for kind, text, owner in session.execute(query.where(Mute.subscriber_id.in_(ids))):
                told[kind][text].append(rows[owner])
    hidden = np.zeros((len(owners), len(papers)), np.bool_)
    for kind, by_text in told.items():
        for text, columns in _found(session, kind, papers.tolist(), list(by_text)).items():
            hidden[np.ix_(by_text[text], columns)] = True
    return hidden[np.ix_(row_of, column_of)]


def hidden_from(session: Session, subscriber_id: int, paper_ids: Sequence[int]) -> set[int]:
    """Those of the papers that a subscriber must never be shown."""
    hidden = muted(session, [subscriber_id], paper_ids)[0]
    return {id_ for id_, hides in zip(paper_ids, hidden, strict=True) if hides}


def with_words(papers: Sequence[tuple[str, str]], muted: Sequence[str]) -> dict[str, list[int]]:
    """For each muted word or phrase the papers, (title, abstract), that hold it: their places.

    Whole words: GAN is neither in "organ" nor in "GANs". Punctuation only parts words, but for
    + and #: a muted C++ leaves C. Scripts that do not part words are searched by the letter.
    """
    wanted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for text in muted:
        phrase = _words(text)
        if phrase:
            # The longest word of a phrase is likely its rarest.
            wanted[max(phrase.split(), key=len)].append((f" {phrase} ", text))
    found: dict[str, list[int]] = defaultdict(list)
    for place, (title, abstract) in enumerate(papers):
        held = _held(title, abstract)
        for word in wanted.keys() & set(held.split()):
            for phrase, text in wanted[word]:
                if phrase in held:
                    found[text].append(place)
    return found


def by_authors(papers: Sequence[Sequence[str]], muted: Sequence[str]) -> dict[str, list[int]]:
    """For each muted author the papers, each the names of its authors, that they wrote.

    `A. Lovelace` and `Lovelace, Ada` are Ada Lovelace, and Alan Lovelace is not. One who is muted
    as `Lovelace` alone is every Lovelace.
    """
    wrote: dict[_Name, set[int]] = defaultdict(set)
    for place, authors in enumerate(papers):
        for name in map(_name, authors):
            if name.family:
                wrote[name].add(place)
    named: dict[str, set[_Name]] = defaultdict(set)
    for name in wrote:
        for part in {*name.parts, name.letters}:
            named[part].add(name)
    found = {}
    for text in muted:
        asked = _name(text)
        near = {name for part in {*asked.family, asked.letters} for name in named.get(part, ())}
        mine = [name for name in near if _is(asked, name)]
        found[text] = sorted({place for name in mine for place in wrote[name]})
    return found


def in_categories(papers: Sequence[Sequence[str]], muted: Sequence[str]) -> dict[str, list[int]]:
    """For each muted category the papers, each its categories, that are in it; cs holds cs.CL."""
    within: dict[str, set[int]] = defaultdict(set)
    for place, categories in enumerate(papers):
        for category in map(_category, categories):
            parts = category.split(".")
            for n in range(1, len(parts) + 1):
                within[".".join(parts[:n])].add(place)
    return {text: sorted(within.get(_category(text), ())) for text in muted}


def _found(
    session: Session, kind: MuteKind, ids: Sequence[int], texts: Sequence[str]
) -> dict[str, list[int]]:
    """For each muted text the places in `ids` of the papers that it hides."""
    if kind == "word":
        said = _read(session, ids, Paper.title, Paper.abstract)
        return with_words([said.get(id_, ("", "")) for id_ in ids], texts)
    if kind == "author":
        wrote = _read(session, ids, Paper.authors)
        return by_authors([wrote[id_][0] if id_ in wrote else () for id_ in ids], texts)
    # A paper is in every category that any of its listings tells.
    listed: dict[int, set[str]] = defaultdict(set)
    for part in parts(ids):
        query = select(ListingRow.paper_id, ListingRow.facts["categories"])
        for id_, told in session.execute(query.where(ListingRow.paper_id.in_(part))):
            if isinstance(told, list):
                listed[id_].update(category for category in told if isinstance(category, str))
    return in_categories([sorted(listed[id_]) for id_ in ids], texts)


def _read(session: Session, ids: Sequence[int], *columns: Any) -> dict[int, Any]:
    return {
        row[0]: row[1:]
        for part in parts(ids)
        for row in session.execute(select(Paper.id, *columns).where(Paper.id.in_(part)))
    }


def _key(kind: MuteKind, text: str) -> str:
    """What two spellings of one mute have in common."""
    if kind == "author":
        return _name(text).letters
    return _words(text) if kind == "word" else _category(text)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", _TRADE_MARKS.sub(" ", text)).casefold()
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).translate(_LETTERS)
    return unicodedata.normalize("NFC", text)


class _Parting(dict[int, str]):
    """What stands for a character where words are parted by spaces; asked once each."""

    def __missing__(self, code: int) -> str:
        c = chr(code)
        kind = unicodedata.category(c)
        if kind == "Cf" or 0xFE00 <= code <= 0xFE0F:  # joiners and variation selectors
            self[code] = ""
        elif kind == "So" or c in "+#":
            self[code] = f" {c} "
        elif kind[0] not in "LNM":
            self[code] = " "
        else:
            alone = unicodedata.name(c, "").startswith(_UNSPACED)
            self[code] = f" {c} " if alone else c
        return self[code]


_PARTING = _Parting()


@lru_cache(_REMEMBERED)
def _held(title: str, abstract: str) -> str:
    """The words of a paper; no phrase goes over the line feed from the title into the abstract."""
    return f" {_words(title)} \n {_words(abstract)} "


def _words(text: str) -> str:
    """The words of a text, folded, with one space between any two."""
    return " ".join(_folded(text).translate(_PARTING).split())


def _category(text: str) -> str:
    return "".join(_folded(text).split()).rstrip(".*")


@dataclass(frozen=True, slots=True)
class _Name:
    """A person's name; a family name comes with its particles (van, de la)."""

    given: tuple[str, ...]
    family: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        return self.given + self.family

    @property
    def letters(self) -> str:
        return "".join(self.parts)


@lru_cache(8 * _REMEMBERED)
def _name(text: str) -> _Name:
    """Read `Ada K. Lovelace`, `Lovelace, A. K.` or `Lovelace A K`."""
    parts = [part for part in map(_name_parts, text.split(",")) if part]
    if len(parts) != 1:
        family, *given = parts or [[]]
        return _Name(tuple(word for part in given for _, word in part), _bare(family))
    (words,) = parts
    initials = list(takewhile(lambda part: _is_initial(part[1]), reversed(words)))[::-1]
    if 0 < len(initials) < len(words) and not _is_initial(words[0][1]):
        return _Name(_bare(initials), _bare(words[: -len(initials)]))
    particles = list(takewhile(lambda part: part[0], reversed(words[:-1])))
    n = len(words) - 1 - len(particles)
    return _Name(_bare(words[:n]), _bare(words[n:]))


def _name_parts(text: str) -> list[tuple[bool, str]]:
    """The parts of a name, folded, and of each whether it is written as a particle.

    Hyphens and apostrophes hold a part together: Wei-Ming is not Wei.
    """
    said = " ".join(part for part in text.split() if not _TITLES.fullmatch(part))
    raw = said.replace(".", " ").split()
    capitals = any(part[0].isupper() for part in raw)
    parts = [(capitals and part[0].islower(), "".join(_words(part).split())) for part in raw]
    return [part for part in parts if part[1]]


def _bare(parts: Sequence[tuple[bool, str]]) -> tuple[str, ...]:
    return tuple(word for _, word in parts)


def _is_initial(part: str) -> bool:
    """Scripts without capitals have no initials: one letter there is a name."""
    return len(part) == 1 and part != part.upper()


def _is(asked: _Name, author: _Name) -> bool:
    """Whether an author may be the one asked for, as far as both names tell."""
    if asked.letters == author.letters:
        return True
    if not asked.given or asked.parts == author.family:
        return asked.parts == author.family[-len(asked.parts) :]
    akin = bool(author.given) and asked.family[-1:] == author.family[-1:]
    return akin and all(map(_agree, asked.given, author.given))


def _agree(one: str, other: str) -> bool:
    """Whether two given names are the same, or one is the initial of the other."""
    short, long = sorted((one, other), key=len)
    return one == other or (_is_initial(short) and long.startswith(short))
