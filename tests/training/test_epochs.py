"""The learning rate of each step, and the windows of an mlp's first layer."""

import numpy as np
import pytest

from batchdigits.training.epochs import bands_of_rows, learning_rates, receptive_fields
from batchdigits.training.settings import make_settings


def test_windows_are_squares_all_over_the_image() -> None:
    fields = receptive_fields(300, 4, 0).reshape(8, 8, 300)
    assert (fields.sum(axis=(0, 1)) == 16).all()
    assert (fields.any(axis=0).sum(axis=0) == 4).all()
    assert (fields.any(axis=1).sum(axis=0) == 4).all()
    assert fields.any(axis=2).all()


def test_windows_make_bands_of_one_size() -> None:
    """Each of the five places from top to bottom has a fifth of the units."""
    fields = receptive_fields(400, 4, 0).reshape(8, 8, 400)
    first = fields.any(axis=1).argmax(axis=0)
    assert np.bincount(first).tolist() == [80] * 5


def test_bands_are_whole_rows_that_no_two_bands_share() -> None:
    fields = bands_of_rows(96, 2).reshape(8, 8, 96)
    assert (fields[:4, :, ::2] == 1).all()
    assert (fields[4:, :, 1::2] == 1).all()
    assert fields.sum() == 96 * 32


def test_one_cycle_rises_for_a_tenth_and_falls_to_nothing() -> None:
    settings = make_settings(learning_rate=0.01)
    rates = learning_rates(settings, 200)
    assert rates.argmax() in (19, 20)
    assert rates.max() == pytest.approx(0.01)
    assert (np.diff(rates[:20]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] < 1e-5


def test_without_a_cycle_the_rate_stays() -> None:
    settings = make_settings(one_cycle=False, learning_rate=0.5)
    assert learning_rates(settings, 4).tolist() == [0.5] * 4
