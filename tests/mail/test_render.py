import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.editions import EditionItem, Reason
from digest.languages import PSEUDO, language
from digest.mail import ConfirmationMail, EditionMail, render, templates_folder
from digest.mail.content import MailNote
from digest.mail.render import MAX_HTML_BYTES
from digest.mail.samples import samples
from digest.text import shorten
from tests.mail.sample import BARE, BASE, ITEM, mail

CONFIRMATION = ConfirmationMail(f"{BASE}/confirm/{'t' * 40}", 7, "12 Observatory Lane")
LONG = replace(
    ITEM,
    title="Ω" * 70 + " & a title of many words" * 10,
    summary="Émile <measured> it & found more than was hoped. " * 12,
    reasons=(Reason("liked", 0.6, title="Θ" * 90), Reason("saved", 0.4, title="Another " * 20)),
)
EDITIONS = {
    "empty": mail(note="Nothing new came close to your interests."),
    "one paper": mail(ITEM),
    "a bare paper": mail(BARE),
    "with news": replace(mail(ITEM), notes=(MailNote("Bees", "Published: J.", ""),) * 12),
    "ten papers": mail(*[ITEM] * 10),
    "thirty papers": mail(*[ITEM] * 30),
    "long papers": mail(*[LONG] * 5),
}
MAILS: dict[str, EditionMail | ConfirmationMail] = {**EDITIONS, "confirmation": CONFIRMATION}
VOID = {"meta", "br"}
hostile_titles = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</a></h2><a href='https://evil.example'>Unsubscribe</a>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "<!--[if mso]>",
    "&lt;b&gt; & co",
]
anything = st.text(st.characters(exclude_categories=()), max_size=60)


