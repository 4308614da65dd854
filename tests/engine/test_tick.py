import mailbox
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import update

from digest import subscribers
from digest.delivery.breaker import pause
from digest.delivery.outbox import claim
from digest.delivery.returns import return_path
from digest.editions import edition_of
from digest.engine import Job, JobReport, perform, tick
from digest.engine.jobs import FIRST_RETRY, LEASE, take
from digest.errors import Unknown
from digest.settings import BounceSettings, SubscriberDefaults, SummarySettings
from digest.store.deliveries import queue
from digest.store.tables import Delivery
from tests.delivery.returned import dsn
from tests.engine.world import DAY, SEVEN, Installation, installed, results
from tests.worlds import WordEncoder


class Choking(WordEncoder):
    """An encoder that chokes on one word."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("bones" in text for text in texts):
            raise RuntimeError("fish bones")
        return super().encode(texts)


class Killed(BaseException):
    """The end of a process."""


class Deadly(WordEncoder):
    """An encoder that takes the process along at one word."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("bones" in text for text in texts):
            raise Killed
        return super().encode(texts)


def test_one_tick_brings_a_page_to_the_reader(world: Installation) -> None:
    reader = world.subscribe(interest="graph networks")
    world.publish("graph networks", "protein folding")
    report = world.tick()
    assert results(report) == {
        "ingest:daily": "fresh: 2 listings, 2 new papers",
        "embed:papers:0": "2 embedded",
        "embed:interests:0": "1 embedded",
        "compose:0": "1 built, 0 empty, 0 skipped",
        "deliver:0": "1 sent",
    }
    assert (report.failed, report.held, world.leases()) == ((), (), [])
    assert world.mails() == [("edition", "sent")]
    assert len(list((world.pages.parent / "outbox" / "new").iterdir())) == 1
    with world.app.sessions.reading() as session:
        assert edition_of(session, reader).items[0].title == "graph networks"


def test_twice_the_same_tick_makes_nothing_twice(world: Installation) -> None:
    world.subscribe(interest="graph networks")
    world.publish("graph networks", "protein folding")
    world.tick()
    before = world.rows() | {"leases": []}
    for later in (timedelta(0), timedelta(seconds=20), timedelta(hours=23)):
        world.clock.now = SEVEN + later
        assert world.tick().done == ()
        # But for the one that tells when the last tick was.
        assert len(world.rows()["leases"]) == 1
        assert world.rows() | {"leases": []} == before


def test_ticks_at_once_do_each_thing_once(world: Installation) -> None:
    for n in range(5):
        world.subscribe(f"r{n}@example.org")
    world.publish("graph networks", "protein folding")
    start = Barrier(3)

    def ticker(_n: int) -> Sequence[JobReport]:
        start.wait()
        return world.tick().done

    with ThreadPoolExecutor(3) as pool:
        done = [job for jobs in pool.map(ticker, range(3)) for job in jobs]
    done += world.tick().done
    assert [job.error for job in done if job.error] == []
    assert world.mails() == [("edition", "sent")] * 5
    assert len(list((world.pages.parent / "outbox" / "new").iterdir())) == 5


def test_an_unreachable_source_is_tried_again_later_and_editions_go_on(
    world: Installation,
) -> None:
    world.subscribe()
    world.publish("graph networks")
    world.tick()
    away = world.pages.rename(world.pages.with_name("away"))
    world.clock.now = SEVEN + DAY
    report = world.tick()
    assert [job.job.key for job in report.failed] == ["ingest:daily"]
    assert "is not there" in report.failed[0].error
    assert "compose:0" in results(report)
    assert report.held == (("ingest:daily", world.clock.now + FIRST_RETRY, 1),)
    world.clock.now += FIRST_RETRY - timedelta(seconds=1)
    assert world.tick().done == ()
    away.rename(world.pages)
    world.publish("protein folding")
    world.clock.now += timedelta(seconds=1)
    report = world.tick()
    assert results(report)["ingest:daily"] == "fresh: 1 listings, 1 new papers"
    assert (report.failed, world.leases()) == ((), [])


def test_an_unexpected_error_is_told_and_held_back_and_stops_nobody(
    tmp_path: Path, database_url: str
) -> None:
    with installed(tmp_path, database_url, Choking()) as world:
        world.subscribe()
        world.publish("graph networks")
        world.tick()
        world.clock.now = SEVEN + DAY
        world.publish("fish bones")
        report = world.tick()
        assert {job.job.key: job.error for job in report.failed} == {
            "embed:papers:0": "RuntimeError: fish bones"
        }
        assert results(report)["compose:0"] == "0 built, 1 empty, 0 skipped"
        assert report.held == (("embed:papers:0", world.clock.now + FIRST_RETRY, 1),)
        world.clock.now += FIRST_RETRY
        assert results(world.tick()) == {"embed:papers:0": "RuntimeError: fish bones"}


