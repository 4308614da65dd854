"""A year in which clocks change, stop and jump: one edition for each due date, and no second one.

What must arrive is told by a calendar of its own, which looks at the clock on each reader's wall
every quarter of an hour and knows nothing of how the program computes when something is due.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from random import Random
from threading import Barrier
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from digest import subscribers
from digest.delivery.policy import Outcome
from digest.delivery.transport import Transport
from digest.engine import App, JobReport, TickReport, open_app, tick
from digest.mail.message import WireMessage
from digest.settings import Frequency, Settings, SubscriberDefaults
from digest.store.tables import Delivery, EditionRow
from tests.engine.world import Clock, page
from tests.worlds import WordEncoder

QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
JUST_BEFORE = timedelta(seconds=20)
WANTED = {"daily": range(7), "weekdays": range(5), "weekly": range(1)}


class Reader(NamedTuple):
    """Somebody who wants a mail at an hour of the clock on their wall."""

    timezone: str
    hour: int
    frequency: Frequency = "daily"

    @property
    def address(self) -> str:
        place = self.timezone.rpartition("/")[2].replace("_", "-").lower()
        return f"{self.frequency}@{place}.example"

    def wall(self, now: datetime) -> datetime:
        return now.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)


BERLIN, LORD_HOWE = Reader("Europe/Berlin", 2), Reader("Australia/Lord_Howe", 2)
HAVANA, SANTIAGO = Reader("America/Havana", 0), Reader("America/Santiago", 0)
NUUK, CHATHAM = Reader("America/Nuuk", 23), Reader("Pacific/Chatham", 3)
# Several are due at one instant where they can be: it is instants that take time.
READERS = (
    *(BERLIN, LORD_HOWE, HAVANA, SANTIAGO, NUUK, CHATHAM),
    Reader("Europe/Berlin", 2, "weekly"),
    Reader("America/New_York", 0, "weekdays"),
    Reader("Africa/Casablanca", 2, "weekdays"),  # an hour back in Ramadan
    Reader("Asia/Kathmandu", 19, "weekdays"),  # a quarter past the hour
    Reader("Asia/Kolkata", 21, "weekly"),  # half past it
    Reader("Pacific/Kiritimati", 0),  # the first where a date begins
    Reader("Pacific/Pago_Pago", 23),  # the last where it ends
)


def utc(text: str) -> datetime:
    """An instant of the year, as in 03-29 01:00."""
    return datetime.strptime(f"2026-{text} +0000", "%Y-%m-%d %H:%M %z")


# Every change of a clock that falls upon somebody's hour: whose, the date, and when they get it.
CHANGES = {
    (HAVANA, "03-08"): "03-08 05:00",  # 0:00 is skipped: the day begins at 1:00
    (BERLIN, "03-29"): "03-29 01:00",  # 2:00 is skipped
    (NUUK, "03-28"): "03-29 01:00",  # 23:00 is skipped: the 29th has begun by then
    (CHATHAM, "04-05"): "04-04 13:15",  # 3:00 is twice
    (LORD_HOWE, "04-05"): "04-04 15:30",  # 1:30 is twice, and 2:00 comes half an hour later
    (SANTIAGO, "09-06"): "09-06 04:00",  # 0:00 is skipped
    (CHATHAM, "09-27"): "09-26 14:15",  # 2:45 is 3:45, and 4:00 is when 3:00 would have been
    (LORD_HOWE, "10-04"): "10-03 15:30",  # 2:00 is 2:30
    (BERLIN, "10-25"): "10-25 00:00",  # 2:00 is twice
    (HAVANA, "11-01"): "11-01 04:00",  # 0:00 is twice
}


class Stretch(NamedTuple):
    """The machine's clock runs from one reading to another; where they are one, it stands still.

    The next stretch may begin later (nothing ran meanwhile) or earlier (the clock is put back). At
    its beginning all processes are new.
    """

    start: datetime
    end: datetime


# Between two of these nothing runs, for weeks at times. What comes late is made half an hour before
# a new page, so that no edition is without papers.
SOME_WEEKS = (
    # The clocks of readers change.
    Stretch(utc("03-07 11:30"), utc("03-08 05:30")),
    Stretch(utc("03-28 11:30"), utc("03-29 05:30")),
    Stretch(utc("04-04 11:30"), utc("04-04 15:30")),
    # Nothing runs for a day and more.
    Stretch(utc("04-06 11:30"), utc("04-07 10:00")),
    # The clock stands still at somebody's very hour, until somebody sees it.
    Stretch(utc("04-07 10:00"), utc("04-07 10:00")),
    Stretch(utc("04-07 23:30"), utc("04-08 11:30")),
    # It runs a day ahead for two hours, and is set right.
    Stretch(utc("04-09 11:30"), utc("04-09 13:30")),
    Stretch(utc("04-08 13:30"), utc("04-10 05:30")),
    # It is put back by an hour, to before somebody's that had come.
    Stretch(utc("04-10 04:30"), utc("04-10 10:30")),
    # The clocks of readers change back.
    Stretch(utc("09-05 11:30"), utc("09-06 05:30")),
    Stretch(utc("09-26 11:30"), utc("09-26 15:30")),
    Stretch(utc("10-03 11:30"), utc("10-03 15:30")),
    Stretch(utc("10-24 11:30"), utc("10-25 05:30")),
    Stretch(utc("10-31 11:30"), utc("11-01 05:30")),
)
# The same faults in the nights of changes; and none of them makes anybody miss a date.
A_YEAR = (
    Stretch(utc("01-01 11:30"), utc("03-08 04:30")),
    # The clock stands still while hours come, one of which is skipped.
    Stretch(utc("03-08 04:30"), utc("03-08 04:30")),
    Stretch(utc("03-08 11:30"), utc("03-28 11:30")),
    # A day's outage.
    Stretch(utc("03-29 11:30"), utc("05-10 05:30")),
    # Put back by an hour, as NTP does.
    Stretch(utc("05-10 04:30"), utc("10-03 11:30")),
    # A day ahead for two hours.
    Stretch(utc("10-04 11:30"), utc("10-04 13:30")),
    Stretch(utc("10-03 13:30"), utc("10-25 01:30")),
    # Put back by an hour, as the clocks of readers are.
    Stretch(utc("10-25 00:30"), utc("11-01 04:00")),
    # It stands still for a while, and goes on.
    Stretch(utc("11-01 04:00"), utc("11-01 04:00")),
    Stretch(utc("11-01 04:00"), utc("12-31 23:30")),
)


class Mail(NamedTuple):
    """What arrived: whose, for which of their dates, and what the machine's clock showed."""

    address: str
    day: date
    at: datetime


