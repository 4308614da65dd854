"""A summary says what is new and what was found, in whole sentences that stand alone."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.papers.clean import readable
from digest.papers.sentences import sentences_of
from digest.papers.summary import LONGEST, columns, summarise
from digest.sources.hf_daily import HuggingFaceDaily
from tests.shared import shared

TITLE = "Lidophone: A Microphone for Kettles"
KETTLES = (
    "Kettles have long been known to sing. Earlier work, e.g. by Watt et al. in 1765, listened to "
    "one of them. However, this is limited by steam. To address these issues, we present "
    "Lidophone, a microphone for kettles. It hangs above the lid. Experiments with 40 kettles show "
    "that Lidophone improves accuracy by 12.5%. We hope that it is useful. "
    "Code is available at https://example.org/kettles."
)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def test_it_says_what_is_new_and_what_was_found() -> None:
    assert summarise(TITLE, KETTLES) == (
        "We present Lidophone, a microphone for kettles. "
        "Experiments with 40 kettles show that Lidophone improves accuracy by 12.5%."
    )


def test_without_an_abstract_there_is_none() -> None:
    assert summarise(TITLE, "") == ""
    assert summarise(TITLE, " \n ") == ""


def test_where_nothing_is_said_to_be_new_the_sentence_nearest_to_the_title_speaks() -> None:
    said = "Birds sing in spring. Rivers are slow where dust is deep. Nobody knows."
    assert summarise("Slow Rivers", said).startswith("Rivers are slow where dust is deep.")


def test_it_never_begins_with_what_leans_on_a_sentence_that_is_left_out() -> None:
    said = "It boils. They sing. These lids move. Kettles of tin sing at 90 degrees."
    assert summarise("Kettles", said) == "Kettles of tin sing at 90 degrees."


def test_a_pronoun_is_told_right_behind_what_it_stands_for() -> None:
    said = "We propose a lamp for moths. It achieves 90% at dusk. Moths are many."
    assert summarise("Lamps", said) == "We propose a lamp for moths. It achieves 90% at dusk."


def test_of_two_findings_the_one_with_figures_is_told() -> None:
    said = (
        "We propose a lamp for moths. Experiments show that the lamp improves on candles. "
        "Experiments show that the lamp improves on candles by 14% and on 3 nights by 20%."
    )
    assert "14%" in summarise("Lamps", said)


def test_where_code_is_found_is_no_finding() -> None:
    said = "We propose a lamp. Our code and models of all 12 experiments are publicly available."
    assert summarise("Lamps", said) == "We propose a lamp."
    said = "We propose a lamp. Scripts for all 12 lamps will be released."
    assert summarise("Lamps", said) == "We propose a lamp."


def test_a_text_that_was_cut_is_not_shown_to_its_cut() -> None:
    said = "We propose a lamp for moths. It outperforms candles by 12% and is bright, which..."
    assert summarise("Lamps", said) == "We propose a lamp for moths."
    assert summarise("Lamps", "We propose a lamp that " + "shines and " * 20) == ""


def test_a_sentence_that_lost_a_word_is_left_out_where_there_is_another() -> None:
    lost = ("We introduce , a hive that hums.", "Results show that our hive, called , hums louder.")
    whole = ("We propose a hive that hums.", "Results show that it hums louder by 4%.")
    assert summarise("A hive that hums", " ".join([*lost, *whole])) == " ".join(whole)
    assert summarise("A hive that hums", lost[0]) == lost[0]
    first = "We introduce, for the first time, a hive that hums."
    assert summarise("A hive that hums", f"{first} Bees are loud.").startswith(first)


def test_what_would_be_too_long_loses_its_last_comment_or_is_left_out() -> None:
    new = f"We propose a lamp for moths {'and for more moths ' * 9}at night."
    found = "Experiments show that the lamp improves on candles at each hour of the night by 9%"
    comment = ", paving the way for moths that need no moon in any of the long nights of winter."
    assert summarise("Lamps", f"{new} {found}{comment}") == f"{new} {found}."
    found = f"We find that the lamp {'improves a lot and ' * 30}ends."
    assert summarise("Lamps", f"We propose a lamp. {found}") == "We propose a lamp."


def test_chinese_is_read_by_its_own_full_stops() -> None:
    said = "飞蛾很多。本文提出了一种给飞蛾用的灯。实验结果表明,它比蜡烛好12%。代码已公开。"
    assert summarise("飞蛾的灯", said) == "本文提出了一种给飞蛾用的灯。实验结果表明,它比蜡烛好12%。"


def test_the_same_text_gives_the_same_summary_whatever_came_before() -> None:
    first = summarise(TITLE, KETTLES)
    summarise.cache_clear()
    assert summarise(TITLE, KETTLES) == first


@given(
    st.text(),
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                ["We ", "show ", "12.5% ", "It ", "e.g. ", "a. ", "However, ", "。", "(", ". "]
            )
        ).map("".join),
    ),
)
def test_any_text_gives_at_most_two_sentences_and_no_number_of_its_own(
    title: str, text: str
) -> None:
    summary = summarise(title, text)
    assert set(NUMBER.findall(summary)) <= set(NUMBER.findall(text))
    assert summary == summary.strip()
    assert len(summary) <= len(text) + 2
    words = [word.casefold().strip(".") for one in sentences_of(summary) for word in one.split()]
    assert all(word in f"the {text.casefold()}" for word in words)


@pytest.mark.parametrize("month", ["2026-03"])
def test_real_abstracts_give_one_or_two_sentences_of_a_length_for_a_mail(month: str) -> None:
    reader = HuggingFaceDaily()
    papers = [
        (listing.title, readable(listing.abstract))
        for file in sorted(shared("hf_daily").glob(f"{month}-0*.json"))
        for listing in reader.read(file.read_bytes(), date(2026, 4, 1))
    ]
    summaries = [summarise(title, abstract) for title, abstract in papers]
    assert len(summaries) > 100
    assert all(0 < columns(summary) <= LONGEST for summary in summaries)
    assert all(summary[-1] in '.!?"”)' for summary in summaries)
    assert all(
        set(NUMBER.findall(s)) <= set(NUMBER.findall(a))
        for s, (_, a) in zip(summaries, papers, strict=True)
    )
    two = [summary for summary in summaries if len(sentences_of(summary)) == 2]
    assert len(two) > 0.6 * len(summaries)
    mid_thought = re.compile(
        r"(?:However|Furthermore|Moreover|It|They|These|This (?!paper|work|report|study|survey))\b"
    )
    assert not any(mid_thought.match(summary) for summary in summaries)
