"""What a form, a command or a file asks for, checked field by field before anything is stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from digest.errors import BadInput
from digest.languages import checked_language, languages, msgid
from digest.papers.clean import one_line, plain
from digest.profiles.interests import MOST
from digest.settings import Address, Frequency, Hour, SubscriberDefaults, TimeZone

# Papers that somebody can pick on the subscribe page.
MOST_PICKS = 50

_LONGEST_INTEREST = 2000
_LONGEST_NAME = 60
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s?(%?)", re.ASCII)

# What pydantic says is for programmers; an address and a zone speak for themselves.
_ALLOWED = {
    "hour": msgid("must be an hour from 0 to 23, not %(given)s"),
    "frequency": msgid("must be daily, weekdays or weekly, not %(given)s"),
    "length": msgid("must be a number of papers from 1 to 30, not %(given)s"),
    "mix": msgid(
        "must be a number from 0 (only what is trending) to 1 (only what is yours), not %(given)s"
    ),
    "min_probability": msgid("must be a probability from 0 to 1, or none, not %(given)s"),
    "language": msgid("must be one of %(codes)s, or none, not %(given)s"),
}


def _interest(text: str) -> str:
    lines = [line for line in plain(text).split("\n") if one_line(name_of(line))]
    if len(lines) > MOST or any(len(line) > _LONGEST_INTEREST for line in lines):
        raise ValueError(
            msgid(
                "one interest a line, at most %(most)s lines of %(longest)s letters",
                most=MOST,
                longest=_LONGEST_INTEREST,
            )
        )
    return "\n".join(lines)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _or_none(value: object) -> object:
    return None if isinstance(value, str) and value.casefold() in ("", "none") else value


def _share(value: object) -> object:
    """A number as people write one: 0.2, 0,2 or 20 %."""
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
        value = f"{found[1]}e-2" if found[2] else found[1]
        return value.replace(",", ".")
    return _or_none(value)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An address and the settings asked for it; `interest` holds one interest per line.

    `min_probability` is the least probability of an up-vote that a paper must have; None is none.
    Without a `language` their mails are in the operator's.
    """

    address: Address
    timezone: TimeZone
    hour: Hour
    # A spreadsheet makes it Daily.
    frequency: Annotated[Frequency, BeforeValidator(_lower)]
    length: Annotated[int, Field(ge=1, le=30)]
    mix: Annotated[float, Field(ge=0, le=1)]
    interest: Annotated[str, AfterValidator(_interest)] = ""
    min_probability: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(_share)
    ] = None
    language: Annotated[
        Annotated[str, AfterValidator(checked_language)] | None, BeforeValidator(_or_none)
    ] = None


FIELDS = tuple(field.name for field in fields(Subscription))
_SUBSCRIPTION = TypeAdapter(Subscription)


def parse_subscription(values: Mapping[str, object], defaults: SubscriberDefaults) -> Subscription:
    """Read typed or texted values; what is missing is the default, what is unknown is passed over.

    Raises BadInput: the first field at fault, what is allowed there, and what was given.
    """
    try:
        return _SUBSCRIPTION.validate_python(_filled(values, defaults))
    except ValidationError as error:
        field, said = next(iter(_faults(error).items()))
        raise BadInput(said, field=field) from None


def faults_in(values: Mapping[str, object], defaults: SubscriberDefaults) -> dict[str, str]:
    """Every field at fault, with what is allowed there; empty where `values` can be parsed."""
    try:
        _SUBSCRIPTION.validate_python(_filled(values, defaults))
    except ValidationError as error:
        return _faults(error)
    return {}


def name_of(interest: str) -> str:
    """The name of an interest that was given none: its beginning, as it reads."""
    name = one_line(interest)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1].rstrip() + "…"


def said_by(fault: ErrorDetails) -> str:
    """The words of a fault that pydantic found, those of our own validators as they were raised."""
    error = fault.get("ctx", {}).get("error")
    return error.args[0] if isinstance(error, ValueError) else fault["msg"]


def _filled(values: Mapping[str, object], defaults: SubscriberDefaults) -> dict[str, object]:
    given = {name: values[name] for name in FIELDS if name in values}
    stripped = {name: v.strip() if isinstance(v, str) else v for name, v in given.items()}
    return {"address": "", **defaults.model_dump(), **stripped}


def _faults(error: ValidationError) -> dict[str, str]:
    faults: dict[str, str] = {}
    for fault in error.errors():
        field = str(fault["loc"][0])
        if field in _ALLOWED:
            codes = ", ".join(languages())
            said = msgid(_ALLOWED[field], given=repr(fault["input"]), codes=codes)
        else:
            said = said_by(fault)
        faults.setdefault(field, said)
    return faults