class Due(NamedTuple):
    at: datetime
    day: date


@cache
def calendar(reader: Reader) -> list[Due]:
    """When a reader's wall clock first shows their hour on each wanted date.

    An hour that it skips is due when a clock that nobody had changed shows it (RFC 5545, 3.3.5).
    """
    dues, now, end = list[Due](), utc("01-01 00:00") - 14 * DAY, utc("12-31 23:45")
    day, unchanged = reader.wall(now).date() + DAY, reader.wall(now)
    while now < end:
        hour, wall = datetime.combine(day, time(reader.hour)), reader.wall(now)
        if wall >= hour:
            if day.weekday() in WANTED[reader.frequency]:
                dues.append(Due(now + (hour - unchanged), day))
            day += DAY
        now, unchanged = now + QUARTER, wall + QUARTER
    return dues


def expected(reader: Reader, dues: Sequence[Due], shown: Sequence[datetime]) -> Iterator[Mail]:
    """What a reader should get of a clock that shows these readings, subscribed at the first.

    The first edition comes at once, and then one as soon as the clock shows that a later date is
    due; of several such dates, the last one's.
    """
    had = reader.wall(shown[0]).date()
    yield Mail(reader.address, had, shown[0])
    for now in shown:
        day = dues[bisect_right(dues, now, key=lambda due: due.at) - 1].day
        if day > had:
            yield Mail(reader.address, day, now)
            had = day


def readings(stretch: Stretch, instants: Sequence[datetime], every: timedelta) -> list[datetime]:
    """When the program looks: regularly, at each instant when somebody is due, and just before."""
    if stretch.start == stretch.end:
        return [stretch.start] * 5
    near = bisect_right(instants, stretch.start), bisect_right(instants, stretch.end)
    looks = {at - wait for at in instants[slice(*near)] for wait in (timedelta(0), JUST_BEFORE)}
    n = (stretch.end - stretch.start) // every
    looks |= {stretch.start + i * every for i in range(n + 1)}
    return sorted(look for look in looks if look >= stretch.start)


class Post(list[Mail]):
    """An outlet that notes what arrives, from however many processes."""

    width = 4

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    async def send(self, message: WireMessage) -> Outcome:
        said = re.search(rb"^DIGEST, \w+ (\d+ \w+ \d+)\r$", message.raw, re.MULTILINE)
        assert said is not None
        day = datetime.strptime(f"{said[1].decode()} +0000", "%d %B %Y %z").date()
        self.append(Mail(message.recipient, day, self._clock.now))
        return Outcome("sent", "nobody", "content", 250, None, "ok")

    def give_up(self) -> None:
        pass

    async def check(self, envelope_sender: str) -> str:  # noqa: ARG002 - takes all
        return ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Process(App):
    """What one process has wired; mail leaves it by the outlet of all."""

    post: Post = field(kw_only=True)

    def transport(self) -> Transport:
        return self.post


class Killed(BaseException):
    """The end of a process, between two jobs."""


