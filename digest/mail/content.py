"""An edition to what its mail says, as plain values: templates decide looks and nothing else.

Links that we sign arrive ready made; links and text from outside are checked here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from urllib.parse import quote, quote_plus, urlsplit

from digest.editions import Edition, EditionItem, Reason, in_words
from digest.errors import BadInput
from digest.ranking.types import Lane

LANES: Mapping[Lane, str] = {
    "personal": "For you",
    "trending": "Trending, outside your interests",
    "exploration": "New territory",
}
SECOND_REASON_SHARE = 1 / 3

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_ARXIV_ID = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?", re.ASCII)
_DOI = re.compile(r"10\.\d{4,9}/\S{1,200}", re.ASCII)
# Nearly every link, ours among them; those that need a closer look are taken apart.
_PLAIN_LINK = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/+-]*)?")
# Zero-width (non-)joiners change how Persian, Indic and emoji text reads.
_JOINERS = "\u200c\u200d"
_UNTITLED = "(no title)"
_NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class VoteLinks:
    """Where the three thumbs of one paper lead."""

    up: str
    down: str
    saved: str


@dataclass(frozen=True, slots=True)
class EditionLinks:
    """The signed links of one edition; `votes` by paper id."""

    edition_url: str
    unsubscribe_url: str
    preferences_url: str | None
    votes: Mapping[int, VoteLinks]


@dataclass(frozen=True, slots=True)
class PaperLink:
    """A link to a paper, its PDF or its code, with the word that a reader clicks on."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class MailPaper:
    """One paper as a mail shows it; empty strings and tuples are not shown.

    `links` has at least one: where the title leads.
    """

    title: str
    short_title: str
    lane: Lane
    lane_label: str
    authors: str
    origin: str
    summary: str
    why: tuple[str, ...]
    links: tuple[PaperLink, ...]
    votes: VoteLinks | None


@dataclass(frozen=True, slots=True)
class EditionMail:
    """The mail of one edition; `n_hidden` papers of it are on the edition's page alone."""

    subject: str
    preheader: str
    day: str
    headline: str
    note: str
    papers: tuple[MailPaper, ...]
    edition_url: str
    unsubscribe_url: str
    preferences_url: str | None
    postal_address: str
    n_hidden: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmationMail:
    """The mail that asks whether an address really wants the digest."""

    confirm_url: str
    days_valid: int
    postal_address: str


def edition_mail(edition: Edition, links: EditionLinks, postal_address: str) -> EditionMail:
    """Say what the mail of `edition` says; raises BadInput where one of our links is none."""
    titles = [one_line(item.title) or _UNTITLED for item in edition.items]
    headline = _headline(len(titles), edition.n_candidates)
    note = shorten(one_line(edition.note), 500)
    return EditionMail(
        subject=_subject(titles),
        preheader=" · ".join(shorten(title, 80) for title in titles[1:3]) or note or headline,
        day=long_date(edition.local_date),
        headline=headline,
        note=note,
        papers=tuple(_paper(item, links.votes.get(item.paper_id)) for item in edition.items),
        edition_url=_our_link(links.edition_url),
        unsubscribe_url=_our_link(links.unsubscribe_url),
        preferences_url=links.preferences_url and _our_link(links.preferences_url),
        postal_address=one_line(postal_address),
    )


def long_date(day: date) -> str:
    """Write `day` as in Saturday 21 November 2026, whatever the locale."""
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def one_line(text: str) -> str:
    """Drop what cannot be printed (controls, lone surrogates, bidi marks); fold white space."""
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable() or c.isspace() or c in _JOINERS)
    return " ".join(text.split())


def shorten(text: str, n: int) -> str:
    """Cut `text` to at most `n` characters, between words where there are any."""
    if len(text) <= n:
        return text
    cut = text[:n]
    space = cut.rfind(" ")
    # A lone long word, or Chinese: better cut anywhere than lose most of it.
    if space > n // 2:
        cut = cut[:space]
    return cut[: n - 1].rstrip(" ,;:.-\N{EN DASH}\N{EM DASH}") + "…"


