"""The skew of a page."""

import numpy as np
import pytest
from drawn_form import ANSWERS, draw_form, turned, warped

from batchdigits.forms.registration.skew import skew_of


@pytest.mark.parametrize("degrees", [-7, -2, 0, 0.5, 3])
def test_the_skew_is_measured_to_a_quarter_of_a_degree(degrees: float) -> None:
    page = warped(draw_form(ANSWERS), turned(degrees))
    assert abs(np.rad2deg(skew_of(255 - page)) - degrees) < 0.25


def test_an_empty_page_has_none() -> None:
    assert skew_of(np.zeros((50, 50), np.uint8)) == 0
