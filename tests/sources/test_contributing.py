"""The reader that CONTRIBUTING shows works as it is shown."""

import re
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from digest.errors import UnreadablePage

ROOT = Path(__file__).parent.parent.parent
SEEN_ON = date(2026, 11, 21)


def test_the_reader_of_contributing_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = ModuleType("weekly_list")
    monkeypatch.setitem(sys.modules, "weekly_list", module)
    exec(code, module.__dict__)
    reader = module.WeeklyList()
    page = b"WEEKLY LIST 2026-11-20\nBees That Count | 10.1000/b.1\n\nRivers\n"
    assert reader.recognises(page)
    bees, rivers = reader.read(page, SEEN_ON)
    assert (bees.title, bees.doi, bees.page_date) == (
        "Bees That Count",
        "10.1000/b.1",
        date(2026, 11, 20),
    )
    assert (rivers.position, rivers.doi) == (2, None)
    for broken in (b"", b"WEEKLY LIST\nBees", b"WEEKLY LIST 2026-11-20\n| 10.1000/b.1"):
        with pytest.raises(UnreadablePage, match="no day, or a line without a title"):
            reader.read(broken, SEEN_ON)
