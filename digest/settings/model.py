"""What an operator can set: frozen, checked, with a default for everything."""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from digest.languages import Message, checked_language, msgid

Frequency = Literal["daily", "weekdays", "weekly"]
LogFormat = Literal["text", "json"]

# The database where none is named, beside digest.toml or in the working folder.
DATABASE_NAME = "digest.db"

# A local part may have 64 octets (RFC 5321), of which + and the longest mark take 34.
_LONGEST_WITH_MARK = 30

# What ends in digits alone is a misspelt address.
_HOST_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?=[^.]*[a-z])[a-z0-9_-]{1,63}")
# Somebody may be on holiday.
_SHORTEST_SILENCE = 30

_NO_ZONE = msgid("%(name)s is no time zone: an IANA name like Europe/Berlin or UTC")
_NEAR_ZONE = msgid(
    "%(name)s is no time zone: an IANA name like Europe/Berlin or UTC; did you mean %(near)s?"
)
# What email-validator says most often, to be said in other languages.
_WHY = (
    msgid("An email address must have an @-sign."),
    msgid("The part after the @-sign is not valid. It should have a period."),
    msgid("There must be something after the @-sign."),
    msgid("There must be something before the @-sign."),
)
# What a machine has besides under no name of IANA's, or for one that was not set up.
_NO_ZONES = {"localtime", "posixrules", "Factory"}


@cache
def _zones() -> set[str]:
    """Looking them up walks a folder of 600 files."""
    return available_timezones() - _NO_ZONES


def _time_zone(name: str) -> str:
    if name not in _zones():
        city = name.casefold().replace(" ", "_")
        near = [zone for zone in sorted(_zones()) if zone.casefold().rpartition("/")[2] == city]
        near = near or get_close_matches(name, _zones(), 1)
        said = _NEAR_ZONE if near else _NO_ZONE
        raise ValueError(msgid(said, name=repr(name), **({"near": near[0]} if near else {})))
    return name


def _address(text: str) -> str:
    try:
        # Special domains are let through: example.org and .test are what people try things with.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(
            msgid(
                "%(text)s is no e-mail address: %(why)s", text=repr(text), why=Message(str(error))
            )
        ) from None


def _web_address(text: str) -> str:
    try:
        _HTTP_URL.validate_python(text)
    except ValidationError:
        raise ValueError("no web address like https://digest.example.org") from None
    return text


def _base_url(text: str) -> str:
    if urlsplit(text).query or urlsplit(text).fragment:
        raise ValueError("links are made by adding to it: leave out what follows a ? or #")
    return text.rstrip("/")


def _engine(text: str) -> str:
    if text == "inline":
        return text
    if not text.startswith(("celery+amqp://", "celery+amqps://")) or not urlsplit(text).hostname:
        raise ValueError(
            '"inline", or where RabbitMQ is, like celery+amqp://digest:...@mq.example.org/digest'
        )
    return text


def without_password(url: str) -> str:
    """The URL with `***` in the place of its password, and of keys to an API, to be shown."""
    url = re.sub(r"(?s)(?<=://)([^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)(?<=[?&])([^=&]*(?:password|token|secret|key)=)[^&]*", r"\1***", url)


def source_name(text: str) -> str:
    """The name of a source, if it is one. Raises ValueError."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", text):
        raise ValueError(f"a name has up to 40 of a-z, 0-9 and hyphens, not {text!r}")
    return text


def _at_least(days: int) -> Callable[[int], int]:
    def check(given: int) -> int:
        if given and given < days:
            raise ValueError(f"at least {days} days, or 0 to keep all for good")
        return given

    return check


def _place(text: str) -> str:
    """A host's name, an address, or a network, as it is compared."""
    for strict in (True, False):
        try:
            network = ip_network(text, strict=strict)
        except ValueError:
            continue
        if strict:
            return str(network)
        raise ValueError(f"{text!r} has bits behind its mask; did you mean {network}?")
    name = text.rstrip(".").lower()
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(
            f"{text!r} is no host or network: a name like mirror.lan, without http:// and port, "
            "or addresses like 10.1.0.0/16"
        )
    return name


