"""Marks and print, and where a page has them."""

import numpy as np
from drawn_form import FIELDS, MARKS, draw_form

from batchdigits.forms.registration.patches import ALIKE, find, patches_of, printed_places

BLANK = 255 - draw_form(marks=True)


def test_marks_are_found_a_few_pixels_away() -> None:
    patches = patches_of(MARKS, BLANK)
    offsets, alike = find(np.roll(BLANK, (7, -4), (0, 1)), np.eye(3), patches, 12)
    assert (alike > 0.9).all()
    np.testing.assert_allclose(offsets, np.tile([-4, 7], (len(MARKS), 1)), atol=0.7)


def test_without_a_blank_form_a_mark_is_a_solid_square() -> None:
    _, alike = find(BLANK, np.eye(3), patches_of(MARKS, None), 6)
    assert (alike > 0.9).all()


def test_print_is_found_on_the_form_and_not_on_an_empty_page() -> None:
    places = printed_places(BLANK, [field.box for field in FIELDS])
    patches = patches_of(places, BLANK)
    assert len(patches) > 6
    assert (find(BLANK, np.eye(3), patches, 6)[1] > 0.95).all()
    assert (find(np.zeros_like(BLANK), np.eye(3), patches, 6)[1] < ALIKE).all()


def test_print_beside_a_field_counts_and_what_is_in_it_does_not() -> None:
    for left, top, right, bottom in printed_places(BLANK, [field.box for field in FIELDS]):
        for field in FIELDS:
            l, t, r, b = field.box  # noqa: E741
            assert right <= l or left >= r or bottom <= t or top >= b
