"""Sentences end where a reader would end them, and stand alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.papers.sentences import (
    alone,
    is_whole,
    leans,
    needs_a_first,
    sentences_of,
    shortened,
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
        ("See Kim et al. (2020) and Tab. 3, vs. No. 4. Nobody did.", 2),
        ("We beat strong baselines.This work ends here.", 2),
        ("We beat strong baselines.Moreover, this work ends.", 2),
        ("It is at https://example.org/a.b.C. We go on.", 2),
        ("We propose e5-bees. e5-bees hums. dBees hum, too.", 3),
        ("Samples are i.i.d. Gaussian, w.r.t. Eq. 5.", 1),
        ("飞蛾很多。我们提出一种灯\uff01好吗\uff1f“好。”他说。", 4),
        ("Aims\n\nWe count bees.\n\nThey hum.", 3),
        ("पहला वाक्य। दूसरा वाक्य।", 2),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, n: int) -> None:
    assert len(sentences_of(text)) == n


@given(st.text())
def test_any_text_is_its_sentences_in_order(text: str) -> None:
    assert "".join("".join(sentences_of(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("However, we present a lamp.", "We present a lamp."),
        ("In this paper, we present a lamp.", "We present a lamp."),
        (
            "To address these two long-standing issues, we also present a lamp.",
            "We present a lamp.",
        ),
        ("To this end, in this work we introduce moths.", "We introduce moths."),
        ("Motivated by this observation, we propose X.", "We propose X."),
        ("To keep moths, bees, and wasps away, we propose X.", "We propose X."),
        ("These results show that 3.5% is much.", "The results show that 3.5% is much."),
        ("We build () the Hive (H) , which hums.", "We build the Hive (H), which hums."),
        ("This results in 4 % more honey.", "This results in 4 % more honey."),
        ("RESULTS: Moths (e.g., of May) came.", "Moths came."),
        ("Finally, e5-bees hums.", "e5-bees hums."),
        ("Firstly, dBees hum.", "dBees hum."),
        ("This paper further shows moths.", "This paper shows moths."),
        ("In this setting, moths (n = 12) sleep.", "In this setting, moths (n = 12) sleep."),
        ("However,", "However,"),
    ],
)
def test_a_sentence_loses_what_ties_it_to_others_and_nothing_else(sentence: str, said: str) -> None:
    assert alone(sentence) == said


@given(st.text())
def test_any_sentence_can_be_made_to_stand_alone(text: str) -> None:
    said = alone(text)
    assert bool(said) == bool(text)
    assert len(shortened(said)) <= len(said) + 1


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "We train moths to find the lamp in the darkest of all nights, making dusk good.",
            "We train moths to find the lamp in the darkest of all nights.",
        ),
        (
            "We introduce a lamp for moths that has three different parts: (1) a wick; (2) oil.",
            "We introduce a lamp for moths that has three different parts.",
        ),
        # A figure is no comment, and nothing whole would be left of the other two.
        *(
            (kept, kept)
            for kept in (
                "We train moths to find the lamp in the darkest of nights, enabling a gain of 9%.",
                "We train moths, making dusk a practical hour.",
                "The questions that we ask of each of these moths in the long night are: why; how.",
            )
        ),
    ],
)
def test_what_only_adds_to_a_sentence_can_go(sentence: str, said: str) -> None:
    assert shortened(sentence) == said


@pytest.mark.parametrize(
    "sentence",
    [
        "It hums.",
        "Their wings hum.",
        "These hum.",
        "In this hive, bees hum.",
        "(2) They hum.",
        "On it, we train bees.",
        "We use none.",
        "We need both, and bees.",
    ],
)
def test_what_points_back_leans(sentence: str) -> None:
    assert leans(sentence)
    assert needs_a_first(sentence)


@pytest.mark.parametrize("sentence", ["The method hums.", "We count bees of such hives."])
def test_what_speaks_of_the_unnamed_needs_a_first(sentence: str) -> None:
    assert needs_a_first(sentence)
    assert not leans(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["This paper hums.", "Bees such as ours hum.", "Items hum.", "We use both bees and moths."],
)
def test_what_stands_alone_does_not(sentence: str) -> None:
    assert not needs_a_first(sentence)


def test_a_sentence_that_was_cut_is_not_whole() -> None:
    assert [is_whole(s) for s in ("It is.", "Is it?”", "是。", "It is (so.)", "It...", "It i")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip
