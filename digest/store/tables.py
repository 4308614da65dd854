"""The tables. Rows stay in the rooms that read them; frozen dataclasses travel on."""

from datetime import date, datetime
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from digest.ranking.types import Lane
from digest.settings import Frequency
from digest.store.types import Float32Vector, Id, Json, UtcDateTime

SubscriberState = Literal["pending", "active", "paused", "left", "suspended"]
VoteValue = Literal["up", "down", "saved"]
VotedVia = Literal["web", "cli", "import"]
MuteKind = Literal["word", "author", "category"]
PaperNewsKind = Literal["version", "withdrawn", "published", "code"]
PaperLinkKind = Literal["same", "near"]
Verdict = Literal["fresh", "quiet", "stale", "partial", "unreadable", "unreachable"]
MailKind = Literal[
    "edition", "confirmation", "change_from", "change_to", "fresh_link", "sunset", "goodbye"
]
BounceKind = Literal["hard", "soft", "delayed", "complaint", "unsubscribe", "unknown"]
RankerChangeKind = Literal["promote", "rollback", "interleave", "stop"]
DeliveryState = Literal[
    "queued", "claimed", "in_flight", "sent", "deferred", "failed", "uncertain", "cancelled"
]


# SQLite gives the number of a deleted row to the next one, and links with it, and bounces, to a
# stranger.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def _one_of(column: str, kind: Any) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in get_args(kind))
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def _only_where(column: str, rows: str) -> Index:
    """An index of those rows alone."""
    return Index(None, column, postgresql_where=text(rows), sqlite_where=text(rows))


def _owned_by_subscriber() -> Any:
    return mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name it too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy as a class attribute
        datetime: UtcDateTime,
        date: Date,
        int: Id,
        bool: Boolean,
        str: Text,
        bytes: LargeBinary,
        dict[str, Any]: Json,
        list[Any]: Json,
        list[Any] | None: Json,
        list[str]: Json,
        Frequency: Text,
        Lane: Text,
        SubscriberState: Text,
        VoteValue: Text,
        VotedVia: Text,
        MuteKind: Text,
        Verdict: Text,
        PaperNewsKind: Text,
        PaperLinkKind: Text,
        MailKind: Text,
        BounceKind: Text,
        DeliveryState: Text,
        RankerChangeKind: Text,
        NDArray[np.float32]: Float32Vector,
    }


class Page(Base):
    """The bytes of a page that was read, compressed, so that better code can read it again."""

    __tablename__ = "pages"
    __table_args__ = (UniqueConstraint("source", "sha256"), Index(None, "seen_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    reader: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes]
    page_date: Mapped[date | None]
    seen_at: Mapped[datetime]


class Paper(Base):
    """The canonical paper; text is clean. `ready_at` is when it first could be ranked.

    `embedded_by` is the encoder that its text, as it is now, has a vector of. `language` is of
    ISO 639-1. `version` is the last that a page told of, `published_in` the journal, or its DOI.
    These three are None where no page says.
    """

    __tablename__ = "papers"
    __table_args__ = (
        Index(None, "text_hash"),
        Index(None, "ready_at"),
        Index(None, "embedded_by"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    abstract: Mapped[str]
    authors: Mapped[list[str]]
    arxiv_id: Mapped[str | None]
    doi: Mapped[str | None]
    url: Mapped[str | None]
    code_url: Mapped[str | None]
    published_on: Mapped[date | None]
    text_hash: Mapped[str] = mapped_column(String(64))
    first_seen_at: Mapped[datetime]
    ready_at: Mapped[datetime | None]
    embedded_by: Mapped[str | None]
    language: Mapped[str | None]
    version: Mapped[int | None]
    published_in: Mapped[str | None]

    @validates("text_hash")
    def _is_new_text(self, _name: str, hash_: str) -> str:
        self.embedded_by = None
        return hash_


class PaperKey(Base):
    """What identifies a paper (`arxiv:...`, `doi:...`, `title:...`); one paper has several.

    Those of a paper that only libraries name begin with `library:`.
    """

    __tablename__ = "paper_keys"
    __table_args__ = (Index(None, "paper_id"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))


class PaperMark(Base):
    """What a near-duplicate of a paper would share with it: an author, or how its title begins."""

    __tablename__ = "paper_marks"
    __table_args__ = (Index(None, "paper_id"),)

    mark: Mapped[str] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )


class PaperLink(Base):
    """Two papers of one work, `paper_id` the smaller number: their ids say so, or their texts."""

    __tablename__ = "paper_links"
    __table_args__ = (_one_of("kind", PaperLinkKind), Index(None, "other_id"))

    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    other_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[PaperLinkKind]
    at: Mapped[datetime]


class PaperNews(Base):
    """What became of a paper after it was first seen; noticed once, however often it is listed."""

    __tablename__ = "paper_news"
    __table_args__ = (Index(None, "noticed_at"), _one_of("kind", PaperNewsKind))

    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[PaperNewsKind] = mapped_column(primary_key=True)
    detail: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str | None]
    noticed_at: Mapped[datetime]


class ListingRow(Base):
    """One appearance of a paper on one page; `is_news` is False of a later version of it."""

    __tablename__ = "listings"
    __table_args__ = (
        UniqueConstraint("page_id", "paper_id"),
        Index(None, "paper_id", "seen_at"),
        Index(None, "seen_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    page_id: Mapped[int] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"))
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    source: Mapped[str]
    page_date: Mapped[date | None]
    seen_at: Mapped[datetime]
    position: Mapped[int]
    upvotes: Mapped[int | None]
    title: Mapped[str]
    is_news: Mapped[bool] = mapped_column(default=True, server_default=true())
    facts: Mapped[dict[str, Any]]


class VectorRow(Base):
    """The embedding of one text by one encoder: a text is embedded once, encoders never mix."""

    __tablename__ = "vectors"

    encoder: Mapped[str] = mapped_column(primary_key=True)
    text_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[NDArray[np.float32]]


class SummaryRow(Base):
    """One question to a language model for a paper's summary; `method` is the model and the prompt.

    `text` is its answer, where that passed the checks; else `fault` says what was wrong.
    """

    __tablename__ = "summaries"
    __table_args__ = (Index(None, "text_hash", "method"), Index(None, "asked_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    text_hash: Mapped[str] = mapped_column(String(64))
    method: Mapped[str]
    asked_at: Mapped[datetime]
    text: Mapped[str | None]
    fault: Mapped[str]


class SourceState(Base):
    """How a source's last run went; what the source is stands in the settings.

    `last_read_at` is when it last answered, which settles when it is due again; `last_news_at` is
    when it last brought something.
    """

    __tablename__ = "sources"
    __table_args__ = (_one_of("verdict", Verdict),)

    name: Mapped[str] = mapped_column(primary_key=True)
    last_run_at: Mapped[datetime]
    last_read_at: Mapped[datetime | None]
    last_news_at: Mapped[datetime | None]
    verdict: Mapped[Verdict]
    detail: Mapped[str]
    n_listings: Mapped[int]


class SourceDayRow(Base):
    """How a source did on one day of its own zone, all of the day's runs together."""

    __tablename__ = "source_days"
    __table_args__ = (Index(None, "day"), _one_of("verdict", Verdict))

    source: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    verdict: Mapped[Verdict]
    detail: Mapped[str]
    n_listings: Mapped[int]


class PageMark(Base):
    """What a server calls the state in which it gave a page (RFC 9110, 8.8), by its address."""

    __tablename__ = "page_marks"
    __table_args__ = (Index(None, "page_id"),)

    source: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    page_id: Mapped[int] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"))


class SiteTurn(Base):
    """When a site may be asked again: the pace that all sources and processes share."""

    __tablename__ = "site_turns"

    site: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[datetime]


class Subscriber(Base):
    """An address and its settings. `next_due_at` is when the next edition is due, in UTC.

    `min_probability` (0 to 1, None: off) is how likely they must be to vote a paper up to get it.
    `bounce_points` counts the days on which mail to them bounced softly, `bounced_at` is the last.
    `sign_at` is when they last did something themselves (None: not since they confirmed),
    `sunset_at` when they were asked for a sign.
    """

    __tablename__ = "subscribers"
    __table_args__ = (
        UniqueConstraint("address_key"),
        Index(None, "state", "next_due_at", "id"),
        Index(None, "state", "sunset_at", "sign_at", "confirmed_at"),
        _one_of("state", SubscriberState),
        _one_of("frequency", Frequency),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    address_key: Mapped[str]
    state: Mapped[SubscriberState]
    timezone: Mapped[str]
    hour: Mapped[int]
    frequency: Mapped[Frequency]
    length: Mapped[int]
    mix: Mapped[float]
    min_probability: Mapped[float | None]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    paused_until: Mapped[date | None]
    next_due_at: Mapped[datetime | None]
    bounce_points: Mapped[int] = mapped_column(default=0, server_default="0")
    bounced_at: Mapped[datetime | None]
    language: Mapped[str | None]
    sign_at: Mapped[datetime | None]
    sunset_at: Mapped[datetime | None]


class Consent(Base):
    """What somebody agreed to, when, in which words and by which form; kept as evidence."""

    __tablename__ = "consents"
    __table_args__ = (Index(None, "subscriber_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = _owned_by_subscriber()
    at: Mapped[datetime]
    kind: Mapped[str]
    wording: Mapped[str]
    form: Mapped[str | None]


class AddressChange(Base):
    """A change of address that was asked for; made once the old and the new one have said so."""

    __tablename__ = "address_changes"
    __table_args__ = (UniqueConstraint("subscriber_id"), Index(None, "address_key"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = _owned_by_subscriber()
    address: Mapped[str]
    address_key: Mapped[str]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    old_said_at: Mapped[datetime | None]
    new_said_at: Mapped[datetime | None]


class Signup(Base):
    """What somebody asked for on the subscribe page: of effect once the address has confirmed it.

    It is looked at when it is `due_at`, and then waits, if there is somebody to confirm it. Since
    `confirmed_at` its `library`, a compressed file, waits to be read. `asked` holds the rest.
    """

    __tablename__ = "signups"
    __table_args__ = (
        UniqueConstraint("address_key"),
        Index(None, "subscriber_id"),
        Index(None, "due_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE")
    )
    address_key: Mapped[str]
    asked: Mapped[dict[str, Any]]
    library: Mapped[bytes | None]
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]


class Throttle(Base):
    """How much of its allowance somebody has used up: `until`, in Unix seconds, it is not whole.

    `key` is a keyed hash, of a network for one.
    """

    __tablename__ = "throttles"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[float]


class Interest(Base):
    """Something a subscriber told us about what they read; each has a name of its own.

    `embedded_by` is the encoder that its text, as it is now, has a vector of. One that is not
    `is_on` is kept, and counts for nothing.
    """

    __tablename__ = "interests"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "name"),
        Index(None, "text_hash"),
        Index(None, "embedded_by"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = _owned_by_subscriber()
    name: Mapped[str]
    text: Mapped[str]
    text_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    embedded_by: Mapped[str | None]
    is_on: Mapped[bool] = mapped_column(default=True, server_default=true())


class Mute(Base):
    """What a subscriber never wants to be shown, in their own words."""

    __tablename__ = "mutes"
    __table_args__ = (_one_of("kind", MuteKind),)

    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[MuteKind] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class VoteRow(Base):
    """A subscriber's last word on a paper; undoing it deletes the row.

    One that is `held_at` may be a machine's: it is shown, and nothing is learned from it.
    """

    __tablename__ = "votes"
    __table_args__ = (
        _one_of("value", VoteValue),
        _one_of("via", VotedVia),
        Index(None, "paper_id"),
        Index(None, "at"),
    )

    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True
    )
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    value: Mapped[VoteValue]
    via: Mapped[VotedVia]
    at: Mapped[datetime]
    held_at: Mapped[datetime | None]


class EditionRow(Base):
    """One subscriber's digest for one local date, frozen. `runners_up` lost, and why.

    `note` is a word on the day, which `note_said`, a `Message`, says in any language; `notes` tell
    what became of papers that they liked.
    `language` is the reader's of that day, `pages` a hash over the pages that were new to them.
    `ranker_change` is the number of the one by which it was ranked, None before the first.
    `look` is the one that it was made from, None where nothing had just come in.
    """

    __tablename__ = "editions"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "local_date"),
        Index(None, "built_at"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = _owned_by_subscriber()
    local_date: Mapped[date]
    built_at: Mapped[datetime]
    since: Mapped[datetime]
    encoder: Mapped[str]
    n_candidates: Mapped[int]
    note: Mapped[str]
    note_said: Mapped[dict[str, Any] | None]
    runners_up: Mapped[list[Any]]
    notes: Mapped[list[Any] | None]
    is_first: Mapped[bool | None]
    language: Mapped[str | None]
    receipt: Mapped[dict[str, Any] | None]
    pages: Mapped[str | None] = mapped_column(String(64))
    ranker_change: Mapped[int | None]
    look: Mapped[str | None] = mapped_column(String(64))


class Look(Base):
    """The papers that were new shortly before editions were built: they had their chance.

    `id` is a SHA-256 over them, so that one row serves all editions of a morning.
    """

    __tablename__ = "looks"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime]
    paper_ids: Mapped[list[Any]]


class EditionItemRow(Base):
    """One ranked paper of an edition: what its score was made of, and as what it was shown.

    `team` is the ranker that chose it, where two shared the list.
    """

    __tablename__ = "edition_items"
    __table_args__ = (
        UniqueConstraint("edition_id", "position"),
        Index(None, "subscriber_id", "paper_id"),
        _one_of("lane", Lane),
    )

    edition_id: Mapped[int] = mapped_column(
        ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True
    )
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    subscriber_id: Mapped[int] = _owned_by_subscriber()
    position: Mapped[int]
    lane: Mapped[Lane]
    score: Mapped[float]
    probability: Mapped[float | None]
    propensity: Mapped[float]
    card: Mapped[dict[str, Any]]
    reasons: Mapped[list[Any]]
    team: Mapped[str | None]


class Delivery(Base):
    """One mail and its state; the bytes are composed anew from what is frozen, always the same."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("edition_id"),
        UniqueConstraint("message_id"),
        Index(None, "state", "due_at"),
        Index(None, "subscriber_id"),
        _only_where("created_at", "edition_id IS NULL"),
        _one_of("kind", MailKind),
        _one_of("state", DeliveryState),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = _owned_by_subscriber()
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"))
    kind: Mapped[MailKind]
    state: Mapped[DeliveryState]
    message_id: Mapped[str]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class Attempt(Base):
    """One try at a delivery and what the other side said."""

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "delivery_id"), Index(None, "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    state: Mapped[DeliveryState]
    code: Mapped[int | None]
    reply: Mapped[str]


class Bounce(Base):
    """Mail that came back, or that speaks of one of ours: who said what of which delivery.

    `sha256` is of the message's bytes, so that one that is read twice counts once.
    """

    __tablename__ = "bounces"
    __table_args__ = (
        UniqueConstraint("sha256"),
        Index(None, "subscriber_id", "at"),
        Index(None, "delivery_id"),
        _only_where("at", "delivery_id IS NULL"),
        _one_of("kind", BounceKind),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    subscriber_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE")
    )
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    kind: Mapped[BounceKind]
    status: Mapped[str]
    said: Mapped[str]


class Breaker(Base):
    """Sending that is paused because the fault is ours; `failures` is how often in a row."""

    __tablename__ = "breakers"

    name: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    failures: Mapped[int]
    reason: Mapped[str]


class KeyMark(Base):
    """What tells the secret key that this database is used with from any other; one row."""

    __tablename__ = "key_marks"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mark: Mapped[str]


class Press(Base):
    """Since when mails are made by which templates, languages and settings, as one hash."""

    __tablename__ = "presses"

    since: Mapped[datetime] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(String(64))


class RankerChange(Base):
    """A change of what ranks: `live`, and the two of `trial`, have done so since, until the next.

    Each is a ranker with all its choices.
    """

    __tablename__ = "ranker_changes"
    __table_args__ = (_one_of("kind", RankerChangeKind),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[RankerChangeKind]
    live: Mapped[dict[str, Any]]
    trial: Mapped[list[Any] | None]


class Suppression(Base):
    """An address that must not be mailed, kept only as a keyed hash."""

    __tablename__ = "suppressions"
    __table_args__ = (Index(None, "at"),)

    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime]


class Lease(Base):
    """The right to do one job until an instant; a failed job's lease is its back-off.

    `failures` counts the times in a row that it was begun and did not end well, so far. Nobody's
    (`owner` is empty) is that of a job that failed, or that rests.
    """

    __tablename__ = "leases"

    key: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[datetime]
    failures: Mapped[int]
