"""The language of a paper is noted; where nothing is sure, none is."""

import pytest

from digest.papers.language import language_of


@pytest.mark.parametrize(
    ("title", "abstract", "language"),
    [
        ("Bees That Count", "We count bees with a broken microphone.", "en"),
        ("Une étude des abeilles", "Nous comptons les abeilles dans les villes.", "fr"),
        ("Bienen, die zählen", "Wir zählen Bienen mit einem kaputten Mikrofon.", "de"),
        ("基于深度学习的蜜蜂检测方法研究", "我们用一个坏了的麦克风数蜜蜂。", "zh"),
        ("Attention Is All You Need", "", "en"),
        ("BERT", "", None),
        ("x² + y² = z²", "", None),
        ("", "", None),
    ],
)
def test_a_papers_language(title: str, abstract: str, language: str | None) -> None:
    assert language_of(title, abstract) == language
