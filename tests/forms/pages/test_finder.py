"""Fields of a blank form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_form import ANSWERS, COMB, DPI, FIELDS, MARKS, draw_form
from paths import shared_data
from PIL import Image

from batchdigits.forms.pages.finder import find_fields
from batchdigits.forms.registration.ink import darkness


def test_boxes_combs_and_boxes_side_by_side_are_found_in_reading_order() -> None:
    found = find_fields(draw_form() < 128, DPI).fields
    assert [field.name for field in found] == [f"field_{n:02d}" for n in range(1, 6)]
    assert [field.box for field in found] == [field.box for field in FIELDS]
    assert [field.cells for field in found] == [field.cells for field in FIELDS]


def test_cells_are_exact_and_a_free_box_holds_at_most_what_fits() -> None:
    found = find_fields(draw_form() < 128, DPI).fields
    assert [(field.digits, field.exact) for field in found] == [
        (3, False),
        (9, False),
        (5, False),
        (5, True),
        (4, True),
    ]


def test_marks_are_three_or_more_solid_squares_near_the_edges() -> None:
    assert find_fields(draw_form(marks=True) < 128, DPI).marks == list(MARKS)
    assert find_fields(draw_form() < 128, DPI).marks == []


def test_a_blot_more_or_less_is_no_mark() -> None:
    page = draw_form()
    page[40:72, 40:72] = 0
    page[40:72, 1128:1160] = 0
    assert find_fields(page < 128, DPI).marks == []


def test_uneven_lines_in_a_box_are_no_comb() -> None:
    page = draw_form()
    left, _, _, bottom = COMB
    page[bottom - 30 : bottom, left + 40 : left + 43] = 0
    assert find_fields(page < 128, DPI).fields[3].cells == ()


def test_what_is_written_in_the_boxes_does_not_change_them() -> None:
    found = find_fields(draw_form(ANSWERS) < 128, DPI).fields
    for field, wanted in zip(found, FIELDS, strict=True):
        np.testing.assert_allclose(field.box, wanted.box, atol=2)


@pytest.mark.slow
def test_the_28_digit_fields_of_a_real_form_are_among_those_found() -> None:
    folder = shared_data() / "forms"
    ink = darkness(np.asarray(Image.open(folder / "blank.tif"))) > 127
    found = {field.box: field.digits for field in find_fields(ink, 300).fields}
    for field in json.loads((folder / "fields.json").read_text()):
        near = min(found, key=lambda box: max(np.abs(np.subtract(box, field["box"]))))
        assert max(np.abs(np.subtract(near, field["box"]))) <= 4
        assert found[near] >= field["digits"]
