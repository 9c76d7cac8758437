"""Darkness beside the paper, and the threshold of ink."""

import numpy as np
import pytest
from drawn_form import ANSWERS, draw_form, shaded

from batchdigits.forms.registration.ink import darkness, threshold


def test_a_page_of_two_values_is_turned_over() -> None:
    assert darkness(np.array([[True, False]])).tolist() == [[0, 255]]


@pytest.mark.parametrize("ends", [(110, 240), (240, 90), (60, 130)])
def test_a_gradient_over_the_page_leaves_the_ink_as_it_is(ends: tuple[int, int]) -> None:
    page = draw_form(ANSWERS)
    dark = darkness(shaded(page, *ends))
    wrong = (dark >= threshold(dark)) != (page < 128)
    assert wrong.mean() < 0.002


def test_the_threshold_of_two_values_lies_between_them() -> None:
    dark = np.array([[10] * 90 + [200] * 10], np.uint8)
    assert 60 < threshold(dark) < 150


def test_noise_on_paper_is_below_the_least_threshold() -> None:
    noise = np.random.default_rng(0).integers(0, 12, (200, 200)).astype(np.uint8)
    assert threshold(noise) >= 40
