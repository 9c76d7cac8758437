"""Bands of units that read neighbouring inputs, where the cost model says that they pay."""

import numpy as np
import pytest
from numpy.typing import NDArray

from batchdigits.packing.onnx.bands import MOST_CLASSES, Band, plan_bands

Mask = NDArray[np.bool_]
TEN = 10


def windows(units: int, side: int) -> Mask:
    """Units (64, units) that read a square window of an 8x8 image, each at the next place."""
    places = 9 - side
    mask = np.zeros((8, 8, units), bool)
    for unit in range(units):
        top, left = divmod(unit % places**2, places)
        mask[top : top + side, left : left + side, unit] = True
    return mask.reshape(64, units)


def full(inputs: int, units: int) -> Mask:
    return np.ones((inputs, units), bool)


def shapes(bands: tuple[Band, ...]) -> list[tuple[int, tuple[int, int] | None]]:
    return [(len(band.units), band.cut) for band in bands]


def test_units_are_grouped_by_the_rows_of_pixels_that_they_read() -> None:
    """Two halves of an image, in any order of the units."""
    mask = np.zeros((64, 500), bool)
    mask[:32, ::2] = mask[32:, 1::2] = True
    plan = plan_bands([mask, full(500, TEN)])
    assert plan is not None
    assert shapes(plan[0]) == [(250, (0, 32)), (250, (32, 64))]
    assert plan[0][1].units.tolist() == list(range(1, 500, 2))
    assert plan[1][0].reads == (0, 1)
    assert plan[1][0].units.tolist() == list(range(TEN))


def test_fewer_bands_are_made_where_each_saves_too_little() -> None:
    """Windows of 4x4 pixels begin in five rows."""
    wide, narrow = (plan_bands([windows(n, 4), full(n, TEN)]) for n in (2000, 250))
    assert wide is not None
    assert narrow is not None
    assert 1 < len(narrow[0]) < len(wide[0]) <= 5


@pytest.mark.parametrize(
    "layers",
    [
        [full(64, 500), full(500, TEN)],
        [windows(64, 4), full(64, TEN)],
        [np.random.default_rng(0).random((64, 500)) < 0.1, full(500, TEN)],
        [full(64, TEN)],
    ],
    ids=["dense", "too small", "scattered zeros", "one layer"],
)
def test_what_would_not_pay_stays_as_it_is(layers: list[Mask]) -> None:
    assert plan_bands(layers) is None


def test_inputs_that_nobody_reads_are_cut_off() -> None:
    mask = full(64, 500)
    mask[:17] = mask[50:] = False
    plan = plan_bands([mask, full(500, TEN)])
    assert plan is not None
    assert shapes(plan[0]) == [(500, (16, 56))]


def test_units_that_read_nothing_or_everything_have_a_band() -> None:
    mask = np.zeros((64, 600), bool)
    mask[:16, :200] = mask[48:, 200:400] = mask[:, 400:500] = True
    plan = plan_bands([mask, full(600, TEN)])
    assert plan is not None
    units = np.concatenate([band.units for band in plan[0]])
    assert sorted(units.tolist()) == list(range(600))
    assert None in [band.cut for band in plan[0]]


def test_networks_side_by_side_are_found_from_behind() -> None:
    """Three networks that all read everything, joined into one, their units shuffled."""
    generator = np.random.default_rng(0)
    joined = np.kron(np.eye(3), np.ones((64, 64))).astype(bool)
    joined = joined[generator.permutation(192)][:, generator.permutation(192)]
    plan = plan_bands([full(64, 192), joined, full(192, TEN)])
    assert plan is not None
    assert shapes(plan[0]) == [(64, None)] * 3
    assert sorted(band.reads for band in plan[1]) == [(0,), (1,), (2,)]


def test_a_unit_without_a_reader_may_be_anywhere() -> None:
    joined = np.kron(np.eye(2), np.ones((96, 96))).astype(bool)
    joined[[5, 100]] = False
    joined = joined[np.random.default_rng(0).permutation(192)]
    plan = plan_bands([full(64, 192), joined, full(192, TEN)])
    assert plan is not None
    assert sum(len(band.units) for band in plan[0]) == 192
    assert len(plan[0]) == 2


def test_too_many_ways_of_reading_are_one_band() -> None:
    """The search is quadratic."""
    units = 4 * MOST_CLASSES
    scattered = np.random.default_rng(0).random((200, units)) < 0.02
    assert plan_bands([full(64, 200), scattered, full(units, TEN)]) is None