def test_a_job_that_kills_its_process_is_tried_ever_less_and_soon_keeps_nobody_waiting(
    tmp_path: Path, database_url: str
) -> None:
    with installed(tmp_path, database_url, Deadly()) as world:
        world.subscribe()
        world.publish("graph networks")
        world.tick()
        world.clock.now = SEVEN + DAY
        world.publish("fish bones", "robots")
        deaths: list[datetime] = []
        mailed: list[datetime] = []
        while world.clock.now < SEVEN + 2 * DAY - LEASE:
            try:
                built = "compose:0" in results(world.tick())
            except Killed:
                deaths.append(world.clock.now)
            else:
                mailed += [world.clock.now] if built else []
            world.clock.now += LEASE
        assert mailed == [SEVEN + DAY + 3 * LEASE], "half an hour late, and not never"
        assert len(deaths) < 12


def test_a_bad_page_is_told_of_and_the_others_are_taken(world: Installation) -> None:
    world.subscribe()
    world.publish("graph networks")
    (world.pages / "0-broken.json").write_bytes(b'[{"paper": {"title": 1}}]')
    report = world.tick()
    said = results(report)["ingest:daily"]
    assert said.startswith("partial: 1 listings, 1 new papers; ")
    assert "0-broken.json" in said
    assert world.mails() == [("edition", "sent")]


def test_a_job_that_others_are_at_is_left_to_them(world: Installation) -> None:
    world.subscribe()
    with world.app.sessions() as session:
        take(session, Job("ingest", "ingest:daily", name="daily"), SEVEN, owner="other")
    report = world.tick()
    assert (report.done, report.held) == ((), (("ingest:daily", SEVEN + LEASE, 0),))


def test_a_pause_ends_and_what_a_crash_left_is_settled(world: Installation) -> None:
    world.subscribe()
    world.publish("graph networks")
    world.tick()
    with world.app.sessions() as session:
        lost = {"state": "in_flight", "claimed_until": SEVEN + timedelta(minutes=30)}
        session.execute(update(Delivery).values(**lost))
        until = SEVEN.date() + 2 * DAY
        subscribers.pause(session, "ann@example.org", until, now=SEVEN + timedelta(hours=1))
    for n, mails in ((1, []), (2, [("edition", "sent")])):
        world.clock.now = SEVEN + n * DAY
        world.publish(f"robot number {n}")
        world.tick()
        assert world.mails() == [("edition", "uncertain"), *mails]


def test_stop_lets_nothing_more_begin(one_world: Installation) -> None:
    one_world.subscribe()
    assert tick(one_world.app, one_world.clock, stop=lambda: True).done == ()
    heard: list[str] = []

    def told(report: JobReport) -> None:
        heard.append(report.job.key)

    report = tick(one_world.app, one_world.clock, stop=lambda: bool(heard), told=told)
    assert heard == ["ingest:daily"] == [job.job.key for job in report.done]


def test_a_job_ends_between_two_mails_before_its_lease_does(one_world: Installation) -> None:
    for n in range(30):
        one_world.subscribe(f"r{n}@example.org")
    one_world.publish("graph networks")

    def slow() -> datetime:
        one_world.clock.now += timedelta(seconds=20)
        return one_world.clock.now

    report = tick(one_world.app, slow)
    sent = [job.result for job in report.done if job.job.kind == "deliver"]
    assert len(sent) > 1
    assert one_world.mails() == [("edition", "sent")] * 30


def test_a_source_that_the_settings_no_longer_name_is_refused(one_world: Installation) -> None:
    with pytest.raises(Unknown, match="no source is named 'gone'"):
        perform(one_world.app, Job("ingest", "ingest:gone", name="gone"), one_world.clock)


def test_mail_that_came_back_is_read_every_few_minutes(one_world: Installation) -> None:
    reader = one_world.subscribe("ada@example.net")
    one_world.publish("graph networks")
    folder = one_world.pages.parent / "bounces"
    box = mailbox.Maildir(folder)
    bounces = BounceSettings(maildir=folder)
    app = replace(
        one_world.app, settings=one_world.app.settings.model_copy(update={"bounces": bounces})
    )
    report = tick(app, one_world.clock)
    assert (results(report)["deliver:0"], results(report)["bounces"]) == ("1 sent", "none")
    assert report.held == ()
    back = dsn(to=return_path("digest@example.org", 1, app.secret))
    box.add(back)
    assert results(tick(app, one_world.clock)) == {}, "a mailbox is not asked at every tick"
    one_world.clock.now += LEASE
    assert results(tick(app, one_world.clock)) == {"bounces": "1 suppressed"}
    with app.sessions.reading() as session:
        assert subscribers.read_subscriber(session, reader).state == "suspended"


