"""Printed lines wiped off."""

import numpy as np
import pytest

from batchdigits.forms.pages.lines import PrintedLine, intervals, wipe

LEVEL = PrintedLine(52.5, 10, 290, 5.0, upright=False)
UPRIGHT = PrintedLine(52.5, 10, 290, 5.0, upright=True)


def lined() -> np.ndarray:
    ink = np.zeros((100, 300), np.bool_)
    ink[50:55, 10:290] = True
    return ink


def test_a_line_alone_goes_without_a_rest() -> None:
    assert not wipe(lined(), [LEVEL]).any()
    assert not wipe(lined().T, [UPRIGHT]).any()


def test_a_line_with_rough_edges_goes_too() -> None:
    ink = lined()
    ink[49, 40:120:3] = True
    ink[55, 60:200:5] = True
    assert not wipe(ink, [LEVEL]).any()


@pytest.mark.parametrize("slope", [0.0, 0.5, -0.8])
def test_a_stroke_that_crosses_keeps_its_pixels(slope: float) -> None:
    stroke = np.zeros((100, 300), np.bool_)
    for row in range(20, 90):
        left = round(140 + slope * (row - 52))
        stroke[row, left : left + 8] = True
    left_over = wipe(lined() | stroke, [LEVEL])
    assert (left_over & stroke).sum() > 0.93 * stroke.sum()
    assert (left_over & ~stroke).sum() < 12


def test_a_stroke_that_ends_on_the_line_keeps_what_is_beside_it() -> None:
    stroke = np.zeros((100, 300), np.bool_)
    stroke[20:52, 100:108] = True
    left_over = wipe(lined() | stroke, [LEVEL])
    assert left_over[20:48, 100:108].all()
    assert not left_over[56:].any()


def test_where_the_form_has_no_line_after_all_strokes_stay() -> None:
    bar = np.zeros((100, 300), np.bool_)
    bar[50:55, 100:140] = True  # the bar of a 7, on the place of a line that is not there
    np.testing.assert_array_equal(wipe(bar, [LEVEL]), bar)


def test_intervals_are_the_runs() -> None:
    assert intervals(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert intervals(np.zeros(3, np.bool_)) == []
