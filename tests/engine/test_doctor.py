import asyncio
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from kombu import Connection
from numpy.typing import NDArray
from sqlalchemy import update

from digest.delivery.breaker import pause
from digest.engine import doctor
from digest.engine.dns import FileRecords
from digest.engine.doctor import Finding, checkup
from digest.engine.engines import open_engine
from digest.papers.encoder import Encoder
from digest.settings import FetchSettings, Settings, SourceSettings
from digest.store.deliveries import queue
from digest.store.tables import Subscriber
from tests.delivery.servers import smtp_server
from tests.engine.world import SEVEN, Clock, installed, page, settings_of
from tests.worlds import WordEncoder


class Long(WordEncoder):
    """Vectors that are no unit vectors."""

    def encode(self, texts: Any) -> NDArray[np.float32]:
        return super().encode(texts) * 3


def changed(settings: Settings, **parts: Any) -> Settings:
    """The settings with some parts replaced; a mapping replaces keys of a part."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    for name, part in parts.items():
        known = values[name]
        whole = isinstance(part, Mapping) and hasattr(known, "model_copy")
        values[name] = known.model_copy(update=part) if whole else part
    return Settings.model_validate(values)


def found(
    settings: Settings, *, now: Any = SEVEN, encoder: Encoder | None = None
) -> dict[str, Finding]:
    """The findings by part; of several of one part the last, faults first."""
    findings = list(checkup(settings, now=now, encoder=encoder or WordEncoder()))
    ill_last = sorted(findings, key=lambda one: ("ok", "warning", "fault").index(one.health))
    return {finding.part: finding for finding in ill_last}


def health(settings: Settings, part: str, **more: Any) -> tuple[str, str]:
    finding = found(settings, **more)[part]
    assert bool(finding.fix) == (finding.health != "ok")
    return finding.health, finding.said


@pytest.fixture
def good(tmp_path: Path, sqlite_url: str) -> Settings:
    return settings_of(tmp_path, sqlite_url)


def test_a_good_installation_has_no_findings(tmp_path: Path, database_url: str) -> None:
    findings = found(settings_of(tmp_path, database_url), now=datetime.now(UTC))
    findings.setdefault("disk", Finding("disk", "ok", "a server's own"))
    assert {part: finding.health for part, finding in findings.items()} == dict.fromkeys(
        ("settings", "database", "engine", "encoder", "mail", "queue", "disk", "sources", "clock"),
        "ok",
    )


def test_it_sends_and_ingests_nothing(tmp_path: Path, sqlite_url: str) -> None:
    with installed(tmp_path, sqlite_url) as world:
        world.subscribe()
        world.publish("graph networks")
        before = world.rows()
        found(world.app.settings)
        assert world.rows() == before


def test_a_server_that_takes_mail_is_well(good: Settings) -> None:
    async def check() -> tuple[str, str]:
        async with smtp_server() as inbox:
            smtp = {"host": "127.0.0.1", "port": inbox.port, "security": "none"}
            answer = await asyncio.to_thread(health, changed(good, smtp=smtp), "mail")
            assert inbox.received == []
            return answer

    assert asyncio.run(check())[0] == "ok"


def test_a_closed_smtp_port_is_a_fault(good: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    smtp = {"host": "127.0.0.1", "port": port, "security": "none"}
    state, said = health(changed(good, smtp=smtp), "mail")
    assert state == "fault"
    assert f"127.0.0.1:{port}" in said


def test_a_broker_that_is_away_is_told_without_its_password(good: Settings) -> None:
    away = changed(good, engine="celery+amqp://me:hunter2@127.0.0.1:9//")
    state, said = health(away, "engine")
    assert (state, "cannot reach the broker celery+amqp://me:***@" in said) == ("fault", True)


def test_jobs_that_the_broker_has_put_aside_are_told(good: Settings, rabbitmq_url: str) -> None:
    prefix = f"test-{uuid4().hex[:8]}"
    settings = changed(good, engine=f"{rabbitmq_url}?prefix={prefix}")
    engine = open_engine(settings.engine)
    try:
        assert health(settings, "engine")[0] == "ok"
        broker = rabbitmq_url.removeprefix("celery+")
        with Connection(broker, transport_options={"confirm_publish": True}) as connection:
            connection.Producer().publish({}, exchange=f"{prefix}.dead")
        state, said = health(settings, "engine")
        assert (state, said.endswith("killed every worker: 1")) == ("warning", True)
    finally:
        engine.clear()


def test_bounces_that_nobody_reads_are_told_once_mail_leaves(good: Settings) -> None:
    assert "bounces" not in found(good)
    leaves = changed(good, smtp={"host": "127.0.0.1", "port": 9, "security": "none"})
    state, said = health(leaves, "bounces")
    assert (state, "come to digest@example.org" in said) == ("warning", True)
    assert "bounces" not in found(changed(leaves, bounces={"webhook_secret": "a relay's secret"}))


def test_a_mailbox_that_cannot_be_read_is_a_fault(good: Settings, tmp_path: Path) -> None:
    bounces = tmp_path / "bounces"
    read = changed(good, bounces={"maildir": bounces})
    assert health(read, "bounces") == ("fault", f"cannot read {bounces}: No such file or directory")
    for name in ("new", "cur"):
        (bounces / name).mkdir(parents=True)
    mail = bounces / "new" / "1.a"
    mail.write_bytes(b"From: a@example.net\n\nhello\n")
    assert health(read, "bounces") == ("ok", f"{bounces} can be read")
    assert mail.exists()


def test_sending_that_is_paused_is_a_fault(tmp_path: Path, sqlite_url: str) -> None:
    with installed(tmp_path, sqlite_url) as world:
        with world.app.sessions() as session:
            pause(session, "535 wrong password", SEVEN)
        state, said = health(world.app.settings, "mail")
        assert (state, "535 wrong password" in said) == ("fault", True)


def test_a_maildir_that_cannot_be_made_is_a_fault(good: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    state, said = health(changed(good, mail={"maildir": tmp_path / "file"}), "mail")
    assert state == "fault"
    assert str(tmp_path / "file") in said


def test_a_source_that_is_not_there_is_told(good: Settings, tmp_path: Path) -> None:
    (tmp_path / "pages").rmdir()
    state, said = health(good, "sources")
    assert (state, said) == ("warning", f"daily: {tmp_path / 'pages'} is not there")


def test_a_source_that_may_not_be_fetched_is_told(good: Settings) -> None:
    source = SourceSettings(name="daily", url="http://127.0.0.1:9/x")
    here = changed(good, sources=(source,))
    assert health(here, "sources") == (
        "warning",
        "daily: 127.0.0.1 is at 127.0.0.1, which is no public address, and not in [fetch] allow",
    )
    allowed = changed(here, fetch=FetchSettings(allow=("127.0.0.1",)))
    assert health(allowed, "sources") == ("ok", "daily: http://127.0.0.1:9/x")


def test_no_source_at_all_is_told(good: Settings) -> None:
    assert health(changed(good, sources=()), "sources") == ("warning", "none is set")


def test_a_source_that_went_wrong_last_time_is_told(tmp_path: Path, sqlite_url: str) -> None:
    with installed(tmp_path, sqlite_url) as world:
        (world.pages / "bad.json").write_bytes(b'[{"paper": {}}]')
        world.tick()
        state, said = health(world.app.settings, "sources")
        assert state == "warning"
        assert said.startswith("daily: unreadable at its last run: bad.json: expected")


def test_a_clock_behind_what_is_stored_is_a_fault(tmp_path: Path, sqlite_url: str) -> None:
    with installed(tmp_path, sqlite_url) as world:
        world.clock = Clock(SEVEN + timedelta(days=3))
        (world.pages / "1.json").write_bytes(page(SEVEN.date(), {"Graphs": "We study them."}))
        world.tick()
        state, said = health(world.app.settings, "clock")
        assert (state, "papers came in at 2026-03-05 07:00" in said) == ("fault", True)
        near = SEVEN + timedelta(days=3, minutes=-4)
        assert health(world.app.settings, "clock", now=near)[0] == "ok"


def test_links_that_only_this_machine_can_open_are_told_once_mail_leaves_it(
    good: Settings,
) -> None:
    smtp = {"host": "127.0.0.1", "port": 9, "security": "none"}
    for url in ("http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"):
        assert "links" not in found(changed(good, base_url=url))
        assert health(changed(good, base_url=url, smtp=smtp), "links")[0] == "warning"
    assert "links" not in found(changed(good, smtp=smtp))


def test_a_sender_that_is_no_real_one_is_a_fault_and_no_postal_address_a_warning(
    good: Settings,
) -> None:
    smtp = {"host": "127.0.0.1", "port": 9, "security": "none"}
    nobody = {"from_address": "digest@localhost.localdomain", "postal_address": "Heidelberg"}
    assert health(changed(good, smtp=smtp, mail=nobody), "sender")[0] == "fault"
    assert health(changed(good, smtp=smtp), "sender") == (
        "warning",
        "mails carry no postal address",
    )


def test_vectors_that_are_no_unit_vectors_are_a_fault(good: Settings) -> None:
    assert health(good, "encoder", encoder=Long())[0] == "fault"


def test_an_encoder_that_is_not_there_is_a_fault_and_the_rest_is_looked_at(
    good: Settings, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    findings = list(checkup(changed(good, encoder=str(tmp_path / "model")), now=SEVEN))
    health_of = {finding.part: finding.health for finding in findings}
    assert health_of["encoder"] == "fault"
    assert (health_of["database"], health_of["clock"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("sqlite:////dev/null/digest.db", "unable to open database file"),
        ("postgresql://me@127.0.0.1:1/digest", "onnection refused"),
        ("mysql://localhost/digest", "neither sqlite nor postgresql"),
    ],
)
def test_a_database_that_cannot_be_had_is_a_fault(good: Settings, database: str, said: str) -> None:
    findings = found(changed(good, database=database))
    assert findings["database"].health == "fault"
    assert said in findings["database"].said
    assert set(findings) == {"settings", "database"}


def test_a_file_that_is_no_database_is_a_fault(good: Settings, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_bytes(os.urandom(4096))
    state, said = health(changed(good, database=f"sqlite:///{tmp_path / 'notes.db'}"), "database")
    assert (state, "not a database" in said) == ("fault", True)


def test_work_that_waits_too_long_is_told(tmp_path: Path, sqlite_url: str) -> None:
    with installed(tmp_path, sqlite_url) as world:
        world.subscribe()
        world.subscribe("bob@example.org", confirmed=False)
        settings = world.app.settings
        with world.app.sessions() as session:
            queue(session, kind="goodbye", subscriber_id=1, now=SEVEN)
        assert health(settings, "queue")[0] == "ok"
        late = SEVEN + timedelta(hours=2)
        state, said = health(settings, "queue", now=late)
        assert (state, "subscribers wait for an edition" in said) == ("fault", True)
        with world.app.sessions() as session:
            session.execute(update(Subscriber).values(next_due_at=late))
        state, said = health(settings, "queue", now=late)
        assert (state, said) == ("warning", "1 mails wait, the oldest since 2026-03-02 07:00 UTC")


@pytest.mark.parametrize(
    ("free", "state"), [(5_000_000_000, "ok"), (500_000_000, "warning"), (50_000_000, "fault")]
)
def test_a_disk_without_room_is_told(
    good: Settings, free: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
    assert health(good, "disk")[0] == state


def test_records_that_the_dns_does_not_have_are_told(good: Settings, tmp_path: Path) -> None:
    (tmp_path / "zone").write_text('_dmarc.example.org. TXT "v=DMARC1; p=reject"')
    findings = checkup(
        good, now=SEVEN, encoder=WordEncoder(), records=FileRecords(tmp_path / "zone")
    )
    by_part = {finding.part: finding.health for finding in findings}
    assert (by_part["dmarc"], by_part["spf"]) == ("ok", "warning")
