from pathlib import Path

from tests.cli.conftest import add_ada, digest, done, stored

ADA = "ada@example.org"


def test_an_address_is_suppressed_checked_listed_and_allowed_again(on_each_database: Path) -> None:
    assert done("suppressions", "check", ADA).out == f"{ADA}: not suppressed\n"
    added = done("suppressions", "add", "ada@example.org", "bob@example.org", "--reason", "asked")
    assert added.out == "ada@example.org: suppressed\nbob@example.org: suppressed\n"
    again = done("suppressions", "add", "ADA@example.org")
    assert again.out == "ADA@example.org: was suppressed before\n"
    said = done("suppressions", "check", "Ada@example.org").out
    assert said.startswith("Ada@example.org: suppressed since ")
    assert said.endswith(" UTC, by the operator: asked\n")
    (checked,) = done("suppressions", "check", "ada@example.org", "--json").json
    assert (checked["suppressed"], checked["reason"]) == (True, "by the operator: asked")
    assert done("suppressions", "remove", ADA).out == f"{ADA}: allowed again\n"
    assert done("suppressions", "remove", ADA).out == f"{ADA}: was not suppressed\n"


def test_the_list_and_the_database_hold_no_address(home: Path) -> None:
    done("suppressions", "add", "ada@example.org")
    (row,) = done("suppressions", "list", "--json").json
    assert set(row) == {"address_hash", "reason", "at"}
    table = done("suppressions", "list").out
    assert f"{row['address_hash'][:12]}…" in table
    assert row["address_hash"] not in table
    assert "ada" not in "".join(stored()["suppressions"])
    assert done("suppressions", "remove", "ada@example.org").status == 0
    assert "No address is suppressed." in done("suppressions", "list").err


def test_adding_takes_back_what_is_queued(home: Path) -> None:
    add_ada("--ask")
    assert "'queued'" in "".join(stored()["deliveries"])
    done("suppressions", "add", "ada@example.org")
    assert "'cancelled'" in "".join(stored()["deliveries"])


def test_a_file_is_imported_and_its_faults_are_told_by_line(home: Path) -> None:
    Path("old.csv").write_text("name,address\nAda,ada@example.org\nBob,bob\n", encoding="utf-8")
    result = digest("suppressions", "import", "old.csv")
    assert (result.status, result.out) == (2, "1 added, 0 known\n")
    assert "old.csv, line 3: 'bob' is no e-mail address" in result.err
    piped = digest("suppressions", "import", "-", stdin=b"ada@example.org\ncleo@example.org\n")
    assert (piped.status, piped.out) == (0, "1 added, 1 known\n")


def test_what_is_no_address_is_refused_and_nothing_is_stored(home: Path) -> None:
    refused = digest("suppressions", "add", "bob@example.org", "ada")
    assert "'ada' is no e-mail address" in refused.error
    assert stored()["suppressions"] == []
