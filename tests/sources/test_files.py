"""Files of named fields, CSV, JSON lines and Zotero's RDF, whatever they call them."""

import json
from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.sources import find_reader
from digest.sources.csv_file import CsvFile
from digest.sources.json_lines import JsonLines
from digest.sources.listing import Listing
from digest.sources.names import names_of_line
from digest.sources.zotero_rdf import ZoteroRdf
from tests.sources.other_pages import CSV, JSON_LINES, ZOTERO

SEEN_ON = date(2026, 11, 21)


def read_csv(text: str) -> list[Listing]:
    return CsvFile().read(text.encode(), SEEN_ON)


def read_json(*objects: object) -> list[Listing]:
    return JsonLines().read("\n".join(map(json.dumps, objects)).encode(), SEEN_ON)


def test_zoteros_csv_is_read() -> None:
    bees, rivers, kettles = CsvFile().read(CSV, SEEN_ON)
    assert bees == Listing(
        title='Bees, That "Count"',
        abstract="We count bees.",
        position=1,
        page_date=date(2026, 11, 20),
        doi="10.1000/b.1",
        url="https://b.example/1",
        authors=("Ada Lovelace", "Grace Hopper"),
        published_on=date(2026, 11, 20),
        facts={"year": 2026},
    )
    assert (rivers.arxiv_id, rivers.facts) == ("2611.00002", {"year": 2026})
    assert kettles.abstract == "They sing."


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_headings_may_stand_in_any_order_case_and_delimiter(delimiter: str) -> None:
    rows = [["DOI", "Date", "paper_title", "Notes", "Authors"], ["10.1/x", "", "Bees", "n", "A B"]]
    rows[1][0] = "https://doi.org/10.1000/x"
    (listing,) = read_csv("\r\n".join(delimiter.join(row) for row in rows))
    assert (listing.title, listing.doi, listing.authors) == ("Bees", "10.1000/x", ("A B",))


def test_a_table_in_the_encodings_of_spreadsheets_is_read() -> None:
    text = "Title,Abstract\nMénage,à trois\n"
    for encoding in ("utf-16", "utf-8-sig", "cp1252"):
        page = text.encode(encoding)
        assert find_reader(page).name == "csv"
        assert CsvFile().read(page, SEEN_ON)[0].title == "Ménage"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name,price\nBees,2", "a first line without these headings"),
        ("title,doi\n,10.1000/x\n,10.1000/y\nBees,", "2 of 3 rows without a title"),
        ("title,doi\nBees,a,b,c\n", "1 of 1 rows without a title, or with fields too many"),
        ('title,doi\n"' + "x" * 200_000, "broken CSV"),
        ("title,doi\n" + "a,b\n" * 60_000, "more than 50,000 rows"),
    ],
)
def test_a_table_that_is_none_of_papers_is_refused(text: str, found: str) -> None:
    with pytest.raises(UnreadablePage, match=found):
        read_csv(text)


def test_json_lines_are_read_in_common_spellings() -> None:
    bees, rivers, kettles = JsonLines().read(JSON_LINES, SEEN_ON)
    assert (bees.abstract, bees.doi, bees.authors) == (
        "We count.",
        "10.1000/b.1",
        ("Ada Lovelace",),
    )
    assert rivers.authors == ("Grace Hopper",)
    assert (kettles.arxiv_id, kettles.authors) == ("physics/0611003", ("Emmy Noether",))
    assert {x.page_date for x in (bees, rivers, kettles)} == {date(2026, 11, 20)}


def test_names_and_dates_may_be_objects_and_numbers() -> None:
    authors = [{"given": "Ada", "family": "Lovelace"}, {"literal": "Bees Inc"}, "Kay, Alan", None]
    (listing,) = read_json({"title": "Bees", "authors": authors, "year": 2026, "abstract": None})
    assert listing.authors == ("Ada Lovelace", "Bees Inc", "Alan Kay")
    assert listing.facts == {"year": 2026}


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2020/5/12", date(2020, 5, 12)),
        ("May 12, 2020", date(2020, 5, 12)),
        ("Sep. 3rd, 2020", date(2020, 9, 3)),
        ("12 May 2020", date(2020, 5, 12)),
        ("12-May-2020", date(2020, 5, 12)),
        ("2020 May 12", date(2020, 5, 12)),
        ("12.05.2020", date(2020, 5, 12)),
        ("12/05/2020", None),
        ("May 2020", None),
        ("31.02.2020", None),
    ],
)
def test_a_day_is_read_as_people_write_it(said: str, day: date | None) -> None:
    (listing,) = read_csv(f'title,date\nBees,"{said}"\n')
    assert (listing.published_on, listing.facts) == (day, {"year": 2020})


