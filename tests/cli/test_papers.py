from pathlib import Path

import pytest

from tests.cli.conftest import PAGE, digest, done, stored
from tests.sources.other_pages import post, posts

HOSTILE = "[red]Alert[/red] \x1b[31mat \x07night\x1b[0m [link=http://x.example]here[/link]"


def test_a_page_is_read_and_the_same_page_again_changes_nothing(home: Path) -> None:
    Path("page.txt").write_text(PAGE, encoding="utf-8")
    (row,) = done("ingest", "page", "page.txt", "--json").json
    assert (row["file"], row["known"]) == ("page.txt", False)
    assert row["listings"] == row["new_papers"] > 10
    once = stored()
    assert "read before" in done("ingest", "page", "page.txt").out
    assert stored() == once


def test_a_page_may_be_stored_under_a_sources_name(home: Path) -> None:
    Path("page.txt").write_text(PAGE, encoding="utf-8")
    done("ingest", "page", "page.txt", "--source", "my-pages")
    said = digest("papers", "list", "--source", "pages").error
    assert said == "no page of 'pages' was read; there are pages of: my-pages"
    (first, *_) = done("papers", "list", "--source", "my-pages", "--json").json
    (paper,) = done("papers", "show", first["id"], "--json").json
    assert paper["listings"][0]["source"] == "my-pages"


def test_papers_are_listed_newest_first_up_to_a_limit(day: Path) -> None:
    rows = done("papers", "list", "--json", "--limit", "3").json
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert len(rows) == 3
    table = done("papers", "list", "--limit", "3")
    assert all(row["title"] in table.out for row in rows)
    assert table.err == "Only 3 are shown; --limit 0 shows all.\n"
    assert len(done("papers", "list", "--json", "--limit", "0").json) > 3


def test_a_paper_is_shown_by_its_number_or_title_with_its_listings(day: Path) -> None:
    (first,) = done("papers", "list", "--limit", "1", "--json").json
    (paper,) = done("papers", "show", first["title"], "--json").json
    assert paper["id"] == first["id"]
    assert [listing["source"] for listing in paper["listings"]] == ["pages"]
    shown = done("papers", "show", first["id"]).out
    assert shown.startswith(f"{first['title']}\n")
    assert first["abstract"][:200] in shown
    assert paper["summary"]
    assert f"\n\n{paper['summary']}\n\n" in shown


def test_a_search_finds_the_paper_that_says_so(day: Path) -> None:
    (first,) = done("papers", "list", "--limit", "1", "--json").json
    found = done("papers", "search", *first["title"].split(), "--limit", "4", "--json").json
    assert len(found) == 4
    assert found[0]["id"] == first["id"]
    assert first["title"] in done("papers", "search", first["title"]).out


def test_an_empty_catalogue_says_what_to_do(home: Path) -> None:
    said = done("papers", "list")
    assert said.out == ""
    assert said.err == "No papers yet: digest ingest page FILE, or digest sources run.\n"
    assert done("papers", "search", "anything", "--json").json == []
    assert done("papers", "search", "anything").err.startswith("Nothing was found. What is not")


def test_hostile_text_in_a_title_is_shown_as_it_stands(home: Path) -> None:
    title = PAGE.splitlines()[2].removeprefix("Subscribe")
    Path("page.txt").write_text(PAGE.replace(title, HOSTILE), encoding="utf-8")
    done("ingest", "page", "page.txt")
    for shown in (done("papers", "list").out, done("papers", "search", "alert").out):
        assert "[red]Alert[/red]" in shown
        assert "[link=http://x.example]here[/link]" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


@pytest.fixture
def source(home: Path) -> Path:
    pages = home / "pages"
    pages.mkdir()
    (pages / "monday.txt").write_text(PAGE, encoding="utf-8")
    Path("digest.toml").write_text(
        '[[sources]]\nname = "saved"\npath = "pages/*.txt"\nhours = [5, 12]\n'
        '[[sources]]\nname = "lost"\npath = "nowhere/*.txt"\n'
    )
    return pages


def test_sources_are_listed_with_how_their_last_run_went(source: Path) -> None:
    (saved, _lost) = done("sources", "list", "--json").json
    assert (saved["name"], saved["hours"], saved["verdict"]) == ("saved", [5, 12], None)
    (report,) = done("sources", "run", "saved", "--json").json
    assert (report["verdict"], report["problems"]) == ("fresh", [])
    assert done("sources", "list", "--json", "--limit", "1").json[0]["verdict"] == "fresh"
    table = done("sources", "list").out
    assert "fresh" in table
    assert "5, 12 (UTC)" in table
    once = done("papers", "list", "--json", "--limit", "0").json
    assert "quiet" in done("ingest", "source", "saved").out
    assert done("papers", "list", "--json", "--limit", "0").json == once


def test_a_source_that_does_not_answer_stops_no_other(source: Path) -> None:
    said = digest("sources", "run", "--json")
    assert said.status == 1
    assert [(report["source"], report["verdict"]) for report in said.json] == [
        ("saved", "fresh"),
        ("lost", "unreachable"),
    ]
    assert said.err.startswith("digest: lost: ")
    assert said.err.count("\n") == 1


def test_a_sources_bad_page_is_refused_and_its_good_one_is_stored(source: Path) -> None:
    (source / "tuesday.txt").write_bytes(b"\x00\x01\x02")
    said = digest("ingest", "source", "saved", "--json")
    assert said.status == 2
    assert said.json[0]["verdict"] == "partial"
    assert said.err.startswith("digest: saved: tuesday.txt: expected ")
    assert len(done("papers", "list", "--json").json) > 10


def test_no_source_is_said_with_what_to_do(home: Path) -> None:
    assert done("sources", "list").err.startswith("No source is set: add a [[sources]] table")
    assert done("sources", "list", "--json").json == []


def test_a_paper_tells_its_language_what_became_of_it_and_its_other_papers(home: Path) -> None:
    text = "We count the bees of a hive from what a broken microphone still hears."
    for n, (title, version) in enumerate([("Bees That Count", 1), ("Bees That Count", 2)]):
        rows = [post(1, title, abstract=text, version=str(version))]
        Path(f"{n}.json").write_bytes(posts(*rows, post(2, "Bees Again", abstract=text)))
        done("ingest", "page", f"{n}.json")
    (paper,) = done("papers", "show", "Bees That Count", "--json").json
    assert (paper["language"], paper["version"]) == ("en", 2)
    assert [one["detail"] for one in paper["news"]] == ["version 2"]
    assert [(one["title"], one["kind"]) for one in paper["copies"]] == [("Bees Again", "near")]
    shown = done("papers", "show", "Bees That Count").out
    assert "What became of it" in shown
    assert "Other papers of this work" in shown
