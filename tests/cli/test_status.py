import json
from pathlib import Path

import pytest

from tests.cli.conftest import digest, done


def test_the_day_at_a_glance(day: Path) -> None:
    said = done("status").out
    assert "1 active" in said
    assert "editions built  1" in said
    assert "mails  1 sent" in said
    told = json.loads(done("status", "--json").out)
    assert told["mails"] == {"sent": 1}
    assert told["rates"]["complaints"] == 0


def test_it_is_live_until_interrupted(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from digest.cli import status

    looks = []

    def sleep(_seconds: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", sleep)
    assert digest("status", "--watch").status == 130
    assert len(looks) == 3


def test_how_ranking_did_is_told_by_week(day: Path) -> None:
    told = json.loads(done("evaluate", "--weeks", "2", "--json").out)
    assert [week["sent"] for week in told["weeks"]] == [0, 1]
    assert "week of" in done("evaluate", "--weeks", "2").out
