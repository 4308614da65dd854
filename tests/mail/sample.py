"""Editions as ranking would freeze them, for the mail's tests; every paper is invented."""

from dataclasses import replace
from datetime import UTC, date, datetime

from digest.editions import Edition, EditionItem, Reason
from digest.mail import EditionLinks, EditionMail, VoteLinks, edition_mail

DAY = date(2026, 11, 21)
BASE = "https://digest.example.org"
ITEM = EditionItem(
    position=1,
    paper_id=1,
    title="Retrieval Heads as a Learned Index",
    abstract="",
    summary="Few attention heads act as an index. Decoding is 3.4 times as fast.",
    authors=("Mira Okafor", "Aiko Tanabe", "Jonas Feld"),
    published_on=date(2026, 11, 19),
    arxiv_id="2611.11873",
    doi=None,
    url="https://arxiv.org/abs/2611.11873",
    code_url="https://code.example.org/heads",
    sources=("Trending Papers",),
    upvotes=41,
    lane="personal",
    score=0.9,
    probability=None,
    propensity=1.0,
    reasons=(Reason("interest", 0.9, name="long contexts"),),
)
BARE = replace(
    ITEM, summary="", authors=(), published_on=None, arxiv_id=None, url=None, code_url=None,
    sources=(), upvotes=None, reasons=(),
)  # fmt: skip


def edition(*items: EditionItem, n_candidates: int = 110, note: str = "") -> Edition:
    """Freeze `items` in this order, numbered from 1."""
    numbered = (replace(item, position=i, paper_id=i) for i, item in enumerate(items, start=1))
    built_at = datetime(2026, 11, 21, 6, tzinfo=UTC)
    return Edition(7, 3, DAY, built_at, n_candidates, note, tuple(numbered))


def links(n: int) -> EditionLinks:
    """Links of the form that we sign, for papers 1 to `n`."""
    votes = {
        i: VoteLinks(*(f"{BASE}/vote/{value}-{i}-{'t' * 30}" for value in ("up", "down", "saved")))
        for i in range(1, n + 1)
    }
    return EditionLinks(
        f"{BASE}/edition/e", f"{BASE}/unsubscribe/u", f"{BASE}/preferences/p", votes
    )


def mail(*items: EditionItem, n_candidates: int = 110, note: str = "") -> EditionMail:
    """What the mail of an edition of `items` says."""
    made = edition(*items, n_candidates=n_candidates, note=note)
    return edition_mail(made, links(len(items)), "Digest, 12 Observatory Lane, Heidelberg")
