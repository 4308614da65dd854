"""Sending from the command line, where servers are unwell and people press Ctrl-C."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.conftest import Done, digest, done
from tests.delivery.servers import HOST, Script, scripted

READERS = [f"r{n}@example.org" for n in range(6)]


@pytest.fixture
async def server(encoded: Path) -> AsyncIterator[Script]:
    """A server that the settings name, and six mails that wait to be sent to it."""
    async with scripted({}) as server:
        (encoded / "digest.toml").write_text(
            '[mail]\nfrom_address = "digest@example.org"\n'
            f'[smtp]\nhost = "{HOST}"\nport = {server.port}\nsecurity = "none"\nconnections = 1\n'
        )
        for reader in READERS:
            done("subscribers", "add", reader, "--ask")
        yield server


async def run(*args: str) -> Done:
    """Run `digest ARGS` while the server, in this process, answers."""
    ran = await process(*args)
    out, err = await ran.communicate()
    return Done(ran.returncode or 0, out.decode(), err.decode())


async def process(*args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "digest.cli", *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def states() -> Counter[str]:
    return Counter(row["state"] for row in done("deliveries", "list", "--json").json)


async def test_what_nobody_knows_is_listed_and_settled_by_hand(server: Script) -> None:
    server.answers["."], server.once = None, {"."}
    said = await run("deliver", "--json")
    assert (said.status, said.json) == (
        1,
        [{"state": "sent", "mails": 5}, {"state": "uncertain", "mails": 1}],
    )
    assert "digest deliveries uncertain" in said.err
    (lost,) = done("deliveries", "uncertain", "--json").json
    assert (lost["address"], lost["tries"]) == (READERS[0], 1)
    assert (await run("deliver")).err == "No mail is due.\n", "it is never sent again by itself"
    for wrong in (("settle",), ("settle", "1"), ("settle", "--sent"), ("settle", "1", "--sent")):
        if wrong != ("settle", "1", "--sent"):
            assert digest("deliveries", *wrong).error.startswith("settle: ")
    assert "there is no mail 99" in digest("deliveries", "settle", "99", "--sent").error
    assert "is sent, not" in digest("deliveries", "settle", "2", "--resend").error
    said = done("deliveries", "settle", str(lost["id"]), "--resend")
    assert said.out == "1 mails due again: digest deliver sends them\n"
    assert (await run("deliver", "--json")).json == [{"state": "sent", "mails": 1}]
    assert done("deliveries", "uncertain").err == "No mail is uncertain.\n"


async def test_all_that_is_uncertain_may_be_settled_at_once(server: Script) -> None:
    server.answers["."] = None
    said = await run("deliver", "--limit", "3")
    assert "3 more are due" not in said.err
    done("deliveries", "settle", "--all", "--sent")
    assert states() == {"sent": 3, "queued": 3}


async def test_a_wrong_password_pauses_sending_until_it_is_mended(server: Script) -> None:
    server.answers["MAIL"] = "530 5.7.0 log in first\r\n"
    said = await run("deliver", "--json")
    assert (said.status, said.json) == (1, [{"state": "deferred", "mails": 5}])
    assert "Sending is paused until" in said.err
    assert "530 5.7.0 log in first" in said.err
    assert (await run("deliver")).err.startswith("Nothing was sent.\nSending is paused until")
    del server.answers["MAIL"]
    said = await run("deliver", "--resume", "--json")
    assert (said.status, said.json) == (0, [{"state": "sent", "mails": 1}])
    assert states() == {"sent": 1, "deferred": 5}


def test_a_list_takes_states_that_there_are(home: Path) -> None:
    assert "'gone'" in digest("deliveries", "list", "--state", "gone").error
    assert done("deliveries", "list", "--state", "sent").err == "There is no such mail.\n"


async def test_a_signal_ends_it_when_what_is_in_flight_is_done(server: Script) -> None:
    server.held = asyncio.Event()
    sending = await process("deliver", "--json")
    await server.mail_came.wait()
    assert states() == {"in_flight": 1, "claimed": 5}
    sending.send_signal(signal.SIGTERM)
    server.held.set()
    out, err = await sending.communicate()
    assert (sending.returncode, b'"sent"' in out) == (0, True), err
    assert states() == {"sent": 1, "queued": 5}


async def test_a_second_signal_ends_it_at_once_and_loses_nothing(server: Script) -> None:
    server.held = asyncio.Event()
    sending = await process("deliver")
    await server.mail_came.wait()
    sending.send_signal(signal.SIGTERM)
    while sending.returncode is None:
        sending.send_signal(signal.SIGTERM)
        await asyncio.wait([asyncio.ensure_future(sending.wait())], timeout=0.05)
    await sending.communicate()
    server.held.set()
    assert sending.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert states() == {"in_flight": 1, "claimed": 5}, "the leases give them back"
