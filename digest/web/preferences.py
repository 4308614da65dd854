"""The doors of the preferences: one page of sections, each of which posts by itself.

A form that is sent as it stands changes nothing: what is destroyed has to be ticked or typed first.
So a machine that presses every button it finds does no harm here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from json import dumps

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import digest.subscribers as subscribers
from digest.editions import edition_of
from digest.engine.app import App
from digest.engine.erase import erase_for_good
from digest.errors import BadInput, Unknown
from digest.languages import msgid, own_names
from digest.links import Claim, Purpose
from digest.profiles.interests import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST,
    InterestEdit,
    InterestView,
    change_interests,
    faults_in_interest,
    interests_of,
)
from digest.profiles.learned import learned
from digest.profiles.mutes import mute, mutes_of, unmute
from digest.store.tables import MuteKind
from digest.subscribers import SubscriberView
from digest.votes import forget_votes, undo_vote, vote
from digest.web.answers import PRIVATE, SHUT, Pages, go_to
from digest.web.choices import FREQUENCIES, HOURS, in_words, mixes_with, zones
from digest.web.feeds import feed_url, search_url
from digest.web.forms import fields_of, lists_of, numbers_in

Given = Mapping[str, Sequence[str]]
Faults = dict[str, str]

_SETTINGS = ("timezone", "hour", "frequency", "length", "mix", "min_probability", "language")
_MUTE_KINDS: Mapping[MuteKind, str] = {
    "word": msgid("a word or phrase"),
    "author": msgid("an author"),
    "category": msgid("a category"),
}
# A letter takes up to four bytes, and each of them three in a form.
LONGEST_INTERESTS = 12 * (MOST + 1) * (LONGEST_NAME + LONGEST_TEXT)
# Of what was learned, so much is shown: words, and papers that are not voted on; votes.
_SHOWN, _VOTES_SHOWN = 8, 100


@dataclass(frozen=True, slots=True)
class PreferencesDoors:
    """Everything that a subscriber may see, change, take along and delete."""

    app: App
    pages: Pages
    now: Callable[[], datetime]

    def preferences(self, request: Request) -> Response:
        """The page; `?saved=` names the section that was just saved."""
        return self._page(
            request, self._claim(request), saved=request.query_params.get("saved", "")
        )

    def change(self, request: Request) -> Response:
        """Take one section's form; with a fault, the same page with what was typed."""
        claim = self._claim(request)
        section = request.path_params["section"]
        take = {
            "frequency": self._settings,
            "pause": self._pause,
            "language": self._settings,
            "interests": self._interests,
            "mutes": self._mutes,
            "address": self._address,
            "learned": self._learned,
            "reset": self._reset,
            "stay": self._stay,
        }.get(section)
        if take is None:
            raise HTTPException(404)
        given = lists_of(request.state.body)
        try:
            with self.app.sessions() as session:
                view = subscribers.read_subscriber(session, claim.subscriber_id)
                faults = take(session, view, given)
        except BadInput as error:
            faults = {error.field or section: error.message}
        if faults:
            return self._page(request, claim, section=section, given=given, faults=faults)
        anchor = {"reset": "learned", "stay": "frequency"}.get(section, section)
        return go_to(f"{self.app.links.path(claim)}?saved={anchor}#{anchor}")

    def export(self, request: Request) -> Response:
        """Everything that is stored, to be kept as a file."""
        claim = self._claim(request)
        with self.app.sessions.reading() as session:
            everything = subscribers.export(session, claim.subscriber_id)
        return Response(
            dumps(everything, indent=2, ensure_ascii=False).encode("utf-8", "replace"),
            headers={
                **SHUT,
                **PRIVATE,
                "Content-Disposition": 'attachment; filename="digest.json"',
            },
            media_type="application/json",
        )

    def ask_to_erase(self, request: Request) -> Response:
        """The second step: what is deleted, with a box to tick."""
        return self._erase_page(request, self._claim(request))

    def erase(self, request: Request) -> Response:
        """Delete everything, if the box is ticked."""
        claim = self._claim(request)
        if fields_of(request.state.body).get("sure") != "yes":
            fault = msgid("please tick this to delete everything")
            return self._erase_page(request, claim, fault=fault)
        # Nobody knows afterwards which it was.
        self.pages.tongues.of(request)
        erase_for_good(self.app, claim.subscriber_id)
        return self.pages.show(request, "erased.html")

    def ask_to_move(self, request: Request) -> Response:
        """The page with the button of a change of address."""
        claim = self._change_claim(request)
        with self.app.sessions.reading() as session:
            change = subscribers.read_change(session, claim)
        return self._move_page(request, claim, change)

    def move(self, request: Request) -> Response:
        """One of the two addresses agrees."""
        claim = self._change_claim(request)
        with self.app.sessions() as session:
            change = subscribers.agree_to_change(
                session, claim, secret=self.app.secret, now=self.now()
            )
        return self._move_page(request, claim, change)

    def fresh(self, request: Request) -> Response:
        """Mail a fresh link to whose old link this is; the answer is the same in every case."""
        claim = self.app.links.read_signed(request.path_params["token"])
        with self.app.sessions() as session:
            subscribers.send_fresh_link(session, claim, now=self.now())
        return self.pages.show(request, "fresh.html")

    def _claim(self, request: Request) -> Claim:
        app, token = self.app, request.path_params["token"]
        return subscribers.read_claim(app.sessions, app.links, token, "preferences", now=self.now())

    def _change_claim(self, request: Request) -> Claim:
        old = request.url.path.removeprefix(self.app.links.base_path).startswith("/change_from/")
        purpose: Purpose = "change_from" if old else "change_to"
        return self.app.links.read(request.path_params["token"], purpose, self.now())

    # The sections: each takes its form; it names the fields at fault and changes nothing, or raises
    # BadInput, which undoes what it changed.

    def _settings(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        asked = {name: given[name][-1] for name in _SETTINGS if name in given}
        stored = {name: getattr(view, name) for name in _SETTINGS}
        # Who has chosen none is shown the operator's; sent as it stands it is still no choice.
        if asked.get("language") == (view.language or self.app.settings.mail.language):
            del asked["language"]
        values = {**stored, **asked, "address": view.address}
        faults = subscribers.faults_in(values, self.app.settings.defaults)
        if not faults:
            subscribers.change(session, view.id, asked, now=self.now())
        return faults

    def _pause(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        wanted, until = _last(given, "pause"), _last(given, "until")
        if wanted not in ("no", "until", "open"):
            return {"pause": msgid("must be one of the three")}
        # Sent as it stands it must change nothing, not even take back what is queued.
        stands = "no" if view.state != "paused" else "until" if view.paused_until else "open"
        if wanted == stands and (wanted != "until" or until == str(view.paused_until)):
            return {}
        if wanted == "no":
            subscribers.resume(session, view.id, secret=self.app.secret, now=self.now())
            return {}
        try:
            day = date.fromisoformat(until) if wanted == "until" else None
        except ValueError:
            said = msgid("must be a day like 2026-11-20, not %(given)s", given=repr(until))
            return {"until": said}
        subscribers.pause(session, view.id, day, now=self.now())
        return {}

    def _interests(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        known = interests_of(session, view.id)
        edits = [_edit_of(one, given) for one in known if f"name-{one.interest_id}" in given]
        new = InterestEdit(None, _last(given, "name-new"), _last(given, "text-new"))
        if new.text.strip() or new.name.strip():
            # A name is made from the text where none is given.
            name = new.name if new.name.strip() else subscribers.name_of(new.text)
            edits.append(replace(new, name=name))
        faults = {
            f"{field}-{edit.interest_id or 'new'}": said
            for edit in edits
            if not edit.remove
            for field, said in faults_in_interest(edit.name, edit.text).items()
        }
        if not faults:
            change_interests(session, view.id, edits, self.now())
        return faults

    def _mutes(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        kinds = {str(kind): kind for kind in _MUTE_KINDS}
        for one in given.get("unmute", ()):
            kind, _, text = one.partition(" ")
            if kind in kinds:
                unmute(session, view.id, kinds[kind], text)
        text = _last(given, "text").strip()
        if text or "unmute" not in given:
            wanted = kinds.get(_last(given, "kind"))
            if wanted is None:
                raise BadInput(msgid("must be one of these"), field="kind")
            try:
                mute(session, view.id, wanted, text, self.now())
            except BadInput as error:
                raise BadInput(error.message, field="text") from None
        return {}

    def _address(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        new = _last(given, "address").strip()
        subscribers.ask_for_change(session, view.id, new, secret=self.app.secret, now=self.now())
        return {}

    def _learned(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        """Forget votes; want less of a paper; never see a word: what is ticked."""
        # What was shown may not be what would be shown now: the ticks are what is meant.
        for paper_id in numbers_in(given.get("forget", ())):
            undo_vote(session, view.id, paper_id)
        for paper_id in subscribers.known_papers(session, numbers_in(given.get("less", ()))):
            vote(session, view.id, paper_id, "down", at=self.now(), via="web")
        for word in given.get("never", ()):
            mute(session, view.id, "word", word, self.now())
        return {}

    def _stay(self, session: Session, view: SubscriberView, _given: Given) -> Faults:
        subscribers.note_sign(session, view.id, self.now())
        return {}

    def _reset(self, session: Session, view: SubscriberView, given: Given) -> Faults:
        if _last(given, "sure") != "yes":
            return {"reset": msgid("please tick this to forget every vote")}
        forget_votes(session, view.id)
        return {}

    def _page(
        self,
        request: Request,
        claim: Claim,
        *,
        section: str = "",
        given: Given | None = None,
        faults: Mapping[str, str] | None = None,
        saved: str = "",
    ) -> Response:
        links, spoken = self.app.links, self.pages.tongues.of(request)
        encoder = self.app.encoder.identity
        with self.app.sessions.reading() as session:
            view = subscribers.read_subscriber(session, claim.subscriber_id)
            known = learned(session, view.id, encoder, now=self.now(), n=_SHOWN)
            muted = mutes_of(session, view.id)
            change = subscribers.pending_change(session, view.id)
            is_asked = subscribers.is_asked(session, view.id)
            try:
                newest = edition_of(session, view.id).edition_id
            except Unknown:
                newest = None
        leave = Claim("unsubscribe", view.id, claim.expires_at)
        read = newest and Claim("edition", view.id, claim.expires_at, newest)
        typed = {name: values[-1] for name, values in (given or {}).items() if values}
        stored = {name: str(getattr(view, name)) for name in _SETTINGS}
        stored["language"] = spoken.code
        if view.min_probability is None:
            stored["min_probability"] = ""
        return self.pages.show(
            request,
            "preferences.html",
            422 if faults else 200,
            view=view,
            path=links.path(claim),
            unsubscribe=links.path(leave),
            newest=links.path(read) if read else "",
            feeds={"Atom": feed_url(links, view.id), "JSON": feed_url(links, view.id, "json")},
            search=search_url(links, view.id),
            section=section,
            is_asked=is_asked,
            saved=saved,
            faults=faults or {},
            typed=typed,
            ticked={name: set(values) for name, values in (given or {}).items()},
            values={**stored, **(typed if section in ("frequency", "language") else {})},
            hours=HOURS,
            frequencies=in_words(FREQUENCIES, spoken),
            languages=own_names(),
            mixes=mixes_with(stored["mix"], spoken),
            zones=zones(),
            known=known,
            votes_shown=_VOTES_SHOWN,
            muted=muted,
            mute_kinds=in_words(_MUTE_KINDS, spoken),
            change=change,
            paused_until=view.paused_until and spoken.long_date(view.paused_until),
            change_until=change and spoken.long_date(change.expires_at.date()),
        )

    def _erase_page(self, request: Request, claim: Claim, *, fault: str = "") -> Response:
        with self.app.sessions.reading() as session:
            view = subscribers.read_subscriber(session, claim.subscriber_id)
        return self.pages.show(
            request,
            "erase.html",
            422 if fault else 200,
            view=view,
            path=self.app.links.path(claim),
            fault=fault,
        )

    def _move_page(
        self, request: Request, claim: Claim, change: subscribers.ChangeView
    ) -> Response:
        said = change.old_said if claim.purpose == "change_from" else change.new_said
        return self.pages.show(
            request,
            "move.html",
            change=change,
            said=said,
            action=self.app.links.path(claim),
            asked="old" if claim.purpose == "change_from" else "new",
        )


def _last(given: Given, name: str) -> str:
    return next(reversed(given.get(name, ())), "")


def _edit_of(one: InterestView, given: Given) -> InterestEdit:
    n = one.interest_id
    return InterestEdit(
        n,
        _last(given, f"name-{n}"),
        # Browsers send the line feeds of a text as two characters.
        _last(given, f"text-{n}").replace("\r\n", "\n"),
        is_on=_last(given, f"on-{n}") == "yes",
        remove=_last(given, f"remove-{n}") == "yes",
    )
