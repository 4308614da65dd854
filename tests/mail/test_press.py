import pytest

from digest.languages import language
from digest.mail.press import fold, read_looks, templates, version, wrap
from digest.mail.render import forget
from digest.mail.wire import in_references

SHEET = """/* a comment */
.a{color:red;margin:1px 2px 3px 4px}
.b{color:blue;padding-left:5px;text-align:left}
.c{width:1px}
@media (max-width:480px){
.b{color:green}
.d a{width:2px}
}
@media (prefers-color-scheme:dark){
.a{color:white;background-color:black}
}
"""


def test_looks_stand_on_the_elements_the_later_rule_winning() -> None:
    looks = read_looks(SHEET, "ltr")
    assert looks.on("c") == ' style="width:1px"'
    assert looks.on("b a") == (
        ' class="b a" style="color:blue;margin:1px 2px 3px 4px;padding-left:5px;text-align:left"'
    )
    assert looks.on("d") == ' class="d"'


def test_what_only_a_style_sheet_can_say_goes_to_the_head_and_wins_there() -> None:
    narrow, dark = read_looks(SHEET, "ltr").head
    assert narrow == (
        "@media (max-width:480px){\n.b{color:green!important}\n.d a{width:2px!important}\n}"
    )
    assert ":root{color-scheme:light dark" in dark
    assert "[data-ogsc] .a{color:white!important}" in dark
    assert "[data-ogsb] .a{background-color:black!important}" in dark


def test_sides_change_places_where_a_language_is_read_from_the_right() -> None:
    looks = read_looks(SHEET, "rtl")
    assert "margin:1px 4px 3px 2px" in looks.on("a")
    assert "padding-right:5px;text-align:right" in looks.on("b")


@pytest.mark.parametrize("sheet", ["p{color:red}", ".a>b{color:red}", ".a{color:red", "@page{}"])
def test_a_sheet_with_more_than_classes_is_refused(sheet: str) -> None:
    with pytest.raises(ValueError, match="more than classes"):
        read_looks(sheet, "ltr")


def test_a_class_without_looks_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no class 'missing'"):
        read_looks(SHEET, "ltr").on("a missing")


def test_words_are_in_a_template_before_it_is_rendered() -> None:
    environment = templates("de")
    made = environment.from_string(
        "{% trans title=x %}More like {{ title }}{% endtrans %}, {% trans %}Less{% endtrans %}"
    )
    assert made.render(x="A") == "Mehr wie A, Weniger"
    with pytest.raises(ValueError, match="cannot choose"):
        environment.from_string("{% trans n=1 %}a{% pluralize %}b{% endtrans %}")


def test_long_text_is_folded_and_letters_beyond_ascii_become_references() -> None:
    assert wrap("word " * 20).count("\n") == 1
    assert wrap("x" * 200, 3).split("\n")[1].startswith("   x")
    assert fold("é " * 60).count("\n") == 1
    assert fold("e " * 60) == "e " * 60
    assert in_references("né") == "n&#233;"


def test_the_version_is_of_what_mails_are_made_of() -> None:
    before = version()
    assert len(before) == 64
    forget()
    assert version() == before
    assert templates("de").globals["lang"] == language("de").code
