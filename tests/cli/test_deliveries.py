"""Sending from the command line, where servers are unwell and people press Ctrl-C."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import digest, done
from tests.delivery.servers import HOST, Script, beside, scripted

READERS = [f"r{n}@example.org" for n in range(6)]


@pytest.fixture
def server(encoded: Path) -> Iterator[Script]:
    """A server that the settings name, and six mails that wait to be sent to it."""
    with beside(scripted({})) as server:
        await_sending_to(server)
        yield server


@pytest.fixture
async def server_here(encoded: Path) -> AsyncIterator[Script]:
    """The same, which this thread can hold and let go."""
    async with scripted({}) as server:
        await_sending_to(server)
        yield server


def await_sending_to(server: Script) -> None:
    Path("digest.toml").write_text(
        '[mail]\nfrom_address = "digest@example.org"\n'
        f'[smtp]\nhost = "{HOST}"\nport = {server.port}\nsecurity = "none"\nconnections = 1\n'
    )
    for reader in READERS:
        done("subscribers", "add", reader, "--ask")


async def process(*args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "digest", *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def states() -> Counter[str]:
    return Counter(row["state"] for row in done("deliveries", "list", "--json").json)


def test_what_nobody_knows_is_listed_and_settled_by_hand(server: Script) -> None:
    server.answers["."], server.once = None, {"."}
    said = digest("deliver", "--json")
    assert (said.status, said.json) == (
        1,
        [{"state": "sent", "mails": 5}, {"state": "uncertain", "mails": 1}],
    )
    assert "digest deliveries uncertain" in said.err
    (lost,) = done("deliveries", "uncertain", "--json").json
    assert (lost["address"], lost["tries"]) == (READERS[0], 1)
    assert digest("deliver").err == "No mail is due.\n", "it is never sent again by itself"
    for wrong in (("settle",), ("settle", "1"), ("settle", "--sent"), ("settle", "1", "--sent")):
        if wrong != ("settle", "1", "--sent"):
            assert digest("deliveries", *wrong).error.startswith("settle: ")
    assert "there is no mail 99" in digest("deliveries", "settle", "99", "--sent").error
    assert "is sent, not" in digest("deliveries", "settle", "2", "--resend").error
    said = done("deliveries", "settle", str(lost["id"]), "--resend")
    assert said.out == "1 mails due again: digest deliver sends them\n"
    assert digest("deliver", "--json").json == [{"state": "sent", "mails": 1}]
    assert done("deliveries", "uncertain").err == "No mail is uncertain.\n"


def test_all_that_is_uncertain_may_be_settled_at_once(server: Script) -> None:
    server.answers["."] = None
    said = digest("deliver", "--limit", "3")
    assert "3 more are due" not in said.err
    done("deliveries", "settle", "--all", "--sent")
    assert states() == {"sent": 3, "queued": 3}


def test_a_wrong_password_pauses_sending_until_it_is_mended(server: Script) -> None:
    server.answers["MAIL"] = "530 5.7.0 log in first\r\n"
    said = digest("deliver", "--json")
    assert (said.status, said.json) == (1, [{"state": "deferred", "mails": 5}])
    assert "Sending is paused until" in said.err
    assert "530 5.7.0 log in first" in said.err
    assert digest("deliver").err.startswith("Nothing was sent.\nSending is paused until")
    del server.answers["MAIL"]
    said = digest("deliver", "--resume", "--json")
    assert (said.status, said.json) == (0, [{"state": "sent", "mails": 1}])
    assert states() == {"sent": 1, "deferred": 5}


def test_a_list_takes_states_that_there_are(home: Path) -> None:
    assert "'gone'" in digest("deliveries", "list", "--state", "gone").error
    assert done("deliveries", "list", "--state", "sent").err == "There is no such mail.\n"


@pytest.mark.parametrize("command", ["deliver", "tick"])
async def test_a_signal_ends_it_when_what_is_in_flight_is_done(
    server_here: Script, command: str
) -> None:
    server_here.held = asyncio.Event()
    sending = await process(command, "--json")
    await server_here.mail_came.wait()
    assert states() == {"in_flight": 1, "claimed": 5}
    sending.send_signal(signal.SIGTERM)
    server_here.held.set()
    out, err = await sending.communicate()
    assert (sending.returncode, b"sent" in out) == (0, True), err
    # A tick sends in a thread, which may begin another mail before the signal is heard.
    assert states().keys() <= {"sent", "queued"}
    assert command == "tick" or states() == {"sent": 1, "queued": 5}


async def test_a_second_signal_ends_it_at_once_and_loses_nothing(server_here: Script) -> None:
    server_here.held = asyncio.Event()
    sending = await process("deliver")
    await server_here.mail_came.wait()
    sending.send_signal(signal.SIGTERM)
    while sending.returncode is None:
        sending.send_signal(signal.SIGTERM)
        await asyncio.wait([asyncio.ensure_future(sending.wait())], timeout=0.05)
    await sending.communicate()
    server_here.held.set()
    assert sending.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert states() == {"in_flight": 1, "claimed": 5}, "the leases give them back"
