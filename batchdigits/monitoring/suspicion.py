"""Suspicion: evidence that an input as a whole is not upright digits, ink 0..16, row by row.

A model answers anything with confidence, so an input that is scaled, inverted or transposed must be
found before it is published. The evidence takes constant memory. Expensive steps use a sample of
rows, chosen by their number in the file, in chunks that are filled across batches. So the verdict
depends on the rows only, not on how they were cut into batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference
from batchdigits.monitoring.looks import LookEvidence
from batchdigits.monitoring.ranges import RangeEvidence
from batchdigits.monitoring.sample import marks_of
from batchdigits.rows.contract import Pixels, Rows

JUDGED_ROWS = 65_536
"""The number of rows after which an input is judged for the first time."""

ENOUGH_ROWS = 500
"""The least rows that are judged: fewer may be alike by chance."""

ALL_SAMPLED_ROWS = 1_000
SAMPLED_EVERY_FIRST = 32
SAMPLED_EVERY = 256
"""The sample has all of the first 1,000 rows, one in 32 up to row 65,536, then one in 256."""


class Suspicion:
    """The evidence about one input, gathered from its batches in order.

    reference  the statistics of the training data
    scale      the `--scale` of the pixels, None without one
    """

    def __init__(self, reference: Reference, scale: float | None) -> None:
        self._range = RangeEvidence(reference.darkest, scale)
        self._look = LookEvidence(reference)
        self._rows = 0

    def add(self, rows: Rows) -> str | None:
        """Add the next batch. If it completes the first 65,536 rows, return the verdict on them."""
        end = JUDGED_ROWS - self._rows
        if not 0 < end <= rows.rows:
            self._take(rows, 0, rows.rows)
            return None
        self._take(rows, 0, end)
        first = self.verdict()
        self._take(rows, end, rows.rows)
        return first

    def verdict(self) -> str | None:
        """Say in one line what the rows look like, with evidence and fix; None for digits.

        Needs 500 scorable rows; to judge the range, rows with a pixel above it count too.
        """
        scorable = self._range.scorable
        if scorable + self._range.above < ENOUGH_ROWS:
            return None
        scaled = self._range.verdict(self._rows)
        if scaled or scorable < ENOUGH_ROWS:
            return scaled
        return self._look.blank_verdict() or self._range.faint_verdict() or self._look.verdict()

    def _take(self, rows: Rows, start: int, stop: int) -> None:
        """Add the rows of a batch from offset `start` to `stop`."""
        pixels, offsets = _scorable(rows, start, stop)
        self._range.add(pixels, [r for r in rows.rejects if start <= r.row < stop])
        chosen, weights = _sample(offsets + (self._rows - start))
        self._look.add(pixels[chosen], weights)
        self._rows += stop - start


def _scorable(rows: Rows, start: int, stop: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Return the scorable rows from offset `start` to `stop`, and their offsets."""
    if rows.good is None:
        return rows.pixels[start:stop], np.arange(start, stop)
    first, last = np.searchsorted(rows.good, (start, stop))
    return rows.pixels[first:last], rows.good[first:last]


def _sample(numbers: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the indices of the sampled rows, and how many rows each of them represents.

    `numbers` are the rows' numbers in the file, from 0, ascending.
    """
    dense, medium = np.searchsorted(numbers, (ALL_SAMPLED_ROWS, JUDGED_ROWS))
    every = np.full(len(numbers), SAMPLED_EVERY, np.uint16)
    every[:medium] = SAMPLED_EVERY_FIRST
    every[:dense] = 1
    chosen = np.flatnonzero((marks_of(numbers) >> np.uint64(48)) * every <= 2**16 - 1)
    return chosen, every[chosen].astype(np.float64)
