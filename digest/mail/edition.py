"""An edition to what its mail says.

Links that we sign arrive ready made; links and text from outside are checked here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import islice
from urllib.parse import quote, quote_plus

from digest.editions import (
    Edition,
    EditionItem,
    PaperNote,
    Reason,
    Receipt,
    in_words,
    note_in_words,
    standing,
)
from digest.errors import BadInput
from digest.languages import ENGLISH, Language, msgid
from digest.mail.content import (
    ALL_TRENDING,
    LANES,
    EditionMail,
    MailNote,
    MailPaper,
    PaperLink,
    VoteLinks,
)
from digest.text import one_line, shorten, web_link

SECOND_REASON_SHARE = 1 / 3

_ARXIV_ID = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?", re.ASCII)
_DOI = re.compile(r"10\.\d{4,9}/\S{1,200}", re.ASCII)
_NBSP = "\N{NO-BREAK SPACE}"
_UNTITLED = msgid("(no title)")
_SENTENCE_ENDS = ".!?…。"


@dataclass(frozen=True, slots=True)
class EditionLinks:
    """The signed links of one edition; `votes` by paper id."""

    edition_url: str
    unsubscribe_url: str
    preferences_url: str | None
    votes: Mapping[int, VoteLinks]


def edition_mail(
    edition: Edition, links: EditionLinks, postal_address: str, spoken: Language = ENGLISH
) -> EditionMail:
    """Say what the mail of `edition` says; raises BadInput where a link to its pages is none.

    Its votes lead under the same base URL, so that they need no look of their own.
    """
    titles = [one_line(item.title) or spoken.gettext(_UNTITLED) for item in edition.items]
    headline = _headline(len(titles), edition.n_candidates, spoken)
    note = shorten(one_line(spoken.said(edition.note)), 500)
    # What is no sentence of its own goes on with the line on the day.
    if note and titles and note[-1] not in _SENTENCE_ENDS:
        headline, note = f"{headline}; {note}", ""
    lanes = ALL_TRENDING if all(item.lane == "trending" for item in edition.items) else LANES
    return EditionMail(
        subject=_subject(titles, spoken),
        preheader=" · ".join(shorten(title, 80) for title in titles[1:3]) or note or headline,
        day=spoken.long_date(edition.local_date),
        headline=headline,
        note=note,
        papers=tuple(
            _paper(item, lanes[item.lane], links.votes.get(item.paper_id), spoken)
            for item in edition.items
        ),
        edition_url=_our_link(links.edition_url),
        unsubscribe_url=_our_link(links.unsubscribe_url),
        preferences_url=links.preferences_url and _our_link(links.preferences_url),
        postal_address=one_line(postal_address),
        language=spoken.code,
        welcome=edition.is_first and bool(titles),
        receipt=_receipt(edition.receipt, spoken) if edition.receipt else "",
        notes=tuple(_note(note, spoken) for note in edition.paper_notes),
    )


def _note(note: PaperNote, spoken: Language) -> MailNote:
    return MailNote(
        title=shorten(one_line(note.title), 160) or spoken.gettext(_UNTITLED),
        words=shorten(one_line(note_in_words(note, spoken)), 240),
        url=web_link(note.url) or "",
    )


def _our_link(url: str) -> str:
    if web_link(url) is None:
        raise BadInput(f"not a web link: {url[:100]!r}")
    return url


def _subject(titles: Sequence[str], spoken: Language) -> str:
    match titles:
        case []:
            return spoken.gettext("No new papers for you today")
        case [only]:
            return shorten(only, 60)
        case [first, *rest]:
            return spoken.ngettext(
                "%(title)s + %(n)s more",
                "%(title)s + %(n)s more",
                len(rest),
                title=shorten(first, 60),
            )
    raise AssertionError


def _headline(n: int, n_candidates: int, spoken: Language) -> str:
    if n == 0:
        return spoken.gettext("Nothing new for you today")
    return spoken.ngettext(
        "%(chosen)s for you from %(n)s new paper",
        "%(chosen)s for you from %(n)s new papers",
        max(n, n_candidates),
        chosen=spoken.number(n),
    )


def _receipt(receipt: Receipt, spoken: Language) -> str:
    n = receipt.n_votes
    if receipt.yesterday:
        since = spoken.ngettext("Since your vote yesterday", "Since your %(n)s votes yesterday", n)
    else:
        since = spoken.ngettext("Since your vote", "Since your last %(n)s votes", n)
    changes = [
        spoken.gettext(message, topics=spoken.listed([shorten(one_line(w), 60) for w in topics]))
        for message, topics in (
            (msgid("more on %(topics)s"), receipt.more),
            (msgid("less on %(topics)s"), receipt.less),
        )
        if topics
    ]
    if not changes:
        changes = [spoken.gettext("your profile has them all")]
    return f"{since}: {', '.join(changes)}."


def _paper(item: EditionItem, label: str, votes: VoteLinks | None, spoken: Language) -> MailPaper:
    why, facts = _reasoned(item.reasons, item.upvotes, spoken)
    title, short_title, authors, origin, summary, links = _shown(
        item.title,
        item.authors,
        item.summary,
        item.sources,
        item.published_on,
        item.arxiv_id,
        item.doi,
        item.url,
        item.code_url,
        facts,
        spoken,
    )
    return MailPaper(
        title=title,
        short_title=short_title,
        lane=item.lane,
        lane_label=spoken.translated(label),
        authors=authors,
        origin=origin,
        summary=summary,
        why=why,
        links=links,
        votes=votes,
    )


@lru_cache(4096)
def _reasoned(
    reasons: tuple[Reason, ...], upvotes: int | None, spoken: Language
) -> tuple[tuple[str, ...], str]:
    """Why a paper is there, in words, and how it trends.

    The reason that carried most of the score, and the next where it carried a good part.
    """
    told = [*reasons[:1], *(one for one in reasons[1:2] if one.share >= SECOND_REASON_SHARE)]
    why = tuple(shorten(one_line(in_words(reason, spoken)), 240) for reason in told)
    return why, _facts(reasons, told, upvotes, spoken)


def _facts(
    reasons: Sequence[Reason], told: Sequence[Reason], upvotes: int | None, spoken: Language
) -> str:
    """How a paper trends, where no reason says so already."""
    if any(reason.kind in ("trending", "resurfaced") for reason in told):
        return ""
    for reason in reasons:
        if reason.kind in ("trending", "resurfaced"):
            return " · ".join(standing(reason, spoken))
    return spoken.ngettext("%(n)s upvote", "%(n)s upvotes", upvotes) if upvotes else ""


@lru_cache(4096)
def _shown(
    title: str,
    authors: tuple[str, ...],
    summary: str,
    sources: tuple[str, ...],
    published_on: date | None,
    arxiv_id: str | None,
    doi: str | None,
    url: str | None,
    code_url: str | None,
    facts: str,
    spoken: Language,
) -> tuple[str, str, str, str, str, tuple[PaperLink, ...]]:
    """Title, authors, origin, summary and links as every mail with this paper shows them."""
    title = shorten(one_line(title), 300) or spoken.gettext(_UNTITLED)
    if arxiv_id and not _ARXIV_ID.fullmatch(arxiv_id):
        arxiv_id = None
    return (
        title,
        shorten(title, 28).removesuffix("…"),
        _authors(authors, spoken),
        _origin(arxiv_id, published_on, sources, facts, spoken),
        shorten(one_line(summary), 600),
        tuple(_paper_links(title, arxiv_id, doi, web_link(url), web_link(code_url), spoken)),
    )


def _authors(names: Sequence[str], spoken: Language) -> str:
    names = [shorten(name, 60) for name in map(one_line, names) if name]
    match names:
        case []:
            return ""
        case [only]:
            return only
        case [first, last]:
            return f"{first}, {last}"
        case [first, *_, last]:
            return spoken.ngettext(
                "%(first)s, …, %(last)s (%(n)s author)",
                "%(first)s, …, %(last)s (%(n)s authors)",
                len(names),
                first=first,
                last=last,
            )
    raise AssertionError


def _origin(
    arxiv_id: str | None,
    day: date | None,
    sources: Sequence[str],
    facts: str,
    spoken: Language,
) -> str:
    where = [f"arXiv{_NBSP}{arxiv_id}"] if arxiv_id else []
    if day:
        where.append(spoken.short_date(day).replace(" ", _NBSP))
    named = (source for source in sources if not (arxiv_id and source.lower().startswith("arxiv")))
    where.extend(shorten(one_line(source), 40) for source in islice(named, 3))
    return " · ".join(spoken.isolated(part) for part in (*where, facts) if part)


def _paper_links(
    title: str,
    arxiv_id: str | None,
    doi: str | None,
    url: str | None,
    code_url: str | None,
    spoken: Language,
) -> Iterator[PaperLink]:
    if url:
        yield PaperLink(spoken.gettext("Abstract"), url)
    elif arxiv_id:
        yield PaperLink("arXiv", f"https://arxiv.org/abs/{arxiv_id}")
    elif doi and _DOI.fullmatch(doi):
        yield PaperLink("DOI", f"https://doi.org/{quote(doi)}")
    else:
        yield PaperLink(
            spoken.gettext("Search"), f"https://scholar.google.com/scholar?q={quote_plus(title)}"
        )
    if arxiv_id:
        yield PaperLink("PDF", f"https://arxiv.org/pdf/{arxiv_id}")
    if code_url:
        yield PaperLink(spoken.gettext("Code"), code_url)
