"""XML from outside: parsed without DTDs, entities or anything fetched, or refused in a line."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from digest.errors import UnreadablePage
from digest.sources.text import folded

# Of 10 MB of nothing but tags, the tree would take gigabytes; a page of papers has a tenth of this.
MOST_TAGS = 500_000
# An XML declaration may stand nowhere but at the very start.
_IN_FRONT = re.compile(rb"((?:\xef\xbb\xbf)?)\s+")
_ENTRY = re.compile(rb"<(?:entry|item|record)\b")


def parse_xml(page: bytes, expected: str) -> Element:
    """The root of the page. Raises UnreadablePage, saying that `expected` was expected."""
    if (n := page.count(b"<")) > MOST_TAGS:
        raise UnreadablePage(expected, f"XML of {n:,} tags")
    if blank := _IN_FRONT.match(page):
        page = blank[1] + page[blank.end() :]
    try:
        root: Element = fromstring(page, forbid_dtd=True)
    except ParseError as error:
        found = f"XML broken at line {error.position[0]} ({str(error).split(':')[0]})"
        raise UnreadablePage(expected, found) from None
    except DefusedXmlException:
        raise UnreadablePage(expected, "XML with a document type or entities of its own") from None
    except (ValueError, LookupError):
        raise UnreadablePage(expected, "XML in an encoding that is not known") from None
    return root


def head_of(page: bytes) -> bytes:
    """What stands above the first entry of a page, in ASCII also where it is UTF-16; to look at."""
    return _ENTRY.split(page[:8192].replace(b"\0", b""), maxsplit=1)[0]


def name_of(element: Element) -> str:
    """The element's name without its namespace, of which feeds write many for one thing."""
    return element.tag.rpartition("}")[2]


def children(element: Element, name: str) -> Iterator[Element]:
    """The element's own children of this name, in whatever namespace."""
    return (child for child in element if name_of(child) == name)


def raw(element: Element, name: str) -> str:
    """The text within the first child of this name, as it is; empty where there is none."""
    return next(("".join(child.itertext()) for child in children(element, name)), "")


def said(element: Element, name: str) -> str:
    """The text within the first child of this name, folded; empty where there is none."""
    return folded(raw(element, name))
