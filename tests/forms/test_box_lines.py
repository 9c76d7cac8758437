"""The lines of printed boxes around characters."""

import numpy as np
import pytest
from crops import boxed, crop

from batchdigits.forms.box_lines import without_box_lines
from batchdigits.forms.cell import Ink


def ink_of(picture: np.ndarray) -> Ink:
    return picture < 128


@pytest.mark.parametrize("slant", [0, 2])
@pytest.mark.parametrize(
    "sides", ["top right bottom left", "left right", "top bottom", "bottom", "right bottom"]
)
def test_lines_go_and_the_character_stays(sides: str, slant: int) -> None:
    for number in range(20):
        plain = crop(number, margin=10)
        ink = ink_of(boxed(plain, sides=sides, slant=slant))
        assert (without_box_lines(ink) == ink_of(plain)).all()


@pytest.mark.parametrize("slant", [0, 2])
def test_an_empty_box_is_blank(slant: int) -> None:
    ink = ink_of(boxed(np.full((60, 50), 255, np.uint8), slant=slant))
    assert ink.any()
    assert not without_box_lines(ink).any()


def test_a_stroke_that_crosses_a_line_keeps_its_pixels() -> None:
    """Where it crosses, and beyond the line: a 7 whose foot leaves its box."""
    seven = np.zeros((60, 50), np.bool_)
    seven[12:16, 12:38] = True
    seven[16:60, 30:35] = True
    box = ink_of(boxed(np.full((60, 50), 255, np.uint8)))
    result = without_box_lines(seven | box)
    assert (result >= seven).all()
    assert (result & ~seven).sum() < 25


@pytest.mark.parametrize("number", range(30))
def test_a_character_that_was_cut_tightly_loses_nothing(number: int) -> None:
    """The foot of a 2 and the bar of a 7 go from edge to edge, too."""
    ink = ink_of(crop(number, margin=0))
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    tight = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (without_box_lines(tight) == tight).all()


def test_the_foot_of_a_two_is_no_line() -> None:
    two = np.zeros((40, 30), np.bool_)
    two[36:] = True
    for row in range(36):
        two[row, 26 - row * 25 // 36 : 30 - row * 25 // 36] = True
    assert (without_box_lines(two) == two).all()
