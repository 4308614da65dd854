"""Starting a profile: a library, a list of papers, feeds that somebody reads, or an author's name.

A library's papers are liked, also those that nobody has listed here; those have no more than what
the library says of them, which may be a title.
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import BadInput, Unknown, UnreadablePage
from digest.papers.clean import one_line
from digest.papers.identity import arxiv_id, doi
from digest.papers.ingest import file_paper
from digest.profiles.exchange import ProfileImport, import_profile
from digest.profiles.interests import LONGEST_NAME, LONGEST_TEXT, MOST, set_interest
from digest.profiles.mutes import by_authors
from digest.sources import MAX_PAGE_BYTES, READERS, find_reader
from digest.sources.listing import Listing
from digest.sources.text import decoded, start_of
from digest.store import Sessions, insert
from digest.store.tables import Paper, PaperKey, VoteRow

# Ranking hears the newest 256 votes; more than this would only fill the database.
MOST_SEEDS = 2000
# Papers stored in one transaction.
_AT_ONCE = 100

EXPECTED = "a library of papers, or a list of arXiv ids and DOIs"

_OPML = re.compile(r"<opml[\s>]", re.IGNORECASE)
# OPML is often ill-formed: a bare ampersand, a tag within an attribute.
_OUTLINE = re.compile(r"<outline\b((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>|</outline\s*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([A-Za-z]{1,20})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_LONGEST_DESCRIPTION = 300
_COMMENT = re.compile(r"#.*")


def import_file(
    sessions: Sessions, subscriber_id: int, file: bytes, *, now: datetime
) -> ProfileImport:
    """Take on what a file says of a subscriber: our own export, papers, or feeds; safe to repeat.

    Raises BadInput or UnreadablePage, saying what the file was taken for.
    """
    start = start_of(file).lstrip()
    if start.startswith(("{", "[")) and not any(reader.recognises(file) for reader in READERS):
        text = decoded(file, "a profile")
        with sessions() as session:
            return import_profile(session, subscriber_id, text, now=now)
    if _OPML.search(start):
        folders = read_opml(file)
        with sessions() as session:
            for name, feeds in folders.items():
                set_interest(session, subscriber_id, name, feeds, now)
        return ProfileImport(len(folders), 0, 0, ())
    if names := _names_in(file):
        with sessions() as session:
            return _like_named(session, subscriber_id, names, now)
    listings = find_reader(file).read(file, now.date())
    newest = sorted(listings, key=_age)[-MOST_SEEDS:]
    n_new = 0
    for first in range(0, len(newest), _AT_ONCE):
        with sessions() as session:
            filed = [file_paper(session, one, at=now) for one in newest[first : first + _AT_ONCE]]
            _like(session, subscriber_id, [id_ for id_, _ in filed], now)
        n_new += sum(is_new for _, is_new in filed)
    left_out = len(listings) - len(newest)
    return ProfileImport(0, len(newest), 0, (), new_papers=n_new, left_out=left_out)


def like_author(session: Session, subscriber_id: int, name: str, *, now: datetime) -> ProfileImport:
    """Like the papers stored here that somebody wrote; `A. Lovelace` is Ada Lovelace.

    Raises BadInput for no name, and Unknown where they wrote none of them.
    """
    if not any(map(str.isalpha, name)):
        raise BadInput("an author has a name")
    papers = session.execute(select(Paper.id, Paper.authors).order_by(Paper.id)).all()
    places = by_authors([authors for _, authors in papers], [name])[name]
    if not places:
        raise Unknown(f"no paper stored here is by {name!r}")
    _like(session, subscriber_id, [papers[place].id for place in places[-MOST_SEEDS:]], now)
    return ProfileImport(0, len(places), 0, ())


def read_opml(file: bytes) -> dict[str, str]:
    """The folders of feeds in OPML, also ill-formed: names and texts of interests, fullest first.

    Raises UnreadablePage where there is no feed.
    """
    folders: defaultdict[str, dict[str, None]] = defaultdict(dict)
    open_ones: list[str] = []
    for match in _OUTLINE.finditer(decoded(file, "OPML")):
        if match[1] is None:
            del open_ones[-1:]
            continue
        said = {
            name.lower(): one_line(html.unescape(a or b))
            for name, a, b in _ATTRIBUTE.findall(match[1])
        }
        name = said.get("title") or said.get("text", "")
        if "xmlurl" in said:
            folder = next(filter(None, reversed(open_ones)), "feeds")
            folders[folder][_feed(name, said.get("description", ""))] = None
        if not match[1].endswith("/"):
            open_ones.append("" if "xmlurl" in said else name[:LONGEST_NAME].strip())
    if not folders:
        raise UnreadablePage("OPML with feeds", "OPML without any")
    fullest = sorted(folders.items(), key=lambda folder: len(folder[1]), reverse=True)
    texts = {name: "; ".join(filter(None, feeds))[:LONGEST_TEXT] for name, feeds in fullest}
    return {name: text for name, text in list(texts.items())[:MOST] if text.strip()}


def _feed(name: str, description: str) -> str:
    told = description[:_LONGEST_DESCRIPTION]
    return name if not told or told == name else f"{name}: {told}"


def _names_in(file: bytes) -> list[str]:
    """The keys of the papers that a list names; none where the file is anything else."""
    if len(file) > MAX_PAGE_BYTES // 10:
        return []
    try:
        lines = decoded(file, EXPECTED).splitlines()
    except UnreadablePage:
        return []
    named = [
        name for line in lines for name in re.split(r"[\s,;]+", _COMMENT.sub("", line)) if name
    ]
    keys = list(map(_key, named))
    return [key for key in keys if key] if all(keys) else []


def _key(name: str) -> str | None:
    if id_ := arxiv_id(name):
        return f"arxiv:{id_}"
    return f"doi:{doi_}" if (doi_ := doi(name)) else None


def _like_named(
    session: Session, subscriber_id: int, names: Sequence[str], now: datetime
) -> ProfileImport:
    names = list(dict.fromkeys(names))[-MOST_SEEDS:]
    query = select(PaperKey.key, PaperKey.paper_id).where(PaperKey.key.in_(names))
    found = dict(session.execute(query).all())
    known = [found[name] for name in names if name in found]
    _like(session, subscriber_id, known, now)
    unknown = tuple(name.partition(":")[2] for name in names if name not in found)
    return ProfileImport(0, len(set(known)), 0, unknown)


def _like(session: Session, subscriber_id: int, paper_ids: Iterable[int], now: datetime) -> None:
    """Vote the papers up, as far as nothing was said of them."""
    row = {"subscriber_id": subscriber_id, "value": "up", "via": "import", "at": now}
    rows = [row | {"paper_id": id_} for id_ in dict.fromkeys(paper_ids)]
    if rows:
        session.execute(insert(session, VoteRow).on_conflict_do_nothing(), rows)


def _age(listing: Listing) -> tuple[int, str]:
    """What sorts a library's papers by when they came out; those that do not say are the oldest."""
    on = listing.published_on
    return (on.year if on else listing.facts.get("year", 0)), str(on or "")
