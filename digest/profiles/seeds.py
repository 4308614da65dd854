"""Starting a profile: a library, a list of papers, feeds that somebody reads, or an author's name.

A library's papers are liked, also those that nobody has listed here; those have no more than what
the library says of them, which may be a title.
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import BadInput, Unknown, UnreadablePage
from digest.papers.clean import one_line, plain
from digest.papers.filed import is_filed
from digest.papers.identity import arxiv_id, doi
from digest.papers.ingest import file_paper
from digest.profiles.exchange import ProfileImport, import_profile
from digest.profiles.interests import LONGEST_NAME, LONGEST_TEXT, MOST, interests_of, set_interest
from digest.profiles.mutes import by_authors
from digest.sources import MAX_PAGE_BYTES, READERS, find_reader
from digest.sources.listing import Forgiving, Listing
from digest.sources.text import decoded, start_of
from digest.store import Sessions, insert
from digest.store.tables import Paper, PaperKey, VoteRow

# Ranking hears the newest 256 votes; more than this would only fill the database.
MOST_SEEDS = 2000
# Papers stored in one transaction.
_AT_ONCE = 100

EXPECTED = "a library of papers, or a list of arXiv ids and DOIs"

_OPML = re.compile(r"<opml[\s>]|<outline\s[^<>]{0,2000}\bxmlurl\s*=", re.IGNORECASE)
# OPML is often ill-formed: a bare ampersand, a tag or a quote within an attribute, no end.
_OUTLINE = re.compile(r"<(/?)outline\b", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""([A-Za-z]{1,20})\s*=\s*(?:"(.{0,4000}?)"|'(.{0,4000}?)')(?=\s*/?>|\s+[\w:]{1,20}\s*=|\s*$)""",
    re.DOTALL,
)
_LONGEST_OUTLINE = 8000
_DECLARED = re.compile(rb"<\?xml[^<>]{0,200}?encoding\s*=\s*[\"']([\w-]{3,20})[\"']")
# Of many lines that cannot be read the first are told.
_MOST_PROBLEMS = 20
_LONGEST_DESCRIPTION = 300
_COMMENT = re.compile(r"#.*")


@dataclass(frozen=True, slots=True)
class Library:
    """What a file says of somebody who reads: papers, or keys of papers, or texts of interests.

    `papers` are the newest `MOST_SEEDS`, `left_out` counts the others; `problems` are what could
    not be read, by line.
    """

    papers: tuple[Listing, ...] = ()
    keys: tuple[str, ...] = ()
    interests: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0
    problems: tuple[str, ...] = ()


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
    library = read_library(file, now.date())
    if library.interests:
        with sessions() as session:
            report = _follow(session, subscriber_id, library.interests, now)
    elif library.keys:
        with sessions() as session:
            report = _like_named(session, subscriber_id, library.keys, now)
    else:
        report = like_listings(sessions, subscriber_id, library.papers, now=now)
        report = replace(report, left_out=library.left_out)
    return replace(report, problems=(*_told(library.problems), *report.problems))


def read_library(file: bytes, seen_on: date) -> Library:
    """Read papers or feeds, as far as it goes. Raises UnreadablePage, saying what it was taken for.

    What of it is broken is told by where it stands.
    """
    if _OPML.search(start_of(file).lstrip()):
        folders, problems = read_opml(file)
        return Library(interests=folders, problems=problems)
    reader = find_reader(file)
    if reader is READERS[-1] and (names := _names_in(file)):
        return Library(keys=tuple(names[0]), problems=tuple(names[1]))
    listings = reader.read(file, seen_on)
    newest = sorted(listings, key=_age)[-MOST_SEEDS:]
    broken = reader.broken(file) if isinstance(reader, Forgiving) else ()
    n_left_out = len(listings) - len(newest)
    return Library(tuple(newest), left_out=n_left_out, problems=tuple(broken))


def like_listings(
    sessions: Sessions, subscriber_id: int, listings: Sequence[Listing], *, now: datetime
) -> ProfileImport:
    """Like the papers of a library, the newest `MOST_SEEDS` of them; safe to repeat."""
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
    listed = select(Paper.id, Paper.authors).where(~is_filed())
    papers = session.execute(listed.order_by(Paper.id)).all()
    places = by_authors([authors for _, authors in papers], [name])[name]
    if not places:
        raise Unknown(f"no paper stored here is by {name!r}")
    _like(session, subscriber_id, [papers[place].id for place in places[-MOST_SEEDS:]], now)
    return ProfileImport(0, len(places), 0, ())


