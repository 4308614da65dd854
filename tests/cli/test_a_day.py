"""A day from the command line: read, rank, look, send, and ask why; on both databases."""

import mailbox
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from digest.cli.mail_preview import preview_app
from digest.mail.press import version
from tests.cli.conftest import KEY, PAGE, add_ada, digest, done, live_a_day, stored
from tests.delivery.servers import beside, smtp_server

ADA = "ada@example.org"


def test_one_tick_reads_ranks_and_mails_and_the_next_has_nothing_to_do(
    on_each_database: Path,
) -> None:
    live_a_day()
    (mail,) = mailbox.Maildir(on_each_database / "outbox", create=False)
    assert mail["To"] == ADA
    once = stored()
    said = done("tick")
    assert (said.out, said.err) == ("", "Nothing is due.\n")
    assert done("tick", "--json").json == []
    assert stored() == once


def test_a_tick_tells_what_it_did_as_an_array(encoded: Path) -> None:
    Path("page.txt").write_text(PAGE, encoding="utf-8")
    done("ingest", "page", "page.txt")
    add_ada()
    jobs = done("tick", "--json").json
    assert [job["job"].split(":")[0] for job in jobs] == ["embed", "compose", "deliver"]
    assert {job["error"] for job in jobs} == {""}


def test_a_job_that_fails_is_told_with_status_1_and_tried_later(encoded: Path) -> None:
    Path("digest.toml").write_text('[[sources]]\nname = "lost"\npath = "nowhere/*.txt"\n')
    said = digest("tick")
    assert said.status == 1
    assert said.err.splitlines()[0].startswith("digest: ingest:lost: ")
    assert "ingest:lost: failed, 1 in a row; not before 2" in said.err


def test_a_preview_writes_the_mail_and_stores_nothing(on_each_database: Path) -> None:
    Path("page.txt").write_text(PAGE, encoding="utf-8")
    done("ingest", "page", "page.txt")
    add_ada("--interest", "retrieval", "--length", "4")
    (made,) = done("editions", "preview", ADA, "--folder", "look", "--json").json
    rows = made["items"]
    assert [row["position"] for row in rows] == [1, 2, 3, 4]
    assert all(row["why"] for row in rows)
    (html,) = Path("look").glob("preview-ada@example.org-*.html")
    text = " ".join(html.with_suffix(".txt").read_text(encoding="utf-8").split())
    assert all(row["title"] in text for row in rows)
    assert html.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    once = stored()
    assert once["editions"] == once["deliveries"] == []
    said = done("editions", "preview", ADA, "--date", "2026-11-20", "--folder", "look")
    assert said.err.endswith("Nothing was stored or sent.\n")
    assert Path("look/preview-ada@example.org-2026-11-20.html").is_file()
    assert stored() == once


