"""Workers are really killed, and what is said of their mails is what the server knows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from digest.errors import DigestError
from digest.evaluation.crash import (
    CONNECTIONS,
    Crashes,
    CrashReport,
    _worker,
    as_json,
    kill_workers,
    reconcile,
)
from digest.evaluation.outbox_of import fill_outbox
from digest.store import Sessions
from digest.store.tables import Delivery
from tests.cli.conftest import digest
from tests.conftest import POSTGRES, need_service
from tests.delivery.world import NOON

SOUND = Crashes(3, 2, 100, 95, 5, 24, 2, 0, 0, 1.5)


def test_killed_workers_lose_and_double_nothing(sqlite_url: str, tmp_path: Path) -> None:
    told: list[int] = []
    found = kill_workers(
        sqlite_url,
        2,
        tmp_path / "taken",
        rng=np.random.default_rng(1),
        progress=told.append,
    )
    assert (found.kills, found.lost, found.duplicated) == (2, 0, 0)
    assert found.sent + found.uncertain == found.mails > 0
    assert found.arrived <= found.uncertain <= found.uncertain_at_most == 2 * CONNECTIONS
    assert told == [1, 1]


def test_what_the_server_knows_decides(sessions: Sessions) -> None:
    fill_outbox(sessions, 8, now=NOON)
    states = ["sent", "sent", "sent", "uncertain", "uncertain", "queued", "failed", "cancelled"]
    with sessions() as session:
        mails = session.scalars(select(Delivery).order_by(Delivery.id)).all()
        for mail, state in zip(mails, states, strict=True):
            session.execute(update(Delivery).where(Delivery.id == mail.id).values(state=state))
    names = [f"{mail.message_id}@example.org" for mail in mails]
    taken = {names[0]: 1, names[1]: 2, names[3]: 1, names[5]: 1}
    assert reconcile(sessions, taken) == {
        "mails": 8,
        "sent": 2,
        "uncertain": 2,
        "arrived": 1,
        "lost": 4,
        "duplicated": 1,
    }


@pytest.mark.parametrize("fault", [{"lost": 1}, {"duplicated": 1}, {"uncertain": 25}])
def test_one_fault_on_one_database_is_enough(fault: dict[str, int]) -> None:
    report = CrashReport({"sqlite": SOUND, "postgresql": replace(SOUND, **fault)}, {})
    assert not report.is_sound
    assert CrashReport({"sqlite": SOUND}, {}).is_sound


def test_the_figures_are_sums_and_those_of_each_database() -> None:
    printed = as_json(CrashReport({"sqlite": SOUND, "postgresql": SOUND}, {}))
    assert (printed["kills"], printed["sent"], printed["seconds"]) == (6, 190, 3.0)
    assert printed["databases"]["postgresql"]["uncertain"] == 5


def test_a_worker_that_ends_by_a_fault_of_its_own_is_no_kill(tmp_path: Path) -> None:
    with pytest.raises(DigestError, match="a worker ended by itself, with status 1"):
        _worker(f"sqlite:///{tmp_path}/no/such/folder.db", 9, NOON, None)


def test_a_server_that_is_not_there_is_left_out_and_said() -> None:
    nobody = "postgresql://postgres@127.0.0.1:9/postgres"
    result = digest("bench", "crash", "--kills", "1", "--postgresql", nobody, "--json")
    assert result.status == 0
    printed = json.loads(result.out)
    assert list(printed["databases"]) == ["sqlite"]
    assert printed["kills"] == 1
    assert "cannot open" in printed["left_out"]["postgresql"]
    assert "postgresql is left out: cannot open" in result.err


@pytest.mark.slow
def test_fifty_kills_on_each_database_lose_and_double_nothing() -> None:
    server = POSTGRES.replace("postgresql+psycopg:", "postgresql:")
    result = digest("bench", "crash", "--kills", "50", "--postgresql", server, "--json")
    printed = json.loads(result.out)
    if printed["left_out"]:
        need_service(printed["left_out"]["postgresql"])
    assert result.status == 0
    for found in printed["databases"].values():
        assert found["kills"] == 50
        assert found["lost"] == found["duplicated"] == 0
        assert found["uncertain"] <= found["uncertain_at_most"]
        assert found["at_work"] > 25, "most kills must hit mails on their way"
        assert found["uncertain"] > 0
    assert list(printed["databases"]) == ["sqlite", "postgresql"]
