"""How summaries are marked, on hand-made texts, and what is true of ours on real ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from digest.errors import BadInput
from digest.evaluation.embeddings import Embeddings, cache_folder
from digest.evaluation.summaries import (
    METHODS,
    TUNED,
    Told,
    evaluate_summaries,
    fit,
    read_told,
    rouge_l,
)
from digest.papers import summary
from digest.papers.encoder import SentenceEncoder
from tests.cli.conftest import digest, done
from tests.shared import shared
from tests.worlds import WordEncoder

ABSTRACT = (
    "Kettles have long sung. We present Lidophone, a microphone for kettles. "
    "It improves accuracy by 12%. Code is at https://example.org."
)
REFERENCE = "Lidophone is a microphone for kettles that improves accuracy."


def told(n: int, abstract: str = ABSTRACT) -> Told:
    return Told(date(2026, 3, 1), f"Lidophone {n}: A Microphone", abstract, REFERENCE)


def save(folder: Path, day: date, papers: dict[str, str | None]) -> None:
    """A page of `day`: papers by arXiv id, with their `ai_summary`."""
    entries = [
        {
            "paper": {
                "id": id_,
                "title": f"On {id_}",
                "summary": ABSTRACT,
                "ai_summary": reference,
                "submittedOnDailyAt": f"{day}T01:00:00.000Z",
            }
        }
        for id_, reference in papers.items()
    ]
    (folder / f"{day}.json").write_text(json.dumps(entries))


@pytest.mark.parametrize(
    ("text", "reference", "mark"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("The CAT, sat!", "the cat sat", 1.0),
        ("a b c d", "a c", 2 / 3),
        ("d c b a", "a b c d", 1 / 4),
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        ("", "a", 0.0),
        ("!?", "!?", 0.0),
    ],
)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence_of_words(
    text: str, reference: str, mark: float
) -> None:
    assert rouge_l(text, reference) == pytest.approx(mark)


@given(st.text(), st.text())
def test_rouge_l_is_a_share_and_does_not_care_which_is_which(one: str, other: str) -> None:
    assert 0 <= rouge_l(one, other) <= 1
    assert rouge_l(one, other) == rouge_l(other, one)


def test_every_method_is_marked_and_ours_against_each() -> None:
    report = evaluate_summaries([told(i) for i in range(3)], WordEncoder().encode, part="all")
    assert set(report.methods) == set(METHODS)
    assert (report.papers, report.two_sentences) == (3, 1.0)
    ours, first = report.methods["digest"], report.methods["first sentence"]
    assert ours.rouge_l_lead is None
    assert first.rouge_l_lead == pytest.approx(ours.rouge_l - first.rouge_l, abs=2e-4)
    assert first.characters == len("Kettles have long sung.")
    assert first.similarity_lead_se == 0  # the papers do not differ


def test_papers_are_read_once_each_and_told_apart_by_their_day(tmp_path: Path) -> None:
    save(tmp_path, TUNED[0], {"2601.00001": REFERENCE, "2601.00002": None})
    save(tmp_path, TUNED[1], {"2601.00001": REFERENCE, "2603.00001": REFERENCE})
    (tmp_path / "other.json").write_text("no page")
    tune, report, both = (read_told(tmp_path, part=part) for part in ("tune", "report", "all"))
    assert [one.title for one in tune] == ["On 2601.00001"]
    assert [one.title for one in report] == ["On 2603.00001"]
    assert both == [*tune, *report]


def test_a_folder_without_such_papers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no daily-papers JSON of the report part"):
        read_told(tmp_path, part="report")


@dataclass(frozen=True)
class Stand:
    """Vectors of words under the identity of the default model, which need not be loaded then."""

    identity: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return WordEncoder().encode(texts)


def test_the_command_shows_a_table_or_one_object(tmp_path: Path) -> None:
    save(tmp_path, TUNED[1], {"2603.00001": REFERENCE, "2603.00002": REFERENCE})
    papers = read_told(tmp_path, part="report")
    embeddings = Embeddings(Stand(SentenceEncoder().identity), tmp_path / "cache")
    evaluate_summaries(papers, embeddings, part="report")
    command = ("bench", "summaries", str(tmp_path), "--cache", str(tmp_path / "cache"))
    measured = json.loads(done(*command, "--json").out)
    assert measured["papers"] == 2
    assert measured["methods"]["digest"]["rouge_l_lead"] is None
    assert measured["methods"]["first two"]["similarity_lead_se"] >= 0
    assert all(name in done(*command).out for name in METHODS)
    assert "tune is January" in digest(*command, "--part", "tune").error


def test_the_fit_learns_which_sentence_the_references_are_like() -> None:
    other = "We present a lamp. We present Lidophone, a microphone for kettles. We count moths."
    papers = [told(0, other), told(1)]
    new, found = fit(papers, WordEncoder().encode)
    assert set(new) == set(found) == set(summary.NEW) == set(summary.FOUND)
    assert new["of the title"] > 0
    assert fit(papers, WordEncoder().encode) == (new, found)


def test_on_real_papers_ours_is_longer_than_one_sentence_and_nearer_in_words_than_any() -> None:
    papers = read_told(shared("hf_daily"), part="report")[:200]
    report = evaluate_summaries(papers, WordEncoder().encode, part="report")
    for name, marks in report.methods.items():
        if name != "digest":
            assert marks.rouge_l_lead is not None
            assert marks.rouge_l_lead_se is not None
            assert marks.rouge_l_lead > 4 * marks.rouge_l_lead_se
    assert report.methods["digest"].characters < report.methods["first two"].characters


@pytest.mark.slow
def test_on_held_out_papers_ours_leads_by_two_standard_errors_in_words_and_in_meaning() -> None:
    embed = Embeddings(SentenceEncoder(), cache_folder())
    papers = read_told(shared("hf_daily"), part="report")
    report = evaluate_summaries(papers, embed, part="report")
    for name, marks in report.methods.items():
        if name != "digest":
            assert (marks.rouge_l_lead or 0) > 2 * (marks.rouge_l_lead_se or 0), name
            assert (marks.similarity_lead or 0) > 2 * (marks.similarity_lead_se or 0), name


@pytest.mark.slow
def test_the_weights_are_those_of_the_fit() -> None:
    embed = Embeddings(SentenceEncoder(), cache_folder())
    new, found = fit(read_told(shared("hf_daily"), part="tune"), embed)
    # Another processor rounds embeddings otherwise, which turns a few near ties.
    assert new == pytest.approx(summary.NEW, abs=0.01)
    assert found == pytest.approx(summary.FOUND, abs=0.01)
