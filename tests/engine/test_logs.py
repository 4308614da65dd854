import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from digest.engine.logs import JsonLines, TextLines, discreet, start_logging
from digest.links import Claim, Links
from digest.store import newest_revision, open_database, revision_of


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("digest.x", logging.ERROR, "f.py", 1, message, args, None)
    made.__dict__.update(more)
    return made


def test_a_line_is_one_json_object_whatever_is_said() -> None:
    line = JsonLines().format(record("mail %d: «%s»\n\u2028", 41, 'a "quoted" name'))
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("error", "digest.x")
    assert told["message"] == 'mail 41: «a "quoted" name»\n\u2028'
    assert told["at"].endswith("+00:00")


def test_an_error_comes_with_its_traceback() -> None:
    try:
        int("ada@example.org")
    except ValueError:
        told = json.loads(JsonLines().format(record("failed", exc_info=sys.exc_info())))
    assert "ValueError: invalid literal for int() with base 10: '<address>'" in told["error"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("550 5.1.1 <ada.l+x@mail.example.org>: gone", "550 5.1.1 <<address>>: gone"),
        ("to ada@example.org, bob@example.org", "to <address>, <address>"),
        ("ü.müller@bücher.example is gone", "<address> is gone"),
        ("bounces+b.41.abc=@example.org", "<address>"),
        ("at 07:00 @ noon, a@b, @everyone", "at 07:00 @ noon, a@b, @everyone"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
    ],
)
def test_no_address_is_logged_in_either_form(said: str, told: str) -> None:
    assert discreet(said) == told
    assert TextLines().format(record("%s", said)).endswith(f" ERROR digest.x: {told}")
    assert json.loads(JsonLines().format(record(said)))["message"] == told


def test_no_token_of_a_link_is_logged() -> None:
    token = Links("https://digest.example.org", [b"a secret of enough bytes"]).token(
        Claim("vote", 7, datetime(2026, 3, 1, tzinfo=UTC), 1, 2, "up")
    )
    told = TextLines().format(record("see https://digest.example.org/vote/%s", token))
    assert told.endswith("see https://digest.example.org/vote/<token>")


@pytest.fixture
def _root() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.mark.usefixtures("_root")
def test_the_setting_chooses_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("json")
    logging.getLogger("digest.engine").warning("job %s failed", "deliver")
    assert json.loads(capsys.readouterr().err)["message"] == "job deliver failed"
    start_logging("text")
    logging.getLogger("digest.engine").warning("job %s failed", "deliver")
    assert capsys.readouterr().err.endswith(" WARNING digest.engine: job deliver failed\n")


@pytest.mark.usefixtures("_root")
def test_a_look_at_the_revision_is_not_logged(
    sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = open_database(sqlite_url)
    start_logging("text")
    assert revision_of(sessions) == newest_revision()
    assert capsys.readouterr().err == ""
    sessions.engine.dispose()
