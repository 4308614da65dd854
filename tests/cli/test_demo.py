"""The first thing that a newcomer runs, with the real model."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from digest.cli.demo import READERS
from tests.cli.conftest import Done, digest, done


def mails(folder: Path) -> list[EmailMessage]:
    files = (folder / "digest-demo" / "outbox" / "new").iterdir()
    return [message_from_bytes(file.read_bytes(), policy=default) for file in files]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, done("demo")


def test_the_demo_makes_a_folder_that_the_other_commands_work_in(
    demo: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = demo
    made = {file.name for file in (folder / "digest-demo").iterdir()}
    assert made == {"digest.db", "digest.key", "digest.toml", "outbox"}
    monkeypatch.chdir(folder / "digest-demo")
    assert len(done("subscribers", "list", "--json").json) == 3
    assert len(done("papers", "list", "--json", "--limit", "0").json) >= 40
    (profile,) = done("profiles", "show", "ada@example.org", "--json").json
    assert len(profile["votes"]) == 6
    assert len(profile["words"]) == 10
    voted = {vote["paper_id"] for vote in profile["votes"]}
    assert not voted & {near["paper_id"] for near in profile["nearest"]}
    assert profile["nearest"]


def test_the_demo_mails_each_reader_three_days_of_different_papers(
    demo: tuple[Path, Done],
) -> None:
    folder, _ = demo
    sent = mails(folder)
    assert sorted(mail["To"] for mail in sent) == sorted(
        reader.address for reader in READERS for _ in range(3)
    )
    for mail in sent:
        assert mail.defects == []
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        html, plain = mail.get_body(("html",)), mail.get_body(("plain",))
        assert html is not None
        assert plain is not None
        assert "http://127.0.0.1:8000/vote/" in html.get_content()
    assert len({mail["Subject"] for mail in sent}) == 9


def test_the_demo_tells_what_each_reader_gets_and_what_to_try_next(
    demo: tuple[Path, Done],
) -> None:
    _, said = demo
    for reader in READERS:
        assert f"{reader.address} reads about: {'; '.join(reader.interests)}" in said.out
    assert "Matches your interest" in said.out
    assert "digest-demo/outbox" in said.out
    assert "digest demo --serve" in said.out


def test_the_demo_can_be_run_again(
    demo: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = demo
    monkeypatch.chdir(folder)
    done("demo", "--port", "8123")
    assert len(mails(folder)) == 9
    assert "127.0.0.1:8123" in (folder / "digest-demo" / "digest.toml").read_text()


def test_the_demo_does_not_touch_a_folder_of_somebody_elses(empty: Path) -> None:
    refused = "digest-demo is there and was not made by digest demo: move it away"
    theirs = Path("digest-demo")
    theirs.mkdir()
    (theirs / "thesis.tex").touch()
    assert digest("demo").error == refused
    (theirs / "digest.toml").write_bytes(b"\xff# Made by me\n")
    assert digest("demo").error == refused
    assert len(list(theirs.iterdir())) == 2


# Over HTTP


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def serving(*args: str, ready: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, from its ready line on, killed at the end."""
    outside = ("DIGEST_", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    environ = {name: v for name, v in os.environ.items() if not name.startswith(outside)}
    process = subprocess.Popen(
        [sys.executable, "-m", "digest", *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**environ, "DIGEST_WEB_PORT": str(port)},
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(ready):
                break
        else:
            raise AssertionError("".join(said))
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The status and the last words of a process that is asked to end."""
    process.send_signal(signal.SIGTERM)
    _, last = process.communicate(timeout=30)
    return process.returncode, last


def got(url: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(url, data=body, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def links(page: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'href="([^"]+)"', page)]


@pytest.mark.slow
def test_the_demos_mails_are_served_and_their_thumbs_work(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    ready = f"The mails are at {home}/inbox"
    with serving("demo", "--serve", "--port", str(port), ready=ready, port=port) as process:
        opened = [link for link in links(got(f"{home}/inbox")) if link.startswith("/inbox/")]
        assert len(opened) == 9
        mail = links(got(home + opened[0]))
        thumb = next(link for link in mail if urlsplit(link).path.startswith("/vote/"))
        assert thumb.startswith(home)
        assert "<form" in got(thumb)
        got(thumb, b"")
        with pytest.raises(HTTPError, match="404"):
            got(f"{home}/inbox/lost")
        status, last = stopped(process)
    assert status == 0, last
    monkeypatch.chdir("digest-demo")
    votes = [
        len(done("profiles", "show", reader.address, "--json").json[0]["votes"])
        for reader in READERS
    ]
    assert sum(votes) == 3 * 6 + 1


def test_serve_answers_and_stops_in_order(home: Path) -> None:
    port = free_port()
    with serving("serve", ready="Ready: ", port=port) as process:
        assert got(f"http://127.0.0.1:{port}/healthz")
        status, last = stopped(process)
    assert status == 0, last
    assert "Traceback" not in last


def test_serve_where_it_cannot_listen_says_what_to_set(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("DIGEST_WEB_PORT", str(taken.getsockname()[1]))
        said = digest("serve").error
    assert "Address already in use" in said
    assert said.endswith("; set web.host or web.port (DIGEST_WEB_PORT)")
