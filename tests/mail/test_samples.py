import re

import pytest

from digest.errors import BadInput
from digest.mail import EditionMail, render, templates_folder
from digest.mail.samples import as_seen, samples

EXTREMES = {"no papers", "30 papers", "long titles", "chinese", "arabic", "formulas", "no authors"}


def test_every_mail_and_every_extreme_is_among_them() -> None:
    made = samples("en")
    folders = {folder.name for folder in (templates_folder() / "mail").iterdir() if folder.is_dir()}
    assert {mail.name for mail in made.values()} == folders
    assert {*made} >= EXTREMES | {"3,000 authors", "first", "with notes", "only trending"}
    usual = made["usual"]
    assert isinstance(usual, EditionMail)
    assert {paper.lane for paper in usual.papers} == {"personal", "trending", "exploration"}
    assert usual.receipt
    with pytest.raises(BadInput, match="no language"):
        samples("xx")


def test_each_view_is_what_such_a_program_would_show() -> None:
    rendered = render(samples("en")["usual"])
    assert "<style>" not in as_seen(rendered, "no-style")
    assert "@media all{" in as_seen(rendered, "dark")
    assert "@media not all{" in as_seen(rendered, "light")
    assert as_seen(rendered, "no-images") == rendered.html


def test_what_is_in_style_is_not_needed_to_read_or_to_press() -> None:
    rendered = render(samples("en")["usual"])
    bare = as_seen(rendered, "no-style")
    assert re.findall(r'href="[^"]*"', bare) == re.findall(r'href="[^"]*"', rendered.html)
    assert bare.count("border-radius:22px") == 3 * 7