def test_what_semantic_scholar_says_of_a_paper_is_read() -> None:
    (listing,) = read_json(
        {
            "paperId": "0123456789abcdef0123456789abcdef01234567",
            "externalIds": {"ArXiv": "2611.00001", "DOI": "10.1000/b.1", "CorpusId": 7},
            "title": "Bees",
            "year": 2026,
            "publicationDate": "2026-11-20",
        }
    )
    assert (listing.arxiv_id, listing.doi) == ("2611.00001", "10.1000/b.1")
    assert (listing.published_on, listing.facts) == (date(2026, 11, 20), {"year": 2026})


@pytest.mark.parametrize(
    ("said", "arxiv", "doi"),
    [
        ("arXiv:1706.03762v5 [cs.CL]", "1706.03762", None),
        ("math.GT/0309136 [math]", "math.GT/0309136", None),
        ("see doi:10.1000/x\u2010y.", None, "10.1000/x\u2010y"),
        ("(10.1000/x)\u201d", None, "10.1000/x)"),
    ],
)
def test_an_id_is_read_whole(said: str, arxiv: str | None, doi: str | None) -> None:
    (listing,) = read_csv(f"title,arxiv,doi\nBees,{said},{said}\n")
    assert (listing.arxiv_id, listing.doi) == (arxiv, doi)


def test_empty_cells_behind_the_last_heading_say_nothing() -> None:
    page = "title,doi\nBees,10.1000/x,\nRivers,10.1000/y,, \nKettles,10.1000/z,and more\n"
    assert [listing.title for listing in read_csv(page)] == ["Bees", "Rivers"]
    assert CsvFile().broken(page.encode()) == ["line 4: a row of too many fields"]


def test_a_few_broken_lines_are_left_out_and_many_are_refused() -> None:
    good = {"title": "Bees", "doi": "10.1000/x"}
    assert len(read_json(good, good, good, {"doi": "10.1000/y"})) == 3
    with pytest.raises(UnreadablePage, match="2 of 3 lines without a title"):
        read_json(good, ["title"], {"title": " "})


def test_days_of_arxiv_are_left_to_their_own_reader() -> None:
    line = {"id": "2611.00001", "title": "Bees", "summary": "We.", "categories": ["cs.LG"]}
    assert find_reader(json.dumps(line).encode()).name == "arxiv-days"


def test_zoteros_rdf_is_read_without_attachments_and_journals() -> None:
    bees, rivers, kettles = ZoteroRdf().read(ZOTERO, SEEN_ON)
    assert bees == Listing(
        title="Bees That Count",
        abstract="We count bees.",
        position=1,
        page_date=date(2026, 11, 20),
        doi="10.1000/b.1",
        url="https://b.example/1",
        authors=("Ada Lovelace",),
        published_on=date(2026, 11, 20),
        facts={"year": 2026},
    )
    assert (rivers.arxiv_id, rivers.facts) == ("2611.00002", {"year": 2026})
    assert kettles.title == "Kettles That Sing"


def test_rdf_without_items_is_refused() -> None:
    with pytest.raises(UnreadablePage, match="0 items, none of them with a title"):
        ZoteroRdf().read(ZOTERO.replace(b"itemType", b"type"), SEEN_ON)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Lovelace, A.; Hopper, G. B.", ["A. Lovelace", "G. B. Hopper"]),
        ("Ada Lovelace, Grace Hopper and Alan Kay", ["Ada Lovelace", "Grace Hopper", "Alan Kay"]),
        ("Lovelace, Ada and Hopper, Grace", ["Ada Lovelace", "Grace Hopper"]),
        ("Lovelace, A., Hopper, G. B.", ["A. Lovelace", "G. B. Hopper"]),
        ("Lovelace, Ada", ["Ada Lovelace"]),
        ("van der Berg, J.", ["J. van der Berg"]),
        ("Ada Lovelace, Grace Hopper", ["Ada Lovelace", "Grace Hopper"]),
        ("John Doe, Jr., Ann Poe", ["John Doe Jr.", "Ann Poe"]),
        ("A. B. & C. D.", ["A. B.", "C. D."]),
        (" ; , ", []),
    ],
)
def test_names_are_told_from_each_other(line: str, names: list[str]) -> None:
    assert list(names_of_line(line)) == names
