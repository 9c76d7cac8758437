"""What a hand has in common."""

import numpy as np
import pytest

from batchdigits.forms.cutting.hand import hand_of
from batchdigits.forms.cutting.parts import Part, parts_of


def bars(slant: float, pen: int = 6, high: int = 48) -> list[Part]:
    """Six loops with straight sides, as a hand of that slant writes them."""
    ink = np.zeros((100, 500), np.bool_)
    for number in range(6):
        for row in range(high):
            left = 60 + 60 * number - round(slant * row)
            ink[30 + row, left : left + pen] = True
            ink[30 + row, left + 30 - pen : left + 30] = True
            if row < pen or row >= high - pen:
                ink[30 + row, left : left + 30] = True
    return parts_of(ink, (5, 5, 495, 95), None)


@pytest.mark.parametrize("slant", [-0.3, 0.0, 0.5])
def test_the_slant_of_many_characters_is_found(slant: float) -> None:
    assert abs(hand_of([bars(slant)] * 8, 90).slant - slant) <= 0.08


def test_the_slant_of_a_few_is_taken_for_less() -> None:
    assert 0.2 < hand_of([bars(0.5)], 90).slant < 0.4


def test_stroke_height_and_width_are_those_of_the_characters() -> None:
    hand = hand_of([bars(0.0)], 90)
    assert 5 < hand.stroke < 7
    assert hand.height == 48
    assert hand.width == 30


def test_a_page_without_ink_gets_what_is_usual_for_its_boxes() -> None:
    hand = hand_of([[], []], 90)
    assert 0 < hand.stroke < hand.width < hand.height < 90
