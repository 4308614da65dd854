"""Mails as Chromium shows them: what axe-core finds, how wide they are, and what is pressed."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from digest.languages import PSEUDO
from digest.mail import EditionMail, render
from digest.mail.content import Mail
from digest.mail.samples import as_seen, samples
from tests.conftest import need_service

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking"]
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RUN = """async () => (await axe.run({resultTypes: ['violations']})).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => found.id + ': ' + found.nodes[0].html)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        need_service(f"needs Chromium ({CHROMIUM})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def different_mails() -> Iterator[Mail]:
    """Endlessly many: the samples first, then their papers thrown together in three languages."""
    codes = ("en", "de", PSEUDO)
    made = {code: samples(code) for code in codes}
    yield from made["en"].values()
    rng = np.random.default_rng(7)
    editions = {
        code: [mail for mail in mails.values() if isinstance(mail, EditionMail)]
        for code, mails in made.items()
    }
    while True:
        code = codes[int(rng.integers(3))]
        base = editions[code][int(rng.integers(len(editions[code])))]
        pool = [paper for edition in editions[code] for paper in edition.papers]
        chosen = [pool[int(i)] for i in rng.integers(len(pool), size=int(rng.integers(1, 7)))]
        # Each paper is in a mail once, as in a real one.
        papers = tuple(
            paper._replace(title=f"{n} {paper.title}", short_title=f"{n} {paper.short_title}")
            for n, paper in enumerate(chosen)
        )
        yield replace(base, papers=papers, n_hidden=int(rng.integers(2)))


def findings(browser: Browser, mails: list[Mail]) -> dict[str, Any]:
    """What axe-core calls serious, by mail and scheme."""
    found = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        for n, mail in enumerate(mails):
            page.set_content(render(mail).html)
            page.evaluate(AXE)
            if said := page.evaluate(RUN):
                found[f"{n} {mail.name} {mail.language} {scheme}"] = said
        page.close()
    return found


@pytest.mark.slow
def test_axe_finds_nothing_serious_in_any_kind_of_mail(browser: Browser) -> None:
    mails = [
        replace(mail, papers=mail.papers[:1])
        if isinstance(mail, EditionMail) and name != "usual"
        else mail
        for name, mail in samples("en").items()
    ]
    assert findings(browser, [*mails, samples(PSEUDO)["one paper"]]) == {}


@pytest.mark.slow
def test_axe_finds_nothing_serious_in_five_hundred_different_mails(browser: Browser) -> None:
    assert findings(browser, list(islice(different_mails(), 500))) == {}


def test_no_mail_is_wider_than_its_screen(browser: Browser) -> None:
    page = browser.new_page()
    for name in ("usual", "long titles", "change from"):
        for view in ("light", "no-style"):
            page.set_content(as_seen(render(samples("en")[name]), view))
            for width in (320, 600, 1200):
                page.set_viewport_size({"width": width, "height": 700})
                assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_on_a_phone_a_finger_hits_every_link(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700})
    page.set_content(render(samples("en")["usual"]).html)
    heights = page.evaluate(
        "() => [...document.querySelectorAll('.row a')].map(a => a.getBoundingClientRect().height)"
    )
    page.close()
    assert len(heights) > 20
    assert min(heights) >= 43
