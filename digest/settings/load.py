"""digest.toml, then DIGEST_* variables, to one Settings.

A variable's name is the key's path in capitals: `[smtp] host` is `DIGEST_SMTP_HOST`; one that is
empty counts as not set. A secret may also come from a file whose path is in the variable of that
name with `_FILE` at its end.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from digest.errors import BadSettings
from digest.settings.model import RankerSettings, Settings, SourceSettings

FILE_NAME = "digest.toml"
# Variables that steer the program's surroundings and are no settings.
_NOT_SETTINGS = {"DIGEST_CONFIG", "DIGEST_REQUIRE_SHARED", "DIGEST_REQUIRE_SERVICES"}
# What Kubernetes sets in every pod beside a Service that is called "digest".
_OF_KUBERNETES = re.compile(r"DIGEST_SERVICE_(HOST|PORT\w*)|DIGEST_PORT(_\d+_(TCP|UDP)\w*)?")
_SECRETS = (
    "DIGEST_DATABASE",
    "DIGEST_ENGINE",
    "DIGEST_SECRET_KEY",
    "DIGEST_SMTP_PASSWORD",
    "DIGEST_BOUNCES_IMAP_PASSWORD",
    "DIGEST_BOUNCES_WEBHOOK_SECRET",
    "DIGEST_SUMMARIES_KEY",
    "DIGEST_WEB_METRICS_TOKEN",
    "DIGEST_WEB_STATUS_TOKEN",
)
_PATHS = {"mail": ("maildir",), "dkim": ("rsa_key", "ed25519_key"), "bounces": ("maildir",)}

# The words of pydantic for these are Python's, not TOML's.
_SHAPES = {
    "tuple_type": "must be a list, in [ ]",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}

_Path = tuple[str, ...]  # of a key: ("smtp", "host")


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read `file` (None: defaults alone) and lay the DIGEST_* variables over it.

    Relative paths in the file are taken from the file's folder, those in variables from the
    working folder. Raises BadSettings, which names the key or variable, and the line where there
    is one.
    """
    text, values = _read(file) if file else ("", {})
    given = dict(_from_environment(environ))
    for path, (_, value) in given.items():
        part = values
        for key in path[:-1]:
            part = part.setdefault(key, {})
            if not isinstance(part, dict):
                raise BadSettings(f"{file}: {key}: must be a table, [{key}]")
        part[path[-1]] = value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        variables = {path: name for path, (name, _) in given.items()}
        raise BadSettings(_first_fault(error, file, text, variables)) from None
    return _at_home(settings, file.resolve().parent if file else Path.cwd(), given)


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        # Some editors on Windows begin a file with a mark that TOML does not know.
        text = file.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        raise BadSettings(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"{file} is not UTF-8: byte {error.start} is not text") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{file} is not valid TOML: {error}") from None


def _leaves(model: type[BaseModel], above: _Path = ()) -> Iterator[_Path]:
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*above, key))
        elif key not in ("sources", "rankers"):
            yield (*above, key)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[_Path, tuple[str, str]]]:
    """The paths of the keys that variables set, each with the variable's name and the value."""
    known = {"DIGEST_" + "_".join(path).upper(): path for path in _leaves(Settings)}
    secrets = {f"{name}_FILE": name for name in _SECRETS}
    for name, value in environ.items():
        if not name.startswith("DIGEST_") or name in _NOT_SETTINGS or not value:
            continue
        if name in known:
            yield known[name], (name, value)
        elif name in secrets:
            if environ.get(secrets[name]):
                raise BadSettings(f"{secrets[name]} and {name} are both set: choose one")
            yield known[secrets[name]], (name, _secret(name, Path(value)))
        elif not _OF_KUBERNETES.fullmatch(name):
            near = get_close_matches(name, [*known, *secrets], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadSettings(f"{name} is no setting of Digest{hint}")


def _secret(variable: str, file: Path) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSettings(f"{variable}: cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{variable}: {file} is not UTF-8 text") from None
    if not secret:
        raise BadSettings(f"{variable}: {file} is empty")
    return secret


def _first_fault(
    error: ValidationError, file: Path | None, text: str, variables: Mapping[_Path, str]
) -> str:
    fault = error.errors()[0]
    keys = [str(key) for key in fault["loc"]]
    said = _SHAPES.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(keys[-1], _names_beside(keys), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if not near and keys[-1] in Settings.model_fields:
            hint = f" here: put {keys[-1]} above the first [table]"
        said = f"there is no such setting{hint}"
    elif keys == ["sources"] and isinstance(fault["input"], dict):
        said = "each begins with [[sources]], two brackets"
    path = ".".join(keys)
    if variable := variables.get(tuple(takewhile(lambda key: not key.isdigit(), keys))):
        return f"{variable}: {said}"
    if file is None:
        # Two variables that do not go together: the fault is in the table of both.
        return f"{'DIGEST_' + '_'.join(keys).upper()}: {said}"
    line = _line_of(keys, text)
    return f"{file}, line {line}: {path}: {said}" if line else f"{file}: {path}: {said}"


def _names_beside(keys: list[str]) -> list[str]:
    model: Any = Settings
    for key in keys[:-1]:
        if key == "sources":
            model = SourceSettings
        elif key == "rankers":
            return list(RankerSettings.model_fields)
        elif not key.isdigit():
            model = model.model_fields[key].annotation
    return list(model.model_fields)


def _line_of(keys: list[str], text: str) -> int | None:
    """The line of a key, or of the table it lacks in; tomllib tells none, so lines are read here.

    Multi-line strings are taken for what they look like: the line may be wrong, the key is not.
    """
    wanted = [key for key in keys if not key.isdigit()]
    nth = next((int(key) for key in keys if key.isdigit()), 0)
    table: list[str] = []
    seen, nearest, best = -1, 0, None
    for number, line in enumerate(text.split("\n"), 1):
        if opened := re.match(r"\s*\[\[?([^]#]+)\]", line):
            path = table = _parts(opened[1])
            seen += table == wanted[:1]
        elif assigned := re.match(r"""\s*([\w.\-"' \t]+?)\s*=""", line):
            path = [*table, *_parts(assigned[1])]
        else:
            continue
        elsewhere = table == ["sources"] and seen != nth
        if nearest < len(path) and path == wanted[: len(path)] and not elsewhere:
            nearest, best = len(path), number
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip(" \t\"'") for part in dotted.split(".")]


def _at_home(settings: Settings, home: Path, given: Mapping[_Path, object]) -> Settings:
    """Lay relative paths from the folder that the settings lie in; `given` ones from this one."""
    sources = tuple(
        source.model_copy(update={"path": home / source.path}) if source.path else source
        for source in settings.sources
    )
    parts: dict[str, BaseModel] = {}
    for table, keys in _PATHS.items():
        part: BaseModel = getattr(settings, table)
        laid = {
            key: (Path.cwd() if (table, key) in given else home) / path
            for key in keys
            if (path := getattr(part, key)) is not None
        }
        parts[table] = part.model_copy(update=laid)
    database = settings.database
    if (name := database.removeprefix("sqlite:///")) != database and name != ":memory:":
        start = Path.cwd() if ("database",) in given else home
        database = f"sqlite:///{start / name}"
    encoder = settings.encoder
    if ("encoder",) not in given and (home / encoder).is_dir():
        encoder = str(home / encoder)
    return settings.model_copy(
        update={**parts, "sources": sources, "database": database, "encoder": encoder}
    )
