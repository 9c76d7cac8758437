"""A sample of an input's rows in constant memory.

Every row has a mark, made from its number in the file. A row is in the sample if its mark is below
a limit, which starts above all marks and is halved whenever the sample would become too large. So
the sample depends on the rows only, not on how they were cut into batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS
from batchdigits.rows.contract import Pixels

SAMPLED_ROWS = 8_192
"""The most rows in the sample. An input with more rows gives at least half as many."""

# 2**64 divided by the golden ratio: multiples of it are spread evenly. Knuth, The Art of Computer
# Programming, volume 3, section 6.4.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_ALL_MARKS = 2**64 - 1


def marks_of(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a uint64 mark for each row number; the marks of any usual selection are spread."""
    return numbers.astype(np.uint64) * _SPREAD


class RowSample:
    """Up to 8,192 rows, each with the same chance to be in the sample; levels 0..16, rounded."""

    def __init__(self) -> None:
        self._levels = np.empty((PIXELS, SAMPLED_ROWS), np.uint8)
        self._marks = np.empty(SAMPLED_ROWS, np.uint64)
        self._rows = 0
        self._limit = _ALL_MARKS

    def add(self, pixels: Pixels, numbers: NDArray[np.int64]) -> None:
        """Add rows (n, 64) with their numbers in the file, counted from 0."""
        marks = marks_of(numbers)
        chosen = self._below(marks)
        while self._rows + len(chosen) > SAMPLED_ROWS:
            self._limit //= 2
            kept = self._below(self._marks[: self._rows])
            self._levels[:, : len(kept)] = self._levels[:, kept]
            self._marks[: len(kept)] = self._marks[kept]
            self._rows = len(kept)
            chosen = self._below(marks)
        place = slice(self._rows, self._rows + len(chosen))
        self._levels[:, place] = _levels(pixels, chosen)
        self._marks[place] = marks[chosen]
        self._rows += len(chosen)

    def __len__(self) -> int:
        return self._rows

    @property
    def levels(self) -> NDArray[np.uint8]:
        """The sampled rows as columns, uint8 (64, n)."""
        return self._levels[:, : self._rows]

    def chosen(self, most: int) -> NDArray[np.uint8]:
        """Return up to `most` of the sampled rows, uint8 (n, 64), drawn at random."""
        order = np.argsort(self._marks[: self._rows])[:most]
        return np.ascontiguousarray(self._levels[:, order].T)

    def _below(self, marks: NDArray[np.uint64]) -> NDArray[np.intp]:
        return np.flatnonzero(marks <= np.uint64(self._limit))


def _levels(pixels: Pixels, chosen: NDArray[np.intp]) -> NDArray[Any]:
    """Return the chosen rows as columns, whole numbers of any type."""
    if pixels.dtype == np.uint8 and pixels.flags.fnc:
        return pixels.T.take(chosen, axis=1)
    rows = pixels.take(chosen, axis=0).T
    return rows if pixels.dtype == np.uint8 else np.rint(rows)