class Page(HTMLParser):
    """What a mail program makes of the HTML: tags, links, text; nesting is checked."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def hrefs(self) -> list[str | None]:
        return [attrs["href"] for tag, attrs in self.tags if tag == "a"]


def page(made: EditionMail | ConfirmationMail) -> Page:
    return Page(render(made).html)


def lines_too_long(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if len(line) > 72)


@pytest.fixture(params=MAILS)
def any_mail(request: pytest.FixtureRequest) -> EditionMail | ConfirmationMail:
    return MAILS[request.param]


def test_nothing_is_fetched_when_a_mail_is_opened(
    any_mail: EditionMail | ConfirmationMail,
) -> None:
    html = render(any_mail).html
    assert not re.search(r"\bsrc\s*=|url\s*\(|@import|@font-face|<link|<img|<script|<iframe", html)


def test_the_html_is_well_nested_and_accessible(any_mail: EditionMail | ConfirmationMail) -> None:
    made = page(any_mail)
    assert made.tags[0] == ("html", {"lang": "en", "dir": "ltr", "xmlns": made.tags[0][1]["xmlns"]})
    assert [tag for tag, _ in made.tags].count("h1") == 1
    assert "title" in {tag for tag, _ in made.tags}
    assert {a.get("role") for tag, a in made.tags if tag == "table"} == {"presentation"}
    levels = [int(tag[1]) for tag, _ in made.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_it_is_made_for_dark_mode_and_narrow_screens(
    any_mail: EditionMail | ConfirmationMail,
) -> None:
    html = render(any_mail).html
    for needed in ("prefers-color-scheme:dark", "[data-ogsc] ", "max-width:480px", "viewport"):
        assert needed in html


def test_every_class_that_the_dark_mode_needs_has_its_colours() -> None:
    html = render(EDITIONS["ten papers"]).html
    used = set(" ".join(re.findall(r'class="([^"]*)"', html)).split())
    styled = set(re.findall(r"\.([a-z]+)[ {]", html))
    assert used <= styled


def test_the_text_keeps_to_72_columns(any_mail: EditionMail | ConfirmationMail) -> None:
    assert all("https://" in line for line in lines_too_long(render(any_mail).text))


def test_urls_in_the_text_stand_whole_at_the_end_of_their_lines(
    any_mail: EditionMail | ConfirmationMail,
) -> None:
    links = [line for line in render(any_mail).text.splitlines() if "https://" in line]
    assert links
    assert all(re.fullmatch(r"(\w+: )?https://\S+", line) for line in links)


@pytest.mark.parametrize("made", EDITIONS.values(), ids=EDITIONS)
def test_every_paper_has_its_three_vote_links_in_both_parts(made: EditionMail) -> None:
    text, hrefs = render(made).text, page(made).hrefs
    for paper in made.papers:
        assert paper.votes is not None
        for url in (paper.votes.up, paper.votes.down, paper.votes.saved):
            assert hrefs.count(url) == 1
            assert f"\n{url}\n" in text


@pytest.mark.parametrize("made", EDITIONS.values(), ids=EDITIONS)
def test_leaving_is_near_the_top_and_at_the_end(made: EditionMail) -> None:
    rendered = render(made)
    for part in (rendered.html, rendered.text):
        assert part.count(made.unsubscribe_url) == 2
        for where in ("", "#pause", "#frequency"):
            assert len(re.findall(rf"{BASE}/preferences/p{where}[\n\"]", part)) == 1
        assert made.edition_url in part
        assert "you asked for Digest at this address" in part
        assert "Observatory Lane" in part
    if made.papers:
        first = rendered.html.index(made.papers[0].links[0].url)
        assert rendered.html.index(made.unsubscribe_url) < first


def test_a_paper_is_told_in_full_in_both_parts() -> None:
    made = mail(ITEM)
    (paper,) = made.papers
    text = " ".join(render(made).text.split())
    for said in (made.day, made.headline, paper.title, paper.authors, paper.origin):
        assert " ".join(said.split()) in page(made).words
        assert " ".join(said.split()) in text
    for said in (paper.summary, *paper.why):
        assert said in page(made).words
        assert said in text
    assert all(f"{link.label}: {link.url}\n" in render(made).text for link in paper.links)
    assert {link.url for link in paper.links} < set(page(made).hrefs)


def test_what_a_paper_lacks_leaves_no_trace() -> None:
    rendered = render(EDITIONS["a bare paper"])
    for part in (rendered.html, rendered.text):
        assert "Matches" not in part
        assert "None" not in part
    assert "\n\n\n" not in rendered.text


def test_without_links_for_votes_no_vote_is_offered() -> None:
    made = mail(ITEM)
    rendered = render(replace(made, papers=(made.papers[0]._replace(votes=None),)))
    assert "like this" not in rendered.html + rendered.text


def test_without_preferences_or_postal_address_none_is_shown() -> None:
    rendered = render(replace(mail(ITEM), preferences_url=None, postal_address=""))
    assert "Preferences" not in rendered.html + rendered.text


@pytest.mark.parametrize("title", hostile_titles)
def test_a_hostile_title_is_only_ever_text(title: str) -> None:
    made = mail(replace(ITEM, title=title, summary=title, authors=(title,)))
    shown, harmless = page(made), page(mail(ITEM))
    assert [tag for tag, _ in shown.tags] == [tag for tag, _ in harmless.tags]
    assert shown.hrefs == harmless.hrefs
    assert shown.words.count(title) == 4  # <title>, heading, summary, authors
    assert title in render(made).text


@settings(max_examples=40, deadline=None)
@given(anything, anything, anything)
def test_whatever_a_page_says_the_mail_keeps_its_shape(one: str, two: str, three: str) -> None:
    reason = Reason("liked", 0.9, title=three)
    item = replace(ITEM, title=one, summary=two, sources=(three,), url=two, reasons=(reason,))
    made = mail(item, ITEM, note=three)
    rendered = render(made)
    plain = {"p", "span"}  # an empty summary has no paragraph
    tags = [
        [t for t, _ in p.tags if t not in plain]
        for p in (Page(rendered.html), page(mail(ITEM, ITEM)))
    ]
    assert tags[0] == tags[1]
    assert "\n" not in rendered.subject
    assert rendered == render(made)


@settings(max_examples=60)
@given(st.lists(st.text("aé注\U0001f44d.-", min_size=1, max_size=80), min_size=1, max_size=40))
def test_the_text_folds_between_words_and_loses_none(words: list[str]) -> None:
    said = " ".join(words) + "."
    text = render(mail(ITEM, note=said)).text
    shown = text.partition("\n\n")[2].partition("\n\nOn the web")[0]
    assert max(map(len, shown.split("\n"))) <= 72
    assert re.sub(r"\s", "", shown) == shorten(said, 500).replace(" ", "")
    if max(map(len, said.split())) <= 72:
        assert shown.replace("\n", " ") == shorten(said, 500)


def test_ten_papers_stay_far_below_what_gmail_shows() -> None:
    assert len(render(EDITIONS["ten papers"]).html) < 28_000
    one, ten = (len(render(EDITIONS[name]).html) for name in ("one paper", "ten papers"))
    assert (ten - one) / 9 < 2000


def test_the_html_is_ascii_in_lines_that_every_server_lets_through(
    any_mail: EditionMail | ConfirmationMail,
) -> None:
    html = render(any_mail).html
    assert html.isascii()
    assert max(map(len, html.splitlines())) <= 998


def test_every_link_is_told_from_the_others_without_its_place() -> None:
    titles = [f"Paper {letter}" for letter in "ABCDE"]
    made = page(mail(*(replace(ITEM, title=title) for title in titles)))
    named = [attrs["aria-label"] for tag, attrs in made.tags if attrs.get("aria-label")]
    assert len(named) == len(set(named)) == 5 * 6
    assert all(any(title in (name or "") for title in titles) for name in named)


def test_the_next_reader_s_reasons_and_votes_are_their_own() -> None:
    mine, theirs = (
        mail(ITEM),
        mail(replace(ITEM, reasons=(Reason("interest", 1, name="50%s <b>"),))),
    )
    assert "long contexts" in render(mine).html
    assert "long contexts" not in render(theirs).html + render(theirs).text
    assert "50%s &lt;b&gt;" in render(theirs).html
    assert "50%s <b>" in render(theirs).text


def test_a_receipt_leads_to_where_votes_are_undone() -> None:
    rendered = render(replace(mail(ITEM), receipt="Since your vote: more on maps."))
    for part in (rendered.html, rendered.text):
        assert "more on maps." in part
        assert f"{BASE}/edition/e#votes" in part


def test_news_of_papers_that_were_liked_has_its_own_place() -> None:
    note = MailNote("A <b>", "Its code is there.", "https://code.example.org/a")
    rendered = render(replace(mail(ITEM), notes=(note,)))
    assert "A &lt;b&gt;" in rendered.html
    assert "A <b>\nIts code is there.\nhttps://code.example.org/a\n" in rendered.text
    assert "Papers that you liked" in Page(rendered.html).words


@pytest.mark.parametrize("code", ["en", "de", PSEUDO])
def test_every_mail_is_whole_in_every_language(code: str) -> None:
    spoken = language(code)
    for made in samples(code).values():
        rendered = render(made)
        shown = Page(rendered.html)
        assert shown.tags[0][1]["lang"] == code
        assert shown.tags[0][1]["dir"] == spoken.direction
        assert all(line.isascii() for line in rendered.html.splitlines())
        assert rendered == render(made)
        assert "%(" not in rendered.html + rendered.text + rendered.subject
        assert len(rendered.html) <= MAX_HTML_BYTES


def test_what_is_read_from_the_right_is_laid_out_from_the_right() -> None:
    left, right = (render(samples(code)["usual"]).html for code in ("en", PSEUDO))
    for html, side in ((left, "left"), (right, "right")):
        assert re.search(rf'max-width:600px[^>]*>\n<tr><td [^>]*align="{side}"', html)
    assert "padding:0 0 0 14px" in left
    assert "padding:0 14px 0 0" in right
    # English titles keep their own direction.
    assert re.search(r'<h2 [^>]*dir="ltr"', right)
    assert 'dir="rtl"' not in left


def test_arabic_titles_are_read_from_the_right_in_an_english_mail() -> None:
    assert re.search(r'<h2 [^>]*dir="rtl"', render(samples("en")["arabic"]).html)


def test_a_mail_takes_less_than_its_share_of_a_second() -> None:
    """0.4 ms for both parts on two idle cores; here with room for a busy machine."""
    made = [mail(*(replace(ITEM, title=f"{n} of {m}") for n in range(10))) for m in range(20)]
    for one in made:
        render(one)
    times = []
    for _ in range(5):
        start = process_time()
        for one in made:
            render(one)
        times.append((process_time() - start) / len(made))
    assert min(times) < 0.8e-3


@pytest.mark.parametrize("n", [30, 60])
@pytest.mark.parametrize("item", [ITEM, LONG], ids=["usual", "long"])
def test_too_much_html_loses_summaries_from_the_end_then_papers(n: int, item: EditionItem) -> None:
    made = mail(*[item] * n)
    html = render(made).html
    assert len(html.encode()) <= MAX_HTML_BYTES
    assert html.rstrip().endswith("</html>")
    assert html.count(made.unsubscribe_url) == 2
    n_shown = sum(f"up-{i}-" in html for i in range(1, n + 1))
    assert n_shown == n or f"{n - n_shown} more papers on this edition" in html


def test_an_endless_postal_address_does_not_hang_the_press() -> None:
    assert render(replace(mail(ITEM), postal_address="x" * MAX_HTML_BYTES)).html


def test_the_confirmation_has_one_thing_to_do() -> None:
    rendered = render(CONFIRMATION)
    assert set(page(CONFIRMATION).hrefs) == {CONFIRMATION.confirm_url}
    assert f"\n{CONFIRMATION.confirm_url}\n" in rendered.text
    assert "good for 7 days" in " ".join(rendered.text.split())
    assert "Observatory Lane" in rendered.text


def test_every_mail_is_three_templates() -> None:
    mails = [folder for folder in (templates_folder() / "mail").iterdir() if folder.is_dir()]
    for folder in mails:
        names = {file.name for file in folder.iterdir()} - {"parts.txt", "parts.html"}
        assert names == {"subject.txt", "body.txt", "body.html"}


def test_news_of_papers_stand_in_both_parts_and_are_escaped() -> None:
    note = MailNote("Bees <Again>", "Published: J. Bees & Wasps", "https://doi.example/1")
    rendered = render(replace(mail(ITEM), notes=(note,)))
    assert "Papers that you liked" in rendered.text
    assert "Bees <Again>\nPublished: J. Bees & Wasps\nhttps://doi.example/1" in rendered.text
    assert ' href="https://doi.example/1"' in rendered.html
    assert "Bees &lt;Again&gt;" in rendered.html
    assert "Papers that you liked" not in render(mail(ITEM)).html
