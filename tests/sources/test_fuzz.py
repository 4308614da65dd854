"""Ten thousand spoilt pages a reader: no crash, no hang, no great hunger; listings or a reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from digest.sources import READERS, Reader
from tests.sources.fuzz import SAMPLES, spoilt

ROOT = Path(__file__).parents[2]
INPUTS, SECONDS, MEGABYTES = 10_000, 5, 200

every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)

# Readers that are as bad as it gets, in the fuzzer's own way of running.
BAD = """
import sys
from tests.sources.fuzz import limit_memory, run
class Bad:
    name = "bad"
    def recognises(self, page): return True
    def read(self, page, seen_on):
        if page == b"7": {what}
        return []
limit_memory(200)
run(Bad(), lambda n: b"%d" % n, range(20), limit=0.3)
"""


def fuzz(tmp_path: Path, *command: str) -> tuple[int, str, str]:
    """The status, the number of the input that was read last, and the last line of complaint."""
    at = tmp_path / "at"
    with at.open("w+b") as opened:
        ran = subprocess.run(
            [sys.executable, *command], cwd=ROOT, stdout=opened, stderr=subprocess.PIPE, check=False
        )
    said = ran.stderr.decode(errors="replace").strip().splitlines()
    return ran.returncode, at.read_text().strip(), said[-1] if said else ""


@pytest.mark.slow
@every_reader
def test_ten_thousand_spoilt_pages_are_listings_or_refusals(reader: Reader, tmp_path: Path) -> None:
    numbers = map(str, (0, INPUTS, SECONDS, MEGABYTES))
    status, last, said = fuzz(tmp_path, "-m", "tests.sources.fuzz", reader.name, *numbers)
    assert (status, last) == (0, str(INPUTS - 1)), f"input {last} of {reader.name}: {said}"


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("1 / 0", 1, "ZeroDivisionError"),
        ("return [b'x' * 2**29]", 1, "MemoryError"),
        ("import re; re.match(r'(a+)+b', 'a' * 40)", -14, ""),
    ],
    ids=["a crash", "hunger", "a hang"],
)
def test_the_fuzzer_finds_what_it_looks_for(
    tmp_path: Path, what: str, status: int, said: str
) -> None:
    found = fuzz(tmp_path, "-c", BAD.format(what=what))
    assert found[:2] == (status, "7")
    assert found[2].startswith(said)


@every_reader
def test_an_input_is_the_same_every_time_and_seldom_the_same_as_another(reader: Reader) -> None:
    pages = [spoilt(reader.name, n) for n in range(50)]
    assert pages == [spoilt(reader.name, n) for n in range(50)]
    # Half of the pages stay well-formed, and some of these stay as they were.
    assert len(set(pages) - set(SAMPLES[reader.name])) > 15
