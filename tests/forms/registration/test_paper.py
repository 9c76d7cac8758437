"""The four corners of a sheet in a photo."""

import numpy as np
import pytest
from drawn_form import HEIGHT, WIDTH, draw_form, shaded, warped

from batchdigits.forms.registration.geometry import from_corners
from batchdigits.forms.registration.paper import paper_corners

SHEET = np.array([[0.0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
PHOTO = (1600, 1300)


@pytest.mark.parametrize(
    "corners",
    [
        [[200, 250], [1350, 200], [1420, 1000], [120, 1050]],
        [[300, 150], [1450, 350], [1300, 1150], [150, 900]],
    ],
)
def test_the_corners_of_a_sheet_on_a_darker_table_are_found(corners: list[list[int]]) -> None:
    truth = np.array(corners, np.float64)
    photo = shaded(warped(draw_form(), from_corners(SHEET, truth), PHOTO, fill=60), 170, 240)
    found = paper_corners(photo)
    assert found is not None
    assert np.abs(found - truth).max() < 25


def test_a_scan_that_is_all_paper_has_no_corners() -> None:
    assert paper_corners(draw_form()) is None
    assert paper_corners(draw_form() > 128) is None
