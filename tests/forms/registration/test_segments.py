"""Pieces of lines, and where a page has them."""

import numpy as np
from drawn_form import FIELDS, LINE, draw_form

from batchdigits.forms.registration.segments import CLEAR, measure, segments_of

SEGMENTS = segments_of([[edge + 0.5 for edge in field.box] for field in FIELDS[:3]], LINE)


def test_lines_are_found_where_they_are() -> None:
    offsets, contrast = measure(255 - draw_form(), np.eye(3), SEGMENTS, 8)
    assert (contrast > 0.9).all()
    assert np.abs(offsets).max() < 0.6


def test_a_shift_shows_in_the_direction_across_each_line() -> None:
    page = np.roll(255 - draw_form(), (5, -3), (0, 1))
    offsets, _ = measure(page, np.eye(3), SEGMENTS, 12)
    np.testing.assert_allclose(offsets, np.where(SEGMENTS.vertical, -3, 5), atol=0.6)


def test_a_page_without_lines_has_no_contrast() -> None:
    _, contrast = measure(np.zeros((800, 1200), np.uint8), np.eye(3), SEGMENTS, 8)
    assert (contrast < CLEAR).all()


def test_a_black_bar_is_no_line() -> None:
    page = np.zeros((800, 1200), np.uint8)
    page[180:300] = 255
    _, contrast = measure(page, np.eye(3), SEGMENTS.part(~SEGMENTS.vertical), 8)
    assert (contrast < CLEAR).all()
