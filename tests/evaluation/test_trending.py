"""The trending benchmark on small hand-made folders, and what it says of the real one."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import BadInput
from digest.evaluation.trending import (
    LEAST,
    TUNED,
    Day,
    TrendingReport,
    _unvoted,
    evaluate_trending,
    fit,
    marked,
    read_days,
)
from digest.ranking import momentum as constants
from tests.shared import shared

MONDAY = date(2026, 6, 1)
DAY = timedelta(days=1)
N = 20


def page(
    folder: Path,
    day: date,
    upvotes: Mapping[str, int | None],
    *,
    name: str = "",
    authors: Mapping[str, list[str]] | None = None,
) -> None:
    """Save a page that shows papers, by id, with their upvotes in the order given."""
    entries = [
        {
            "paper": {
                "id": paper,
                "title": f"On {paper}",
                "authors": [{"name": name} for name in (authors or {}).get(paper, ["Ann"])],
                "publishedAt": f"{day - DAY}T12:00:00.000Z",
                "submittedOnDailyAt": f"{day}T01:00:00.000Z",
                "upvotes": n,
            },
            "publishedAt": f"{day - DAY}T07:00:00.000Z",
            "numComments": 1,
            "submittedBy": {"fullname": f"submitter of {paper}"},
        }
        for paper, n in upvotes.items()
    ]
    file = folder / f"{name or day}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entries))


def counts(day: date, *, first: int = 100) -> dict[str, int | None]:
    """A page of papers with `first` upvotes and ever fewer."""
    return {f"{day:%y%m}.{day:%d}{n:03}": max(0, first - 5 * n) for n in range(N)}


def evaluated(folder: Path) -> TrendingReport:
    return evaluate_trending(folder, rng=np.random.default_rng(0))


def days_of(folder: Path) -> list[Day]:
    return read_days(folder)[0]


def precisions(report: TrendingReport, question: str) -> dict[str, float]:
    return {name: marks.precision for name, marks in report.questions[question].methods.items()}


# --- a folder -> days


def test_a_paper_belongs_to_the_day_of_the_first_page_that_shows_it(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, {"2606.00001": 5})
    page(tmp_path, MONDAY + DAY, {"2606.00001": 50, "2606.00002": 3})
    first, second = days_of(tmp_path)
    assert [(p.listing.arxiv_id, p.upvotes, p.later) for p in first.papers] == [
        ("2606.00001", 5, 50)
    ]
    assert [(p.listing.arxiv_id, p.upvotes, p.later) for p in second.papers] == [
        ("2606.00002", 3, None)
    ]


def test_the_last_of_several_counts_is_the_later_one(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, {"2606.00001": 5})
    page(tmp_path, MONDAY, {"2606.00001": 8}, name=f"{MONDAY}T18")
    page(tmp_path, MONDAY, {"2606.00001": 60}, name=f"{MONDAY}T23")
    (day,) = days_of(tmp_path)
    assert [(p.upvotes, p.later) for p in day.papers] == [(5, 60)]


def test_a_paper_that_its_page_shows_twice_was_not_counted_again(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, {"2606.00001": 5})
    file = tmp_path / f"{MONDAY}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) * 2))
    (day,) = days_of(tmp_path)
    assert [(p.upvotes, p.later) for p in day.papers] == [(5, None)]


def test_papers_without_upvotes_and_pages_without_papers_are_left_out(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, {"2606.00001": 5, "2606.00002": None})
    page(tmp_path, MONDAY + DAY, {})
    (tmp_path / "notes.json").write_text("no page at all")
    days, unreadable = read_days(tmp_path)
    assert [len(day.papers) for day in days] == [1]
    assert unreadable == 1


def test_a_page_in_a_file_of_any_name_is_of_the_day_of_its_papers(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, {"2606.00001": 5}, name="saved")
    assert [day.date for day in days_of(tmp_path)] == [MONDAY]


@pytest.mark.parametrize("text", [None, "[]", "no page"])
def test_a_folder_without_a_page_is_refused(tmp_path: Path, text: str | None) -> None:
    if text:
        (tmp_path / "page.json").write_text(text)
    with pytest.raises(BadInput, match="no page"):
        evaluated(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        evaluated(tmp_path / "nowhere")


# --- nothing of the answer is known in the morning


def test_what_is_asked_before_the_votes_does_not_see_them(tmp_path: Path) -> None:
    scores = []
    for folder, first in (tmp_path / "a", 100), (tmp_path / "b", 900):
        page(folder, MONDAY - 7 * DAY, counts(MONDAY - 7 * DAY))
        page(folder, MONDAY, counts(MONDAY, first=first))
        scores.append(_unvoted(days_of(folder)[-1], np.random.default_rng(0))[0])
    assert scores[0].keys() == scores[1].keys()
    for name, values in scores[0].items():
        assert (values == scores[1][name]).all(), name


def test_a_record_is_made_of_earlier_days_alone(tmp_path: Path) -> None:
    stars = {paper: ["Star"] if n == 0 else [paper] for n, paper in enumerate(counts(MONDAY))}
    later = counts(MONDAY + 7 * DAY)
    by_star = {paper: ["Star"] if n == N - 1 else [paper] for n, paper in enumerate(later)}
    page(tmp_path, MONDAY, counts(MONDAY), authors=stars)
    page(tmp_path, MONDAY + 7 * DAY, later, authors=by_star)
    first, second = days_of(tmp_path)
    assert (first.record == 0).all()
    assert second.record[-1] > 0
    assert (second.record[:-1] == 0).all()


def test_days_that_the_score_was_fitted_on_are_not_reported(tmp_path: Path) -> None:
    inside, after = TUNED[1] - DAY, TUNED[1]
    page(tmp_path, inside, counts(inside))
    page(tmp_path, after, counts(after))
    report = evaluated(tmp_path)
    assert (report.days, report.days_tuned_on) == (2, 1)
    assert report.questions["unvoted"].days == 1


def test_days_with_too_few_papers_for_a_tenth_are_not_marked(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, dict(list(counts(MONDAY).items())[: LEAST - 1]))
    assert evaluated(tmp_path).questions["unvoted"].days == 0


def test_a_day_on_which_nobody_voted_has_no_top(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, dict.fromkeys(counts(MONDAY), 0))
    assert evaluated(tmp_path).questions["unvoted"].days == 0


# --- marks


def test_a_later_count_marks_the_morning(tmp_path: Path) -> None:
    # Of equals, the two that are last on the first page win: their authors are many.
    morning = dict.fromkeys(counts(MONDAY), 3)
    end = {paper: 400 if n >= N - 2 else 3 for n, paper in enumerate(morning)}
    crowd = [f"author {n}" for n in range(80)]
    authors = {paper: crowd if n >= N - 2 else ["Ann"] for n, paper in enumerate(morning)}
    page(tmp_path, MONDAY, morning, authors=authors)
    page(tmp_path, MONDAY + DAY, end, authors=authors)
    report = evaluated(tmp_path)
    assert report.counted_again == N
    assert report.questions["later"].papers == N
    found = precisions(report, "later")
    assert found.keys() == {"digest", "early_upvotes", "place", "random"}
    assert (found["digest"], found["place"]) == (1.0, 0.0)
    assert found["early_upvotes"] == pytest.approx(found["random"], abs=0.2)
    marks = report.questions["later"].methods["place"]
    assert (marks.lead, marks.lead_se) == (1.0, None)


def test_a_part_of_the_votes_tells_more_than_none_and_less_than_all(tmp_path: Path) -> None:
    for n in range(4):
        page(tmp_path, MONDAY + n * DAY, counts(MONDAY + n * DAY, first=60))
    report = evaluated(tmp_path)
    few, many = (precisions(report, f"sampled_{share}") for share in ("0.05", "0.25"))
    assert few["random"] < few["early_upvotes"] < many["early_upvotes"] < 1
    assert few["random"] < few["digest"] < many["digest"] < 1


def test_the_same_folder_gives_the_same_marks(tmp_path: Path) -> None:
    page(tmp_path, MONDAY, counts(MONDAY))
    assert evaluated(tmp_path) == evaluated(tmp_path)


@given(st.lists(st.integers(0, 50).map(float), min_size=1, max_size=40), st.integers(0, 99))
def test_the_order_of_the_counts_themselves_is_without_fault(
    values: list[float], seed: int
) -> None:
    upvotes = np.array(values)
    rng = np.random.default_rng(seed)
    assert marked(upvotes, upvotes, rng) == pytest.approx([1.0, 1.0])
    assert (marked(rng.random(len(upvotes)), upvotes, rng) <= 1 + 1e-9).all()


def test_ties_are_broken_by_chance_and_not_by_the_order_of_the_page() -> None:
    upvotes = np.array([99.0, *[1.0] * 9])
    precision, _ = marked(np.zeros(10), upvotes, np.random.default_rng(0))
    assert precision < 0.5


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    for n in range(2):
        page(tmp_path, MONDAY + n * DAY, counts(MONDAY + n * DAY))
    said: dict[str, Any] = json.loads(json.dumps(asdict(evaluated(tmp_path))))
    assert said.keys() == {
        "days",
        "papers",
        "unreadable",
        "counted_again",
        "days_tuned_on",
        "questions",
    }
    assert list(said["questions"]) == [
        "later",
        "unvoted",
        "sampled_0.05",
        "sampled_0.10",
        "sampled_0.25",
    ]
    assert said["questions"]["later"]["methods"] == {}
    digest = said["questions"]["unvoted"]["methods"]["digest"]
    assert digest.keys() >= {"precision", "precision_se", "average_precision", "lead", "lead_se"}
    assert all(isinstance(value, float) for value in digest.values())


def test_the_command_prints_one_object_or_a_table_a_question(tmp_path: Path) -> None:
    from tests.cli.conftest import digest, done

    page(tmp_path, MONDAY, counts(MONDAY))
    said = json.loads(done("bench", "trending", tmp_path, "--json").out)
    assert said == asdict(evaluated(tmp_path))
    shown = done("bench", "trending", tmp_path)
    assert shown.out.count("early_upvotes") == 3
    assert "20 papers of 1 days, 0 counted again" in shown.err
    assert digest("bench", "trending", tmp_path / "nowhere").error.endswith("is no folder")


# --- the real pages


def test_the_constants_of_the_score_are_those_that_the_tuned_days_give() -> None:
    found = fit([day for day in days_of(shared("hf_daily")) if day.is_tuned])
    assert found["authors"] == pytest.approx(constants.AUTHORS, abs=0.006)
    assert found["record"] == pytest.approx(constants.RECORD, abs=0.006)
    assert found["stars"] == pytest.approx(constants.STARS, abs=0.006)
    assert found["comments"] == pytest.approx(constants.COMMENTS, abs=0.006)
    assert found["first"] == pytest.approx(constants.FIRST, abs=0.5)
    assert found["fall"] == pytest.approx(constants.FALL, abs=0.05)


def test_on_real_pages_the_score_beats_chance_and_is_no_worse_than_early_upvotes() -> None:
    report = evaluated(shared("hf_daily"))
    unvoted = report.questions["unvoted"].methods["random"]
    assert unvoted.lead_se is not None
    assert unvoted.lead > 3 * unvoted.lead_se
    for share in ("0.05", "0.10", "0.25"):
        early = report.questions[f"sampled_{share}"].methods["early_upvotes"]
        assert early.lead_se is not None
        assert early.lead > -early.lead_se
