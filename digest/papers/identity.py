"""Which paper a listing points to: arXiv id without version, then DOI, then title and abstract."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote

from rapidfuzz import fuzz

from digest.papers.clean import one_line
from digest.sources.listing import Listing

_ARXIV = re.compile(
    r"(?:arxiv\.org/(?:abs|pdf|html)/|huggingface\.co/papers/|alphaxiv\.org/abs/|arxiv:|10\.48550/arxiv\.|^)\s*"
    r"(\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[a-z]{2})?/\d{7})(?:v\d+)?(?:\.pdf)?"
    r"(?:[?#]\S*|\s*\[[\w.-]{2,20}\])?$",
    re.IGNORECASE | re.ASCII,
)
_DOI = re.compile(r"(10\.\d{4,9}/[!-~]{1,300})$", re.ASCII)
# A PDF's typesetter writes other dashes, and marks that nobody sees, into a DOI that is copied.
_AS_COPIED = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE63, 0xFF0D], "-") | dict.fromkeys(
    [0xAD, *range(0x200B, 0x200E), 0x2060, 0xFEFF], ""
)
# Preprint servers put the version behind the DOI, each in its own way.
_DOI_VERSION = re.compile(
    r"(?P<biorxiv>10\.(?:1101|64898)/\d[\d.]*)v\d.*"
    r"|(?P<server>10\.(?:20944|21203|22541|26434|31219|3123[45]|35542|36227)/\S+?)[/._-]v\d{1,2}"
    r"|(?P<reviewed>10\.(?:7554/elife\.\d{4,6}|12688/[a-z0-9]{3,30}\.\d{3,7}))\.\d{1,2}",
    re.ASCII,
)
# Cold Spring Harbor's journals share 10.1101 with bioRxiv, whose DOIs go on in digits.
_PREPRINT = re.compile(
    r"10\.(?:(?:1101|64898)/\d"
    r"|(?:2139|20944|21203|22541|26434|31219|3123[45]|35542|36227|48550)/)",
    re.ASCII,
)
# What a database can hold in an index on every platform.
_LONGEST_KEY = 200
# Two abstracts of one work, the other being a later version, seldom share less than this.
SAME_ABSTRACT = 70.0
# Under two titles it is less; other works of one group go up to 74, and to 58 but for one in 200.
NEAR_ABSTRACT = 75.0


def arxiv_id(text: str | None) -> str | None:
    """The bare arXiv id in an id, an address or a DOI, without its version; None without one."""
    match = _ARXIV.search(text.strip()) if text else None
    # math.GT/0309136 and math/0309136 are one paper: the archive numbers, its classes do not.
    return re.sub(r"\.[a-z]{2}/", "/", match[1].lower()) if match else None


def doi(text: str | None) -> str | None:
    """The DOI in a DOI or address, in lower case (DOIs ignore case); None where there is none.

    One with characters that no DOI has is none: what stands before them may be of another's.
    """
    match = _DOI.search(unquote(text).translate(_AS_COPIED).strip()) if text else None
    if match is None:
        return None
    found = match[1].lower().rstrip(".,;")
    versioned = _DOI_VERSION.fullmatch(found)
    return next(filter(None, versioned.groups())) if versioned else found


def ids_of(listing: Listing) -> tuple[str | None, str | None]:
    """The arXiv id and the DOI of a listing; the DOI that arXiv gives to an id is that id."""
    doi_ = doi(listing.doi)
    arxiv = arxiv_id(listing.arxiv_id) or arxiv_id(listing.url) or arxiv_id(doi_)
    return arxiv, None if arxiv_id(doi_) else doi_


def journal_doi(listing: Listing) -> str | None:
    """The DOI that a preprint's listing says its journal gave it."""
    said = listing.facts.get("journal_doi")
    return doi(said) if isinstance(said, str) else None


def is_preprint(doi: str) -> bool:
    """Whether a DOI is one of a server of preprints, as far as we know them."""
    return bool(_PREPRINT.match(doi))


def title_key(title: str) -> str:
    """A title's letters and digits alone, without case, accents, spaces or punctuation.

    The SHA-256 of what there is, where a title has none or is very long.
    """
    said = one_line(title)
    letters = letters_of(said)
    return letters if 0 < len(letters) <= _LONGEST_KEY else text_hash(letters or said)


def keys_of(title: str, abstract: str, arxiv: str | None, doi: str | None) -> list[str]:
    """The keys by which a paper is found, surest first.

    Of two works under one title only the first holds the title; the text tells the second.
    """
    keys = [f"arxiv:{arxiv}"] if arxiv else []
    keys += [f"doi:{doi}"] if doi else []
    return [*keys, f"text:{text_hash(text_of(title, abstract))}", f"title:{title_key(title)}"]


def same_abstract(one: str, other: str, *, least: float = SAME_ABSTRACT) -> bool:
    """Whether two abstracts are of one work, or of a later version of it; none is like none."""
    return bool(one and other) and fuzz.token_set_ratio(one, other, score_cutoff=least) > 0


def same_authors(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists of authors may be of one work: a family name in common, or one unknown."""
    return not one or not other or not _family_names(one).isdisjoint(_family_names(other))


def letters_of(text: str) -> str:
    """A text's letters and digits alone, without case, accents, spaces or punctuation."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in decomposed if c.isalnum())


def _family_names(authors: Sequence[str]) -> set[str]:
    return {letters_of(words[-1]) for author in authors if (words := author.split())}


def text_hash(text: str) -> str:
    """The SHA-256 under which a text's vector is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(title: str, abstract: str) -> str:
    """The text of a paper that is embedded: title, full stop, abstract."""
    return f"{title}. {abstract}" if abstract else title
