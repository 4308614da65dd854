"""BibTeX as people keep it: its braces, its LaTeX, and entries that are broken."""

from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.papers.clean import one_line
from digest.sources import find_reader
from digest.sources.bibtex import BibTex
from digest.sources.listing import Listing
from tests.shared import shared
from tests.sources.other_pages import BIBTEX

SEEN_ON = date(2026, 11, 21)
READER = BibTex()


def read(text: str) -> list[Listing]:
    return READER.read(text.encode(), SEEN_ON)


def entry(fields: str) -> Listing:
    (listing,) = read(f"@article{{key,\n{fields}\n}}")
    return listing


def test_a_library_with_its_usual_faults_is_read_whole() -> None:
    bees, rivers, kettles = READER.read(BIBTEX, SEEN_ON)
    assert bees == Listing(
        title="Bees That Count",
        abstract="We count bees, hard-wrapped. $x_{1}$ too.",
        position=1,
        page_date=date(2026, 11, 20),
        doi="10.1000/small_1",
        authors=("Ada Lovelace", r"Kurt G{\"o}del", "Bees, Inc."),
        published_on=date(2026, 11, 20),
        facts={"year": 2026},
    )
    assert (one_line(rivers.title), rivers.arxiv_id) == ('Rivers That "Wait"', "2611.00002")
    assert one_line(kettles.title) == "Kettles That Sing"
    assert (kettles.arxiv_id, kettles.authors) == ("2611.00003", ("Emmy Noether",))


@pytest.mark.parametrize(
    ("title", "read_as"),
    [
        ("{{BERT}: {P}re-training}", "BERT: Pre-training"),
        ("{{Whole Title in Braces}}", "Whole Title in Braces"),
        (r'"G{\"o}del, {\O}rsted and Erd{\H{o}}s"', "Gödel, Ørsted and Erdős"),
        (r"{\emph{In vivo} {V}alues of $n^{2}$}", "In vivo Values of n²"),
        (r"{50\% of {R\&D}}", "50% of R&D"),
        ('"Quoted {"}words{"}"', 'Quoted "words"'),
        ('"A" # { B} # unknown', "A Bunknown"),
        ("Bare", "Bare"),
        ("{Two\n   lines}", "Two lines"),
    ],
)
def test_a_title_reads_as_it_was_meant(title: str, read_as: str) -> None:
    assert one_line(entry(f"title = {title},").title) == read_as


@pytest.mark.parametrize(
    ("fields", "id_"),
    [
        ("eprint = {2611.00001}, archivePrefix={arXiv}", "2611.00001"),
        ("eprint = {math.GT/0309136}", "math.GT/0309136"),
        ("journal = {arXiv preprint arXiv:2611.00001}", "2611.00001"),
        ("journal = {CoRR}, volume = {abs/2611.00001}", "2611.00001"),
        ("url = {https://arxiv.org/abs/2611.00001v2}", "2611.00001"),
        ("doi = {10.48550/arXiv.2611.00001}", "2611.00001"),
        (r"howpublished = {\url{http://arxiv.org/pdf/2611.00001}}", "2611.00001"),
        ("eprint = {123456}, eprinttype = {pubmed}", None),
    ],
)
def test_an_arxiv_id_is_found_wherever_people_put_it(fields: str, id_: str | None) -> None:
    assert entry(f"title = {{Bees}}, {fields}").arxiv_id == id_


def test_names_are_in_the_order_in_which_they_are_said() -> None:
    line = "Lovelace, Ada and van der Berg, Jan and King, Jr, Martin and {The {B} Team} and others"
    assert entry(f"title = {{Bees}}, author = {{{line}}}").authors == (
        "Ada Lovelace",
        "Jan van der Berg",
        "Martin King Jr",
        "The B Team",
    )


@pytest.mark.parametrize(
    "broken",
    [
        "@article{a, title = {No closing brace, year = 2001\n",
        "@article{a, title = {A missing comma}\n  author = {X Y}\n}\n",
        "@article{a,\n title = {An extra brace}}, year = 2001}\n",
        '@article{a, title = "A "quoted" word", year = 2001}\n',
        "@article{a, title = {Twice a field}, year = 1, year = 2}\n",
        "@article{b, title = {Twice a key}}\n",
        "@book(a, title = {In parentheses})\n",
        "@article{, title = {No key}}\n",
    ],
)
def test_a_broken_entry_is_read_as_far_as_it_goes_and_loses_no_other(broken: str) -> None:
    first, last = "@article{b, title = {First}}\n", "@article{c, title = {Last}}\n"
    titles = [listing.title for listing in read(f"{first}{broken}{last}")]
    assert [titles[0], titles[-1]] == ["First", "Last"]
    assert len(titles) == 3
    assert titles[1].lower() in broken.lower().replace('"', "")


def test_a_file_in_an_old_encoding_is_read() -> None:
    page = "@article{a, title = {Ménage à trois}}".encode("cp1252")
    assert READER.read(page, SEEN_ON)[0].title == "Ménage à trois"


LONG = b'@string{b="' + b"x" * 30_000 + b'"}\n'


def test_gigabytes_of_abbreviations_are_never_made() -> None:
    endless = b"@article{a, title = {On bees}, note = " + b"b # " * 200_000 + b"b}\n"
    assert [one.title for one in READER.read(LONG + endless, SEEN_ON)] == ["On bees"]


@pytest.mark.parametrize(
    ("page", "found"),
    [
        (b"@article{a, author = {X}}", "1 entries, none of them with a title"),
        (b"@article{a, title = {\0\0\0}}", "binary data"),
        (b"\n@article{a, title={" * 40_000, "40,000 entries"),
        (b"@article{a, title={" + b"{" * 2_000_000, "2,000,0.. braces, quotes, commas"),
        (LONG + b"@article{a, title=b # b # b}\n" * 5000, "more than 10,000,000 letters abbr"),
    ],
)
def test_what_cannot_be_read_is_refused_saying_why(page: bytes, found: str) -> None:
    with pytest.raises(UnreadablePage, match=found):
        READER.read(page, SEEN_ON)


@pytest.mark.parametrize(
    "page", [b"@media print {a: b}", b"@given(x, y)\ndef test(): ...", b"mail me @home {x, y}"]
)
def test_what_only_looks_like_it_is_not_recognised(page: bytes) -> None:
    assert not READER.recognises(page)


def test_a_real_library_is_read_whole() -> None:
    page = shared("profile_seed", "bibtex.bib").read_bytes()
    listings = find_reader(page).read(page, SEEN_ON)
    assert len(listings) == page.lower().count(b"@article") == 1
