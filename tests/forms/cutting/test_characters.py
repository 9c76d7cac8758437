"""Ink cut into a known number of characters."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_form import write_digit
from PIL import Image, ImageDraw

from batchdigits.forms.cutting.characters import Cut, cut
from batchdigits.forms.cutting.hand import Hand, hand_of
from batchdigits.forms.cutting.parts import parts_of

HIGH = 48


def written(digits: str, step: float, gaps: dict[int, int] | None = None) -> np.ndarray:
    """Digits of 30x48 pixels at a distance of `step`; at row y of `gaps` some rows are missing."""
    image = Image.new("L", (90 + round(step * len(digits)), 100), 255)
    draw = ImageDraw.Draw(image)
    for number, digit in enumerate(digits):
        write_digit(draw, digit, (30 + step * number, 26), HIGH, pen=6)
    ink = np.asarray(image) < 128
    for row, rows in (gaps or {}).items():
        ink = ink.copy()
        ink[row : row + rows] = False
    return ink


def cuts(ink: np.ndarray, most: int) -> dict[int, Cut]:
    parts = parts_of(ink, (5, 5, ink.shape[1] - 5, 95), None)
    return cut(parts, hand_of([parts], 90), most)


def middles(found: Cut) -> list[float]:
    return [(c.columns.min() + c.columns.max()) / 2 for c in found.characters]


@pytest.mark.parametrize("digits", ["301945", "111", "7", "8080"])
def test_digits_with_gaps_are_cut_between_them_at_no_cost(digits: str) -> None:
    found = cuts(written(digits, 44), len(digits) + 1)
    best = min(found, key=lambda count: found[count].cost)
    assert best == len(digits)
    assert found[best].cost < 0.4


@pytest.mark.parametrize("digits", ["00", "38", "303", "5060"])
def test_touching_digits_are_cut_where_they_touch(digits: str) -> None:
    step = 31.0
    ink = written(digits, step)
    found = cuts(ink, len(digits))[len(digits)]
    wanted = [30 + step * number + 15 for number in range(len(digits))]
    np.testing.assert_allclose(middles(found), wanted, atol=6)


def test_all_ink_ends_up_in_a_character() -> None:
    ink = written("4096", 33)
    found = cuts(ink, 4)[4]
    assert sum(len(c.rows) for c in found.characters) == ink.sum()


def test_a_bar_that_misses_its_five_is_joined_to_it() -> None:
    ink = written("353", 44, gaps={30: 3})  # the upper bars hang in the air
    found = cuts(ink, 4)
    assert min(found, key=lambda count: found[count].cost) == 3
    np.testing.assert_allclose(middles(found[3]), [45, 89, 133], atol=6)


def test_far_more_parts_than_digits_have_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining them would take minutes."""
    monkeypatch.setattr("batchdigits.forms.cutting.characters._whole", pytest.fail)
    down, right = np.indices((90, 160))
    dots = (down % 8 < 6) & (right % 8 < 6)
    parts = parts_of(dots, (0, 0, 160, 90), None)
    assert len(parts) > 120
    assert cut(parts, Hand(0.0, 6.0, 48.0, 30.0), 3) == {}


def test_more_marks_than_digits_cost_clearly_more() -> None:
    found = cuts(written("2749", 44), 4)
    assert found[3].cost > found[4].cost + 1.2
    assert found[2].cost > found[4].cost + 3


def test_there_is_no_cut_into_more_characters_than_pieces() -> None:
    assert set(cuts(written("1", 44), 3)) == {1}
