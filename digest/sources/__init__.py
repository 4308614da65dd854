"""Sources: where papers come from. Each reader turns the bytes of one format into listings."""

from digest.errors import UnreadablePage
from digest.sources.hf_daily import HuggingFaceDaily
from digest.sources.listing import Listing, Reader
from digest.sources.trending_page import TrendingPage

MAX_PAGE_BYTES = 10_000_000

# Asked in this order; the saved page is plain text, which nearly anything is, so it comes last.
READERS: tuple[Reader, ...] = (HuggingFaceDaily(), TrendingPage())


def find_reader(page: bytes) -> Reader:
    """The reader for these bytes, whatever their file was called. Raises UnreadablePage."""
    if not page.strip():
        raise UnreadablePage("a page of papers", "an empty file")
    if len(page) > MAX_PAGE_BYTES:
        raise UnreadablePage(
            f"a page of at most {MAX_PAGE_BYTES // 10**6} MB", f"{len(page) // 10**6} MB"
        )
    for reader in READERS:
        if reader.recognises(page):
            return reader
    # The last one says best what a page of text should have been.
    return READERS[-1]


__all__ = ["READERS", "Listing", "Reader", "find_reader"]
