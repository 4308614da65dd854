import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.cli.conftest import digest, done, stored

TOML = "[rankers.fresh]\nhalf_life_days = 90\nmomentum = 0.5\n"


@pytest.fixture
def fresh(encoded: Path) -> Path:
    """A working folder whose digest.toml names a ranker."""
    (encoded / "digest.toml").write_text(TOML)
    return encoded


def told(*args: object) -> dict[str, object]:
    found = json.loads(done(*args, "--json").out)
    assert isinstance(found, dict)
    return found


def test_a_ranker_goes_live_and_back_and_its_settings_of_that_day_stay(fresh: Path) -> None:
    assert done("rankers", "promote", "fresh").out == "fresh is live; before, it was standard\n"
    (fresh / "digest.toml").write_text("")
    live = told("rankers", "list")
    assert live["live"]["half_life_days"] == 90.0
    assert [(row["ranker"], row["state"]) for row in live["rankers"]] == [
        ("fresh", "live, as it was promoted"),
        ("standard", ""),
    ]
    assert "live, as it was promoted" in done("rankers", "list").out
    assert done("rankers", "rollback").out == "standard is live again; before, it was fresh\n"
    assert [one["kind"] for one in told("rankers", "list")["changes"]] == ["rollback", "promote"]


def test_a_trial_starts_reports_and_ends(fresh: Path) -> None:
    done("rankers", "interleave", "standard", "fresh")
    assert "On trial, sharing every list: standard and fresh" in done("rankers", "list").out
    assert "Neither is ahead" in done("rankers", "interleave").out
    assert told("rankers", "interleave", "--stop")["ended"] is not None
    done("rankers", "interleave", "fresh", "standard")
    said = done("rankers", "promote", "fresh").out
    assert said.endswith("; the trial of fresh and standard is over\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("promote frehs", "no ranker is named 'frehs': there are standard, fresh; [rankers] names"),
        ("promote standard", "standard is live already"),
        ("rollback", "standard has been live from the start: nothing to go back to"),
        ("interleave", "there was no trial yet: digest rankers interleave A B starts one"),
        ("interleave --stop", "no rankers are on trial: digest rankers interleave A B starts a"),
        ("interleave fresh", "interleave: name two rankers, A B, or none for the report"),
        ("interleave fresh standard --stop", "interleave: name two rankers, A B, or none for"),
        ("interleave fresh fresh", "fresh against itself tells nothing: name two rankers"),
        ("compare fresh fresh", "fresh against itself tells nothing: name two rankers"),
        ("compare fresh wide", "no ranker is named 'wide'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line_and_nothing_changes(
    fresh: Path, command: str, said: str
) -> None:
    before = stored()
    assert digest("rankers", *command.split()).error.startswith(said)
    assert stored() == before


def test_past_mails_are_ranked_again(day: Path) -> None:
    (day / "digest.toml").write_text(TOML)
    nothing = digest("rankers", "compare", "standard", "fresh")
    assert (nothing.status, nothing.out) == (0, "")
    assert "No mail of these days has had a day to be answered" in nothing.err
    engine = create_engine("sqlite:///digest.db")
    with engine.begin() as connection:
        for moved in ("editions built_at", "editions since", "pages seen_at", "listings seen_at",
                      "papers ready_at", "interests created_at"):  # fmt: skip
            table, column = moved.split()
            back = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-2 days')"
            connection.execute(text(f"UPDATE {table} SET {column} = {back}"))
        best = "SELECT paper_id FROM edition_items WHERE position = 1"
        paper = connection.execute(text(best)).scalar_one()
    engine.dispose()
    done("profiles", "vote", "ada@example.org", paper, "up")
    found = told("rankers", "compare", "standard", "fresh", "--days", 7)
    assert (found["editions"], found["liked"], found["readers"]) == (1, 1, 1)
    assert found["rankers"][0]["ndcg"]["value"] == 1.0
    said = done("rankers", "compare", "standard", "fresh").out
    assert "1 editions of 1 readers read again" in said
    assert "standard less fresh: nDCG +0." in said
    replay = told("evaluate", "--weeks", 2, "--ranker", "standard")["replay"]
    assert replay["likes_difference"]["value"] == 0.0
    assert "How fresh would have done" in done("evaluate", "--ranker", "fresh").out
