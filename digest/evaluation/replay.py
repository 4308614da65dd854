"""Past days lived again, a page a day, by simulated readers, through the functions of the product.

Each reader asks for a field in a sentence and knows their own papers by words that the product is
not told. It shows repeats, thin days and their reasons, and what was missed.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from digest import subscribers
from digest.editions import Edition, build_editions, due_subscribers, read_editions
from digest.errors import BadInput, UnreadablePage
from digest.papers.catalog import read_papers
from digest.papers.collect import ingest_file
from digest.papers.copies import linked_to
from digest.papers.embedding import embed_pending
from digest.papers.encoder import Encoder
from digest.profiles.interests import embed_interests
from digest.settings import SubscriberDefaults
from digest.store import Sessions, migrate, open_database
from digest.store.tables import EditionItemRow, EditionRow, ListingRow, Paper
from digest.votes import vote

# A page of a day is read, its papers are embedded, editions are built, readers vote (hours UTC).
_READ, _EMBEDDED, _BUILT, _VOTED = time(5), time(5, 30), time(7), time(12)
LENGTH = 10
# Days without a page after which a folder's days begin anew: only the last stretch is replayed.
_GAP = timedelta(days=14)
# An edition with fewer papers is thin.
_THIN = LENGTH // 2
# Nobody is suppressed, and no link is made.
_SECRET = b"only for a replay"
MOST_MISSED = 20


@dataclass(frozen=True, slots=True)
class Persona:
    """A simulated reader: what they ask for, and the words that make a paper theirs."""

    name: str
    interest: str
    words: str

    def wants(self, title: str, abstract: str) -> bool:
        """Whether they would like a paper: their words in its title, or twice in its abstract."""
        found = re.compile(rf"\b(?:{self.words})", re.IGNORECASE).findall
        return bool(found(title)) or len(found(abstract)) >= 2


PERSONAS = (
    Persona("agents", "language model agents that use tools and plan", r"agent|tool[- ]us"),
    Persona("robots", "robot manipulation, grasping and locomotion", r"robot|manipulation|grasp"),
    Persona("images", "image generation with diffusion models", r"diffusion|text-to-image"),
    Persona("videos", "video generation and video understanding", r"video"),
    Persona("retrieval", "retrieval-augmented generation and search", r"retriev|\bRAG\b|search"),
    Persona("reasoning", "mathematical reasoning with reinforcement learning", r"math|reasoning"),
    Persona("speech", "speech recognition, synthesis and audio", r"speech|audio|voice|music"),
    Persona("medicine", "medical imaging and clinical language models", r"medic|clinic|patient"),
    Persona("scenes", "3D scene reconstruction, Gaussian splatting", r"3D|4D|gaussian|splat"),
    Persona("code", "code generation and software engineering", r"code|software|program"),
)


@dataclass(frozen=True, slots=True)
class DayReport:
    """One day: what came in, and what was shown; `why` where an edition was thin."""

    day: date
    listings: int
    new_papers: int
    editions: int
    shown: int
    fewest: int
    why: str


@dataclass(frozen=True, slots=True)
class ReaderReport:
    """One reader: of what they were shown, `theirs` is the part that their words call theirs.

    `base` is the same part of all papers, and `bar` the median score of the personal ones shown.
    """

    reader: str
    editions: int
    shown: int
    theirs: float
    base: float
    votes: int
    notes: int
    bar: float


@dataclass(frozen=True, slots=True)
class Missed:
    """A paper that nobody was shown though it lost with more than a reader's bar."""

    paper_id: int
    title: str
    reader: str
    score: float
    bar: float


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay. `repeats` are papers, or their copies, shown to a reader again.

    `missed` holds the first few of `n_missed`, the best first.
    """

    first: date
    last: date
    unreadable: tuple[str, ...]
    listings: int
    papers: int
    editions: int
    repeats: int
    n_shown: int
    n_missed: int
    days: tuple[DayReport, ...]
    readers: tuple[ReaderReport, ...]
    missed: tuple[Missed, ...]


def days_of(folder: Path) -> dict[date, list[Path]]:
    """The files of each day, named YYYY-MM-DD, of the folder's last stretch without a long gap.

    Raises BadInput where there are none.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder")
    files: defaultdict[date, list[Path]] = defaultdict(list)
    for file in sorted(folder.iterdir()):
        if match := re.match(r"\d{4}-\d\d-\d\d(?!\d)", file.name):
            try:
                files[date.fromisoformat(match[0])].append(file)
            except ValueError:
                continue
    if not files:
        raise BadInput(f"{folder} holds no file named by its day, like 2026-03-02.json")
    days = sorted(files)
    gaps = [after for before, after in pairwise(days) if after - before > _GAP]
    first = gaps[-1] if gaps else days[0]
    return {day: files[day] for day in days if day >= first}


