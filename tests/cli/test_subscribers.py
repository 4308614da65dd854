import json
from pathlib import Path

import pytest

from tests.cli.conftest import add_ada, digest, done, stored


def ada() -> dict[str, object]:
    (row,) = done("subscribers", "show", "ada@example.org", "--json").json
    return row


def test_a_subscriber_is_added_active_with_the_defaults_and_their_interests(encoded: Path) -> None:
    said = add_ada("--interest", "sparse retrieval", "--interest", "reranking")
    assert said.out.startswith("ada@example.org: added; the first digest is due at 2")
    assert {name: ada()[name] for name in ("state", "hour", "timezone", "length", "mix")} == {
        "state": "active",
        "hour": 7,
        "timezone": "UTC",
        "length": 8,
        "mix": 0.75,
    }
    (profile,) = done("profiles", "show", "ada@example.org", "--json").json
    assert [told["text"] for told in profile["interests"]] == ["sparse retrieval", "reranking"]


def test_every_setting_can_be_chosen(home: Path) -> None:
    chosen = "--timezone Europe/Berlin --hour 8 --frequency weekly --length 3 --mix 0.5"
    add_ada(*chosen.split())
    shown = done("subscribers", "show", "ada@example.org").out
    assert "weekly at 08:00 Europe/Berlin" in shown
    assert "at most 3" in shown
    assert "50% theirs, 50% trending" in shown


def test_a_least_probability_is_chosen_kept_shown_and_switched_off(home: Path) -> None:
    add_ada()
    assert ada()["min_probability"] is None
    assert "likely" not in done("subscribers", "show", "ada@example.org").out
    assert add_ada("--min-probability", "0.3").out == "ada@example.org: changed\n"
    add_ada("--hour", "8")
    assert ada()["min_probability"] == 0.3
    assert "likely  at least 30%" in done("subscribers", "show", "ada@example.org").out
    exported = json.loads(done("subscribers", "export", "ada@example.org").out)
    assert exported["subscriber"]["min_probability"] == 0.3
    for nothing in ("none", ""):
        add_ada("--min-probability", "0")
        assert ada()["min_probability"] == 0
        add_ada("--min-probability", nothing)
        assert ada()["min_probability"] is None


def test_adding_again_with_an_hour_changes_the_hour_alone(home: Path) -> None:
    add_ada("--timezone", "Europe/Berlin", "--mix", "0.2")
    assert add_ada("--hour", "8").out == "ada@example.org: changed\n"
    assert (ada()["hour"], ada()["timezone"], ada()["mix"]) == (8, "Europe/Berlin", 0.2)


def test_the_settings_may_say_what_a_new_subscriber_gets(home: Path) -> None:
    Path("digest.toml").write_text("[defaults]\nhour = 5\n")
    add_ada()
    assert ada()["hour"] == 5


def test_asking_first_leaves_the_subscriber_pending(home: Path) -> None:
    said = add_ada("--ask").out
    assert said == "ada@example.org: added; a mail asks for their consent\n"
    assert ada()["state"] == "pending"
    assert done("deliver", "--json").json == [{"state": "sent", "mails": 1}]


def test_whoever_has_left_is_not_added_again_but_can_be_asked(home: Path) -> None:
    add_ada()
    assert done("subscribers", "remove", "ada@example.org").out == "ada@example.org: left\n"
    refused = "ada@example.org has left: only their own confirmation brings them back (--ask)"
    assert digest("subscribers", "add", "ada@example.org").error == refused
    assert add_ada("--ask").out.endswith("a mail asks for their consent\n")


def test_an_address_that_must_not_be_mailed_is_not_added(home: Path) -> None:
    done("suppressions", "add", "ada@example.org")
    refused = "ada@example.org is suppressed: digest suppressions remove takes it off the list"
    for more in ((), ("--ask",)):
        assert refused in digest("subscribers", "add", "ada@example.org", *more).error
    assert stored()["subscribers"] == []


