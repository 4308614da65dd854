import re
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from digest.text import one_line, shorten, web_link

anything = st.text(st.characters(exclude_categories=()))


@settings(max_examples=300)
@given(st.text("htps:/.@\\<>a0[]?#% \n\u202e", max_size=30).map("http://{}".format))
def test_what_passes_for_a_web_link_has_a_host_and_no_tricks(url: str) -> None:
    if web_link(url) is not None:
        assert urlsplit(url).hostname
        authority = re.split("[/?#]", url.partition("://")[2])[0]
        assert not re.search(r'[\s<>"\\@]', authority)
        assert url.isprintable()


@given(anything)
def test_one_line_is_one_printable_line_and_stays_so(text: str) -> None:
    line = one_line(text)
    assert line == one_line(line) == line.strip()
    assert line.splitlines() in ([line], [])
    assert not set(line) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\x00\x1b")
    line.encode()


@given(anything, st.integers(min_value=2, max_value=40))
def test_shortening_keeps_the_beginning_and_the_limit(text: str, n: int) -> None:
    text = one_line(text)
    short = shorten(text, n)
    assert len(short) <= n
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_shortening_cuts_between_words_where_there_are_any() -> None:
    assert shorten("Attention, and more of it", 12) == "Attention…"
    assert shorten("注意力机制" * 5, 8) == "注意力机制注意…"