def test_a_mailbox_that_is_full_does_not_hold_up_the_end(one_world: Installation) -> None:
    folder = one_world.pages.parent / "bounces"
    box = mailbox.Maildir(folder)
    for n in range(3):
        box.add(dsn(to=f"somebody+{n}@example.org"))
    bounces = BounceSettings(maildir=folder)
    settings = one_world.app.settings.model_copy(update={"bounces": bounces})
    app = replace(one_world.app, settings=settings)
    job = Job("bounces", "bounces")
    says_stop = iter([False, True])
    assert perform(app, job, one_world.clock, stop=lambda: next(says_stop)) == "1 recorded"
    assert perform(app, job, one_world.clock) == "2 recorded"


def test_a_tick_with_the_clock_far_ahead_silences_nobody(one_world: Installation) -> None:
    one_world.subscribe()
    one_world.publish("graph networks")
    one_world.tick()
    one_world.clock.now += 27 * DAY
    one_world.publish("protein folding")
    one_world.tick()
    one_world.clock.now -= 26 * DAY + timedelta(hours=1)
    one_world.tick()
    one_world.clock.now += timedelta(hours=1)
    one_world.publish("robot grasping")
    one_world.tick()
    assert one_world.mails() == [("edition", "sent")] * 3


def test_a_clock_that_is_a_year_ahead_for_a_while_takes_nothing_for_old(
    world: Installation,
) -> None:
    paused, waiting = world.subscribe("eve@example.org"), "new@example.org"
    world.subscribe()
    world.publish("graph networks")
    world.tick()
    with world.app.sessions() as session:
        subscribers.pause(session, paused, SEVEN.date() + 30 * DAY, now=SEVEN)
        asked = {"address": waiting}
        subscribers.add(
            session,
            asked,
            SubscriberDefaults(),
            secret=world.app.secret,
            now=SEVEN,
            confirmed=False,
        )
    kept = ("editions", "edition_items", "pages", "listings", "consents")
    before = {table: world.rows()[table] for table in kept}
    world.clock.now += 366 * DAY
    for _ in range(3):
        world.tick()
        world.clock.now += timedelta(minutes=20)
    assert {table: world.rows()[table][: len(before[table])] for table in kept} == before
    world.clock.now = SEVEN + timedelta(hours=2)
    world.tick()
    with world.app.sessions.reading() as session:
        assert subscribers.read_subscriber(session, paused).state == "paused"
        assert subscribers.find(session, waiting).state == "pending"


def test_what_a_clock_far_ahead_has_held_is_free_again(world: Installation) -> None:
    reader = world.subscribe("ada@example.net")
    world.tick()
    world.clock.now += 1000 * DAY
    world.tick()
    with world.app.sessions() as session:
        job = Job("ingest", "ingest:daily", name="daily")
        take(session, job, world.clock.now)
        queue(session, kind="fresh_link", subscriber_id=reader, now=world.clock.now)
        queue(session, kind="fresh_link", subscriber_id=reader, now=SEVEN)
        claim(session, "dead", 1, world.app.secret, SEVEN)
        late = {"claimed_until": world.clock.now + LEASE}
        session.execute(update(Delivery).where(Delivery.state == "claimed").values(late))
        pause(session, "wrong password", world.clock.now)
    world.clock.now = SEVEN + timedelta(minutes=1)
    world.publish("graph networks")
    report = world.tick()
    assert results(report)["ingest:daily"] == "fresh: 1 listings, 1 new papers"
    assert world.mails() == [("fresh_link", "sent")] * 2
    assert report.held == ()


def test_after_a_long_break_the_clock_is_believed_a_day_later(one_world: Installation) -> None:
    one_world.publish("graph networks")
    one_world.tick()
    one_world.clock.now += 400 * DAY
    assert "housekeeping" not in results(one_world.tick())
    one_world.clock.now += DAY
    assert results(one_world.tick())["housekeeping"] == "1 pages forgotten"


def test_summaries_are_written_behind_the_mails_and_a_model_that_fails_keeps_none_back(
    one_world: Installation,
) -> None:
    summaries = SummarySettings.model_validate({"url": "http://127.0.0.1:9/v1", "model": "none"})
    settings = one_world.app.settings.model_copy(update={"summaries": summaries})
    one_world.app = replace(one_world.app, settings=settings)
    one_world.subscribe(interest="graphs")
    one_world.publish("Graphs of bees")
    report = one_world.tick()
    assert [job.job.kind for job in report.done][-2:] == ["deliver", "summaries"]
    assert [job.job.key for job in report.failed] == ["summaries"]
    assert ("edition", "sent") in one_world.mails()
    assert report.held == (("summaries", SEVEN + FIRST_RETRY, 1),)