def web_link(url: str | None) -> str | None:
    """Return `url` if it may become a link: http or https, a host, no tricks; else None."""
    if not url or len(url) > 2000:
        return None
    if _PLAIN_LINK.fullmatch(url):
        return url
    if not url.isprintable() or re.search(r'[\s<>"\\]', url):
        return None
    try:
        parts = urlsplit(url)
        plain = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        return None
    return url if plain else None


def _our_link(url: str) -> str:
    if web_link(url) is None:
        raise BadInput(f"not a web link: {url[:100]!r}")
    return url


def _subject(titles: Sequence[str]) -> str:
    match titles:
        case []:
            return "No new papers for you today"
        case [only]:
            return shorten(only, 60)
        case [first, *rest]:
            return f"{shorten(first, 60)} + {len(rest)} more"
    raise AssertionError


def _headline(n: int, n_candidates: int) -> str:
    if n == 0:
        return "Nothing new for you today"
    n_candidates = max(n, n_candidates)
    return f"{n} for you from {n_candidates:,} new {'paper' if n_candidates == 1 else 'papers'}"


def _paper(item: EditionItem, votes: VoteLinks | None) -> MailPaper:
    title, authors, origin, summary, links = _shown(
        item.title,
        item.authors,
        item.summary,
        item.sources,
        item.published_on,
        item.arxiv_id,
        item.doi,
        item.url,
        item.code_url,
    )
    return MailPaper(
        title=title,
        short_title=shorten(title, 60),
        lane=item.lane,
        lane_label=LANES[item.lane],
        authors=authors,
        origin=origin,
        summary=summary,
        why=_why(item.reasons),
        links=links,
        votes=votes and VoteLinks(*map(_our_link, (votes.up, votes.down, votes.saved))),
    )


@lru_cache(2048)
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
) -> tuple[str, str, str, str, tuple[PaperLink, ...]]:
    """Title, authors, origin, summary and links as every mail with this paper shows them."""
    title = shorten(one_line(title), 300) or _UNTITLED
    if arxiv_id and not _ARXIV_ID.fullmatch(arxiv_id):
        arxiv_id = None
    return (
        title,
        _authors(authors),
        _origin(arxiv_id, published_on, sources),
        shorten(one_line(summary), 600),
        tuple(_paper_links(title, arxiv_id, doi, web_link(url), web_link(code_url))),
    )


def _authors(names: Sequence[str]) -> str:
    names = [shorten(name, 60) for name in map(one_line, names) if name]
    match names:
        case []:
            return ""
        case [only]:
            return only
        case [first, last]:
            return f"{first}, {last}"
        case [first, *_, last]:
            return f"{first}, …, {last} ({len(names)} authors)"
    raise AssertionError


def _origin(arxiv_id: str | None, day: date | None, sources: Sequence[str]) -> str:
    where = [f"arXiv{_NBSP}{arxiv_id}"] if arxiv_id else []
    if day:
        where.append(_NBSP.join((str(day.day), _MONTHS[day.month - 1][:3], str(day.year))))
    where.extend(shorten(one_line(source), 40) for source in sources[:3])
    return " · ".join(filter(None, where))


def _why(reasons: Sequence[Reason]) -> tuple[str, ...]:
    told = (
        [reasons[0], *(r for r in reasons[1:2] if r.share >= SECOND_REASON_SHARE)]
        if reasons
        else []
    )
    return tuple(shorten(one_line(in_words(reason)), 240) for reason in told)


def _paper_links(
    title: str, arxiv_id: str | None, doi: str | None, url: str | None, code_url: str | None
) -> Iterator[PaperLink]:
    if url:
        yield PaperLink("Paper", url)
    elif arxiv_id:
        yield PaperLink("arXiv", f"https://arxiv.org/abs/{arxiv_id}")
    elif doi and _DOI.fullmatch(doi):
        yield PaperLink("DOI", f"https://doi.org/{quote(doi)}")
    else:
        yield PaperLink("Search", f"https://scholar.google.com/scholar?q={quote_plus(title)}")
    if arxiv_id:
        yield PaperLink("PDF", f"https://arxiv.org/pdf/{arxiv_id}")
    if code_url:
        yield PaperLink("Code", code_url)
