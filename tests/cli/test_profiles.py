import json
from pathlib import Path

import pytest

from tests.cli.conftest import add_ada, digest, done, stored

ADA = "ada@example.org"


def titles() -> list[str]:
    return [row["title"] for row in done("papers", "list", "--json", "--limit", "0").json]


def test_a_profile_is_shown_with_what_was_told_and_what_was_learned(day: Path) -> None:
    done("profiles", "vote", ADA, titles()[0], "up")
    (profile,) = done("profiles", "show", ADA, "--json", "--limit", "3").json
    assert profile["address"] == ADA
    assert [vote["value"] for vote in profile["votes"]] == ["up"]
    assert 0 < len(profile["words"]) <= 3
    assert len(profile["nearest"]) == 3
    shown = done("profiles", "show", ADA, "--limit", "3").out
    assert "retrieval and question answering" in shown
    assert f"Learned: {', '.join(profile['words'])}\n" in shown
    assert all(near["title"] in shown for near in profile["nearest"])


def test_a_profile_of_nothing_says_so(home: Path) -> None:
    add_ada()
    said = done("profiles", "show", ADA)
    assert "Learned: nothing yet" in said.out
    assert said.err.splitlines()[0] == "None yet: digest profiles set-interest."


def test_interests_are_set_replaced_and_removed(home: Path) -> None:
    add_ada()
    assert done("profiles", "set-interest", ADA, "ir", "retrieval").out == (
        "ada@example.org: interest 'ir' is set\n"
    )
    done("profiles", "set-interest", ADA, "ir", "dense retrieval")
    told = json.loads(done("profiles", "export", ADA).out)["interests"]
    assert told == [{"name": "ir", "text": "dense retrieval"}]
    done("profiles", "set-interest", ADA, "ml", "learning")
    said = done("profiles", "remove-interest", ADA, "ir").out
    assert said == "ada@example.org: interest 'ir' is removed; there are: 'ml'\n"
    said = done("profiles", "remove-interest", ADA, "ir").out
    assert said == "ada@example.org: interest 'ir' was not there; there are: 'ml'\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("", "words", "an interest's name has 1 to 80 characters, not 0"),
        ("ir", " \x00 ", "an interest's text has 1 to 4000 characters, not 0"),
        ("ir", "w" * 4001, "an interest's text has 1 to 4000 characters, not 4001"),
    ],
)
def test_an_interest_that_cannot_be_is_refused(home: Path, name: str, text: str, said: str) -> None:
    add_ada()
    assert digest("profiles", "set-interest", ADA, name, text).error == said


def test_words_authors_and_categories_are_muted_shown_and_unmuted(encoded: Path) -> None:
    add_ada()
    named = ["--word", "GAN", "--word", "a b", "--author", "Turing, A.", "--category", "cs.CL"]
    assert done("profiles", "mute", ADA, *named).out.splitlines() == [
        "ada@example.org: word 'GAN' is muted",
        "ada@example.org: word 'a b' is muted",
        "ada@example.org: author 'Turing, A.' is muted",
        "ada@example.org: category 'cs.CL' is muted",
    ]
    said = done("profiles", "mute", ADA, "--word", "gan").out
    assert said == "ada@example.org: word 'gan' was muted already\n"
    (profile,) = done("profiles", "show", ADA, "--json").json
    assert {"kind": "author", "text": "Turing, A."} in profile["mutes"]
    assert len(profile["mutes"]) == 4
    shown = done("profiles", "show", ADA).out
    assert all(text in shown for text in ("GAN", "a b", "Turing, A.", "cs.CL"))
    everything = json.loads(done("subscribers", "export", ADA).out)
    assert [muted["text"] for muted in everything["mutes"]] == [
        "Turing, A.", "cs.CL", "GAN", "a b",
    ]  # fmt: skip
    assert done("profiles", "unmute", ADA, *named[:-2], "--word", "x").out.splitlines() == [
        "ada@example.org: word 'GAN' is not muted any more",
        "ada@example.org: word 'a b' is not muted any more",
        "ada@example.org: word 'x' was not muted",
        "ada@example.org: author 'Turing, A.' is not muted any more",
        "ada@example.org: muted now: category 'cs.CL'",
    ]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ([], "nothing is named: give --word, --author or --category"),
        (["--word", ""], "a muted word has 1 to 100 characters, not 0"),
        (["--category", "c" * 101], "a muted category has 1 to 100 characters, not 101"),
        (["--word", "GAN", "--author", "-"], "a muted author needs a letter or a digit, and '-'"),
    ],
)
def test_what_cannot_be_muted_is_refused_and_nothing_is(
    home: Path, named: list[str], said: str
) -> None:
    add_ada()
    before = stored()
    assert digest("profiles", "mute", ADA, *named).error.startswith(said)
    assert stored() == before