def read_opml(file: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """The folders of feeds in OPML, also ill-formed, and what of it cannot be read, by lines.

    Names and texts of interests, fullest first. Raises UnreadablePage where there is no feed.
    """
    text = _opml_text(file)
    folders: defaultdict[str, dict[str, None]] = defaultdict(dict)
    open_ones: list[str] = []
    problems: list[str] = []
    starts = list(_OUTLINE.finditer(text))
    n_lines, at = 1, 0
    ends = [match.start() for match in starts[1:]] + [len(text)]
    for match, end in zip(starts, ends, strict=False):
        n_lines, at = n_lines + text.count("\n", at, match.start()), match.start()
        if match[1]:
            del open_ones[-1:]
            continue
        outline = text[match.end() : min(end, match.end() + _LONGEST_OUTLINE)]
        said = {
            name.lower(): one_line(html.unescape(a or b))
            for name, a, b in _ATTRIBUTE.findall(outline)
        }
        name = said.get("title") or said.get("text", "")
        is_feed = "xmlurl" in said or (said.get("type") in ("rss", "atom") and "url" in said)
        if not said:
            problems.append(f"line {n_lines}: an outline that cannot be read")
        elif is_feed and not name:
            problems.append(f"line {n_lines}: a feed without a name")
        elif is_feed:
            folder = next(filter(None, reversed(open_ones)), "feeds")
            folders[folder][_feed(name, said.get("description", ""))] = None
        if not _closes_itself(outline):
            open_ones.append("" if is_feed else name[:LONGEST_NAME].strip())
    if not folders:
        raise UnreadablePage("OPML with feeds", "OPML without any")
    fullest = sorted(folders.items(), key=lambda folder: len(folder[1]), reverse=True)
    texts = {name: plain("; ".join(feeds))[:LONGEST_TEXT] for name, feeds in fullest}
    return {name: text for name, text in texts.items() if text.strip()}, tuple(problems)


def _closes_itself(outline: str) -> bool:
    """Whether an outline ends in `/>`, as one does that holds no others."""
    *_, last = 0, *(match.end() for match in _ATTRIBUTE.finditer(outline))
    behind = outline[last:]
    return behind.lstrip().startswith("/") or behind.partition(">")[0].endswith("/")


def _opml_text(file: bytes) -> str:
    """The text of OPML, in the encoding that it declares where its bytes are in that."""
    declared = _DECLARED.match(file.lstrip(b"\xef\xbb\xbf \t\r\n"))
    if declared and not declared[1].lower().startswith(b"utf-"):
        try:
            return file.decode(declared[1].decode())
        except (LookupError, ValueError):
            pass
    return decoded(file, "OPML")


def _follow(
    session: Session,
    subscriber_id: int,
    folders: Mapping[str, str],
    now: datetime,
) -> ProfileImport:
    """Keep folders of feeds as interests, as many as there is room for."""
    have = {view.name for view in interests_of(session, subscriber_id)}
    wanted = [name for name in folders if name in have or one_line(name)]
    new = [name for name in wanted if name not in have]
    room = max(0, MOST - len(have))
    taken = [name for name in wanted if name in have or name in new[:room]]
    for name in taken:
        set_interest(session, subscriber_id, name, folders[name], now)
    out = f"{len(new) - room} folders are left out: a subscriber has at most {MOST} interests"
    return ProfileImport(len(taken), 0, 0, (), problems=(out,) if len(new) > room else ())


def _told(problems: Sequence[str]) -> Iterator[str]:
    """The first of them, and how many more there are."""
    yield from problems[:_MOST_PROBLEMS]
    if len(problems) > _MOST_PROBLEMS:
        yield f"and {len(problems) - _MOST_PROBLEMS} more lines"


def _feed(name: str, description: str) -> str:
    told = description[:_LONGEST_DESCRIPTION]
    return name if not told or told == name else f"{name}: {told}"


def _names_in(file: bytes) -> tuple[list[str], list[str]] | None:
    """The keys of the papers that a list names, and the lines that name none.

    None where the file is anything else: most lines of a list name a paper.
    """
    if len(file) > MAX_PAGE_BYTES // 10:
        return None
    try:
        lines = decoded(file, EXPECTED).splitlines()
    except UnreadablePage:
        return None
    keys: list[str] = []
    problems: list[str] = []
    n_said = 0
    for n, line in enumerate(lines, start=1):
        words = re.split(r"[\s,;]+", _COMMENT.sub("", line).strip())
        found = [key for word in words if (key := _key(word.strip("()[]<>\"'")))]
        n_said += bool(words[0])
        if words[0] and not found:
            problems.append(f"line {n}: neither an arXiv id nor a DOI")
        keys += found
    return (keys, problems) if 2 * len(problems) < n_said else None


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
