from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.charts import chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*args: object, **more: object) -> ET.Element:
    text = chart(*args, **more)
    assert "style=" not in text
    assert "<script" not in text
    return ET.fromstring(text)


def test_bars_are_as_high_as_their_values_and_stand_on_each_other() -> None:
    svg = drawn("Mails", ["a", "b"], {"x": [50, 100], "y": [50, None]}, kind="bar")
    bars = [rect for rect in svg.iter(f"{SVG}rect") if rect.get("width") != "10"]
    heights = [float(rect.get("height", 0)) for rect in bars]
    assert heights[0] == heights[2] == heights[1] / 2
    assert float(bars[2].get("y", 0)) + heights[2] == pytest.approx(float(bars[0].get("y", 0)))


def test_a_gap_is_a_gap_and_a_lone_value_a_dot() -> None:
    svg = drawn("Rate", list("abcd"), {"x": [0.5, None, 0.2, 0.3]})
    assert len(list(svg.iter(f"{SVG}circle"))) == 1
    (line,) = svg.iter(f"{SVG}polyline")
    assert len(line.get("points", "").split()) == 2


def test_what_is_drawn_is_told_in_words() -> None:
    svg = drawn("Rate <b>", ["mon", "tue"], {"x & y": [1, 2000]})
    assert svg.findtext(f"{SVG}title") == "Rate <b>"
    assert svg.findtext(f"{SVG}desc") == "x & y: 1 (mon) to 2k (tue)"
    assert drawn("Empty", [], {"x": []}).findtext(f"{SVG}desc") == "Nothing yet."


@given(
    st.lists(st.none() | st.floats(0, 1e12), max_size=40),
    st.sampled_from(["line", "bar"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
)
@example([5e-324], "line", "the smallest number that there is")
def test_anything_is_well_formed_and_within_its_frame(
    values: list[float | None], kind: str, name: str
) -> None:
    svg = drawn(name, [str(i) for i in range(len(values))], {name: values}, kind=kind)
    for rect in svg.iter(f"{SVG}rect"):
        assert 0 <= float(rect.get("y", 0)) <= 220
        assert float(rect.get("height", 0)) >= 0
