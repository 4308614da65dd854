"""Which listings are of one paper: ids without versions, then DOIs, then title and abstract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.papers.identity import (
    arxiv_id,
    doi,
    ids_of,
    is_preprint,
    keys_of,
    same_abstract,
    same_authors,
    text_of,
    title_key,
)
from digest.sources.listing import Listing

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
        # Copied from a PDF, and encoded by an address.
        ("10.1007/978\u20103\u2010319\u201110590\u20131_53", "10.1007/978-3-319-10590-1_53"),
        ("10.1007/97\u00ad8\u200b-3", "10.1007/978-3"),
        ("https://doi.org/10.1000/011%3C1912:FOO%3E2.0.CO;2", "10.1000/011<1912:foo>2.0.co;2"),
        ("https://doi.org/10.1000%2Fbees", "10.1000/bees"),
        ("10.1000/b\u00fccher", None),
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
    assert not same_abstract(BEES, "")
    assert not same_abstract(BEES, "Rivers carry dust. Its age tells how slowly the water flows.")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("10.1101/2026.01.02.123456v3.full", "10.1101/2026.01.02.123456"),
        ("10.64898/2026.01.02.123456v1", "10.64898/2026.01.02.123456"),
        ("10.21203/rs.3.rs-123456/v2", "10.21203/rs.3.rs-123456"),
        ("10.20944/preprints202601.0012.v1", "10.20944/preprints202601.0012"),
        ("10.26434/chemrxiv-2026-abcde-v2", "10.26434/chemrxiv-2026-abcde"),
        ("10.31234/osf.io/abcde_v1", "10.31234/osf.io/abcde"),
        ("10.7554/eLife.12345.2", "10.7554/elife.12345"),
        ("10.12688/f1000research.12345.2", "10.12688/f1000research.12345"),
        ("10.1101/gr.12345.120", "10.1101/gr.12345.120"),
        ("10.1000/bees.v2", "10.1000/bees.v2"),
    ],
)
def test_a_dois_version_is_not_the_paper(said: str, meant: str) -> None:
    assert doi(said) == doi(meant) == meant


def test_a_doi_of_arxiv_is_the_arxiv_id_and_no_other_name() -> None:
    listing = Listing("Bees", "", 1, doi="https://doi.org/10.48550/arXiv.2611.00001")
    assert ids_of(listing) == ("2611.00001", None)
    assert ids_of(Listing("Bees", "", 1, doi="10.1000/X", arxiv_id="2611.00001v2")) == (
        "2611.00001",
        "10.1000/x",
    )
    assert arxiv_id("https://huggingface.co/papers/2611.00001") == "2611.00001"


def test_servers_of_preprints_are_known_from_journals() -> None:
    assert all(map(is_preprint, ["10.1101/2026.01.02.123456", "10.2139/ssrn.1", "10.48550/x"]))
    assert not any(map(is_preprint, ["10.1101/gr.12345.120", "10.1038/s41586-1", "10.1000/x"]))


def test_authors_may_be_the_same_where_a_family_name_is_or_nobody_is_named() -> None:
    assert same_authors(["Ada Lovelace", "X Y"], ["A. LOVELACE"])
    assert same_authors([], ["Ada Lovelace"])
    assert not same_authors(["Ada Lovelace"], ["Grace Hopper"])


def test_the_text_of_a_paper_is_its_title_and_abstract() -> None:
    assert text_of("Bees", "They count.") == "Bees. They count."
    assert text_of("Bees", "") == "Bees"
