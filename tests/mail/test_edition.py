from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.editions import PaperNote, Reason, Receipt
from digest.errors import BadInput
from digest.languages import ENGLISH, language
from digest.mail import EditionMail, edition_mail
from digest.mail.content import MailNote
from digest.text import web_link
from tests.mail.sample import BARE, ITEM, edition, links, mail

anything = st.text(st.characters(exclude_categories=()))


def titled(*titles: str) -> EditionMail:
    return mail(*(replace(ITEM, title=title) for title in titles))


def test_the_subject_names_the_first_paper_and_counts_the_others() -> None:
    assert titled("One").subject == "One"
    assert titled("One", "Two", "Three").subject == "One + 2 more"
    assert titled("A long title " * 10, "Two").subject.endswith("… + 1 more")


def test_the_preheader_goes_on_where_the_subject_stops() -> None:
    assert titled("One", "Two", "Three", "Four").preheader == "Two · Three"
    assert titled("One").preheader == "1 for you from 110 new papers"


@pytest.mark.parametrize(
    ("n", "n_candidates", "headline"),
    [
        (0, 0, "Nothing new for you today"),
        (0, 12, "Nothing new for you today"),
        (1, 1, "1 for you from 1 new paper"),
        (2, 1, "2 for you from 2 new papers"),
        (8, 1234, "8 for you from 1,234 new papers"),
    ],
)
def test_the_headline_counts(n: int, n_candidates: int, headline: str) -> None:
    assert mail(*[ITEM] * n, n_candidates=n_candidates).headline == headline


def test_an_empty_edition_says_so_and_why() -> None:
    empty = mail(note="Nothing new came close.")
    assert empty.subject == "No new papers for you today"
    assert empty.preheader == empty.note == "Nothing new came close."


def test_a_date_reads_the_same_in_every_locale() -> None:
    assert ENGLISH.long_date(date(2026, 11, 21)) == "Saturday 21 November 2026"


def test_what_is_missing_is_left_out() -> None:
    (paper,) = mail(BARE).papers
    assert (paper.authors, paper.origin, paper.summary, paper.why) == ("", "", "", ())


@pytest.mark.parametrize("title", ["", " \n", "\u202e\u2066", "\ud800"])
def test_a_paper_without_a_printable_title_can_still_be_clicked(title: str) -> None:
    made = titled(title)
    assert made.papers[0].title == made.subject == "(no title)"


@pytest.mark.parametrize(
    ("authors", "line"),
    [
        ((), ""),
        (("Ada Lin",), "Ada Lin"),
        (("Ada Lin", "Bo Chen"), "Ada Lin, Bo Chen"),
        (("Ada Lin", "", "Cy Dee", "Bo Chen"), "Ada Lin, …, Bo Chen (3 authors)"),
    ],
)
def test_authors_take_one_line(authors: tuple[str, ...], line: str) -> None:
    assert mail(replace(ITEM, authors=authors)).papers[0].authors == line


def test_the_origin_is_never_broken_inside_a_date() -> None:
    day = "19\N{NO-BREAK SPACE}Nov\N{NO-BREAK SPACE}2026"
    origin = f"arXiv\N{NO-BREAK SPACE}2611.11873 · {day} · Trending Papers · 41 upvotes"
    assert mail(ITEM).papers[0].origin == origin


def test_a_second_reason_is_told_only_where_it_carried_a_third_of_the_score() -> None:
    interest, liked = Reason("interest", 0.6, name="maps"), Reason("liked", 0.34, title="Globes")
    why = "Matches your interest “maps”"
    both = (why, "Close to “Globes”, which you liked")
    assert mail(replace(ITEM, reasons=(interest, liked))).papers[0].why == both
    weak = replace(liked, share=0.3)
    assert mail(replace(ITEM, reasons=(interest, weak))).papers[0].why == (why,)


def test_how_a_paper_trends_is_told_once() -> None:
    trending = Reason("trending", 0.2, upvotes=41, place=2, of=32, growth=3)
    beside = replace(ITEM, reasons=(*ITEM.reasons, trending))
    origin = mail(beside).papers[0].origin
    assert origin.endswith("2nd of 32 on its page · 41 upvotes (+3 since yesterday)")
    told = replace(ITEM, reasons=(trending,))
    assert "41" not in mail(told).papers[0].origin
    assert mail(told).papers[0].why[0].startswith("Trending, 2nd of 32 on its page, 41 upvotes")


def test_nothing_is_outside_where_nothing_is_inside() -> None:
    trending = replace(ITEM, lane="trending")
    assert [paper.lane_label for paper in mail(trending, trending).papers] == ["Trending"] * 2
    assert mail(ITEM, trending).papers[1].lane_label == "Trending, outside your interests"


def test_a_source_that_the_paper_s_number_names_is_not_named_again() -> None:
    shown = mail(replace(ITEM, sources=("arxiv-cs-ir", "Trending Papers"))).papers[0].origin
    assert "arxiv-cs-ir" not in shown
    assert "Trending Papers" in shown


