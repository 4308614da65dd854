"""Sources: where papers come from. Each reader turns the bytes of one format into listings."""

from digest.errors import UnreadablePage
from digest.sources.arxiv_api import ArxivApi
from digest.sources.arxiv_days import ArxivDays
from digest.sources.arxiv_feed import ArxivFeed
from digest.sources.arxiv_oai import ArxivOai
from digest.sources.bibtex import BibTex
from digest.sources.biorxiv import Biorxiv
from digest.sources.csv_file import CsvFile
from digest.sources.feed import Feed
from digest.sources.hf_daily import HuggingFaceDaily
from digest.sources.hf_page import HuggingFacePage
from digest.sources.json_lines import JsonLines
from digest.sources.listing import Listing, Paged, Reader
from digest.sources.trending_page import TrendingPage
from digest.sources.zotero_json import ZoteroJson
from digest.sources.zotero_rdf import ZoteroRdf

MAX_PAGE_BYTES = 10_000_000

# Asked in this order: a format of one site before a general one. The saved page is plain text,
# which nearly anything is, so it comes last.
READERS: tuple[Reader, ...] = (
    HuggingFaceDaily(),
    HuggingFacePage(),
    ArxivFeed(),
    ArxivApi(),
    ArxivOai(),
    ArxivDays(),
    Biorxiv(),
    ZoteroRdf(),
    ZoteroJson(),
    Feed(),
    JsonLines(),
    BibTex(),
    CsvFile(),
    TrendingPage(),
)
# The readers of pages whose order says what is thought of the papers.
RANKING = frozenset({"hf-daily", "hf-page", "trending-page"})


def find_reader(page: bytes) -> Reader:
    """The reader for these bytes, whatever their file was called. Raises UnreadablePage."""
    if not page.strip():
        raise UnreadablePage("a page of papers", "an empty file")
    if len(page) > MAX_PAGE_BYTES:
        raise UnreadablePage(f"a page of at most {MAX_PAGE_BYTES // 10**6} MB", "more")
    for reader in READERS:
        if reader.recognises(page):
            return reader
    # The last one says best what a page of text should have been.
    return READERS[-1]


__all__ = ["RANKING", "READERS", "Listing", "Paged", "Reader", "find_reader"]
