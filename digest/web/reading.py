"""The doors of an edition: its page, and the votes that are cast from it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from digest.editions import Edition, read_edition
from digest.engine.app import App
from digest.links import Claim, Purpose
from digest.mail.content import EditionLinks, MailPaper, edition_mail
from digest.store.tables import VoteValue
from digest.votes import record_vote, undo_vote, votes_of
from digest.web.answers import Pages, go_to

_VALUES: tuple[VoteValue, ...] = ("up", "down", "saved")


@dataclass(frozen=True, slots=True)
class Ballot:
    """A paper with its thumbs: what a vote of each value is posted to, and what stands now."""

    paper: MailPaper
    abstract: str
    anchor: str
    vote: VoteValue | None
    paths: dict[VoteValue, str]


@dataclass(frozen=True, slots=True)
class ReadingDoors:
    """One edition as a page; every link to it opens the whole of it."""

    app: App
    pages: Pages
    now: Callable[[], datetime]

    def edition(self, request: Request) -> Response:
        """The edition, with the votes as they stand."""
        return self._edition(self._claim(request, "edition"))

    def ask_to_vote(self, request: Request) -> Response:
        """The edition with one vote chosen; a scanner that opens it votes on nothing."""
        return self._edition(self._claim(request, "vote"))

    def vote(self, request: Request) -> Response:
        """Record the vote of the link."""
        claim = self._claim(request, "vote")
        with self.app.sessions() as session:
            record_vote(session, claim, at=self.now())
        return self._back(claim)

    def undo(self, request: Request) -> Response:
        """Take back whatever vote there is on the paper of the link."""
        claim = self._claim(request, "vote")
        with self.app.sessions() as session:
            undo_vote(session, claim.subscriber_id, claim.paper_id)
        return self._back(claim)

    def _claim(self, request: Request, purpose: Purpose) -> Claim:
        return self.app.links.read(request.path_params["token"], purpose, self.now())

    def _back(self, claim: Claim) -> Response:
        edition = replace(claim, purpose="edition", paper_id=0, value="")
        return go_to(f"{self.app.links.path(edition)}#{_anchor(claim.paper_id)}")

    def _edition(self, claim: Claim) -> Response:
        with self.app.sessions.reading() as session:
            edition = read_edition(session, claim.edition_id)
            votes = votes_of(session, claim.subscriber_id)
        links = self.app.links
        leave = Claim("unsubscribe", claim.subscriber_id, claim.expires_at)
        shown = edition_mail(
            edition,
            EditionLinks(links.url(claim), links.url(leave), preferences_url=None, votes={}),
            postal_address="",
        )
        ballots = [
            self._ballot(claim, edition, n, paper, votes) for n, paper in enumerate(shown.papers)
        ]
        return self.pages.show(
            "edition.html",
            edition=shown,
            ballots=ballots,
            chosen=next((b for b in ballots if b.anchor == _anchor(claim.paper_id)), None),
            value=claim.value,
            unsubscribe=links.path(leave),
        )

    def _ballot(
        self,
        claim: Claim,
        edition: Edition,
        n: int,
        paper: MailPaper,
        votes: dict[int, VoteValue],
    ) -> Ballot:
        item = edition.items[n]
        cast = replace(claim, purpose="vote", paper_id=item.paper_id)
        return Ballot(
            paper=paper,
            abstract=item.abstract,
            anchor=_anchor(item.paper_id),
            vote=votes.get(item.paper_id),
            paths={value: self.app.links.path(replace(cast, value=value)) for value in _VALUES},
        )


def _anchor(paper_id: int) -> str:
    return f"paper-{paper_id}"
