"""Which paper a listing points to: arXiv id without version, then DOI, then title and abstract."""

import hashlib
import re
import unicodedata

from rapidfuzz import fuzz

from digest.papers.clean import one_line

_ARXIV = re.compile(
    r"(?:arxiv\.org/(?:abs|pdf|html)/|arxiv:|10\.48550/arxiv\.|^)\s*"
    r"(\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[a-z]{2})?/\d{7})(?:v\d+)?(?:\.pdf)?(?:[?#]\S*)?$",
    re.IGNORECASE | re.ASCII,
)
_DOI = re.compile(r"(10\.\d{4,9}/[!-~]{1,300})$", re.ASCII)
# bioRxiv and medRxiv put the version behind the DOI.
_DOI_VERSION = re.compile(r"^(10\.(?:1101|64898)/\d[\d.]*)v\d.*$", re.ASCII)
# What a database can hold in an index on every platform.
_LONGEST_KEY = 200
# Two abstracts of one work, the other being a later version, seldom share less than this.
SAME_ABSTRACT = 70.0


def arxiv_id(text: str | None) -> str | None:
    """The bare arXiv id in an id, an address or a DOI, without its version; None without one."""
    match = _ARXIV.search(text.strip()) if text else None
    # math.GT/0309136 and math/0309136 are one paper: the archive numbers, its classes do not.
    return re.sub(r"\.[a-z]{2}/", "/", match[1].lower()) if match else None


def doi(text: str | None) -> str | None:
    """The DOI in a DOI or address, in lower case (DOIs ignore case); None where there is none."""
    match = _DOI.search(text.strip()) if text else None
    return _DOI_VERSION.sub(r"\1", match[1].lower().rstrip(".,;")) if match else None


def title_key(title: str) -> str:
    """A title's letters and digits alone, without case, accents, spaces or punctuation.

    The SHA-256 of what there is, where a title has none or is very long.
    """
    said = one_line(title)
    decomposed = unicodedata.normalize("NFKD", said).casefold()
    letters = "".join(c for c in decomposed if c.isalnum())
    return letters if 0 < len(letters) <= _LONGEST_KEY else text_hash(letters or said)


def keys_of(title: str, abstract: str, arxiv: str | None, doi: str | None) -> list[str]:
    """The keys by which a paper is found, surest first.

    Of two works under one title only the first holds the title; the text tells the second.
    """
    keys = [f"arxiv:{arxiv}"] if arxiv else []
    keys += [f"doi:{doi}"] if doi else []
    return [*keys, f"text:{text_hash(text_of(title, abstract))}", f"title:{title_key(title)}"]


def same_abstract(one: str, other: str) -> bool:
    """Whether two abstracts under one title are of one work; a missing one speaks for it."""
    if not one or not other:
        return True
    return fuzz.token_set_ratio(one, other) >= SAME_ABSTRACT


def text_hash(text: str) -> str:
    """The SHA-256 under which a text's vector is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(title: str, abstract: str) -> str:
    """The text of a paper that is embedded: title, full stop, abstract."""
    return f"{title}. {abstract}" if abstract else title