def _listed(value: Any) -> Any:
    """A variable holds a list with commas."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        try:
            ip_network(name)
        except ValueError:
            raise ValueError(f"{name!r} is no address or network like 10.0.0.0/8") from None
    return names


def _sunset_days(days: int) -> int:
    if days and days < _SHORTEST_SILENCE:
        raise ValueError(f"at least {_SHORTEST_SILENCE} days, or 0: nobody is ever asked")
    return days


def _once(sources: tuple["SourceSettings", ...]) -> tuple["SourceSettings", ...]:
    names = [source.name for source in sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two are named {', '.join(sorted(twice))}")
    return sources


def _rankers(rankers: dict[str, "RankerSettings"]) -> dict[str, "RankerSettings"]:
    for name in rankers:
        if name == "standard":
            raise ValueError("standard is the one that is built in: choose another name")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
            raise ValueError(f"a name begins with a letter and has a-z, 0-9, hyphens: not {name!r}")
    return rankers


_HTTP_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Hour = Annotated[int, Field(ge=0, le=23)]
# As the commented file shows them: empty is not set.
Secret = Annotated[SecretStr | None, BeforeValidator(lambda text: text or None)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Hide the password that a URL may hold; pydantic hides the other secrets."""
        for name, value in super().__repr_args__():
            yield name, without_password(value) if isinstance(value, str) else value


class MailSettings(_Part):
    """How our mail introduces itself, and the folder it goes to while no server is named.

    `language` is that of readers who have chosen none, and of visitors whose browser asks for none
    of ours. What comes back, bounces and unsubscriptions by mail, goes to `bounce_address`, else to
    `from_address`; with `verp` each mail's envelope sender adds `+` and a signed mark to it.
    """

    from_address: Address = "digest@localhost.localdomain"
    from_name: str = "Digest"
    reply_to: Address | None = None
    bounce_address: Address | None = None
    verp: bool = True
    postal_address: str = ""
    language: Annotated[str, AfterValidator(checked_language)] = "en"
    maildir: Path = Path("outbox")

    @model_validator(mode="after")
    def _room_for_a_mark(self) -> Self:
        if self.verp and len(self.returns_to.rpartition("@")[0].encode()) > _LONGEST_WITH_MARK:
            name = "bounce_address" if self.bounce_address else "from_address"
            raise ValueError(
                f"{name}: at most {_LONGEST_WITH_MARK} octets before the @, so that a mark fits "
                "behind them; set a shorter bounce_address, or verp = false"
            )
        return self

    @property
    def returns_to(self) -> str:
        """The address that what comes back is sent to, without a mark."""
        return self.bounce_address or self.from_address


class SmtpSettings(_Part):
    """The server that takes our mail; without a `host` mail goes to `mail.maildir`.

    `per_second` and `per_second_to_domain` are what one process sends at most.
    """

    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    username: Annotated[str | None, BeforeValidator(lambda text: text or None)] = None
    password: Secret = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    connections: Annotated[int, Field(ge=1, le=100)] = 4
    mails_per_connection: Annotated[int, Field(ge=1)] = 100
    per_second: Annotated[float, Field(gt=0)] | None = None
    per_second_to_domain: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: set both or neither")
        return self


class DkimSettings(_Part):
    """Keys to sign mail with (PEM files), for relays that do not; both may be given.

    `domain` is that of `mail.from_address` if it is not set.
    """

    domain: str | None = None
    rsa_selector: str = "digest"
    rsa_key: Path | None = None
    ed25519_selector: str = "digest-ed25519"
    ed25519_key: Path | None = None


class BounceSettings(_Part):
    """Where what comes back is read: a Maildir, a mailbox reached by IMAP over TLS, or both.

    A relay may post bounces to /bounces instead, with `webhook_secret` as its password.
    """

    maildir: Path | None = None
    imap_host: str | None = None
    imap_port: Annotated[int, Field(ge=1, le=65535)] = 993
    imap_username: str | None = None
    imap_password: Secret = None
    imap_folder: str = "INBOX"
    webhook_secret: Secret = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.imap_host is not None and not (self.imap_username and self.imap_password):
            raise ValueError("imap_host needs imap_username and imap_password")
        return self


