"""Text and links from outside to what may be shown: one line, short enough, without tricks."""

import re
from urllib.parse import urlsplit

# Nearly every link, ours among them; those that need a closer look are taken apart.
_PLAIN_LINK = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/+-]*)?")
# Zero-width (non-)joiners change how Persian, Indic and emoji text reads.
_JOINERS = "\u200c\u200d"


def one_line(text: str) -> str:
    """Drop what cannot be printed (controls, lone surrogates, bidi marks); fold white space."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    shown = "".join(c for c in line if c.isprintable() or c in _JOINERS)
    return " ".join(shown.split())


def shorten(text: str, n: int) -> str:
    """Cut `text` to at most `n` characters, between words where there are any."""
    if len(text) <= n:
        return text
    cut = text[:n]
    space = cut.rfind(" ")
    # A lone long word, or Chinese: better cut anywhere than lose most of it.
    if space > n // 2:
        cut = cut[:space]
    return cut[: n - 1].rstrip(" ,;:.-\N{EN DASH}\N{EM DASH}") + "…"


def web_link(url: str | None) -> str | None:
    """Return `url` if it may become a link: http or https, a host, no tricks; else None."""
    if not url or len(url) > 2000:
        return None
    if _PLAIN_LINK.fullmatch(url):
        return url
    if not url.isprintable() or re.search(r'[\s<>"\\]', url):
        return None
    try:
        parts = urlsplit(url)
        plain = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        return None
    return url if plain else None