def test_a_note_that_is_no_sentence_goes_on_with_the_line_on_the_day() -> None:
    quiet = mail(ITEM, n_candidates=212, note="quiet on arXiv: public holiday")
    assert quiet.headline == "1 for you from 212 new papers; quiet on arXiv: public holiday"
    assert quiet.note == ""
    assert mail(ITEM, note="A sentence.").note == "A sentence."


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        (
            Receipt(6, True, ("sparse retrieval",), ("benchmarks",)),
            "Since your 6 votes yesterday: more on sparse retrieval, less on benchmarks.",
        ),
        (
            Receipt(1, True, ("maps", "globes"), ()),
            "Since your vote yesterday: more on maps and globes.",
        ),
        (Receipt(1234, False, (), ("x",)), "Since your last 1,234 votes: less on x."),
        (Receipt(1, False, (), ()), "Since your vote: your profile has them all."),
    ],
)
def test_a_receipt_says_what_votes_have_changed(receipt: Receipt, words: str) -> None:
    made = edition_mail(replace(edition(ITEM), receipt=receipt), links(1), "")
    assert made.receipt == words


def test_a_first_edition_is_a_welcome_unless_it_is_empty() -> None:
    assert edition_mail(replace(edition(ITEM), is_first=True), links(1), "").welcome
    assert not edition_mail(replace(edition(), is_first=True), links(0), "").welcome


def test_everything_is_said_in_the_reader_s_language() -> None:
    receipt = Receipt(6, True, ("maps",), ())
    made = replace(edition(ITEM, n_candidates=1234), receipt=receipt)
    said = edition_mail(made, links(1), "", language("de"))
    assert said.day == "Samstag, 21. November 2026"
    assert said.headline == "1 für Sie aus 1.234 neuen Arbeiten"
    assert said.receipt == "Seit Ihren 6 Stimmen gestern: mehr zu maps."
    assert said.papers[0].why == ("Passt zu Ihrem Interesse „long contexts“",)
    assert said.papers[0].authors == "Mira Okafor, …, Jonas Feld (3 Personen)"
    note = edition_mail(
        edition(note="Nothing new came close to your interests."), links(0), "", language("de")
    )
    assert note.note == "Nichts Neues kam Ihren Interessen nahe."


def test_the_title_leads_to_the_paper_and_the_others_are_named() -> None:
    assert [(link.label, link.url) for link in mail(ITEM).papers[0].links] == [
        ("Abstract", "https://arxiv.org/abs/2611.11873"),
        ("PDF", "https://arxiv.org/pdf/2611.11873"),
        ("Code", "https://code.example.org/heads"),
    ]


@pytest.mark.parametrize(
    ("known", "label", "url"),
    [
        ({"arxiv_id": "hep-th/9901001"}, "arXiv", "https://arxiv.org/abs/hep-th/9901001"),
        ({"doi": "10.1000/a<b>c"}, "DOI", "https://doi.org/10.1000/a%3Cb%3Ec"),
        ({"doi": "javascript:1"}, "Search", "https://scholar.google.com/scholar?q=R%26D+of+tea"),
        ({"arxiv_id": "../evil"}, "Search", "https://scholar.google.com/scholar?q=R%26D+of+tea"),
    ],
)
def test_a_paper_without_an_address_is_still_found(
    known: dict[str, str], label: str, url: str
) -> None:
    item = replace(BARE, title="R&D of tea", **known)  # type: ignore[arg-type]
    link = mail(item).papers[0].links[0]
    assert (link.label, link.url) == (label, url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JaVaScRiPt://example.org/%0aalert(1)",
        "data:text/html,hi",
        "//example.org/",
        "/relative",
        "https://",
        "https://user@example.org/",
        "https://example.org\\@evil.example/",
        "https://example.org/a b",
        "https://example.org/\r\nBcc: x",
        'https://example.org/"onclick=',
        "https://example.org/<b>",
        "https://example.org/\u202egnp",
        "https://[::1",
        "https://example.org/" + "a" * 2000,
        "",
        None,
    ],
)
def test_what_is_no_plain_web_address_never_becomes_a_link(url: str | None) -> None:
    assert web_link(url) is None
    shown = [link.url for link in mail(replace(ITEM, url=url, code_url=url)).papers[0].links]
    assert shown == ["https://arxiv.org/abs/2611.11873", "https://arxiv.org/pdf/2611.11873"]


@settings(deadline=None)
@given(anything)
def test_whatever_a_page_gives_as_an_address_links_are_web_links(url: str) -> None:
    (paper,) = mail(replace(ITEM, url=url, code_url=f"https://{url}")).papers
    assert all(link.url.startswith(("http://", "https://")) for link in paper.links)


@pytest.mark.parametrize("field", ["edition_url", "unsubscribe_url", "preferences_url"])
def test_a_link_of_ours_that_is_none_is_refused(field: str) -> None:
    broken = replace(links(1), **{field: "digest.example.org"})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="not a web link"):
        edition_mail(edition(ITEM), broken, "")


def test_what_became_of_papers_is_said_with_safe_links() -> None:
    notes = (
        PaperNote(9, "Bees\u202e <b>", "version", "version 2", "https://arxiv.org/abs/2611.1v2"),
        PaperNote(9, "", "withdrawn", "An error", "javascript:x"),
    )
    made = replace(edition(ITEM), paper_notes=notes)
    said = edition_mail(made, links(1), "").notes
    assert said == (
        MailNote("Bees <b>", "There is a new version: version 2", "https://arxiv.org/abs/2611.1v2"),
        MailNote("(no title)", "Withdrawn: An error", ""),
    )
