import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Done, digest, done, stored
from tests.delivery.returned import dsn, mail


def counts(result: Done) -> list[tuple[str | None, str, int]]:
    return [(row["kind"], row["done"], row["mails"]) for row in result.json]


def message_id() -> str:
    """The Message-ID of the mail that Ada got: ours, and nobody can guess it."""
    (sent,) = Path("outbox/new").iterdir()
    raw = sent.read_text(encoding="utf-8")
    return raw.partition("Message-ID: <")[2].partition(">")[0]


def bounce(**values: str) -> bytes:
    copy = (
        f"Return-Path: <x@example.org>\nMessage-ID: <{message_id()}>\n"
        "From: a@example.org\nTo: ada@example.org\nSubject: x\n\nx\n"
    )
    return dsn(copy=copy, address="ada@example.org", **values)


def test_a_hard_bounce_is_taken_in_once_and_listed(day: Path) -> None:
    Path("bounce.eml").write_bytes(bounce())
    taken = done("bounces", "ingest", "bounce.eml", "--json")
    assert counts(taken) == [("hard", "suppressed", 1)]
    assert counts(done("bounces", "ingest", "bounce.eml", "--json")) == [("hard", "read before", 1)]
    (row,) = done("bounces", "list", "--json").json
    assert (row["address"], row["kind"], row["status"]) == ("ada@example.org", "hard", "5.1.1")
    assert "no such address: 550 5.1.1" in row["said"]
    table = done("bounces", "list", "--address", "ada@example.org").out
    assert "ada@example.org" in table
    assert done("subscribers", "show", "ada@example.org", "--json").json[0]["state"] == "suspended"
    assert "suppressed since" in done("suppressions", "check", "ada@example.org").out


def test_files_folders_and_mboxes_are_read_together(day: Path) -> None:
    for name in ("new", "cur", "tmp"):
        Path("box", name).mkdir(parents=True)
    Path("box/new/1.a").write_bytes(bounce(status="5.2.2", said="smtp; 552 mailbox full"))
    line = b"From x@example.net Sun Mar  1 12:00:00 2026\n"
    hello = mail("From: a@example.net", "Subject: hello", body="hi\n")
    Path("mbox").write_bytes(line + hello + b"\n" + line + bounce(notice="failed to deliver"))
    Path("none.eml").write_bytes(b"nothing")
    taken = done("bounces", "ingest", "box", "mbox", "none.eml", "--json")
    assert counts(taken) == [
        (None, "not a bounce", 1),
        (None, "not a mail", 1),
        ("hard", "suppressed", 1),
        ("soft", "counted", 1),
    ]
    assert [file.name for file in Path("box/cur").iterdir()] == ["1.a:2,S"]
    again = done("bounces", "ingest", "box", "mbox", "--json")
    assert counts(again) == [(None, "not a bounce", 1), ("hard", "read before", 1)]


def test_without_a_name_the_settings_say_where_mail_comes_back(
    day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "set maildir or imap_host under [bounces]" in digest("bounces", "ingest").error
    for name in ("new", "cur"):
        Path("box", name).mkdir(parents=True)
    monkeypatch.setenv("DIGEST_BOUNCES_MAILDIR", "box")
    assert "No mail came back." in done("bounces", "ingest").err
    Path("box/new/1.a").write_bytes(bounce())
    assert counts(done("bounces", "ingest", "--json")) == [("hard", "suppressed", 1)]


def test_a_pipe_hands_over_one_mail_and_is_told_to_try_again_where_it_cannot_be_stored(
    day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = b"From MAILER-DAEMON Sun Mar  1 12:00:00 2026\n" + bounce()
    piped = digest("bounces", "ingest", "-", "--json", stdin=raw)
    assert (piped.status, counts(piped)) == (0, [("hard", "suppressed", 1)])
    assert digest("bounces", "ingest", "-", stdin=b"nothing").status == 0
    monkeypatch.setenv("DIGEST_DATABASE", "sqlite:////nowhere/at/all.db")
    monkeypatch.setenv("DIGEST_SECRET_KEY", "a secret key of the tests")
    away = digest("bounces", "ingest", "-", stdin=raw)
    assert (away.status, away.out) == (75, "")
    assert away.err.startswith("digest: ")
    assert away.err.count("\n") == 1
    assert digest("bounces", "ingest", "x.eml").status == 1


def test_what_we_fail_on_is_told_by_the_status(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_values: object) -> None:
        raise RuntimeError("a fault of ours")

    Path("bounce.eml").write_bytes(raw := bounce())
    monkeypatch.setattr("digest.subscribers.returns.read_bounce", fails)
    taken = digest("bounces", "ingest", "bounce.eml", "--json")
    assert (taken.status, counts(taken)) == (1, [(None, "left for later", 1)])
    assert digest("bounces", "ingest", "-", stdin=raw).status == 75


def test_a_real_pipe_works_as_a_mail_server_runs_it(day: Path) -> None:
    command = [sys.executable, "-m", "digest", "bounces", "ingest", "-"]
    ran = subprocess.run(command, input=bounce(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert b"suppressed" in ran.stdout


@pytest.mark.parametrize(
    ("place", "said"), [("nothing.eml", "No such file"), (".", "is no Maildir")]
)
def test_what_cannot_be_read_is_refused(home: Path, place: str, said: str) -> None:
    assert said in digest("bounces", "ingest", place).error
    assert stored()["bounces"] == []
    assert "No mail came back." in done("bounces", "list").err