def test_a_pause_has_an_end_or_none(home: Path) -> None:
    add_ada()
    said = done("subscribers", "pause", "ada@example.org", "--until", "2099-12-27").out
    assert said == "ada@example.org: paused until 2099-12-27\n"
    assert "2099-12-27 07:00 UTC" in done("subscribers", "show", "ada@example.org").out
    assert done("subscribers", "pause", "ada@example.org").out == "ada@example.org: paused\n"
    assert done("subscribers", "resume", "ada@example.org").out.startswith(
        "ada@example.org: active; the next digest is due at 2"
    )


def test_a_list_goes_by_state_and_limit(home: Path) -> None:
    for name in ("ada", "bob", "cyd"):
        done("subscribers", "add", f"{name}@example.org")
    done("subscribers", "pause", "bob@example.org")
    (paused,) = done("subscribers", "list", "--state", "paused", "--json").json
    assert paused["address"] == "bob@example.org"
    said = done("subscribers", "list", "--limit", "2")
    assert "cyd" not in said.out
    assert said.err == "Only 2 are shown; --limit 0 shows all.\n"
    assert "cyd" in done("subscribers", "list", "--limit", "0").out


def test_a_file_is_imported_and_its_bad_lines_are_told(home: Path) -> None:
    add_ada("--hour", "9")
    Path("lab.csv").write_text(
        "address,timezone\nada@example.org,\nbob@,\ncyd@example.org,Asia/Tokyo\n"
    )
    said = digest("subscribers", "import", "lab.csv")
    assert said.status == 2
    assert said.out == "1 unchanged, 1 added\n"
    assert said.err.startswith("digest: lab.csv, line 3: address: 'bob@' is no e-mail address")
    assert ada()["hour"] == 9


def test_a_spreadsheet_in_another_encoding_is_told_how_to_save_it(home: Path) -> None:
    Path("lab.csv").write_bytes("Name;Email\nJürgen;ada@example.org\n".encode("cp1252"))
    said = digest("subscribers", "import", "lab.csv")
    assert said.error.startswith("lab.csv is not UTF-8: byte 12 is not text; save it as UTF-8")


def test_a_lab_is_asked_before_its_first_digest(home: Path) -> None:
    Path("lab.csv").write_text("Name;Email\nAda;ada@example.org\nBob;bob@example.org\n")
    said = done("subscribers", "import", "lab.csv", "--ask")
    assert (said.out, said.err) == ("2 added\n", "Columns that say nothing to us: name\n")
    assert ada()["state"] == "pending"
    assert done("deliver", "--json").json == [{"state": "sent", "mails": 2}]


@pytest.mark.parametrize("nothing", ["", " ", "\u200b"])
def test_a_blank_interest_is_refused(home: Path, nothing: str) -> None:
    said = digest("subscribers", "add", "ada@example.org", "--interest", nothing).error
    assert said == "an interest's text has 1 to 4000 characters, not 0"
    assert done("subscribers", "list", "--json").json == []


def test_an_export_is_json_and_an_erased_subscriber_is_gone(home: Path) -> None:
    add_ada("--interest", "retrieval")
    everything = json.loads(done("subscribers", "export", "ada@example.org").out)
    assert everything["interests"][0]["text"] == "retrieval"
    said = done("subscribers", "remove", "ada@example.org", "--erase").out
    assert said == "ada@example.org: erased\n"
    assert done("subscribers", "list", "--json").json == []


@pytest.mark.parametrize(
    "command",
    [
        "add ada@example.org --hour 8 --interest retrieval",
        "add ada@example.org --min-probability 0.3",
        "pause ada@example.org",
        "pause ada@example.org --until 2099-12-27",
        "resume ada@example.org",
        "remove ada@example.org",
        "remove bob@example.org --erase",
        "import lab.csv",
    ],
)
def test_a_change_made_twice_is_made_once(home: Path, command: str) -> None:
    add_ada()
    done("subscribers", "add", "bob@example.org")
    Path("lab.csv").write_text("address,hour,interest\nada@example.org,8,graphs\n")
    done("subscribers", *command.split())
    once = stored()
    digest("subscribers", *command.split())
    assert stored() == once