def replay(
    files: Mapping[date, Sequence[Path]],
    encoder: Encoder,
    *,
    readers: int = len(PERSONAS),
    progress: Callable[[int], None] = lambda _n: None,
) -> Replay:
    """Live the days of `files` again with the first `readers` personas, in a database of its own.

    `progress` is told of each day. It is deterministic, but for the encoder's rounding.
    """
    personas = PERSONAS[:readers]
    with TemporaryDirectory(prefix="digest-replay-") as folder:
        sessions = open_database(f"sqlite:///{Path(folder) / 'replay.db'}")
        try:
            migrate(sessions)
            return _Life(sessions, encoder, personas).lived(files, progress)
        finally:
            sessions.engine.dispose()


class _Life:
    """The readers, and what has become of their days so far."""

    def __init__(self, sessions: Sessions, encoder: Encoder, personas: Sequence[Persona]) -> None:
        self._sessions = sessions
        self._encoder = encoder
        self._personas = personas
        self._ids: dict[int, Persona] = {}
        self._votes: Counter[int] = Counter()
        self._unreadable: list[str] = []

    def lived(
        self, files: Mapping[date, Sequence[Path]], progress: Callable[[int], None]
    ) -> Replay:
        """Every day from the first to the last, also those without a page."""
        first, last = min(files), max(files)
        self._subscribe(first)
        days = []
        for n in range((last - first).days + 1):
            day = first + timedelta(days=n)
            days.append(self._day(day, files.get(day, ())))
            progress(1)
        return self._report(first, last, days)

    def _subscribe(self, first: date) -> None:
        with self._sessions() as session:
            for persona in self._personas:
                address = f"{persona.name}@example.org"
                asked = {
                    "address": address,
                    "interest": persona.interest,
                    "timezone": "UTC",
                    "hour": _BUILT.hour,
                    "length": LENGTH,
                }
                at = _at(first, _READ)
                defaults = SubscriberDefaults()
                subscribers.add(session, asked, defaults, secret=_SECRET, now=at)
                self._ids[subscribers.find(session, address).id] = persona
        embed_interests(self._sessions, self._encoder)

    def _day(self, day: date, files: Sequence[Path]) -> DayReport:
        reports = []
        for file in files:
            try:
                reports.append(ingest_file(self._sessions, "replay", file, at=_at(day, _READ)))
            except UnreadablePage as error:
                self._unreadable.append(f"{file.name}: {error}")
        embed_pending(self._sessions, self._encoder, clock=lambda: _at(day, _EMBEDDED))
        now = _at(day, _BUILT)
        with self._sessions.reading() as session:
            due = due_subscribers(session, now)
        build_editions(self._sessions, due, self._encoder.identity, now=now)
        editions = self._editions(day)
        for edition in editions:
            self._vote(edition, _at(day, _VOTED))
        new = sum(report.n_new_papers for report in reports)
        fewest = min((len(edition.items) for edition in editions), default=0)
        return DayReport(
            day=day,
            listings=sum(report.n_listings for report in reports),
            new_papers=new,
            editions=sum(bool(edition.items) for edition in editions),
            shown=sum(len(edition.items) for edition in editions),
            fewest=fewest,
            why="" if fewest >= _THIN else _why(day, len(files), len(reports), new),
        )

    def _editions(self, day: date) -> list[Edition]:
        with self._sessions.reading() as session:
            ids = session.scalars(select(EditionRow.id).where(EditionRow.local_date == day))
            return [one for _, one in sorted(read_editions(session, list(ids)).items())]

    def _vote(self, edition: Edition, at: datetime) -> None:
        """Like the first two papers that are theirs, and dislike the first personal one not."""
        who = edition.subscriber_id
        persona = self._ids[who]
        with self._sessions() as session:
            views = read_papers(session, [item.paper_id for item in edition.items])
            wanted = {view.id: persona.wants(view.title, view.abstract) for view in views}
            liked = [item.paper_id for item in edition.items if wanted[item.paper_id]][:2]
            lost = [
                item.paper_id
                for item in edition.items
                if item.lane == "personal" and not wanted[item.paper_id]
            ][:1]
            for paper_id in liked:
                vote(session, who, paper_id, "up", at=at, via="web")
            for paper_id in lost:
                vote(session, who, paper_id, "down", at=at, via="web")
        self._votes[who] += len(liked) + len(lost)

    def _report(self, first: date, last: date, days: Sequence[DayReport]) -> Replay:
        with self._sessions.reading() as session:
            shown = session.execute(
                select(
                    EditionItemRow.edition_id,
                    EditionItemRow.subscriber_id,
                    EditionItemRow.paper_id,
                    EditionItemRow.lane,
                    EditionItemRow.score,
                )
            ).all()
            papers = session.execute(select(Paper.id, Paper.title, Paper.abstract)).all()
            links = linked_to(session, [paper.id for paper in papers])
            editions = session.scalars(select(EditionRow).order_by(EditionRow.id)).all()
            listings = session.scalar(select(func.count()).select_from(ListingRow)) or 0
        scores: defaultdict[int, list[float]] = defaultdict(list)
        seen: defaultdict[int, list[int]] = defaultdict(list)
        for _, who, paper_id, lane, score in shown:
            seen[who].append(paper_id)
            if lane == "personal":
                scores[who].append(score)
        bars = {who: median(scores[who]) if scores[who] else 0.0 for who in self._ids}
        copies: defaultdict[int, set[int]] = defaultdict(set)
        for one, other in links:
            copies[one].add(other)
        repeats = sum(
            len(ids) - len(set(ids)) + sum(bool(copies[id_] & set(ids)) for id_ in set(ids)) // 2
            for ids in seen.values()
        )
        titles = {paper.id: paper.title for paper in papers}
        missed = self._missed(editions, bars, {id_ for ids in seen.values() for id_ in ids}, copies)
        made = {(row.edition_id, row.subscriber_id) for row in shown}
        n_editions = Counter(who for _, who in made)
        wanted = {
            who: {p.id for p in papers if persona.wants(p.title, p.abstract)}
            for who, persona in self._ids.items()
        }
        return Replay(
            first=first,
            last=last,
            unreadable=tuple(self._unreadable),
            listings=listings,
            papers=len(papers),
            editions=sum(day.editions for day in days),
            repeats=repeats,
            n_shown=len({id_ for ids in seen.values() for id_ in ids}),
            n_missed=len(missed),
            days=tuple(days),
            readers=tuple(
                ReaderReport(
                    reader=persona.name,
                    editions=n_editions[who],
                    shown=len(seen[who]),
                    theirs=len(wanted[who] & set(seen[who])) / max(1, len(seen[who])),
                    base=len(wanted[who]) / max(1, len(papers)),
                    votes=self._votes[who],
                    notes=sum(len(e.notes or ()) for e in editions if e.subscriber_id == who),
                    bar=bars[who],
                )
                for who, persona in self._ids.items()
            ),
            missed=tuple(
                Missed(id_, titles[id_], self._ids[who].name, score, bars[who])
                for score, id_, who in missed[:MOST_MISSED]
            ),
        )

    def _missed(
        self,
        editions: Sequence[EditionRow],
        bars: Mapping[int, float],
        shown: set[int],
        copies: Mapping[int, set[int]],
    ) -> list[tuple[float, int, int]]:
        """Score, paper and reader of what lost above a reader's bar and nobody was shown."""
        best: dict[int, tuple[float, int, int]] = {}
        for edition in editions:
            who = edition.subscriber_id
            for loser in edition.runners_up:
                id_, score = loser["paper_id"], loser["score"]
                stood_for = loser["copy_of"] in shown or id_ in shown or copies[id_] & shown
                if score >= bars[who] > 0 and not stood_for:
                    best[id_] = max(best.get(id_, (score, id_, who)), (score, id_, who))
        return sorted(best.values(), reverse=True)


def _why(day: date, pages: int, read: int, new: int) -> str:
    """What explains a day on which somebody's edition was thin."""
    weekend = f"{day:%A}: " if day.weekday() >= 5 else ""
    if not pages:
        return f"{weekend}no page of that day"
    if not read:
        return f"{weekend}its page could not be read"
    return f"{weekend}{new} new papers"


def _at(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour, UTC)
