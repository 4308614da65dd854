"""No page brings in a file, an address or a flood by entities, whichever reader it has."""

import re
from pathlib import Path

import pytest

from digest.errors import UnreadablePage
from digest.sources import find_reader
from tests.sources.test_arxiv import SEEN_ON
from tests.sources.test_readers import PAGES

XML = [name for name, page in PAGES.items() if page.lstrip().startswith(b"<")]
SECRET = "the secret of this machine"
LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(9))


def spoilt(page: bytes, declared: bytes) -> bytes:
    """The page with a document type of its own, and its entity `x` in every title."""
    root = re.search(rb"<([A-Za-z:]+)[ >]", page)
    assert root is not None
    doctype = b"<!DOCTYPE " + root[1] + b" [" + declared + b"]>"
    page = page[: root.start()] + doctype + page[root.start() :]
    return re.sub(rb"(<(?:\w+:)?title[^>]*>)", rb"\1&x; ", page)


@pytest.mark.parametrize("kind", ["file", "address", "flood", "parameter"])
@pytest.mark.parametrize("name", XML)
def test_nothing_is_brought_in(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    file = (tmp_path / "secret").as_uri().encode()
    page = spoilt(
        PAGES[name],
        {
            "file": b'<!ENTITY x SYSTEM "%s">' % file,
            "address": b'<!ENTITY x SYSTEM "http://127.0.0.1:9/">',
            "flood": b'<!ENTITY l0 "haha">' + LAUGHS + b'<!ENTITY x "&l9;">',
            "parameter": b'<!ENTITY %% p SYSTEM "%s"> %%p; <!ENTITY x "y">' % file,
        }[kind],
    )
    try:
        listings = find_reader(page).read(page, SEEN_ON)
    except UnreadablePage:
        return
    said = repr(listings)
    assert SECRET not in said
    assert len(said) < 100_000
    assert "hahahaha" not in said


def test_every_format_in_xml_is_tried() -> None:
    assert len(XML) >= 6
