"""A small installation: pages in a folder, a clock that is set by hand, mail to a Maildir."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from digest import subscribers
from digest.engine import App, JobReport, TickReport, open_app, tick
from digest.papers.encoder import Encoder
from digest.settings import Settings, SourceSettings, SubscriberDefaults
from digest.store.tables import Base, Delivery, Lease
from tests.worlds import WordEncoder

# A Monday, at the hour at which the source is due and the reader's digest is.
SEVEN = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def page(day: date, papers: Mapping[str, str]) -> bytes:
    """A daily-papers page of `day`: titles with their abstracts."""
    at = f"{day}T01:30:00.000Z"
    entries = [
        {"paper": {"title": title, "summary": abstract, "submittedOnDailyAt": at, "upvotes": 3}}
        for title, abstract in papers.items()
    ]
    return json.dumps(entries).encode()


@dataclass
class Clock:
    """Shows what it was set to."""

    now: datetime = SEVEN

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Installation:
    """An App, its clock and the folder that its one source reads."""

    app: App
    pages: Path
    clock: Clock = field(default_factory=Clock)

    def publish(self, *titles: str) -> None:
        """Put a page into the source's folder."""
        abstracts = {title: f"We study {title}." for title in titles}
        number = len(list(self.pages.iterdir()))
        (self.pages / f"{number}.json").write_bytes(page(self.clock.now.date(), abstracts))

    def subscribe(self, address: str = "ann@example.org", **asked: object) -> int:
        with self.app.sessions() as session:
            given = {"address": address, **asked}
            added = subscribers.add(
                session, given, SubscriberDefaults(), secret=self.app.secret, now=self.clock.now
            )
        return added.subscriber.id

    def tick(self) -> TickReport:
        return tick(self.app, self.clock)

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table."""
        with self.app.sessions.reading() as session:
            return {
                table.name: sorted(repr(row) for row in session.execute(select(table)))
                for table in Base.metadata.sorted_tables
            }

    def mails(self) -> list[tuple[str, str]]:
        """The kind and state of every mail."""
        with self.app.sessions.reading() as session:
            query = select(Delivery.kind, Delivery.state).order_by(Delivery.id)
            return [(kind, state) for kind, state in session.execute(query)]

    def leases(self) -> list[str]:
        with self.app.sessions.reading() as session:
            held = (Lease.owner != "") | (Lease.failures > 0)
            return list(session.scalars(select(Lease.key).where(held).order_by(Lease.key)))


def settings_of(folder: Path, database: str) -> Settings:
    """Settings whose source is the folder `pages` and whose mail goes to `outbox`."""
    (folder / "pages").mkdir(exist_ok=True)
    source = SourceSettings(name="daily", path=folder / "pages", hours=(7,))
    return Settings.model_validate(
        {
            "database": database,
            "base_url": "https://digest.example.org",
            "secret_key": "a secret of enough bytes",
            "mail": {"from_address": "digest@example.org", "maildir": folder / "outbox"},
            "sources": [source.model_dump()],
        }
    )


@contextmanager
def installed(
    folder: Path, database: str, encoder: Encoder | None = None
) -> Iterator[Installation]:
    app = open_app(settings_of(folder, database), encoder=encoder or WordEncoder())
    yield Installation(app, folder / "pages")
    app.sessions.engine.dispose()


def results(report: TickReport) -> dict[str, str]:
    """What came of each job, by its key."""

    def said(job: JobReport) -> str:
        return job.error or job.result

    return {job.job.key: said(job) for job in report.done}
