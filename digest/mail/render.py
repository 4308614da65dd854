"""What a mail says to what it looks like: a subject, a text part and an HTML part."""

from dataclasses import dataclass, replace

from digest.mail.content import EditionMail, Mail, one_line
from digest.mail.press import in_ascii, template, templates_folder

__all__ = ["MAX_HTML_BYTES", "Rendered", "render", "templates_folder"]

# Gmail hides what comes after 102 kB of HTML, and with it the unsubscribe link.
MAX_HTML_BYTES = 80_000


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail in words and in HTML, without its headers."""

    subject: str
    text: str
    html: str


def render(mail: Mail) -> Rendered:
    """Render `mail`; the same mail gives the same text, and never too much HTML, all in ASCII."""
    html = _html(mail)
    while isinstance(mail, EditionMail) and mail.papers and len(html) > MAX_HTML_BYTES:
        mail = _lighter(mail, len(html) - MAX_HTML_BYTES)
        html = _html(mail)
    return Rendered(one_line(_fill(mail, "subject.txt")), _fill(mail, "body.txt"), html)


def _html(mail: Mail) -> str:
    return in_ascii(_fill(mail, "body.html"))


def _lighter(mail: EditionMail, excess: int) -> EditionMail:
    """Drop summaries from the end until `excess` bytes are gone; without any, the last paper."""
    papers = list(mail.papers)
    for i, paper in reversed(list(enumerate(papers))):
        if paper.summary and excess > 0:
            excess -= len(in_ascii(paper.summary))
            papers[i] = replace(paper, summary="")
    if tuple(papers) != mail.papers:
        return replace(mail, papers=tuple(papers))
    return replace(mail, papers=mail.papers[:-1], n_hidden=mail.n_hidden + 1)


def _fill(mail: Mail, part: str) -> str:
    return template(mail.language, f"{mail.name}/{part}").render(mail=mail)
