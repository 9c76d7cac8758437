"""The learning rate of each step, and the windows of an mlp's first layer."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchdigits.training.epochs import learning_rates, receptive_fields
from batchdigits.training.settings import make_settings


def fields_of(**given: Any) -> NDArray[np.float32]:
    """The pixels that each unit reads, (8, 8, units)."""
    fields = receptive_fields(make_settings(**given))
    assert fields is not None
    return fields.reshape(8, 8, -1)


def test_windows_are_squares_all_over_the_image() -> None:
    fields = fields_of(units=300)
    assert (fields.sum(axis=(0, 1)) == 16).all()
    assert (fields.any(axis=0).sum(axis=0) == 4).all()
    assert (fields.any(axis=1).sum(axis=0) == 4).all()
    assert fields.any(axis=2).all()


def test_windows_make_bands_of_one_size() -> None:
    """Each of the five places from top to bottom has a fifth of the units."""
    fields = fields_of(units=400)
    first = fields.any(axis=1).argmax(axis=0)
    assert np.bincount(first).tolist() == [80] * 5


def test_two_bands_are_the_halves_of_the_image() -> None:
    """So that no pixel is read by both, and a row costs least."""
    fields = fields_of(arch="mlp-small")
    assert (fields[:4, :, ::2].sum(axis=(0, 1)) == 16).all()
    assert (fields[4:, :, 1::2].sum(axis=(0, 1)) == 16).all()


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
