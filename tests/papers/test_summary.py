"""A summary is made of whole sentences of its abstract."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.papers.clean import readable
from digest.papers.summary import LONGEST, sentences_of, summarise
from digest.sources.hf_daily import HuggingFaceDaily
from tests.shared import shared

KETTLES = (
    "Kettles have long been known to sing. Earlier work, e.g. by Watt et al. in 1765, listened to "
    "one of them. In this paper, we present a microphone for kettles. It hangs above the lid. "
    "Experiments with 40 kettles show that it improves accuracy by 12%. We hope that it is useful. "
    "Code is available at https://example.org/kettles."
)


def test_it_says_what_is_new_and_what_was_found() -> None:
    assert summarise(KETTLES) == (
        "In this paper, we present a microphone for kettles. "
        "Experiments with 40 kettles show that it improves accuracy by 12%."
    )


def test_where_nothing_is_said_to_be_new_it_begins_as_the_abstract_does() -> None:
    assert summarise("Rivers are slow. Dust is slower.") == "Rivers are slow."
    assert summarise("") == ""
    assert summarise(" \n ") == ""


def test_where_code_is_found_is_no_finding() -> None:
    said = "We propose a lamp. Our code, data and models for all 12 experiments are released."
    assert summarise(said) == "We propose a lamp."


def test_a_second_sentence_that_would_be_too_long_is_left_out() -> None:
    found = "We find that it " + "improves a lot and " * 30 + "ends."
    assert summarise(f"We propose a lamp. {found} Errors fall by 3%.") == (
        "We propose a lamp. Errors fall by 3%."
    )


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("It holds, e.g. Bees do it, i.e. They sing, cf. Fig. 3 and Sec. 4.", 1),
        ("As J. S. Bach and E. Coli said. It holds.", 2),
        ("Let P have area A. We prove it.", 2),
        ("It rose by 3.5 points. 40 kettles sang! Did they? Yes.", 4),
        ("He said “stop.” Then it stopped (at once.) It was over.", 3),
        ("It uses the U.S. Census. The pH. was 7.", 2),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, n: int) -> None:
    assert len(sentences_of(text)) == n


@settings(deadline=None)
@given(st.text())
def test_any_text_gives_whole_sentences_of_itself_in_order(text: str) -> None:
    sentences, summary = sentences_of(text), summarise(text)
    assert " ".join(sentences) == " ".join(text.split())
    pairs = [f"{a} {b}" for i, a in enumerate(sentences) for b in sentences[i + 1 :]]
    assert summary in [*sentences, *pairs, ""]
    assert bool(summary) == bool(sentences)


def test_real_abstracts_give_one_or_two_sentences_of_a_length_for_a_mail() -> None:
    reader = HuggingFaceDaily()
    abstracts = [
        readable(listing.abstract)
        for file in sorted(shared("hf_daily").glob("2026-03*.json"))
        for listing in reader.read(file.read_bytes(), date(2026, 4, 1))
    ]
    summaries = [summarise(abstract) for abstract in abstracts]
    assert len(summaries) > 400
    assert sum(len(summary) > LONGEST for summary in summaries) < len(summaries) / 100
    both = [s for s, a in zip(summaries, abstracts, strict=True) if s not in sentences_of(a)]
    assert len(both) > 0.6 * len(summaries)
