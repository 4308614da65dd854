"""arXiv's OAI-PMH: records in three formats, deleted ones, errors, and tokens to go on with."""

from datetime import date

import pytest

from digest.errors import UnreadablePage
from digest.sources import Listing, Paged, find_reader
from digest.sources.arxiv_oai import ArxivOai
from tests.shared import shared
from tests.sources.arxiv_pages import BEES, KETTLES, PAPERS, RIVERS, oai, oai_answer, oai_record

URL = "https://oaipmh.arxiv.org/oai?verb=ListRecords&metadataPrefix=arXiv&from=2026-11-19&set=cs"

FULL = """<arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>2611.00001</id>
<created>2026-11-17</created><updated>2026-11-19</updated>
<authors><author><keyname>Lovelace</keyname><forenames>Ada</forenames><suffix>Jr</suffix></author>
<author><keyname>Kettle Collaboration</keyname></author></authors><title>Bees That
  Count</title><categories>cs.LG q-bio.PE</categories><comments>9 pages</comments>
<journal-ref>Hive 1 (2026) 2</journal-ref><doi>10.1000/bees</doi><abstract>  We count
bees.
</abstract></arXiv>"""
RAW = """<arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>2611.00001</id><submitter>A</submitter>
<version version="v2"><date>Thu, 19 Nov 2026 10:00:00 GMT</date><size>9kb</size></version>
<version version="v1"><date>Tue, 17 Nov 2026 10:00:00 GMT</date></version>
<title>Bees That Count</title><authors>Ada Lovelace Jr, Kettle Collaboration</authors>
<categories>cs.LG q-bio.PE</categories><comments>9 pages</comments>
<journal-ref>Hive 1 (2026) 2</journal-ref><doi>10.1000/bees</doi>
<abstract>We count bees.</abstract></arXivRaw>"""
DUBLIN = """<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Bees That Count</dc:title>
<dc:creator>Lovelace, Ada, Jr</dc:creator><dc:creator>Kettle Collaboration</dc:creator>
<dc:subject>Computer Science - Machine Learning</dc:subject><dc:subject>68T07</dc:subject>
<dc:description>  We count bees.
</dc:description><dc:description>Comment: 9 pages</dc:description>
<dc:date>2026-11-17</dc:date><dc:date>2026-11-19</dc:date><dc:type>text</dc:type>
<dc:identifier>http://arxiv.org/abs/2611.00001</dc:identifier>
<dc:identifier>Hive 1 (2026) 2</dc:identifier><dc:identifier>doi:10.1000/bees</dc:identifier>
</oai_dc:dc>"""


def read(page: bytes) -> list[Listing]:
    assert isinstance(find_reader(page), ArxivOai)
    return ArxivOai().read(page, date(2026, 11, 23))


@pytest.mark.parametrize("metadata", [FULL, RAW, DUBLIN], ids=["arXiv", "arXivRaw", "oai_dc"])
def test_a_record_says_the_same_in_every_format(metadata: str) -> None:
    (bees,) = read(oai(oai_record(BEES, metadata)))
    assert (bees.title, bees.abstract) == ("Bees That Count", "We count bees.")
    assert (bees.arxiv_id, bees.doi) == ("2611.00001", "10.1000/bees")
    assert bees.page_date == date(2026, 11, 20)
    assert (bees.published_on, bees.facts["updated_on"]) == (date(2026, 11, 17), "2026-11-19")
    assert bees.facts["comment"] == "9 pages"
    assert bees.facts["journal_ref"] == "Hive 1 (2026) 2"
    assert bees.authors[1] == "Kettle Collaboration"
    assert "Lovelace" in bees.authors[0]


def test_only_the_raw_format_tells_the_version() -> None:
    raw, full = (read(oai(oai_record(BEES, metadata)))[0] for metadata in (RAW, FULL))
    assert (raw.facts["version"], "version" in full.facts) == (2, False)


