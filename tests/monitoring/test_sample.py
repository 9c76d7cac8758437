"""The sample takes constant memory and depends on the rows only."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.images import PIXELS
from batchdigits.monitoring.sample import SAMPLED_ROWS, RowSample


def numbered(numbers: np.ndarray, dtype: type = np.uint8) -> np.ndarray:
    """Rows whose first four pixels are the base-17 digits of their number."""
    pixels = np.zeros((len(numbers), PIXELS), dtype)
    for place in range(4):
        pixels[:, place] = numbers // 17**place % 17
    return pixels


def sampled(rows: int, cuts: list[int]) -> np.ndarray:
    sample = RowSample()
    ends = [0, *sorted(cuts), rows]
    for start, stop in pairwise(ends):
        numbers = np.arange(start, stop)
        sample.add(numbered(numbers), numbers)
    numbers: np.ndarray = 17 ** np.arange(4) @ sample.levels[:4].astype(np.int64)
    return numbers


@given(st.integers(0, 70_000), st.data())
def test_how_rows_are_cut_into_batches_makes_no_difference(rows: int, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, rows), max_size=5))
    assert sorted(sampled(rows, cuts)) == sorted(sampled(rows, []))


def test_every_row_of_a_small_input_is_in_it() -> None:
    assert sampled(SAMPLED_ROWS, [100]).tolist() == list(range(SAMPLED_ROWS))


@pytest.mark.parametrize("rows", [SAMPLED_ROWS + 1, 70_000])
def test_rows_of_a_large_input_are_spread_evenly_and_without_a_period(rows: int) -> None:
    """No part of the file is sampled more than another, and no position modulo 16."""
    chosen = sampled(rows, [])
    assert SAMPLED_ROWS / 2 <= len(chosen) <= SAMPLED_ROWS
    for parts in (chosen * 10 // rows, chosen % 16):
        shares = np.bincount(parts) / len(chosen)
        assert np.allclose(shares, 1 / len(shares), rtol=0.05)


@pytest.mark.parametrize("order", ["C", "F"])
def test_levels_are_rounded(order: str) -> None:
    pixels = np.full((3, PIXELS), 15.6, np.float32)
    pixels[0] = 0.4
    sample = RowSample()
    sample.add(pixels, np.arange(3))
    sample.add(np.array(numbered(np.array([5])), order=order), np.array([3]))  # type: ignore[call-overload]
    assert sample.levels[0].tolist() == [0, 16, 16, 5]
