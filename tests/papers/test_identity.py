"""Which listings are of one paper: ids without versions, then DOIs, then title and abstract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.papers.identity import arxiv_id, doi, keys_of, same_abstract, text_of, title_key

any_text = st.text(st.characters(exclude_categories=()))
BEES = "We count bees in a hive with a broken microphone and are wrong by four percent on average."


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2611.01234", "2611.01234"),
        (" 2611.01234v3 ", "2611.01234"),
        ("arXiv:2611.01234v1", "2611.01234"),
        ("https://arxiv.org/abs/2611.01234v2", "2611.01234"),
        ("http://www.arxiv.org/pdf/2611.01234v2.pdf", "2611.01234"),
        ("https://arxiv.org/html/2611.01234?context=cs#S1", "2611.01234"),
        ("https://doi.org/10.48550/arXiv.2611.01234", "2611.01234"),
        ("math/0309136v2", "math/0309136"),
        ("math.GT/0309136", "math/0309136"),
        ("0704.0001", "0704.0001"),
        ("https://example.org/2611.01234", None),
        ("2611.012345678", None),
        ("٢٦١١.٠١٢٣٤", None),
        ("", None),
        (None, None),
    ],
)
def test_an_arxiv_id_is_known_in_every_dress_and_has_no_version(said: str, meant: str) -> None:
    assert arxiv_id(said) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("10.1000/Bees.5", "10.1000/bees.5"),
        ("https://doi.org/10.1000/bees.5.", "10.1000/bees.5"),
        ("doi:10.1101/2026.01.02.123456v2", "10.1101/2026.01.02.123456"),
        (
            "https://www.biorxiv.org/content/10.1101/2026.01.02.123456v2.full",
            "10.1101/2026.01.02.123456",
        ),
        ("10.1000/be\x00es", None),
        ("11.1000/bees", None),
        (None, None),
    ],
)
def test_a_doi_ignores_case_address_and_preprint_version(said: str, meant: str) -> None:
    assert doi(said) == meant


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bees: A Count", "BEES — a count!"),
        ("Gödel's n² Machine", "Godel's $n^2$ machine"),
        (r"\textbf{Bees} & Co.", "Bees &amp; Co"),
        ("Bees\n  that Count", "Bees that Count"),
    ],
)
def test_one_title_has_one_key_however_it_is_set(one: str, other: str) -> None:
    assert title_key(one) == title_key(other)


def test_titles_that_differ_in_a_letter_have_two_keys() -> None:
    assert title_key("Bees 1") != title_key("Bees 2")
    assert title_key("???") != title_key("!!!")


@given(any_text)
def test_any_title_has_a_short_key(title: str) -> None:
    assert 0 < len(title_key(title).encode()) <= 800
    assert title_key(title * 50)


@given(any_text)
def test_any_text_may_be_asked_for_its_ids(text: str) -> None:
    for found in arxiv_id(text), doi(text):
        assert found is None or found.isascii()


def test_the_surest_key_comes_first() -> None:
    keys = keys_of("Bees", BEES, "2611.01234", "10.1000/bees")
    assert [key.split(":")[0] for key in keys] == ["arxiv", "doi", "text", "title"]
    assert [key.split(":")[0] for key in keys_of("Bees", "", None, None)] == ["text", "title"]


def test_a_revised_abstract_is_of_the_same_work_and_a_strangers_is_not() -> None:
    assert same_abstract(BEES, f"{BEES} A second season confirms it.")
    assert same_abstract(BEES, "")
    assert not same_abstract(BEES, "Rivers carry dust. Its age tells how slowly the water flows.")


def test_the_text_of_a_paper_is_its_title_and_abstract() -> None:
    assert text_of("Bees", "They count.") == "Bees. They count."
    assert text_of("Bees", "") == "Bees"
