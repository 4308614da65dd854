"""What a mail says to what it looks like: a subject, a text part and an HTML part."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import jinja2

import digest
from digest.mail.content import ConfirmationMail, EditionMail, one_line

# Gmail hides what comes after 102 kB of HTML, and with it the unsubscribe link.
MAX_HTML_BYTES = 99_999


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail in words and in HTML, without its headers."""

    subject: str
    text: str
    html: str


def templates_folder() -> Path:
    """Where the templates are: inside the installed package, or beside it in a checkout."""
    package = Path(digest.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def render(mail: EditionMail | ConfirmationMail) -> Rendered:
    """Render `mail`; the same mail gives the same text, and never too much HTML."""
    if isinstance(mail, ConfirmationMail):
        return Rendered(
            subject=one_line(_fill("confirmation/subject.txt", mail)),
            text=_fill("confirmation/body.txt", mail),
            html=_fill("confirmation/body.html", mail),
        )
    return Rendered(
        subject=one_line(_fill("edition/subject.txt", mail)),
        text=_fill("edition/body.txt", mail),
        html=_edition_html(mail),
    )


def _edition_html(mail: EditionMail) -> str:
    html = _fill("edition/body.html", mail)
    while mail.papers and (excess := len(html.encode()) - MAX_HTML_BYTES) > 0:
        mail = _lighter(mail, excess)
        html = _fill("edition/body.html", mail)
    return html


def _lighter(mail: EditionMail, excess: int) -> EditionMail:
    """Drop summaries from the end until `excess` bytes are gone; without any, the last paper."""
    papers = list(mail.papers)
    for i, paper in reversed(list(enumerate(papers))):
        if paper.summary and excess > 0:
            excess -= len(paper.summary.encode())
            papers[i] = replace(paper, summary="")
    if tuple(papers) != mail.papers:
        return replace(mail, papers=tuple(papers))
    return replace(mail, papers=mail.papers[:-1], n_hidden=mail.n_hidden + 1)


def _fill(template: str, mail: EditionMail | ConfirmationMail) -> str:
    return _templates().get_template(template).render(mail=mail)


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder() / "mail"),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["wrap"] = _wrap
    environment.globals["kept"] = _kept
    # Ours are plain values: what Jinja2 does beyond this costs more than all the escaping.
    environment.getattr = getattr  # type: ignore[assignment]
    return environment


@lru_cache(4096)
def _kept(template: str, part: str, *values: Hashable) -> str:
    """A part of a template, without the line end: the same papers are in many mails."""
    made: str = getattr(_templates().get_template(template).module, part)(*values)
    return made.removesuffix("\n")


def _wrap(text: str, indent: int = 0) -> str:
    """Fold `text`, one line, to 72 columns, later lines indented; a URL in it stays whole."""
    longest = 72 - indent
    if len(text) <= longest:
        return text
    too_long = "[^ ]+ ?" if "://" in text else f".{{{longest}}}"
    lines = re.findall(rf"(?s).{{1,{longest}}}(?: |\Z)|{too_long}", text)
    return f"\n{' ' * indent}".join(line.rstrip(" ") for line in lines)
