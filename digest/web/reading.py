"""The doors of an edition: its page, and what is pressed there: votes, their undo, mutes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from digest.editions import Edition, EditionItem, read_edition, terms_in_words
from digest.engine.app import App
from digest.errors import BadInput, Unknown
from digest.languages import Language, msgid
from digest.links import Claim, Purpose
from digest.mail.content import MailPaper
from digest.mail.edition import EditionLinks, edition_mail
from digest.profiles.learned import LAST, Moved, VoteView, moved_by_votes, nearest_for, votes_of
from digest.profiles.mutes import mute, mutes_of, names_of
from digest.store.tables import MuteKind, VoteValue
from digest.subscribers import read_claim
from digest.text import one_line, web_link
from digest.votes import record_vote, release_votes, take_back
from digest.web.answers import Pages, go_to
from digest.web.forms import fields_of, lists_of
from digest.web.presses import by_a_person

_VALUES: tuple[VoteValue, ...] = get_args(VoteValue)
_NEAREST = 6


@dataclass(frozen=True, slots=True)
class Ballot:
    """A paper with its thumbs: what a vote of each value is posted to, and what stands now."""

    paper: MailPaper
    abstract: str
    anchor: str
    vote: VoteValue | None
    held: bool
    paths: dict[VoteValue, str]
    terms: tuple[str, ...]
    more: str


@dataclass(frozen=True, slots=True)
class ReadingDoors:
    """One edition as a page; every link to it opens the whole of it."""

    app: App
    pages: Pages
    now: Callable[[], datetime]

    def edition(self, request: Request) -> Response:
        """The edition, with the votes as they stand."""
        return self._edition(request, self._claim(request, "edition"))

    def ask_to_vote(self, request: Request) -> Response:
        """The edition with one vote chosen; a scanner that opens it votes on nothing."""
        return self._edition(request, self._claim(request, "vote"))

    def vote(self, request: Request) -> Response:
        """Record the vote of the link."""
        claim = self._claim(request, "vote")
        with self.app.sessions() as session:
            record_vote(session, claim, at=self.now(), pressed=self._pressed(request))
        return self._back(claim, _anchor(claim.paper_id))

    def undo(self, request: Request) -> Response:
        """Take back whatever vote there is on the paper of the link."""
        claim = self._claim(request, "vote")
        with self.app.sessions() as session:
            take_back(session, claim, pressed=self._pressed(request))
        return self._back(claim, _anchor(claim.paper_id))

    def undo_listed(self, request: Request) -> Response:
        """Take back one of the last votes, whichever edition its paper was in."""
        claim = self._claim(request, "edition")
        given = fields_of(request.state.body).get("paper", "")
        with self.app.sessions() as session:
            votes = {str(vote.paper_id): vote for vote in votes_of(session, claim.subscriber_id)}
            if given in votes:
                undone = replace(claim, paper_id=votes[given].paper_id)
                take_back(session, undone, pressed=self._pressed(request))
        return self._back(claim, "votes")

    def count(self, request: Request) -> Response:
        """Let held votes count: a person has ticked that they are theirs."""
        claim = self._claim(request, "edition")
        if fields_of(request.state.body).get("mine") == "yes":
            with self.app.sessions() as session:
                release_votes(session, claim)
        return self._back(claim, "votes")

    def paper(self, request: Request) -> Response:
        """One paper of the edition: why it is there, what is near it, what of it to mute."""
        return self._paper(request, self._claim(request, "edition"))

    def mute(self, request: Request) -> Response:
        """Mute what is ticked or typed; nothing is ticked to begin with."""
        claim, now = self._claim(request, "edition"), self.now()
        given = lists_of(request.state.body)
        typed = next((text.strip() for text in reversed(given.get("word", ()))), "")
        try:
            with self.app.sessions() as session:
                item = self._item(session, claim, request)
                named = names_of(session, item.paper_id)
                wanted: list[tuple[MuteKind, str]] = [
                    (one.kind, one.text)
                    for n, one in enumerate(named)
                    if str(n) in given.get("mute", ())
                ]
                wanted += [("word", typed)] if typed else []
                for kind, text in wanted:
                    mute(session, claim.subscriber_id, kind, text, now)
        except BadInput as error:
            return self._paper(request, claim, fault=error.message, typed=typed)
        if not wanted:
            nothing = msgid("tick somebody or something, or type a word")
            return self._paper(request, claim, fault=nothing)
        return go_to(f"{self.app.links.path(claim)}/paper/{item.paper_id}?muted#mute")

    def _claim(self, request: Request, purpose: Purpose) -> Claim:
        app, token = self.app, request.path_params["token"]
        return read_claim(app.sessions, app.links, token, purpose, now=self.now())

    def _pressed(self, request: Request) -> bool:
        return by_a_person(request, tls=self.app.links.base_url.startswith("https:"))

    def _back(self, claim: Claim, anchor: str) -> Response:
        return go_to(f"{self.app.links.path(_whole(claim))}#{anchor}")

    def _item(self, session: Session, claim: Claim, request: Request) -> EditionItem:
        wanted = request.path_params["paper_id"]
        for item in read_edition(session, claim.edition_id).items:
            if str(item.paper_id) == wanted:
                return item
        raise Unknown(msgid("this paper is not in that edition"))

    def _edition(self, request: Request, claim: Claim) -> Response:
        links, encoder = self.app.links, self.app.encoder.identity
        spoken = self.pages.tongues.of(request)
        with self.app.sessions.reading() as session:
            edition = read_edition(session, claim.edition_id)
            votes = votes_of(session, claim.subscriber_id)
            moved = (
                moved_by_votes(session, claim.subscriber_id, encoder, now=self.now())
                if votes
                else Moved(0, 0, ())
            )
        leave = Claim("unsubscribe", claim.subscriber_id, claim.expires_at)
        preferences = Claim("preferences", claim.subscriber_id, claim.expires_at)
        shown = edition_mail(
            edition,
            EditionLinks(links.url(claim), links.url(leave), preferences_url=None, votes={}),
            "",
            spoken,
        )
        ballots = self._ballots(claim, edition, shown.papers, votes, spoken)
        # As in the mail: what trends outside the reader's interests comes last.
        ballots.sort(key=lambda ballot: ballot.paper.lane == "trending")
        return self.pages.show(
            request,
            "edition.html",
            edition=shown,
            ballots=ballots,
            chosen=next((b for b in ballots if b.anchor == _anchor(claim.paper_id)), None),
            value=claim.value,
            here=links.path(_whole(claim)),
            unsubscribe=links.path(leave),
            preferences=links.path(preferences),
            last=votes[:LAST],
            n_votes=len(votes),
            n_held=sum(ballot.held for ballot in ballots),
            moved=moved,
        )

    def _ballots(
        self,
        claim: Claim,
        edition: Edition,
        papers: tuple[MailPaper, ...],
        votes: list[VoteView],
        spoken: Language,
    ) -> list[Ballot]:
        cast = {vote.paper_id: vote for vote in votes}
        return [
            self._ballot(claim, item, paper, cast.get(item.paper_id), spoken)
            for item, paper in zip(edition.items, papers, strict=True)
        ]

    def _ballot(
        self,
        claim: Claim,
        item: EditionItem,
        paper: MailPaper,
        vote: VoteView | None,
        spoken: Language,
    ) -> Ballot:
        links = self.app.links
        cast = replace(claim, purpose="vote", paper_id=item.paper_id)
        return Ballot(
            paper=paper,
            abstract=item.abstract,
            anchor=_anchor(item.paper_id),
            vote=vote.value if vote else None,
            held=vote is not None and vote.held,
            paths={value: links.path(replace(cast, value=value)) for value in _VALUES},
            terms=tuple(map(one_line, terms_in_words(item, spoken))),
            more=f"{links.path(_whole(claim))}/paper/{item.paper_id}",
        )

    def _paper(
        self, request: Request, claim: Claim, *, fault: str = "", typed: str = ""
    ) -> Response:
        links, encoder = self.app.links, self.app.encoder.identity
        spoken = self.pages.tongues.of(request)
        with self.app.sessions.reading() as session:
            item = self._item(session, claim, request)
            edition = read_edition(session, claim.edition_id)
            votes = votes_of(session, claim.subscriber_id)
            near = nearest_for(session, claim.subscriber_id, item.paper_id, encoder, n=_NEAREST)
            named = names_of(session, item.paper_id)
            muted = {(one.kind, one.text) for one in mutes_of(session, claim.subscriber_id)}
        shown = edition_mail(
            edition,
            EditionLinks(links.url(claim), links.url(claim), None, {}),
            "",
            spoken,
        )
        paper = shown.papers[item.position - 1]
        (ballot,) = self._ballots(claim, replace(edition, items=(item,)), (paper,), votes, spoken)
        return self.pages.show(
            request,
            "paper.html",
            422 if fault else 200,
            ballot=ballot,
            here=links.path(claim),
            near=[
                (paper, web_link(paper.url) or _arxiv(paper.arxiv_id), nearness)
                for nearness, paper in near
            ],
            named=[(one, (one.kind, one.text) in muted) for one in named],
            fault=fault,
            typed=typed,
            said="muted" in request.query_params,
        )


def _whole(claim: Claim) -> Claim:
    """The claim to the whole edition that a vote's link is for, too."""
    return replace(claim, purpose="edition", paper_id=0, value="")


def _anchor(paper_id: int) -> str:
    return f"paper-{paper_id}"


def _arxiv(arxiv_id: str | None) -> str | None:
    return f"https://arxiv.org/abs/{arxiv_id}" if arxiv_id else None
