"""What each kind of mail says, as plain values: templates decide looks and nothing else.

What depends on a number is said here too, in the reader's language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from digest.languages import language, msgid
from digest.ranking.types import Lane

LANES: Mapping[Lane, str] = {
    "personal": msgid("For you"),
    "trending": msgid("Trending, outside your interests"),
    "exploration": msgid("New territory"),
}
# Where there is nothing else, nobody knows what is outside.
ALL_TRENDING: Mapping[Lane, str] = {**LANES, "trending": msgid("Trending")}
# Papers that get more room than the others.
LEADING = 3


class VoteLinks(NamedTuple):
    """Where the three thumbs of one paper lead."""

    up: str
    down: str
    saved: str


class PaperLink(NamedTuple):
    """A link to a paper, its PDF or its code, with the word that a reader clicks on."""

    label: str
    url: str


class MailPaper(NamedTuple):
    """One paper as a mail shows it; empty strings and tuples are not shown.

    `links` has at least one: where the title leads.
    """

    title: str
    short_title: str
    lane: Lane
    lane_label: str
    authors: str
    origin: str
    summary: str
    why: tuple[str, ...]
    links: tuple[PaperLink, ...]
    votes: VoteLinks | None


@dataclass(frozen=True, slots=True)
class MailNote:
    """What became of a paper that the reader liked, with where to look; `url` may be empty."""

    title: str
    words: str
    url: str


@dataclass(frozen=True, slots=True)
class EditionMail:
    """The mail of one edition; `n_hidden` papers of it are on the edition's page alone.

    `welcome` is whether it is the reader's first, `receipt` what their votes have changed.
    """

    name: ClassVar = "edition"

    subject: str
    preheader: str
    day: str
    headline: str
    note: str
    papers: tuple[MailPaper, ...]
    edition_url: str
    unsubscribe_url: str
    preferences_url: str | None
    postal_address: str
    language: str = "en"
    welcome: bool = False
    receipt: str = ""
    notes: tuple[MailNote, ...] = ()
    n_hidden: int = 0

    @property
    def lead(self) -> tuple[MailPaper, ...]:
        """The first of the reader's own papers, which get more room."""
        return self._own[:LEADING]

    @property
    def brief(self) -> tuple[MailPaper, ...]:
        """The others of their own."""
        return self._own[LEADING:]

    @property
    def outside(self) -> tuple[MailPaper, ...]:
        """What is trending outside their interests, where there is anything inside."""
        found = tuple(paper for paper in self.papers if paper.lane == "trending")
        return found if len(found) < len(self.papers) else ()

    @property
    def hidden(self) -> str:
        """What is said of the papers that are on the edition's page alone; empty for none."""
        if not self.n_hidden:
            return ""
        return language(self.language).ngettext(
            "%(n)s more paper on this edition’s page",
            "%(n)s more papers on this edition’s page",
            self.n_hidden,
        )

    @property
    def _own(self) -> tuple[MailPaper, ...]:
        own = tuple(paper for paper in self.papers if paper.lane != "trending")
        return own or self.papers


@dataclass(frozen=True, slots=True)
class ConfirmationMail:
    """The mail that asks whether an address really wants the digest."""

    name: ClassVar = "confirmation"

    confirm_url: str
    days_valid: int
    postal_address: str
    language: str = "en"

    @property
    def valid(self) -> str:
        """How long the link is good."""
        return _valid(self.days_valid, self.language)


@dataclass(frozen=True, slots=True)
class ChangeFromMail:
    """The mail to the address that somebody wants to move the digest away from."""

    name: ClassVar = "change_from"

    confirm_url: str
    new_address: str
    days_valid: int
    postal_address: str
    language: str = "en"

    @property
    def valid(self) -> str:
        """How long the link is good."""
        return _valid(self.days_valid, self.language)


@dataclass(frozen=True, slots=True)
class ChangeToMail:
    """The mail to the address that the digest would move to; it does not tell the old one."""

    name: ClassVar = "change_to"

    confirm_url: str
    days_valid: int
    postal_address: str
    language: str = "en"

    @property
    def valid(self) -> str:
        """How long the link is good."""
        return _valid(self.days_valid, self.language)


@dataclass(frozen=True, slots=True)
class FreshLinkMail:
    """New links for whom the old ones have run out; no edition yet, no link to it."""

    name: ClassVar = "fresh_link"

    edition_url: str | None
    preferences_url: str
    days_valid: int
    postal_address: str
    language: str = "en"

    @property
    def valid(self) -> str:
        """How long the links are good."""
        return language(self.language).ngettext(
            "The links in this mail are good for %(n)s day.",
            "The links in this mail are good for %(n)s days.",
            self.days_valid,
        )


@dataclass(frozen=True, slots=True)
class SunsetMail:
    """The question to somebody of whom nothing was heard for long."""

    name: ClassVar = "sunset"

    stay_url: str
    unsubscribe_url: str
    postal_address: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class GoodbyeMail:
    """The last mail, to somebody who has left by their own hand."""

    name: ClassVar = "goodbye"

    subscribe_url: str
    postal_address: str
    language: str = "en"


Mail = (
    EditionMail
    | ConfirmationMail
    | ChangeFromMail
    | ChangeToMail
    | FreshLinkMail
    | SunsetMail
    | GoodbyeMail
)


def _valid(days: int, code: str) -> str:
    return language(code).ngettext(
        "The link is good for %(n)s day.", "The link is good for %(n)s days.", days
    )
