"""Whether an input looks like something else than 0..16 ink on 8x8 images, upright and row by row.

A model gives a confident answer to anything, so what is scaled, inverted or transposed as a whole
must be found before it is published. Evidence is gathered batch by batch in constant memory. What
costs is done on a sample of rows that is chosen by their number in the file, in chunks that are
filled across batches: the verdict depends on the rows alone, not on how they were cut into batches.
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
"""After these rows of an input it is judged for the first time."""

ENOUGH_ROWS = 500
"""Fewer rows than these are not judged: they may be alike by chance."""

ALL_SAMPLED_ROWS = 1_000
SAMPLED_EVERY_FIRST = 32
SAMPLED_EVERY = 256
"""Sampled are all of the first 1,000 rows, one in 32 up to row 65,536, and one in 256 after it."""


class Suspicion:
    """Evidence about one input, gathered while its batches pass in order.

    reference  what the training data looked like
    scale      the `--scale` that the pixels were brought to 0..16 by, None without one
    """

    def __init__(self, reference: Reference, scale: float | None) -> None:
        self._range = RangeEvidence(reference.darkest, scale)
        self._look = LookEvidence(reference)
        self._rows = 0

    def add(self, rows: Rows) -> str | None:
        """Take in the next batch; the verdict on the first 65,536 rows if it completes them."""
        end = JUDGED_ROWS - self._rows
        if not 0 < end <= rows.rows:
            self._take(rows, 0, rows.rows)
            return None
        self._take(rows, 0, end)
        first = self.verdict()
        self._take(rows, end, rows.rows)
        return first

    def verdict(self) -> str | None:
        """What the rows so far look like, the evidence and the fix, in one line; None for digits.

        Judged from 500 scorable rows on, and with rows above the range counted in for that range.
        """
        scorable = self._range.scorable
        if scorable + self._range.above < ENOUGH_ROWS:
            return None
        scaled = self._range.verdict(self._rows)
        if scaled or scorable < ENOUGH_ROWS:
            return scaled
        return self._look.blank_verdict() or self._range.faint_verdict() or self._look.verdict()

    def _take(self, rows: Rows, start: int, stop: int) -> None:
        """The rows of a batch from offset `start` to `stop`."""
        pixels, offsets = _scorable(rows, start, stop)
        self._range.add(pixels, [r for r in rows.rejects if start <= r.row < stop])
        chosen, weights = _sample(offsets + (self._rows - start))
        self._look.add(pixels[chosen], weights)
        self._rows += stop - start


def _scorable(rows: Rows, start: int, stop: int) -> tuple[Pixels, NDArray[np.int64]]:
    """The scorable rows among those from offset `start` to `stop`, and their offsets."""
    if rows.good is None:
        return rows.pixels[start:stop], np.arange(start, stop)
    first, last = np.searchsorted(rows.good, (start, stop))
    return rows.pixels[first:last], rows.good[first:last]


def _sample(numbers: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Positions of the sampled rows among these, and for how many rows each of them stands.

    `numbers` are the rows' own, counted from 0 in the file, ascending.
    """
    dense, medium = np.searchsorted(numbers, (ALL_SAMPLED_ROWS, JUDGED_ROWS))
    every = np.full(len(numbers), SAMPLED_EVERY, np.uint16)
    every[:medium] = SAMPLED_EVERY_FIRST
    every[:dense] = 1
    chosen = np.flatnonzero((marks_of(numbers) >> np.uint64(48)) * every <= 2**16 - 1)
    return chosen, every[chosen].astype(np.float64)
