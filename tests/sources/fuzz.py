"""A fuzzer of readers: our own samples spoilt by seed, read in a process that may not take long.

`python -m tests.sources.fuzz READER FIRST N SECONDS MEGABYTES` reads N inputs from number FIRST on.
The alarm kills it at an input that takes SECONDS; it ends at one that crashes, or takes MEGABYTES
more than there were at the start. That input's number is left in its standard output, a file.
"""

import os
import random
import re
import resource
import signal
import sys
from collections.abc import Callable, Sequence

from digest.sources import READERS, Reader
from tests.sources import test_arxiv_fuzz, test_other_fuzz
from tests.sources.test_readers import PAGES

SAMPLES = {name: [page] for name, page in PAGES.items()}
SAMPLES |= test_arxiv_fuzz.SAMPLES | test_other_fuzz.SAMPLES
_FIELD = re.compile(rb'(?<=>)[^<>]+(?=<)|(?<=": )(?:"[^"]*"|\[[^\]]*\]|null)|(?<=[{,\n])[^{},\n]+')
# What parsers stumble over.
_TOKENS = [
    *rb"""< > </ /> ]]> <![CDATA[ <!-- & &#0; &#x110000; &b; { } [ ] " ' \ \u0000 \ud800 null NaN -1
    1e999 true {} [] @ = # , ; % $ 0000-00-00 9999-99-99 v0 10.1/""".split(),
    *(
        b"\0",
        b"\n",
        b"\r",
        b"\t",
        b"  ",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"9" * 5000,
    ),
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "\u202e\u0130\u200d\U0001f41d".encode(),
]

# A text of XML or HTML, or a value of JSON, and words that keep either well-formed.
_VALUE = re.compile(rb'(?<=>)[^<>]+(?=<)|(?<=": )(?:"[^"\\]*"|null|\d+)')
_WORDS = [one for one in _TOKENS if not re.search(rb"""[<>&"\\\x00-\x1f\xed-\xff]""", one)]


def spoilt(name: str, n: int) -> bytes:
    """Input number `n` of a reader, always the same: a sample after one to five faults."""
    rng = random.Random(f"{name} {n}")
    samples = SAMPLES[name]
    page = rng.choice(samples)
    # Half of them stay well-formed where the format has a form, so that what they say is read.
    faults = rng.choice((_FAULTS, [_said_otherwise]))
    for _ in range(rng.randint(1, 5)):
        page = rng.choice(faults)(page, samples, rng)
    return page[:100_000]


def _cut(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    a = rng.randint(0, len(page))
    return page[:a] if rng.random() < 0.5 else page[a:]


def _dropped(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    a, b = _span(page, rng)
    return page[:a] + page[b:]


def _flipped(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    a = rng.randint(0, len(page))
    return page[:a] + bytes([rng.randrange(256)]) + page[a + 1 :]


def _told_again(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    a, b = _span(page, rng)
    times = rng.choice((1, 2, 3, 50)) if b - a < 400 else 1
    return page[:b] + page[a:b] * times + page[b:]


def _put_in(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    a = rng.randint(0, len(page))
    return page[:a] + rng.choice(_TOKENS) * rng.choice((1, 1, 1, 2, 300)) + page[a:]


def _crossed(page: bytes, samples: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(samples)
    return page[: rng.randint(0, len(page))] + other[rng.randint(0, len(other)) :]


def _swapped(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    fields = [match.span() for match in _FIELD.finditer(page)]
    if len(fields) < 2:
        return page
    (a, b), (c, d) = rng.choice(fields), rng.choice(fields)
    return page[:a] + page[c:d] + page[b:]


def _filled(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    fields = [match.span() for match in _FIELD.finditer(page)]
    a, b = rng.choice(fields) if fields else (0, 0)
    return page[:a] + b"".join(rng.choices(_TOKENS, k=rng.randint(0, 4))) + page[b:]


def _said_otherwise(page: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    fields = [match.span() for match in _VALUE.finditer(page)]
    if not fields:
        return page
    a, b = rng.choice(fields)
    words = b"".join(rng.choices(_WORDS, k=rng.randint(0, 4)))
    values = [b'"%s"' % words, b'"%s"' % words, b"null", b"-1", b"1e999", b"[]", b"{}", b"[7]"]
    return page[:a] + (rng.choice(values) if page[a - 1 : a] == b" " else words) + page[b:]


_Fault = Callable[[bytes, Sequence[bytes], random.Random], bytes]
_FAULTS: list[_Fault] = [
    _cut, _dropped, _flipped, _flipped, _told_again, _put_in, _put_in, _crossed, _swapped, _filled,
]  # fmt: skip


def _span(page: bytes, rng: random.Random) -> tuple[int, int]:
    a = rng.randint(0, len(page))
    return a, min(len(page), a + int(rng.expovariate(1 / 60)))


def run(reader: Reader, inputs: Callable[[int], bytes], numbers: range, *, limit: float) -> None:
    """Read the inputs of these numbers, each within `limit` seconds, or be killed by the alarm."""
    arxiv = reader.name in test_arxiv_fuzz.SAMPLES
    check = test_arxiv_fuzz.check if arxiv else test_other_fuzz.check
    try:
        for n in numbers:
            page = inputs(n)
            os.pwrite(1, b"%-10d" % n, 0)
            signal.setitimer(signal.ITIMER_REAL, limit)
            check(reader, page)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def limit_memory(megabytes: int) -> None:
    """Let this process take so much more than it has now."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
    most = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    first, n, seconds, megabytes = map(int, numbers)
    (reader,) = (one for one in READERS if one.name == name)
    # What is imported when first needed counts for nobody.
    for sample in SAMPLES[name]:
        reader.read(sample, test_other_fuzz.date(2026, 11, 21))
    limit_memory(megabytes)
    run(reader, lambda n: spoilt(name, n), range(first, first + n), limit=seconds)