def test_a_preview_opens_in_a_browser_where_there_is_one(
    day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    said = done("editions", "preview", ADA, "--open")
    assert "There is no screen here to show file:///" in said.err


def test_an_edition_is_built_once_and_shown(on_each_database: Path) -> None:
    Path("page.txt").write_text(PAGE, encoding="utf-8")
    done("ingest", "page", "page.txt")
    add_ada("--length", "4")
    assert done("editions", "build", ADA).out == "1 built, 0 with nothing new, 0 not due\n"
    once = stored()
    assert done("editions", "build").out == "0 built, 0 with nothing new, 0 not due\n"
    assert done("editions", "build", ADA).out == "0 built, 0 with nothing new, 1 not due\n"
    assert stored() == once
    (shown,) = done("editions", "show", ADA, "--json").json
    rows = shown["items"]
    assert len(rows) == 4
    (first,) = done("editions", "show", ADA, "--json", "--limit", "2").json
    assert first == {**shown, "items": rows[:2]}
    dated = done("editions", "show", ADA, "--date", shown["date"]).out
    assert dated.startswith(f"{shown['date']}: 4 of {shown['n_candidates']} new papers\n")
    assert all(row["title"] in dated for row in rows)


def test_a_mail_is_printed_as_it_was_sent(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sent,) = (day / "outbox" / "new").iterdir()
    shown = done("editions", "show", ADA, "--eml")
    assert shown.out.split() == sent.read_text(encoding="utf-8").split()
    assert shown.err == ""
    monkeypatch.setenv("DIGEST_MAIL_POSTAL_ADDRESS", "Elsewhere 1")
    other = done("editions", "show", ADA, "--eml")
    assert "Elsewhere 1" in other.out
    assert "with other templates or mail settings than today's" in other.err


def test_readers_have_a_language(home: Path) -> None:
    add_ada("--language", "de")
    assert done("subscribers", "show", ADA, "--json").json[0]["language"] == "de"
    add_ada("--language", "none")
    assert done("subscribers", "show", ADA, "--json").json[0]["language"] is None
    assert (
        "language: must be one of en, de"
        in digest("subscribers", "add", ADA, "--language", "xx").error
    )


def test_mails_are_written_to_be_looked_at(empty: Path) -> None:
    said = done("mail", "preview", "--out", "mails", "--language", "de").out
    written = sorted(file.name for file in (empty / "mails").iterdir())
    assert said == f"{len(written)} files are in mails\n"
    assert {"usual.light.html", "usual.dark.html", "goodbye.txt"} <= set(written)
    assert 'lang="de"' in (empty / "mails" / "usual.light.html").read_text(encoding="utf-8")
    refused = digest("mail", "preview", "--out", "mails", "--language", "xx")
    assert "is no language of Digest: one of en, de" in refused.error


def test_the_preview_of_mails_is_for_this_machine_alone_and_tells_of_changes() -> None:
    client = TestClient(preview_app(), base_url="http://127.0.0.1:8025")
    page = client.get("/?mail=sunset&language=de&view=dark&width=320").text
    assert "Lesen Sie Digest noch?" in page
    assert 'width="320"' in page
    assert "<h1" in client.get("/mail?mail=sunset&view=no-style").text
    assert client.get("/mail?mail=sunset&view=text").text.startswith("Still reading?")
    assert client.get("/mail?mail=nothing").status_code == 404
    assert client.get("/?language=xx").status_code == 404
    assert client.get("/version").text == client.get("/version").text == version()
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_mails_that_are_due_are_sent_once(on_each_database: Path) -> None:
    for name in ("ada", "bob", "cyd"):
        done("subscribers", "add", f"{name}@example.org", "--ask")
    assert done("deliver", "--limit", "1", "--json").json == [{"state": "sent", "mails": 1}]
    assert done("deliver", "--json").json == [{"state": "sent", "mails": 2}]
    once = stored()
    assert done("deliver").err == "No mail is due.\n"
    assert stored() == once
    box = mailbox.Maildir(on_each_database / "outbox", create=False)
    assert sorted(mail["To"] for mail in box) == [f"{n}@example.org" for n in ("ada", "bob", "cyd")]


def test_why_tells_the_whole_day(on_each_database: Path) -> None:
    live_a_day()
    (account,) = done("why", ADA, "--json", "--limit", "2").json
    assert account["answer"].startswith("The mail was sent.")
    assert len(account["edition"]["items"]) == 5
    assert len(account["losers"]) == 2
    said = done("why", ADA, account["local_date"])
    assert said.out.startswith(f"{ADA}, {account['local_date']}: The mail was sent.")
    assert "edition built: 5 of" in said.out
    assert all(item["title"] in said.out for item in account["edition"]["items"])
    assert all(loser["title"] in said.out for loser in account["losers"])
    assert done("why", ADA, "2001-01-01").out.startswith(f"{ADA}, 2001-01-01: No mail: ")


def test_postgresql_without_a_secret_key_is_refused(
    home: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGEST_DATABASE", postgres_url)
    assert digest("papers", "list").error.startswith("secret_key: must be set with this database")
    monkeypatch.setenv("DIGEST_SECRET_KEY", KEY)
    assert done("papers", "list", "--json").json == []


def test_with_a_server_in_the_settings_the_mail_goes_there(
    encoded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with beside(smtp_server()) as inbox:
        monkeypatch.setenv("DIGEST_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("DIGEST_SMTP_PORT", str(inbox.port))
        monkeypatch.setenv("DIGEST_SMTP_SECURITY", "none")
        monkeypatch.setenv("DIGEST_MAIL_FROM_ADDRESS", "digest@example.org")
        add_ada("--ask")
        checked = {row["part"]: row for row in done("doctor", "--json").json}
        assert checked["mail"]["health"] == "ok"
        assert done("deliver", "--json").json == [{"state": "sent", "mails": 1}]
        inbox.hang_up()
    (wire,) = inbox.received
    assert message_from_bytes(wire, policy=default)["To"] == ADA
    assert not Path("outbox").exists()
