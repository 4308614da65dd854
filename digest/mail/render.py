"""What a mail says to what it looks like: a subject, a text part and an HTML part.

Of an edition, most stands in many mails: its frame, and each paper. These are laid out once for
all of them, and what is the reader's own is put between.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Literal, NamedTuple

from markupsafe import escape

from digest.languages import language
from digest.mail import press
from digest.mail.content import LANES, EditionMail, Mail, MailNote, MailPaper
from digest.mail.press import SLOT, fold, mark, template, templates_folder, wrap
from digest.mail.wire import Filled, Form, Text, in_references, whole
from digest.ranking.types import Lane
from digest.text import one_line

__all__ = ["MAX_HTML_BYTES", "Rendered", "forget", "render", "templates_folder"]

# Gmail hides what comes after 102 kB of HTML, and with it the unsubscribe link.
MAX_HTML_BYTES = 80_000

# As the templates mark the place of a paper.
_PAPER = re.compile(f"{SLOT}(\\d+)( lead)?{SLOT}")

_Part = Literal["txt", "html"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail in words and in HTML, without its headers; the HTML is all in ASCII."""

    subject: str
    text_part: Text
    html_part: Text

    @property
    def text(self) -> str:
        """The mail in words."""
        return "".join([piece.text for piece in self.text_part])

    @property
    def html(self) -> str:
        """The mail in HTML."""
        return "".join([piece.text for piece in self.html_part])


def render(mail: Mail) -> Rendered:
    """Render `mail`; the same mail gives the same text, and never too much HTML, all in ASCII."""
    html = _part(mail, "html")
    while isinstance(mail, EditionMail) and mail.papers and _size(html) > MAX_HTML_BYTES:
        mail = _lighter(mail, _size(html) - MAX_HTML_BYTES)
        html = _part(mail, "html")
    return Rendered(one_line(_fill(mail, "subject.txt")), _part(mail, "txt"), html)


def forget() -> None:
    """Read templates and catalogues anew when they are next asked for."""
    press.forget()
    for kept in (_frame, _paper):
        kept.cache_clear()


def _size(part: Text) -> int:
    return sum([form.size + sum(map(len, own)) for form, own in part])


def _lighter(mail: EditionMail, excess: int) -> EditionMail:
    """Drop summaries from the end until `excess` bytes are gone; without any, the last paper."""
    papers = list(mail.papers)
    for i, paper in reversed(list(enumerate(papers))):
        if paper.summary and excess > 0:
            excess -= len(in_references(paper.summary))
            papers[i] = paper._replace(summary="")
    if tuple(papers) != mail.papers:
        return replace(mail, papers=tuple(papers))
    return replace(mail, papers=mail.papers[:-1], n_hidden=mail.n_hidden + 1)


def _fill(mail: Mail, part: str) -> str:
    return template(mail.language, f"{mail.name}/{part}").render(mail=mail)


def _part(mail: Mail, part: _Part) -> Text:
    if isinstance(mail, EditionMail):
        return _edition(mail, part)
    made = _fill(mail, f"body.{part}")
    return whole(in_references(made) if part == "html" else made)


def _edition(mail: EditionMail, part: _Part) -> Text:
    frame = _frame(
        part,
        _Shape(
            *(mail.language, mail.day, mail.note, mail.welcome, bool(mail.receipt), mail.notes),
            *(mail.n_hidden, mail.preferences_url is not None, mail.postal_address),
            tuple([paper.lane for paper in mail.papers]),
        ),
    )
    put = _own(mail, part)
    laid_out: list[Filled] = []
    for form, names, paper in frame:
        laid_out.append(Filled(form, tuple([put[name] for name in names])))
        if paper is not None:
            laid_out.append(
                _laid_out(mail.papers[paper.place], mail.language, part, lead=paper.lead)
            )
    return tuple(laid_out)


def _own(mail: EditionMail, part: _Part) -> Mapping[str, str]:
    """What is the reader's own in a frame, by the name of its place."""
    put = _PUT[part]
    own = {
        name: put(getattr(mail, name)) for name in ("subject", "preheader", "headline", "receipt")
    }
    links = (mail.edition_url, mail.unsubscribe_url, mail.preferences_url or "")
    own["edition_url"], own["unsubscribe_url"], own["preferences_url"] = (
        map(escape, links) if part == "html" else links
    )
    return own


def _laid_out(paper: MailPaper, code: str, part: _Part, *, lead: bool) -> Filled:
    votes = paper.votes
    form = _paper(
        code,
        part,
        paper.title,
        paper.short_title,
        paper.lane_label if paper.lane == "exploration" else "",
        paper.authors,
        paper.origin,
        paper.summary,
        paper.links,
        len(paper.why),
        votes is not None,
        lead,
    )
    own = map(_PUT[part], paper.why)
    if votes is None:
        return Filled(form, tuple(own))
    links = votes.up, votes.down, votes.saved
    return Filled(form, (*own, *(map(escape, links) if part == "html" else links)))


@lru_cache(4096)
def _paper(code: str, part: _Part, *shared: Hashable) -> Form:
    """What mails with a paper have in common."""
    made: str = template(code, f"edition/parts.{part}").module.paper(*shared)  # type: ignore[attr-defined]
    made = made.removesuffix("\n")
    return Form(tuple((in_references(made) if part == "html" else made).split(SLOT)))


class _Shape(NamedTuple):
    """What mails have in common that have the same frame."""

    language: str
    day: str
    note: str
    welcome: bool
    has_receipt: bool
    notes: tuple[MailNote, ...]
    n_hidden: int
    has_preferences: bool
    postal_address: str
    lanes: tuple[Lane, ...]


class _Place(NamedTuple):
    """Which of the reader's papers goes here, and whether it gets more room."""

    place: int
    lead: bool


@lru_cache(256)
def _frame(part: _Part, shape: _Shape) -> tuple[tuple[Form, tuple[str, ...], _Place | None], ...]:
    """An edition's mail but for its papers: what comes before each, and behind the last.

    With the names of what is put into the places of each form.
    """
    spoken = language(shape.language)
    papers = (
        MailPaper(str(i), "", lane, spoken.translated(LANES[lane]), "", "", "", (), (), None)
        for i, lane in enumerate(shape.lanes)
    )
    mail = EditionMail(
        subject=mark("subject"),
        preheader=mark("preheader"),
        day=shape.day,
        headline=mark("headline"),
        note=shape.note,
        papers=tuple(papers),
        edition_url=mark("edition_url"),
        unsubscribe_url=mark("unsubscribe_url"),
        preferences_url=mark("preferences_url") if shape.has_preferences else None,
        postal_address=shape.postal_address,
        language=shape.language,
        welcome=shape.welcome,
        receipt=mark("receipt") if shape.has_receipt else "",
        notes=shape.notes,
        n_hidden=shape.n_hidden,
    )
    made = _fill(mail, f"body.{part}")
    pieces = _PAPER.split(in_references(made) if part == "html" else made)
    frame = []
    for text, place, lead in zip_longest(pieces[::3], pieces[1::3], pieces[2::3]):
        parts = tuple(text.split(SLOT))
        paper = _Place(int(place), bool(lead)) if place else None
        frame.append((Form(parts[::2]), parts[1::2], paper))
    return tuple(frame)


def _in_html(text: str) -> str:
    return in_references(escape(fold(text)))


# How what is a reader's own is put into a part; reasons stand in more than one mail.
_PUT = {"txt": lru_cache(4096)(wrap), "html": lru_cache(4096)(_in_html)}
