"""One frozen Settings, from digest.toml, then DIGEST_* variables; passed in, never a global.

A variable's name is the key's path in capitals: `[smtp] host` is `DIGEST_SMTP_HOST`. A secret may
also come from a file whose path is in the variable of that name with `_FILE` at its end.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from digest.errors import BadSettings

Frequency = Literal["daily", "weekdays", "weekly"]
FREQUENCIES: tuple[str, ...] = get_args(Frequency)
FILE_NAME = "digest.toml"
# Variables that steer the program's surroundings and are no settings.
_NOT_SETTINGS = {"DIGEST_CONFIG", "DIGEST_REQUIRE_SHARED", "DIGEST_REQUIRE_SERVICES"}


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        near = get_close_matches(name, available_timezones(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{name!r} is no time zone: an IANA name like Europe/Berlin or UTC{hint}")
    return name


def _address(text: str) -> str:
    try:
        # Special domains are let through: example.org and .test are what people try things with.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"{text!r} is no e-mail address: {error}") from None


def _web_address(text: str) -> str:
    HTTP_URL.validate_python(text)
    return text.rstrip("/")


HTTP_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Hour = Annotated[int, Field(ge=0, le=23)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MailSettings(_Part):
    """How our mail introduces itself, and the folder it goes to while no server is named."""

    from_address: Address = "digest@localhost.localdomain"
    from_name: str = "Digest"
    reply_to: Address | None = None
    postal_address: str = ""
    maildir: Path = Path("outbox")


class SmtpSettings(_Part):
    """The server that takes our mail; without a `host` mail goes to `mail.maildir`."""

    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    username: str | None = None
    password: SecretStr | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    timeout: Annotated[float, Field(gt=0)] = 60.0

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: set both or neither")
        return self


class WebSettings(_Part):
    """Where `digest serve` listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000


class SubscriberDefaults(_Part):
    """What a new subscriber gets where they did not choose."""

    timezone: TimeZone = "UTC"
    hour: Hour = 7
    frequency: Frequency = "daily"
    length: Annotated[int, Field(ge=1, le=30)] = 8
    mix: Annotated[float, Field(ge=0, le=1)] = 0.75


class SourceSettings(_Part):
    """A place where papers come from: a `url`, or a `path` (file, folder or pattern) of pages."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    url: WebAddress | None = None
    path: Path | None = None
    hours: Annotated[tuple[Hour, ...], Field(min_length=1)] = (5,)
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.path is None):
            raise ValueError("a source has either a url or a path")
        return self


class Settings(_Part):
    """Everything an operator can set; `str()` hides the secrets."""

    database: str = "sqlite:///digest.db"
    base_url: WebAddress = "http://127.0.0.1:8000"
    secret_key: SecretStr | None = None
    encoder: str = "all-MiniLM-L6-v2"
    engine: Literal["inline"] = "inline"
    mail: MailSettings = MailSettings()
    smtp: SmtpSettings = SmtpSettings()
    web: WebSettings = WebSettings()
    defaults: SubscriberDefaults = SubscriberDefaults()
    sources: tuple[SourceSettings, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [source.name for source in self.sources]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two sources are named {', '.join(sorted(twice))}")
        return self


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read `file` (None: defaults alone) and lay the DIGEST_* variables over it.

    Relative paths in the file are taken from the file's folder. Raises BadSettings, which names
    the key or variable, and the line where there is one.
    """
    text, values = "", {}
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
            values = tomllib.loads(text)
        except OSError as error:
            raise BadSettings(f"cannot read {file}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BadSettings(f"{file} is not UTF-8: byte {error.start} is not text") from None
        except tomllib.TOMLDecodeError as error:
            raise BadSettings(f"{file} is not valid TOML: {error}") from None
    for path, value in _from_environment(environ):
        part = values
        for key in path[:-1]:
            part = part.setdefault(key, {})
            if not isinstance(part, dict):
                raise BadSettings(f"{file}: [{key}] must be a table")
        part[path[-1]] = value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise BadSettings(_first_fault(error, file, text)) from None
    return _at_home(settings, file.resolve().parent if file else Path.cwd())


def _leaves(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*above, key))
        elif key != "sources":
            yield (*above, key)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    known = {"DIGEST_" + "_".join(path).upper(): path for path in _leaves(Settings)}
    secrets = {
        f"{name}_FILE": known[name] for name in ("DIGEST_SECRET_KEY", "DIGEST_SMTP_PASSWORD")
    }
    for name, value in environ.items():
        if not name.startswith("DIGEST_") or name in _NOT_SETTINGS:
            continue
        if name in known:
            yield known[name], value
        elif name in secrets:
            try:
                yield secrets[name], Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BadSettings(f"{name}: cannot read {value}: {error}") from None
        else:
            near = get_close_matches(name, [*known, *secrets], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadSettings(f"{name} is no setting of Digest{hint}")


def _first_fault(error: ValidationError, file: Path | None, text: str) -> str:
    fault = error.errors()[0]
    keys = [str(key) for key in fault["loc"]]
    said = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(keys[-1], _names_beside(keys), 1)
        said = "there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
    line = _line_of(keys, text)
    variable = "DIGEST_" + "_".join(keys).upper()
    where = f"{file}, line {line}" if line else (str(file) if file else variable)
    return f"{where}: {'.'.join(keys) or 'settings'}: {said}"


def _names_beside(keys: list[str]) -> list[str]:
    model: Any = Settings
    for key in keys[:-1]:
        if key == "sources":
            model = SourceSettings
        elif not key.isdigit():
            model = model.model_fields[key].annotation
    return list(model.model_fields)


def _line_of(keys: list[str], text: str) -> int | None:
    """The line of a key; tomllib tells none, so headers and assignments are counted here."""
    tables = [key for key in keys if not key.isdigit()]
    nth = next((int(key) for key in keys if key.isdigit()), 0)
    header, seen, best = "", -1, None
    for number, line in enumerate(text.splitlines(), 1):
        if opened := re.match(r"\s*(\[\[?)\s*([\w.\"-]+)\s*\]", line):
            header = opened[2]
            seen += opened[1] == "[[" and header == tables[0]
            if [header] == tables[:1] and (opened[1] == "[" or seen == nth):
                best = number
        elif assigned := re.match(r"\s*([\w.\"-]+)\s*=", line):
            path = [*([header] if header else []), assigned[1].strip('"')]
            if path == tables and (header != "sources" or seen == nth):
                return number
    return best


def _at_home(settings: Settings, home: Path) -> Settings:
    """Lay relative paths from the folder that the settings lie in."""
    sources = tuple(
        source.model_copy(update={"path": home / source.path}) if source.path else source
        for source in settings.sources
    )
    mail = settings.mail.model_copy(update={"maildir": home / settings.mail.maildir})
    database = settings.database
    if (name := database.removeprefix("sqlite:///")) != database and name != ":memory:":
        database = f"sqlite:///{home / name}"
    return settings.model_copy(update={"sources": sources, "mail": mail, "database": database})