class WebSettings(_Part):
    """Where `digest serve` listens, and the proxies before it.

    `proxies` are the addresses or networks whose word counts for who the visitor is
    (X-Forwarded-For, X-Forwarded-Proto); nobody else's does. `/status` is shown to who has the
    `status_token`.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    proxies: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_networks)] = ()
    # Pages that show papers to everybody: trending, its feeds, and search.
    public: bool = False
    # Whoever has it may read /metrics from elsewhere than this machine.
    metrics_token: Secret = None
    # Without one, a sign-up counts as several against what its network may do.
    proof_of_work: bool = False
    signups_per_hour: Annotated[int, Field(ge=1)] = 30
    confirmations_per_hour: Annotated[int, Field(ge=1)] = 500
    status_token: Secret = None


class SunsetSettings(_Part):
    """After how many days without a sign of a subscriber they are asked for one; 0: never.

    A sign is a vote, a button on one of our pages, a change of settings.
    """

    after_days: Annotated[int, AfterValidator(_sunset_days)] = 180


class LogSettings(_Part):
    """How what happens is logged: lines for people, or a JSON object a line."""

    format: LogFormat = "text"


class PostgresqlSettings(_Part):
    """How one process uses a PostgreSQL server; SQLite heeds none of it.

    `connections` are its open ones at most, `statement_seconds` the longest that one statement may
    take, or that a transaction may rest.
    """

    connections: Annotated[int, Field(ge=2, le=1000)] = 10
    statement_seconds: Annotated[int, Field(ge=1)] = 60


class RetentionSettings(_Part):
    """After how many days is forgotten what grows by the day; 0: never.

    `mails` are editions, mails and what became of them: links in a mail live 90 days. `pages` are
    the pages that were read, with their listings: trends look back 60 days.
    """

    mails: Annotated[int, AfterValidator(_at_least(90))] = 365
    pages: Annotated[int, AfterValidator(_at_least(60))] = 365


class SubscriberDefaults(_Part):
    """What a new subscriber gets where they did not choose."""

    timezone: TimeZone = "UTC"
    hour: Hour = 7
    frequency: Frequency = "daily"
    length: Annotated[int, Field(ge=1, le=30)] = 8
    mix: Annotated[float, Field(ge=0, le=1)] = 0.75


class FetchSettings(_Part):
    """How pages are fetched: from public addresses, and from what is our own and in `allow`.

    An entry is a host's name, which may then have any address, or an address or a network, for
    sources whose url names no host but an address.
    """

    allow: Annotated[
        tuple[Annotated[str, AfterValidator(_place)], ...], BeforeValidator(_listed)
    ] = ()


class SummarySettings(_Part):
    """A language model that writes summaries; without a `url` they are sentences of the abstract.

    `url` is the base address of an OpenAI-compatible API, as in http://127.0.0.1:11434/v1; `model`
    is named to it. `per_day` bounds the questions of a day (UTC), `timeout` is in seconds.
    """

    url: Annotated[WebAddress, AfterValidator(_base_url)] | None = None
    model: Annotated[str, Field(min_length=1)] | None = None
    key: Secret = None
    per_day: Annotated[int, Field(ge=0)] = 200
    timeout: Annotated[float, Field(gt=0, le=120)] = 20.0

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.url is None) != (self.model is None):
            raise ValueError("url and model go together: set both or neither")
        return self


class SourceSettings(_Part):
    """A place where papers come from: a `url`, or a `path` (file, folder or pattern) of pages."""

    name: Annotated[str, AfterValidator(source_name)]
    url: WebAddress | None = None
    path: Path | None = None
    hours: Annotated[tuple[Hour, ...], Field(min_length=1)] = (5,)
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.path is None):
            raise ValueError("a source has either a url or a path")
        return self


class RankerSettings(_Part):
    """A ranker beside the standard one, which has the rest of what it does not set.

    What each does stands with `digest.ranking.ranker.Ranker`.
    """

    diversity: Annotated[float, Field(ge=0, le=1)] | None = None
    dislike: Annotated[float, Field(ge=0, le=1)] | None = None
    half_life_days: Annotated[float, Field(ge=1, le=36500)] | None = None
    momentum: Annotated[float, Field(ge=0, le=100)] | None = None
    exploration_heat: Annotated[float, Field(ge=0.001, le=100)] | None = None


class Settings(_Part):
    """Everything an operator can set; `str()` hides the secrets."""

    database: str = f"sqlite:///{DATABASE_NAME}"
    base_url: Annotated[WebAddress, AfterValidator(_base_url)] = "http://127.0.0.1:8000"
    secret_key: Secret = None
    encoder: Annotated[str, Field(min_length=1)] = "all-MiniLM-L6-v2"
    engine: Annotated[str, AfterValidator(_engine)] = "inline"
    mail: MailSettings = MailSettings()
    smtp: SmtpSettings = SmtpSettings()
    dkim: DkimSettings = DkimSettings()
    bounces: BounceSettings = BounceSettings()
    web: WebSettings = WebSettings()
    postgresql: PostgresqlSettings = PostgresqlSettings()
    retention: RetentionSettings = RetentionSettings()
    sunset: SunsetSettings = SunsetSettings()
    log: LogSettings = LogSettings()
    defaults: SubscriberDefaults = SubscriberDefaults()
    fetch: FetchSettings = FetchSettings()
    summaries: SummarySettings = SummarySettings()
    rankers: Annotated[dict[str, RankerSettings], AfterValidator(_rankers)] = Field(
        default_factory=dict
    )
    sources: Annotated[tuple[SourceSettings, ...], AfterValidator(_once)] = ()
