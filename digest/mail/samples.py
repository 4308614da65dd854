"""Every mail with invented papers, at its usual and at its worst; and how programs show them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Literal, get_args

from digest.editions import Edition, EditionItem, Reason, Receipt
from digest.languages import language
from digest.mail.content import (
    ChangeFromMail,
    ChangeToMail,
    ConfirmationMail,
    EditionMail,
    FreshLinkMail,
    GoodbyeMail,
    Mail,
    MailNote,
    SunsetMail,
    VoteLinks,
)
from digest.mail.edition import EditionLinks, edition_mail
from digest.mail.render import Rendered
from digest.ranking.types import Lane

View = Literal["light", "dark", "no-images", "no-style"]
VIEWS: tuple[View, ...] = get_args(View)

_BASE = "https://digest.example.org"
_ADDRESS = "Reading Room, 12 Observatory Lane, 69117 Heidelberg"
_DAY = date(2026, 11, 21)
# As long as the tokens of our links.
_TOKEN = "HwJqG9xwAQEHAgm1CjSK8qylOJcrbgVgZg"  # noqa: S105 - opens nothing

# Title, summary, authors, interest.
_PAPERS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "Query by Disagreement: Training Data for Retrieval from What Two Rankers Dispute",
        (
            "Queries are written only for passages on which a lexical and a dense ranker "
            "disagree. Disagreement predicts the worth of a training pair better than loss "
            "does, and a tenth of the pairs gives the same nDCG@10."
        ),
        ("Mira Okafor", "Aiko Tanabe", "Jonas Feld"),
        "retrieval for question answering",
    ),
    (
        "A Library That Answers Back: Sparse Memory of What Was Rejected",
        (
            "Rejected results are kept with the reason, in the reader's words, and subtracted "
            "from the next query. With 41 doctoral students, suggestions dismissed before fell "
            "from 31% to 6%."
        ),
        ("Ana Belén Ruiz", "Søren Kjær", "Li Wei", "Tomáš Novák", "Priya Raman"),
        "retrieval for question answering",
    ),
    (
        "Speculation without a Draft: Language Models That Guess Their Own Next Lines",
        (
            "The model's last hidden states propose eight tokens at once and its next pass "
            "checks them. Decoding is 2.9 times as fast on code, with the same text."
        ),
        ("Ruth Adler",),
        "how language models reason",
    ),
    (
        "Half-Life: Forgetting Schedules under Distribution Shift",
        (
            "One number, estimated while the model runs, tells when old data does harm. It "
            "raises the score on five of six benchmarks by 4.2 points."
        ),
        ("Noor Haddad", "Elif Demir"),
        "how language models reason",
    ),
    (
        "What Motor Currents Say about the Ground",
        (
            "Walking robots feel gravel, ice and mud in the currents of their own motors, 80 ms"
            " before a camera sees it."
        ),
        ("Karel Dvořák", "Ifeoma Eze", "Hana Sato", "Luca Moretti"),
        "",
    ),
    (
        "Backbones from Paired Views: Designing Proteins That Fold Twice",
        (
            "Two structures are designed for one sequence. Of 96 designs, 17 switch between "
            "both in the laboratory."
        ),
        ("Rosalind Achebe", "Paul Lindqvist", "Mei Chen"),
        "",
    ),
    (
        "Tidewater: Weather Models That Know Where the Sea Ends",
        "A land mask learned at ten metres halves the error of coastal wind at 24 hours.",
        ("Inês Carvalho", "Bram de Vries"),
        "",
    ),
)


def samples(code: str) -> dict[str, Mail]:
    """Every sample in the language of that code, by name. Raises BadInput for none."""
    made: dict[str, Mail] = {name: _edition(make(), code) for name, make in _EDITIONS.items()}
    usual = _edition(_usual(), code)
    made["with notes"] = replace(usual, notes=_NOTES)
    link = f"{_BASE}/confirm/{_TOKEN}"
    preferences, leave = f"{_BASE}/preferences/{_TOKEN}", f"{_BASE}/unsubscribe/{_TOKEN}"
    return made | {
        "confirmation": ConfirmationMail(link, 7, _ADDRESS, code),
        "change from": ChangeFromMail(link, "ada.lovelace@new.example.org", 7, _ADDRESS, code),
        "change to": ChangeToMail(link, 7, _ADDRESS, code),
        "fresh link": FreshLinkMail(f"{_BASE}/edition/{_TOKEN}", preferences, 90, _ADDRESS, code),
        "fresh link, no edition": FreshLinkMail(None, preferences, 1, _ADDRESS, code),
        "sunset": SunsetMail(preferences, leave, _ADDRESS, code),
        "goodbye": GoodbyeMail(f"{_BASE}/", _ADDRESS, code),
    }


def as_seen(rendered: Rendered, view: View) -> str:
    """The HTML as a program shows it that is light or dark, or drops images, or all <style>."""
    html = rendered.html
    if view == "no-style":
        return re.sub(r"(?s)<style>.*?</style>\n?", "", html)
    if view == "no-images":
        return re.sub(r"<img\b[^>]*>", "", html)
    dark = "@media (prefers-color-scheme:dark){"
    return html.replace(dark, "@media all{" if view == "dark" else "@media not all{")


def _item(n: int, lane: Lane = "personal", **other: object) -> EditionItem:
    title, summary, authors, interest = _PAPERS[n % len(_PAPERS)]
    reason = Reason("trending", 0.8, upvotes=30 + n, place=n % 9 + 1, of=50, growth=12, pages=2)
    if lane == "exploration":
        reason = Reason("exploration", 1.0)
    elif lane == "personal":
        reason = Reason("interest", 0.9, name=interest or "robots that walk")
    item = EditionItem(
        position=n + 1,
        paper_id=n + 1,
        title=title,
        abstract="",
        summary=summary,
        authors=authors,
        published_on=date(2026, 11, 20 - n % 3),
        arxiv_id=f"2611.{10400 + 37 * n}",
        doi=None,
        url=f"https://arxiv.org/abs/2611.{10400 + 37 * n}",
        code_url=f"https://code.example.org/{n}" if n % 2 == 0 else None,
        sources=("arXiv",) if n % 3 else ("trending-papers",),
        upvotes=None if n % 3 else 41 - n,
        lane=lane,
        score=1.0,
        probability=None,
        propensity=1.0,
        reasons=(reason,),
    )
    return replace(item, **other)  # type: ignore[arg-type]


def _of(*items: EditionItem, n: int = 212, note: str = "", **other: object) -> Edition:
    numbered = tuple(replace(item, paper_id=i, position=i) for i, item in enumerate(items, 1))
    at = datetime(2026, 11, 21, 6, tzinfo=UTC)
    return replace(Edition(7, 3, _DAY, at, n, note, numbered), **other)  # type: ignore[arg-type]


def _usual() -> Edition:
    lanes: tuple[Lane, ...] = (*("personal",) * 4, "exploration", "trending", "trending")
    liked = Reason("liked", 0.4, title="Gravel: Passage Boundaries at Query Time")
    second = _item(1, reasons=(_item(1).reasons[0], liked))
    items = [_item(n, lane) for n, lane in enumerate(lanes)]
    return _of(
        items[0],
        second,
        *items[2:],
        note="quiet on arXiv: public holiday",
        receipt=Receipt(6, True, ("sparse retrieval", "robot gaits"), ("benchmarks",)),  # noqa: FBT003
    )


def _of_thirty() -> Edition:
    lanes: tuple[Lane, ...] = (*("personal",) * 18, *("exploration",) * 2, *("trending",) * 10)
    return _of(*(_item(n, lane) for n, lane in enumerate(lanes)), n=12345)


def _long() -> Edition:
    title = "On the Unreasonable Length of Titles, and of What They Leave Out: " * 7
    summary = "Everything is longer than it has to be, by 4.2 words on average. " * 12
    names = tuple(f"Bartholomew Featherstonehaugh-Cholmondeley {n}" for n in range(5))
    unbroken = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamten" * 6
    long = _item(0, title=title[:400], summary=summary, authors=names)
    return _of(*[long] * 3, _item(1, title=unbroken[:400]), _item(2, "trending", title=title[:400]))


_CHINESE = {
    "title": "稀疏检索中的查询分歧：两种排序器争议处的训练数据",
    "summary": "我们只为词汇排序器与稠密排序器意见不一的段落生成查询。"
    "用十分之一的数据达到同样的nDCG@10。",
    "authors": ("李伟", "陈美", "王芳"),
}
_ARABIC = {
    "title": "الاسترجاع المتناثر: بيانات التدريب من اختلاف نموذجين (Sparse-2)",
    "summary": "نولّد الاستعلامات للمقاطع التي يختلف عليها المرتبان فقط، وعُشر البيانات يكفي.",
    "authors": ("ليلى حداد", "عمر الخطيب"),
}
_FORMULA = {
    "title": "Bounds of O(n² log n) for ‖Ax − b‖₂ ≤ ε on ℝᵈ, and Why α → 0 ⇒ β ∈ {0, 1}",
    "summary": "For ∑ᵢ λᵢ < ∞ and p ≥ 2 we show ∇f(x*) = 0 & |f(x) − f*| ≤ 10⁻⁶; "
    "<no> markup is meant.",
}


def _bare() -> EditionItem:
    return _item(
        0,
        title="",
        summary="",
        authors=(),
        published_on=None,
        arxiv_id=None,
        url=None,
        code_url=None,
        sources=(),
        upvotes=None,
        reasons=(),
    )


_EDITIONS: Mapping[str, Callable[[], Edition]] = {
    "usual": _usual,
    "first": lambda: _of(*(_item(n) for n in range(4)), is_first=True),
    "no papers": lambda: _of(n=0, note="Nothing new has come in since your last digest."),
    "one paper": lambda: _of(_item(0), n=1),
    "30 papers": _of_thirty,
    "only trending": lambda: _of(
        *(_item(n, "trending") for n in range(5)),
        note="We do not know your interests yet, so these are the trending papers. "
        "Your votes will change that.",
        is_first=True,
    ),
    "long titles": _long,
    "chinese": lambda: _of(*(_item(n, **_CHINESE) for n in range(5))),  # type: ignore[arg-type]
    "arabic": lambda: _of(*(_item(n, **_ARABIC) for n in range(5))),  # type: ignore[arg-type]
    "formulas": lambda: _of(*(_item(n, **_FORMULA) for n in range(5))),  # type: ignore[arg-type]
    "no authors": lambda: _of(_item(0, authors=()), _bare()),
    "3,000 authors": lambda: _of(
        _item(0, authors=tuple(f"Author {n} of Many" for n in range(1, 3001)))
    ),
}
_NOTES = (
    MailNote(
        "Gravel: Passage Boundaries at Query Time",
        "Version 2 is out: 14% more text, a new section 5.",
        "https://arxiv.org/abs/2610.00017v2",
    ),
    MailNote(
        "Lantern: A Ranker That Tells When to Stop",
        "Its code has been published.",
        "https://code.example.org/lantern",
    ),
)


def _edition(edition: Edition, code: str) -> EditionMail:
    votes = {
        item.paper_id: VoteLinks(
            *(
                f"{_BASE}/vote/{_TOKEN[:-6]}{item.paper_id:03}{value}"
                for value in ("-up", "-dn", "-sv")
            )
        )
        for item in edition.items
    }
    links = EditionLinks(
        f"{_BASE}/edition/{_TOKEN}",
        f"{_BASE}/unsubscribe/{_TOKEN}",
        f"{_BASE}/preferences/{_TOKEN}",
        votes,
    )
    return edition_mail(edition, links, _ADDRESS, language(code))
