import re
import string
from datetime import date
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

import digest.languages
from digest.errors import BadInput
from digest.languages import (
    ENGLISH,
    PSEUDO,
    Message,
    checked_language,
    language,
    languages,
    msgid,
    own_names,
)
from digest.settings import Settings

ROOT = Path(__file__).parent.parent
MAPPINGS = [
    ("digest/**.py", "python"),
    ("templates/**.*", "jinja2"),
]
OPTIONS = {"templates/**.*": dict.fromkeys(("trimmed", "trim_blocks", "lstrip_blocks"), "true")}
KEYWORDS = {"gettext": None, "ngettext": (1, 2), "msgid": None, "pgettext": ((1, "c"), 2)}
TRANSLATED = [code for code in languages() if code != "en"]


def collected() -> set[tuple[str | tuple[str, ...], str | None]]:
    """Everything that code and templates say to readers, with its context."""
    found = extract_from_dir(ROOT, MAPPINGS, OPTIONS, KEYWORDS, directory_filter=_of_readers)
    return {(message, context) for _, _, message, _, context in found}


def _of_readers(folder: str) -> bool:
    return Path(folder).relative_to(ROOT).parts[:1] in ((), ("digest",), ("templates",))


def names(message: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", message))


def test_there_is_a_second_language() -> None:
    assert languages()[0] == "en"
    assert "de" in TRANSLATED


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_says_everything_with_the_same_values_and_nothing_else(code: str) -> None:
    file = Path(digest.languages.__file__).parent / f"{code}.po"
    with file.open("rb") as opened:
        entries = [entry for entry in read_po(opened, locale=code) if entry.id]
    catalogue = {(entry.id, entry.context): entry.string for entry in entries}
    assert set(catalogue) == collected()
    for (said, _), meant in catalogue.items():
        ones, others = (
            (message,) if isinstance(message, str) else tuple(message) for message in (said, meant)
        )
        assert all(others), said
        for other in others:
            # A number may be a word in the singular.
            assert names(other) - {"n"} == names(ones[-1]) - {"n"}, said
            # Templates take them as they are, also between quotes.
            assert not set(other) & set('<>&"'), said


@pytest.mark.parametrize(
    ("code", "number", "long", "short", "row"),
    [
        ("en", "12,345", "Saturday 21 November 2026", "21 Nov 2026", "a, b and c"),
        ("de", "12.345", "Samstag, 21. November 2026", "21. Nov. 2026", "a, b und c"),
    ],
)
def test_numbers_and_dates_are_those_of_the_language(
    code: str, number: str, long: str, short: str, row: str
) -> None:
    spoken, day = language(code), date(2026, 11, 21)
    assert spoken.number(12345) == number
    assert (spoken.long_date(day), spoken.short_date(day)) == (long, short)
    assert spoken.listed(["a", "b", "c"]) == row
    assert spoken.listed(["a"]) == "a"


@pytest.mark.parametrize(
    ("code", "share", "decimal", "name"),
    [("en", "36%", "0.73", "English"), ("de", "36\N{NO-BREAK SPACE}%", "0,73", "Deutsch")],
)
def test_shares_and_names_are_those_of_the_language(
    code: str, share: str, decimal: str, name: str
) -> None:
    spoken = language(code)
    assert spoken.percent(0.355) == share
    assert spoken.decimal(0.7299) == decimal
    assert own_names()[code] == name


def test_a_message_is_english_until_it_is_said_and_its_values_go_with_it() -> None:
    most = msgid("a file of at most %(n)s MB; export a part of the library", n=2)
    assert most == "a file of at most 2 MB; export a part of the library"
    assert language("de").said(most).startswith("bitte eine Datei von höchstens 2 MB")
    assert ENGLISH.said(most) == most
    # As an error carries it, with a value that is a message itself and one that is not.
    why = Message("There must be something after the @-sign.")
    error = BadInput(msgid("%(text)s is no e-mail address: %(why)s", text="Save", why=why))
    assert str(error) == "Save is no e-mail address: There must be something after the @-sign."
    assert language("de").said(error.message) == (
        "Save ist keine E-Mail-Adresse: Hinter dem @-Zeichen muss etwas stehen."
    )


def test_a_fault_names_its_field_on_the_command_line_and_is_a_sentence_without_it() -> None:
    error = BadInput("must be one of these", field="kind")
    assert (str(error), error.message, error.field) == (
        "kind: must be one of these",
        "must be one of these",
        "kind",
    )


@given(st.text(max_size=40))
def test_what_is_no_message_is_said_as_it_is(text: str) -> None:
    assert language("de").said(f"{text}100%(x") == f"{text}100%(x"


def test_one_word_for_two_things_is_told_apart_by_its_context() -> None:
    german = language("de")
    assert german.gettext("Save") == "Merken"
    assert german.pgettext("form", "Save") == "Speichern"
    assert ENGLISH.pgettext("form", "Save") == "Save"


def test_plurals_are_chosen_by_the_number() -> None:
    german = language("de")
    said = [german.ngettext("%(n)s upvote", "%(n)s upvotes", n) for n in (0, 1, 2, 1000)]
    assert said == ["0 Upvotes", "1 Upvote", "2 Upvotes", "1.000 Upvotes"]


def test_what_is_not_known_stays_english() -> None:
    assert language("de").gettext("Never said %(what)s", what="so") == "Never said so"
    assert language("de").translated("") == ""


def test_a_language_that_is_not_there_is_refused_with_those_that_are() -> None:
    for code in ("xx", "", "../de", "DE"):
        with pytest.raises(BadInput, match=r"is no language of Digest: one of en, de"):
            language(code)
    with pytest.raises(ValueError, match="one of en, de"):
        Settings.model_validate({"mail": {"language": "xx"}})
    # Readers cannot choose what nobody speaks.
    with pytest.raises(ValueError, match="no language"):
        checked_language(PSEUDO)


@given(st.text(string.ascii_letters + " %", max_size=40))
def test_the_made_up_language_keeps_the_places_of_values(text: str) -> None:
    message = text.replace("%", "%%") + "%(name)s" + text.replace("%", "%%")
    said = language(PSEUDO).gettext(message, name="Bob")
    assert said.count("Bob") == 1
    assert not set(said.replace("Bob", "")) & set(string.ascii_letters)
    assert language(PSEUDO).direction == "rtl"
    assert ENGLISH.direction == "ltr"
