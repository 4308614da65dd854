"""Papers as public pages and feeds show them: with the words and links that a mail has for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from digest.editions import Edition, EditionItem
from digest.languages import Language
from digest.mail.content import MailPaper
from digest.mail.edition import EditionLinks, edition_mail
from digest.papers.catalog import PaperView
from digest.papers.summary import summarise

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Every edition has one; no list of papers shows it.
_NOWHERE = EditionLinks("https://example.org/", "https://example.org/", None, {})


@dataclass(frozen=True, slots=True)
class PaperLine:
    """One paper of a list, and since when it is known here."""

    paper_id: int
    shown: MailPaper
    seen_at: datetime


def lines_of(views: Sequence[PaperView], spoken: Language) -> list[PaperLine]:
    """Papers as they are shown, in their order."""
    items = tuple(_item(n, view) for n, view in enumerate(views, 1))
    made = Edition(0, 0, _EPOCH.date(), _EPOCH, 0, "", items)
    shown = edition_mail(made, _NOWHERE, "", spoken).papers
    return [
        PaperLine(view.id, paper, view.first_seen_at)
        for view, paper in zip(views, shown, strict=True)
    ]


def _item(n: int, view: PaperView) -> EditionItem:
    return EditionItem(
        position=n,
        paper_id=view.id,
        title=view.title,
        abstract="",
        summary=summarise(view.title, view.abstract),
        authors=view.authors,
        published_on=view.published_on,
        arxiv_id=view.arxiv_id,
        doi=view.doi,
        url=view.url,
        code_url=view.code_url,
        sources=(),
        upvotes=view.upvotes,
        lane="trending",
        score=0.0,
        probability=None,
        propensity=1.0,
        reasons=(),
    )
