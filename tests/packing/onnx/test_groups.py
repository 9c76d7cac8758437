"""Units that read parts of the image are put into groups of equal size and equal windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchdigits.packing.onnx.groups import LANES, WORTH, plan_groups


def mask_of(*bands: tuple[int, int, int]) -> np.ndarray:
    """The mask of units that read inputs begin..end: (begin, end, units) for each band."""
    parts = []
    for begin, end, units in bands:
        part = np.zeros((64, units), bool)
        part[begin:end] = True
        parts.append(part)
    return np.concatenate(parts, axis=1)


EVEN = [(8 * row, 8 * row + 32, 80) for row in range(5)]


@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_even_bands_become_groups_of_their_own(order: str) -> None:
    mask = mask_of(*EVEN)
    if order == "mixed":
        mask = mask[:, np.random.default_rng(0).permutation(400)]
    groups = plan_groups(mask)
    assert groups.windows.tolist() == [0, 8, 16, 24, 32]
    assert (groups.width, groups.units.shape) == (32, (5, 80))


def test_a_layer_without_zeros_is_one_group_in_its_order() -> None:
    groups = plan_groups(mask_of((0, 64, 37)))
    assert (groups.windows.tolist(), groups.width) == ([0], 64)
    assert groups.units.tolist() == [list(range(37))]


def test_groups_that_save_little_are_not_made() -> None:
    assert len(plan_groups(mask_of((0, 32, 16), (32, 64, 16), (0, 64, 400))).units) == 1
    assert len(plan_groups(mask_of(*((begin, begin + 32, 16) for begin, *_ in EVEN))).units) == 1


def test_windows_side_by_side_are_the_inputs_as_they_are() -> None:
    assert plan_groups(mask_of((0, 32, 48), (32, 64, 48))).are_a_partition
    assert plan_groups(mask_of((0, 64, 48))).are_a_partition
    assert not plan_groups(mask_of((0, 32, 48))).are_a_partition
    assert not plan_groups(mask_of((0, 32, 48), (16, 48, 48))).are_a_partition


def test_uneven_bands_are_filled_up_with_no_unit() -> None:
    groups = plan_groups(mask_of((0, 32, 100), (32, 64, 90)))
    assert groups.units.shape[1] % LANES == 0
    assert (groups.units == -1).sum() == groups.units.size - 190


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_each_unit_is_in_one_group_whose_window_holds_what_it_reads(seed: int) -> None:
    generator = np.random.default_rng(seed)
    bands = []
    for _ in range(generator.integers(1, 7)):
        begin, end = np.sort(generator.integers(0, 65, 2)).tolist()
        bands.append((begin, end, int(generator.integers(1, 60))))
    mask = mask_of(*bands)
    groups = plan_groups(mask)
    assert sorted(groups.units[groups.units >= 0].tolist()) == list(range(mask.shape[1]))
    for inputs, units in zip(groups.inputs, groups.units, strict=True):
        outside = np.setdiff1d(np.arange(64), inputs)
        assert inputs.max() < 64
        assert not mask[np.ix_(outside, units[units >= 0])].any()
    assert len(groups.units) == 1 or groups.cost <= WORTH * plan_groups(mask | True).cost
