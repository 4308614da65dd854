"""Languages: words of mails and pages in each that has a catalogue; dates and numbers by locale.

English stands in the code and the templates; a language is one file beside this one, `de.po`, read
when it is first needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from digest.errors import BadInput

# English as it is written outside America: the day before the month.
_LOCALES = {"en": "en_GB"}
_LONG = {"en_GB": "EEEE d MMMM y"}
# A language that nobody speaks, to see what becomes of a mail that is read from right to left.
PSEUDO = "ar-XB"
_LETTERS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשתבגדה")


class Message(str):
    """Words in English, with their values in place, that can still be said in another language."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object] = MappingProxyType({})) -> Self:
        """Say `template` of these `values`, which may be messages themselves."""
        said = super().__new__(cls, template % values if values else template)
        said.template, said.values = template, values
        return said

    @classmethod
    def thawed(cls, frozen: Mapping[str, Any]) -> Self:
        """The message that was `frozen`."""
        values = {
            name: cls.thawed(value) if isinstance(value, dict) else value
            for name, value in frozen["values"].items()
        }
        return cls(frozen["template"], values)

    def frozen(self) -> dict[str, Any]:
        """The message as JSON; its values are messages, texts and numbers."""
        values = {
            name: value.frozen() if isinstance(value, Message) else value
            for name, value in self.values.items()
        }
        return {"template": self.template, "values": values}


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """What is said in one language; `code` and `direction` are what HTML calls lang and dir."""

    code: str
    direction: Literal["ltr", "rtl"]
    _catalogue: NullTranslations = field(repr=False)
    _locale: str = field(repr=False)
    _spoken: Callable[[str], str] = field(default=str, repr=False)

    def gettext(self, message: str, **values: object) -> str:
        """Say `message`, in which %(name)s stands for a value; what is not known stays English."""
        return self._spoken(self._catalogue.gettext(message)) % values

    def ngettext(self, one: str, many: str, n: int, **values: object) -> str:
        """Say it of `n` things; %(n)s is their number as this language writes it."""
        said = self._spoken(self._catalogue.ngettext(one, many, n))
        return said % {"n": self.number(n), **values}

    def pgettext(self, context: str, message: str) -> str:
        """Say what in English is one word for two things: `context` tells which."""
        return self._spoken(self._catalogue.pgettext(context, message))

    def said(self, message: str) -> str:
        """Say what `msgid` has marked, with its values; other words stay as they are."""
        if not isinstance(message, Message):
            return self.translated(message)
        values = {name: self._value(value) for name, value in message.values.items()}
        said = self.translated(message.template)
        return said % values if values else said

    def _value(self, value: object) -> object:
        if isinstance(value, Message):
            return self.said(value)
        return self.long_date(value) if isinstance(value, date) else value

    def translated(self, message: str) -> str:
        """`message` in this language with its %(name)s still in it, for who compiles a template."""
        return self._spoken(self._catalogue.gettext(message)) if message else ""

    def isolated(self, text: str) -> str:
        """`text` so that beside words read the other way it stays in its order (UAX #9)."""
        return text if self.direction == "ltr" else f"\u2068{text}\u2069"

    def number(self, n: int) -> str:
        """An integer with this language's digits in groups: 1,234."""
        return str(n) if 0 <= n < 1000 else _number(n, self._locale)

    def percent(self, share: float) -> str:
        """A share of 1 in whole percent: 42%."""
        return _percent(round(100 * share), self._locale)

    def decimal(self, x: float) -> str:
        """A number with two places: 0.73."""
        return _decimal(f"{x:.2f}", self._locale)

    def ordinal(self, n: int) -> str:
        """The place of something in a row: 2nd in English, 2. in most other languages."""
        if self.code != "en":
            return f"{n}."
        suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
        return f"{n}{suffix}"

    def listed(self, things: Sequence[str]) -> str:
        """Several things in a row: a, b and c."""
        from babel.lists import format_list

        return things[0] if len(things) == 1 else format_list(things, locale=self._locale)

    def long_date(self, day: date) -> str:
        """A date with its weekday: Saturday 21 November 2026."""
        return _long_date(day, self._locale)

    def short_date(self, day: date) -> str:
        """A date in short: 21 Nov 2026."""
        return _short_date(day, self._locale)


def msgid(message: str, **values: object) -> str:
    """Mark `message`, which is said later, for those who collect what has to be translated.

    With `values` it is that message in English, as it stands in a log or on a command line.
    """
    return Message(message, values) if values else message


def languages() -> tuple[str, ...]:
    """The codes of all languages, English first."""
    return ("en", *sorted(file.stem for file in Path(__file__).parent.glob("*.po")))


def checked_language(code: str) -> str:
    """`code` if there is such a language. Raises ValueError."""
    if code not in languages():
        raise ValueError(f"{code!r} is no language of Digest: one of {', '.join(languages())}")
    return code


@cache
def own_names() -> Mapping[str, str]:
    """What each language calls itself, by its code."""
    from babel import Locale

    return {code: Locale.parse(code, sep="-").display_name or code for code in languages()}


@cache
def language(code: str) -> Language:
    """The language of that code. Raises BadInput."""
    if code == PSEUDO:
        return Language(code, "rtl", NullTranslations(), "he", _pseudo)
    try:
        locale = _LOCALES.get(checked_language(code), code.replace("-", "_"))
    except ValueError as error:
        raise BadInput(str(error)) from None
    if code == "en":
        return Language(code, "ltr", NullTranslations(), locale)
    from babel import Locale

    direction: Literal["ltr", "rtl"] = (
        "rtl" if Locale.parse(locale).text_direction == "rtl" else "ltr"
    )
    return Language(code, direction, _catalogue(code, locale), locale)


def _catalogue(code: str, locale: str) -> NullTranslations:
    """A catalogue as gettext reads it, compiled here: nothing has to be built before."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with (Path(__file__).parent / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=locale, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def _pseudo(message: str) -> str:
    parts = message.split("%(")
    said = [parts[0].lower().translate(_LETTERS)]
    for part in parts[1:]:
        name, _, rest = part.partition(")s")
        said.append(f"{name})s{rest.lower().translate(_LETTERS)}")
    return "%(".join(said)


@lru_cache(1024)
def _long_date(day: date, locale: str) -> str:
    from babel.dates import format_date

    return format_date(day, _LONG.get(locale, "full"), locale)


@lru_cache(1024)
def _short_date(day: date, locale: str) -> str:
    from babel.dates import format_skeleton

    return format_skeleton("yMMMd", day, locale=locale)


@lru_cache(1024)
def _number(n: int, locale: str) -> str:
    from babel.numbers import format_decimal

    return format_decimal(n, locale=locale)


@lru_cache(128)
def _percent(n: int, locale: str) -> str:
    from babel.numbers import format_percent

    return format_percent(Decimal(n) / 100, locale=locale)


@lru_cache(1024)
def _decimal(number: str, locale: str) -> str:
    from babel.numbers import format_decimal

    return format_decimal(Decimal(number), "0.00", locale)


ENGLISH = language("en")
