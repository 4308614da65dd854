"""A whole day for many invented readers, end to end: pages, embedding, editions, mails, votes.

Everything is as it would be but for three things: papers and readers are made up, the mail server
is a sink that puts off every tenth recipient and does not know every fiftieth, and the clock jumps
over the waits between tries. It runs by `tick`, like `digest serve`.
"""

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import func, select

from digest import subscribers
from digest.charts import chart
from digest.engine import App, JobReport, open_app, tick
from digest.errors import BadInput
from digest.evaluation.sink import HOST, Sink, recorded
from digest.links import Claim
from digest.papers.encoder import Encoder
from digest.settings import Settings, SubscriberDefaults
from digest.store.tables import Attempt, Delivery, EditionItemRow, EditionRow, Subscriber
from digest.votes import record_vote

DEFER, REFUSE = 0.10, 0.02
PAPERS = 400
# A reader in so many votes, on the first paper of their mail.
VOTERS = 5
# Past the first wait of a mail that was put off; its retries wait ever longer.
_JUMP = timedelta(minutes=6)
_MOST_TICKS = 60
_MORNING = datetime(2026, 3, 2, 7, tzinfo=UTC)
_EVERY_SECONDS = 0.5
_READERS_AT_ONCE = 500

_THINGS = (
    "protein folding", "dense retrieval", "legged robots", "speech recognition", "graph learning",
    "medical imaging", "theorem proving", "weather forecasting", "code generation", "tokenization",
    "reinforcement learning", "image diffusion", "causal inference", "federated learning",
    "time series", "machine translation", "point clouds", "molecule design", "question answering",
    "recommender systems",
)  # fmt: skip
_WAYS = (
    "with few labels", "under distribution shift", "on small devices", "at scale", "from video",
    "with symmetry", "by distillation", "in low-resource languages", "with guarantees",
    "through self-supervision", "with human feedback", "from simulation", "with sparse attention",
    "by search", "under privacy constraints", "with synthetic data", "in real time",
    "with uncertainty", "across modalities", "without fine-tuning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment: seconds since the beginning, memory in MB, mails taken so far."""

    seconds: float
    rss_mb: float
    mails: int


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of the day; `seconds` is from the first page to the last vote.

    `setting_up` is making readers, which is no part of it. `distinct` are editions of different
    papers or order. `taken` is what the sink has, `doubled` more than once; every reader's mail is
    `sent` or `refused`, or else it is in `others`. Memory is that of this process, in MB: when
    papers were embedded, at most after that, and in the end. What the first ranges need that are
    composed at once is in the second, and does not grow with readers: see deploy/SCALING.md.
    """

    subscribers: int
    papers: int
    seconds: float
    setting_up: float
    stages: dict[str, float]
    editions: int
    distinct: int
    sent: int
    refused: int
    others: dict[str, int]
    tries_put_off: int
    taken: int
    doubled: int
    votes: int
    rss_embedded_mb: float
    rss_most_mb: float
    rss_end_mb: float
    samples: tuple[Sample, ...] = field(repr=False)

    @property
    def is_sound(self) -> bool:
        """Whether every reader's mail was taken once or refused for good."""
        return (
            self.sent + self.refused == self.editions == self.subscribers
            and self.taken == self.sent
            and not (self.doubled or self.others)
        )


@dataclass
class _Clock:
    """Goes as time does, from the morning on, and jumps."""

    ahead: timedelta = timedelta()
    began: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        return _MORNING + self.ahead + timedelta(seconds=time.monotonic() - self.began)


def run_load_test(
    n: int,
    *,
    encoder: Encoder | None = None,
    database: str | None = None,
    told: Callable[[str, int], None] = lambda _stage, _n: None,
) -> LoadReport:
    """Live one day for `n` readers, in `database` (empty; None: SQLite in a scratch folder).

    `told` hears what is done: readers made, then the jobs. Raises BadInput where the database holds
    subscribers.
    """
    with TemporaryDirectory(prefix="digest-load-test-") as scratch:
        folder = Path(scratch)
        record = folder / "record"
        with Sink(record, defer=DEFER, refuse=REFUSE) as sink:
            settings = _settings(folder, sink.port, database)
            app = open_app(settings, encoder=encoder)
            try:
                return _live(app, n, folder, record, told)
            finally:
                app.sessions.engine.dispose()


def _live(
    app: App, n: int, folder: Path, record: Path, told: Callable[[str, int], None]
) -> LoadReport:
    clock = _Clock()
    before = time.monotonic()
    _make_readers(app, n, clock(), told)
    stages: dict[str, float] = defaultdict(float)
    began = last = time.monotonic()
    marks: dict[str, float] = {}

    def hear(done: JobReport) -> None:
        nonlocal last
        stages[done.job.kind] += time.monotonic() - last
        last = time.monotonic()
        marks[done.job.kind] = last - began
        told(done.job.key, 0)

    with _sampling(record, began) as samples:
        (folder / "pages" / "day.json").write_bytes(_page())
        for _ in range(_MOST_TICKS):
            tick(app, clock, told=hear)
            if not _waiting(app):
                break
            clock.ahead += _JUMP
        last = time.monotonic()
        votes = _vote(app, clock())
        stages["votes"] = time.monotonic() - last
    seconds = time.monotonic() - began
    embedded = marks.get("embed", 0.0)
    after = [one.rss_mb for one in samples if one.seconds >= embedded] or [samples[-1].rss_mb]
    taken = recorded(record)
    with app.sessions.reading() as session:
        query = select(Delivery.state, func.count()).where(Delivery.kind == "edition")
        rows = session.execute(query.group_by(Delivery.state))
        states = {str(state): n for state, n in rows}
        editions = session.scalar(select(func.count()).select_from(EditionRow)) or 0
    tries = sum(taken.values())
    return LoadReport(
        subscribers=n,
        papers=PAPERS,
        seconds=round(seconds, 1),
        setting_up=round(began - before, 1),
        stages={name: round(value, 1) for name, value in stages.items()},
        editions=editions,
        distinct=_distinct(app),
        sent=states.pop("sent", 0),
        refused=states.pop("failed", 0),
        others=dict(states),
        tries_put_off=_put_off(app),
        taken=len(taken),
        doubled=tries - len(taken),
        votes=votes,
        rss_embedded_mb=after[0],
        rss_most_mb=max(after),
        rss_end_mb=after[-1],
        samples=tuple(samples),
    )


def _settings(folder: Path, port: int, database: str | None) -> Settings:
    (folder / "pages").mkdir()
    (folder / "record").touch()
    key = folder / "dkim.pem"
    key.write_bytes(
        generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
    )
    return Settings.model_validate(
        {
            "database": database or f"sqlite:///{folder / 'digest.db'}",
            "base_url": "https://digest.example.org",
            "secret_key": "only for a measurement",
            "mail": {"from_address": "digest@example.org", "postal_address": "Example Street 1"},
            "smtp": {"host": HOST, "port": port, "security": "none", "connections": 16},
            "dkim": {"rsa_key": key},
            "sources": [{"name": "invented", "path": folder / "pages", "hours": [7]}],
        }
    )


def _page() -> bytes:
    """A page of papers, each of one thing and one way."""
    day = _MORNING.date()
    entries = [
        {
            "paper": {
                "title": f"Study {i}: {thing.title()} {way}",
                "summary": f"We study {thing} {way}. Earlier work stops short where the data "
                f"changes; ours goes on {way}, in linear time. On {3 + i % 5} benchmarks it gains "
                f"{i % 37 / 10 + 0.5:.1f} points.",
                "submittedOnDailyAt": f"{day}T01:30:00.000Z",
                "upvotes": i * 7 % 113,
            }
        }
        for i, (thing, way) in enumerate(product(_THINGS, _WAYS))
    ]
    return json.dumps(entries[:PAPERS]).encode()


def _make_readers(app: App, n: int, now: datetime, told: Callable[[str, int], None]) -> None:
    with app.sessions.reading() as session:
        if session.scalar(select(func.count()).select_from(Subscriber)):
            raise BadInput("the database holds subscribers: name an empty one")
    rng = random.Random(0)  # noqa: S311 - the same readers every time
    interests = [f"{thing} {way}" for thing, way in product(_THINGS, _WAYS)]
    for start in range(0, n, _READERS_AT_ONCE):
        some = range(start, min(start + _READERS_AT_ONCE, n))
        with app.sessions() as session:
            for i in some:
                asked = {
                    "address": f"reader{i}@example.org",
                    "interest": "\n".join(rng.sample(interests, 3)),
                    "mix": rng.choice((0.6, 0.75, 0.9)),
                }
                subscribers.add(session, asked, SubscriberDefaults(), secret=app.secret, now=now)
        told("readers", len(some))


def _waiting(app: App) -> bool:
    with app.sessions.reading() as session:
        waiting = Delivery.state.in_(("queued", "claimed", "in_flight", "deferred"))
        return bool(session.scalar(select(func.count()).where(waiting)))


def _vote(app: App, now: datetime) -> int:
    """Some readers like the first paper of their mail, by the claims that its links carry."""
    first = (
        select(EditionItemRow.subscriber_id, EditionItemRow.edition_id, EditionItemRow.paper_id)
        .where(EditionItemRow.position == 1, EditionItemRow.subscriber_id % VOTERS == 0)
        .order_by(EditionItemRow.edition_id)
    )
    with app.sessions.reading() as session:
        rows = session.execute(first).all()
    for who, edition, paper in rows:
        claim = Claim("vote", who, now + timedelta(days=1), edition, paper, "up")
        with app.sessions() as session:
            record_vote(session, claim, at=now)
    return len(rows)


def _distinct(app: App) -> int:
    """How many editions differ from every other in their papers or their order."""
    shown: dict[int, list[int]] = defaultdict(list)
    query = select(EditionItemRow.edition_id, EditionItemRow.paper_id).order_by(
        EditionItemRow.edition_id, EditionItemRow.position
    )
    with app.sessions.reading() as session:
        for edition, paper in session.execute(query):
            shown[edition].append(paper)
    return len({tuple(papers) for papers in shown.values()})


def _put_off(app: App) -> int:
    with app.sessions.reading() as session:
        return session.scalar(select(func.count()).where(Attempt.state == "deferred")) or 0


@contextmanager
def _sampling(record: Path, began: float) -> Iterator[list[Sample]]:
    """Look at this process every half second, in a thread."""
    samples: list[Sample] = []
    over = threading.Event()

    def look() -> None:
        with record.open("rb") as lines:
            mails = 0
            while True:
                mails += lines.read().count(b"\n")
                samples.append(Sample(round(time.monotonic() - began, 2), _rss_mb(), mails))
                if over.wait(_EVERY_SECONDS):
                    break
            mails += lines.read().count(b"\n")
            samples.append(Sample(round(time.monotonic() - began, 2), _rss_mb(), mails))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(int(line.split()[1]) / 1024, 1)


def as_html(report: LoadReport) -> str:
    """The report as one page that needs nothing else."""
    thin = report.samples[:: max(1, len(report.samples) // 120)]
    xs = [f"{one.seconds:.0f} s" for one in thin]
    rates = [(b.mails - a.mails) / max(b.seconds - a.seconds, 1e-9) for a, b in pairwise(thin)]
    figures = {
        "Readers": report.subscribers,
        "Seconds, from the first page to the last vote": report.seconds,
        "Editions, and different ones": f"{report.editions}, {report.distinct}",
        "Mails sent, and refused for good": f"{report.sent}, {report.refused}",
        "Tries that were put off": report.tries_put_off,
        "Mails that the server has, and twice": f"{report.taken}, {report.doubled}",
        "In another state": report.others or "none",
        "Votes": report.votes,
        "Memory when papers were embedded, at most after that, in the end (MB)": (
            f"{report.rss_embedded_mb}, {report.rss_most_mb}, {report.rss_end_mb}"
        ),
        "Sound": "yes" if report.is_sound else "NO",
    }
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in figures.items()
    )
    charts = "".join(
        f"<h2>{escape(title)}</h2>{drawn}"
        for title, drawn in (
            (
                "Seconds by stage",
                chart(
                    "Seconds by stage",
                    list(report.stages),
                    {"seconds": list(report.stages.values())},
                    kind="bar",
                ),
            ),
            (
                "Memory of the process (MB)",
                chart("Memory (MB)", xs, {"MB": [one.rss_mb for one in thin]}),
            ),
            ("Mails a second", chart("Mails a second", xs[1:], {"mails a second": rates})),
        )
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Load test</title>'
        "<style>:root{color-scheme:light dark}body{font:16px/1.5 sans-serif;max-width:720px;"
        "margin:2em auto;padding:0 1em}th{text-align:left;padding-right:1em}</style></head>"
        f"<body><h1>One day for {report.subscribers} readers</h1><table>{rows}</table>{charts}"
        "</body></html>\n"
    )
