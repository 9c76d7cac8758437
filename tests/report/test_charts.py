"""Charts: well-formed SVG with presentation attributes, a text each, and values in proportion."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from batchdigits.report import charts

CHARTS = {
    "bar": charts.bar(0.5),
    "digit": charts.digit([16] * 64, "a digit"),
    "grid": charts.grid([-3.0, 3.0] * 32, "a grid", most=3.0),
    "lines": charts.lines(["a", "b"], [("x", [0.1, None], charts.RED)], "lines"),
    "matrix": charts.matrix(["0", "<1>"], [[5, 1], [0, 90_000]], "a matrix"),
    "reliability": charts.reliability([(0.9, 0.8, 10)], "reliability"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_xml_without_style_sheets(name: str) -> None:
    root = ET.fromstring(CHARTS[name])  # noqa: S314  # our own text
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not [e for e in root.iter() if "style" in e.attrib or "class" in e.attrib]


@pytest.mark.parametrize("name", [name for name in CHARTS if name != "bar"])
def test_a_chart_has_a_text_for_screen_readers(name: str) -> None:
    root = ET.fromstring(CHARTS[name])  # noqa: S314
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root[0].text


def test_a_bar_is_hidden_from_them_since_its_figure_is_in_the_same_row() -> None:
    assert 'aria-hidden="true"' in CHARTS["bar"]


@pytest.mark.parametrize(("share", "width"), [(0, "0"), (0.5, "60"), (1, "120"), (2, "120")])
def test_a_bar_is_as_long_as_its_share(share: float, width: str) -> None:
    assert f'width="{width}" height="10" fill="{charts.BLUE}"' in charts.bar(share)


def test_a_share_above_0_is_always_visible() -> None:
    assert 'width="1" height="10" fill="#2f6fbe"' in charts.bar(1e-9)


def test_a_digit_has_a_path_for_each_shade_and_none_for_paper() -> None:
    pixels = [0] * 64
    pixels[9], pixels[10] = 16, 3
    picture = charts.digit(pixels, "a digit")
    assert re.findall(r'd="([^"]*)"', picture) == ["M2 1h1v1h-1z", "M1 1h1v1h-1z"]
    assert charts.digit([0] * 64, "paper").count("<path") == 0
    assert len(charts.digit(list(range(64)), "every shade")) < 2_000


def test_the_axis_ends_at_a_round_number_above_all_values() -> None:
    for value, top in ((0.0, "1e-06"), (0.003, "0.005"), (0.07, "0.1"), (1.0, "1")):
        assert f">{top}<" in charts.lines(["a"], [("x", [value], charts.RED)], "lines")


def test_large_counts_are_written_short_in_a_matrix() -> None:
    assert ">90k<" in CHARTS["matrix"]
    assert "<1>" not in CHARTS["matrix"]