class World:
    """Two processes on one database: mostly one ticks, at times both at once, or one is killed."""

    def __init__(self, folder: Path, database: str) -> None:
        self.clock = Clock()
        self.post = Post(self.clock)
        self._page, self._page_of = folder / "newest.json", datetime.min.replace(tzinfo=UTC)
        self._settings = Settings.model_validate(
            {
                # Nobody is asked whether they still read.
                "sunset": {"after_days": 0},
                "database": database,
                "base_url": "https://digest.example.org",
                "secret_key": "a secret of enough bytes",
                "sources": [{"name": "daily", "path": self._page, "hours": [0, 12]}],
            }
        )
        self._rng = Random(4)
        self.processes: list[Process] = []

    def start(self) -> None:
        """End all processes and begin anew."""
        self.stop()
        for _ in range(2):
            app = open_app(self._settings, encoder=WordEncoder())
            wired = {part.name: getattr(app, part.name) for part in fields(app)}
            self.processes.append(Process(**wired, post=self.post))

    def stop(self) -> None:
        while self.processes:
            self.processes.pop().sessions.engine.dispose()

    def subscribe(self, reader: Reader) -> None:
        given = {"address": reader.address, **reader._asdict()}
        with self.processes[0].sessions() as session:
            subscribers.add(
                session,
                given,
                SubscriberDefaults(),
                secret=self.processes[0].secret,
                now=self.clock.now,
            )

    def look(self, now: datetime) -> None:
        """Set the clock and do what is due."""
        self.clock.now = now
        self._publish()
        how = self._rng.choices(("alone", "at once", "killed"), (18, 1, 1))[0]
        if how == "at once":
            self._tick_at_once()
        if how == "killed":
            with suppress(Killed):
                tick(self.processes[0], self.clock, told=_kill)
            self.start()
        report = tick(self.processes[0], self.clock)
        assert (report.failed, report.held) == ((), ())

    def _publish(self) -> None:
        """Twice a day a new page takes the place of the last."""
        of = self.clock.now.replace(hour=self.clock.now.hour // 12 * 12, minute=0, second=0)
        if of != self._page_of:
            # Papers that say nearly the same are shown once, so that each has words of its own.
            own = sha256(of.isoformat().encode()).hexdigest()
            abstract = f"We study graphs. {own}"
            self._page.write_bytes(page(of.date(), {f"Graph networks {own[:16]}": abstract}))
            self._page_of = of

    def _tick_at_once(self) -> None:
        start = Barrier(2)

        def run(process: Process) -> TickReport:
            start.wait()
            return tick(process, self.clock)

        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(run, self.processes))
        assert [report.failed for report in reports] == [(), ()]


def _kill(_report: JobReport) -> None:
    raise Killed


def live(world: World, stretches: Sequence[Stretch], *, every: timedelta) -> list[Mail]:
    """What arrives while the clock shows these stretches, which is what each reader should get."""
    dues = {reader: calendar(reader) for reader in READERS}
    instants = sorted({due.at for some in dues.values() for due in some})
    shown = [readings(stretch, instants, every) for stretch in stretches]
    world.start()
    world.clock.now = shown[0][0]
    for reader in READERS:
        world.subscribe(reader)
    for some in shown:
        for now in some:
            world.look(now)
        world.start()
    mails = list(world.post)
    for reader in READERS:
        got = [mail for mail in mails if mail.address == reader.address]
        assert got == list(expected(reader, dues[reader], list(chain(*shown))))
        for _, day, at in got[1:]:
            assert reader.wall(at) >= datetime.combine(day, time(reader.hour))
    assert len({(mail.address, mail.day) for mail in mails}) == len(mails)
    with world.processes[0].sessions.reading() as session:
        assert session.scalar(select(func.count()).select_from(EditionRow)) == len(mails)
        assert list(session.scalars(select(Delivery.state))) == ["sent"] * len(mails)
    return mails


@pytest.fixture
def one_world(tmp_path: Path, sqlite_url: str) -> Iterator[World]:
    world = World(tmp_path, sqlite_url)
    yield world
    world.stop()


@pytest.fixture
def world_on_postgresql(tmp_path: Path, postgres_url: str) -> Iterator[World]:
    world = World(tmp_path, postgres_url)
    yield world
    world.stop()


@pytest.mark.slow
def test_whatever_clocks_do_each_due_date_has_one_edition_at_its_hour(one_world: World) -> None:
    live_some_weeks(one_world)


@pytest.mark.slow
def test_and_so_it_is_on_postgresql(world_on_postgresql: World) -> None:
    live_some_weeks(world_on_postgresql)


def live_some_weeks(world: World) -> None:
    mails = live(world, SOME_WEEKS, every=6 * HOUR)
    for (reader, day), at in CHANGES.items():
        assert Mail(reader.address, utc(f"{day} 00:00").date(), utc(at)) in mails


@pytest.mark.slow
def test_in_a_year_no_date_is_left_out_and_none_comes_twice(one_world: World) -> None:
    mails = live(one_world, A_YEAR, every=4 * HOUR)
    for reader in READERS:
        first, *days = [mail.day for mail in mails if mail.address == reader.address]
        dates = [first + n * DAY for n in range(1, (days[-1] - first).days + 1)]
        assert days == [day for day in dates if day.weekday() in WANTED[reader.frequency]]
        assert days[-1] > date(2026, 12, 27)
