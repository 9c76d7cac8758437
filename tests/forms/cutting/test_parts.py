"""Parts of ink of a field."""

import numpy as np

from batchdigits.forms.cutting.parts import parts_of

BOX = (20, 20, 180, 100)


def paper() -> np.ndarray:
    return np.zeros((120, 200), np.bool_)


def test_what_hangs_together_in_the_box_is_a_part() -> None:
    ink = paper()
    ink[40:80, 40:46] = True
    ink[40:80, 100:106] = True
    parts = parts_of(ink, BOX, None)
    assert [(part.top, part.height, len(part.rows)) for part in parts] == [(40, 40, 240)] * 2


def test_dust_print_around_the_box_and_rests_of_its_lines_are_none() -> None:
    ink = paper()
    ink[60:63, 60:63] = True  # dust
    ink[2:18, 60:70] = True  # a number above the box
    ink[22:25, 30:120] = True  # a rest of the upper line
    ink[40:90, 176:179] = True  # a rest of the right one
    assert parts_of(ink, BOX, None) == []


def test_a_stroke_that_leaves_the_box_is_kept_whole() -> None:
    ink = paper()
    ink[50:118, 60:66] = True
    (part,) = parts_of(ink, BOX, None)
    assert part.bottom == 118


def test_what_the_blank_form_has_in_the_box_is_no_part() -> None:
    ink = paper()
    ink[40:80, 40:46] = True
    assert parts_of(ink, BOX, ink) == []


def test_a_slant_is_taken_out_of_the_width() -> None:
    ink = paper()
    for row in range(40):
        ink[40 + row, 100 - row // 2 : 106 - row // 2] = True
    (part,) = parts_of(ink, BOX, None)
    assert part.width(0.0) == 25
    assert 5 <= part.width(0.5) <= 7