def test_a_vote_is_cast_changed_and_taken_back(day: Path) -> None:
    title = titles()[0]
    for value in ("up", "saved", "down"):
        assert done("profiles", "vote", ADA, title, value).out == f"{ADA}: {value} on “{title}”\n"
        (vote,) = json.loads(done("profiles", "export", ADA).out)["votes"]
        assert vote["value"] == value
    done("profiles", "vote", ADA, title, "none")
    assert json.loads(done("profiles", "export", ADA).out)["votes"] == []


def test_a_profile_moves_to_another_subscriber_as_a_file(day: Path) -> None:
    done("profiles", "vote", ADA, titles()[0], "up")
    done("profiles", "mute", ADA, "--word", "GAN")
    Path("ada.json").write_text(done("profiles", "export", ADA).out, encoding="utf-8")
    done("subscribers", "add", "bob@example.org")
    said = done("profiles", "import", "bob@example.org", "ada.json").out
    assert said == "bob@example.org: 1 interests, 1 votes, 1 mutes\n"
    assert done("profiles", "export", "bob@example.org").out == done("profiles", "export", ADA).out


def test_papers_of_a_file_that_are_not_stored_are_named(home: Path) -> None:
    add_ada()
    Path("ada.json").write_text('{"votes": [{"title": "Unheard of", "value": "up"}]}')
    assert done("profiles", "import", ADA, "ada.json").err == "Not stored here: Unheard of\n"


def test_a_profile_starts_from_a_library_or_an_author(home: Path) -> None:
    add_ada()
    Path("library.bib").write_text("@book{a, title = {Bees}, author = {Lovelace, Ada}}")
    said = done("profiles", "import", ADA, "library.bib").out
    assert said == f"{ADA}: 0 interests, 1 votes, 0 mutes; 0 of the papers were known here\n"
    # An author's papers are those that a page has listed.
    assert (
        "no paper stored here is by" in digest("profiles", "import", ADA, "--author", "Ada").error
    )
    done("ingest", "page", "library.bib")
    said = done("profiles", "import", ADA, "--author", "A. Lovelace").out
    assert said == f"{ADA}: 0 interests, 1 votes, 0 mutes\n"
    assert digest("profiles", "import", ADA).error.startswith("nothing to import: ")


def test_a_file_that_is_no_profile_is_refused_and_changes_nothing(home: Path) -> None:
    add_ada()
    before = stored()
    for text, said in (
        ("{", "profile: Invalid JSON: "),
        ("[" * 100_000, "profile: Invalid JSON: "),
        (
            '{"interests": [{"name": "a", "text": "b"}], "votes": [{"title": "x"}]}',
            "votes.0.value: ",
        ),
        ('{"likes": []}', "likes: "),
    ):
        Path("ada.json").write_text(text)
        assert digest("profiles", "import", ADA, "ada.json").error.startswith(said)
        assert stored() == before


def test_a_reset_asks_unless_it_is_told_yes(day: Path) -> None:
    before = stored()
    assert digest("profiles", "reset", ADA).status != 0
    assert stored() == before
    said = done("profiles", "reset", ADA, "--yes").out
    assert said == "ada@example.org: 1 interests, 0 votes, 0 mutes forgotten\n"


@pytest.mark.parametrize(
    "command",
    [
        "set-interest ada@example.org ir retrieval",
        "remove-interest ada@example.org ir",
        "mute ada@example.org --word GAN --word gan --author Turing --category cs.CL",
        "unmute ada@example.org --word GAN",
        "vote ada@example.org 1 up",
        "vote ada@example.org 1 none",
        "reset ada@example.org --yes",
        "import ada@example.org ada.json",
    ],
)
def test_a_change_made_twice_is_made_once(day: Path, command: str) -> None:
    votes = [{"title": title, "value": "saved"} for title in titles()[:3]]
    interests = [{"name": "ml", "text": "learning"}]
    Path("ada.json").write_text(json.dumps({"interests": interests, "votes": votes}))
    done("profiles", *command.split())
    once = stored()
    done("profiles", *command.split())
    assert stored() == once