def test_dublin_core_tells_categories_by_its_sets() -> None:
    (bees,) = read(oai(oai_record(BEES, DUBLIN)))
    assert bees.facts["categories"] == ["hep-ex"]
    page = oai(oai_record(BEES, DUBLIN)).replace(b"physics:hep-ex", b"math:math:LO")
    assert read(page)[0].facts["categories"] == ["math.LO"]


def test_a_record_that_changed_long_after_is_no_news() -> None:
    bees, rivers = read(oai(oai_record(BEES), oai_record(RIVERS, changed="2026-12-20")))
    assert (bees.is_news, rivers.is_news) == (True, False)


def test_a_single_record_is_read_too() -> None:
    (bees,) = read(oai_answer(f"<GetRecord>{oai_record(BEES)}</GetRecord>"))
    assert bees.authors == ("Ada Lovelace", "Zoë Ámos")


def test_a_deleted_record_is_passed_over() -> None:
    deleted = oai_record(RIVERS, status=' status="deleted"')
    listings = read(oai(oai_record(BEES), deleted, oai_record(KETTLES)))
    assert [x.arxiv_id for x in listings] == ["2611.00001", "physics/0611003"]
    assert read(oai(deleted)) == []


def test_that_no_records_match_is_an_empty_page() -> None:
    assert read(oai_answer('<error code="noRecordsMatch">none</error>')) == []


@pytest.mark.parametrize(
    "code", ["badResumptionToken", "cannotDisseminateFormat", "idDoesNotExist"]
)
def test_any_other_error_is_refused_in_its_words(code: str) -> None:
    with pytest.raises(UnreadablePage, match=rf"an error of arXiv \({code} it is over\)"):
        read(oai_answer(f'<error code="{code}">it is\n over</error>'))


def test_an_answer_without_records_or_in_a_strange_format_is_refused() -> None:
    with pytest.raises(UnreadablePage, match="an answer without records"):
        read(oai_answer("<Identify/>"))
    with pytest.raises(UnreadablePage, match="in the format 'marc'"):
        read(oai(oai_record(BEES, "<marc/>")))


class TestPaging:
    def test_a_token_leads_on_and_stands_for_all_that_was_asked(self) -> None:
        token = (
            '<resumptionToken cursor="0" completeListSize="1090">\n 646|1001\n</resumptionToken>'
        )
        assert isinstance(ArxivOai(), Paged)
        assert ArxivOai().next_url(oai(*map(oai_record, PAPERS), token=token), URL) == (
            "https://oaipmh.arxiv.org/oai?verb=ListRecords&resumptionToken=646%7C1001"
        )

    @pytest.mark.parametrize(
        "page",
        [
            oai(oai_record(BEES)),
            oai(oai_record(BEES), token='<resumptionToken cursor="1000"/>'),
            oai_answer('<error code="badResumptionToken">x</error>'),
            b"Retry after 10 seconds",
        ],
        ids=["no token", "empty token", "error", "no answer"],
    )
    def test_the_last_page_has_no_next(self, page: bytes) -> None:
        assert ArxivOai().next_url(page, URL) is None


@pytest.mark.parametrize(
    ("name", "on", "token"),
    [
        ("arxiv_multi_20230125.xml", date(2023, 1, 25), "6460044%7C1001"),
        (
            "functional_arxiv_fixtures_http_server_records_arxiv-physics-hep-ex.xml",
            date(2017, 12, 14),
            None,
        ),
    ],
)
def test_the_real_records_are_read_whole(name: str, on: date, token: str | None) -> None:
    page = shared("arxiv_oai", name).read_bytes()
    listings = read(page)
    assert len(listings) == page.count(b"<record>") == 3
    assert {x.page_date for x in listings} == {on}
    assert not any(x.is_news for x in listings)
    assert all(len(x.abstract) > 300 and x.authors and x.facts["categories"] for x in listings)
    following = ArxivOai().next_url(page, URL)
    assert (following or "").endswith(f"resumptionToken={token}") is bool(token)
