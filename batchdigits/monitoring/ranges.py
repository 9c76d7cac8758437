"""Whether the values of an input are of the range 0..16, or of one that `--scale` would name."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from batchdigits.images import DARKEST
from batchdigits.rows.contract import Pixels
from batchdigits.rows.rejects import Reject

FAINT_SHARE = 1 / 8
"""Above 16 / 255, which a wrong --scale 255 leaves of the ink, and far below faint handwriting."""

RANGE_ENDS = (1, DARKEST, 100, 255, 1023, 4095, 65535)
"""Largest values of the pixel ranges that are in use: shares, ours, percent, 8 to 16 bits."""


class RangeEvidence:
    """The values of all pixels, and of those that were rejected as above the range."""

    def __init__(self, darkest: int, scale: float | None) -> None:
        self._darkest = darkest
        self._scale = scale
        self._limit = float(DARKEST) if scale is None else scale
        self._top = 0.0
        self._above = [0] * (len(RANGE_ENDS) + 1)
        self._largest = 0.0
        self.scorable = 0

    def add(self, pixels: Pixels, rejects: list[Reject]) -> None:
        self.scorable += len(pixels)
        self._top = max(self._top, float(pixels.max(initial=0)))
        for reject in rejects:
            if reject.reason == "out-of-range" and reject.value is not None:
                self._add_value(float(reject.value))

    @property
    def above(self) -> int:
        """Rows that were rejected since a pixel is above the range."""
        return sum(self._above)

    def verdict(self, rows: int) -> str | None:
        """Judge the rows that were rejected as above the range; `rows` is how many there were."""
        if 2 * self.above <= rows:
            return None
        return (
            f"looks scaled to {self._range()}: {self.above:,} of {rows:,} rows have a pixel above "
            f"{self._limit:g}, the largest value seen is {self._largest:g}; {self._fix()}"
        )

    def faint_verdict(self) -> str | None:
        """Judge the pixels that can be scored."""
        if self._top > FAINT_SHARE * self._darkest:
            return None
        largest = self._top * self._limit / DARKEST
        end = _range_end(largest)
        looks = f"scaled to 0..{end}" if self._is_usable(end) else "scaled to a small range"
        made = "" if self._scale is None else f", by --scale {self._scale:g} {self._top:.3g} of 16"
        return (
            f"looks {looks}: the largest pixel of {self.scorable:,} rows is {largest:g}{made}, in "
            f"the training data {self._darkest} of 16; {self._advice(end)}"
        )

    def _add_value(self, value: float) -> None:
        if value > self._limit:
            self._above[bisect_left(RANGE_ENDS, value)] += 1
            if math.isfinite(value):
                self._largest = max(self._largest, value)

    def _range(self) -> str:
        end = self._common_end()
        return f"0..{self._largest:g}" if end is None else f"0..{end}"

    def _fix(self) -> str:
        return self._advice(self._common_end())

    def _common_end(self) -> int | None:
        """The smallest range in use that holds all but 1 % of the values above ours."""
        counts = np.cumsum(self._above)
        place = int(np.searchsorted(counts, 0.99 * counts[-1]))
        return RANGE_ENDS[place] if place < len(RANGE_ENDS) else None

    def _is_usable(self, end: int | None) -> bool:
        """Whether `--scale end` (or leaving it out, for 16) is another way to read the input."""
        return end is not None and end != self._limit

    def _advice(self, end: int | None) -> str:
        if not self._is_usable(end):
            return "give the largest value that a pixel can have with --scale MAX"
        if end == DARKEST:
            return "leave --scale out"
        exact = "" if end in (1, 255) else ", or the largest value that a pixel can have"
        return f"{'add' if self._scale is None else 'give'} --scale {end}{exact}"


def _range_end(largest: float) -> int | None:
    """The smallest range in use that holds a value, up to the rounding of float32."""
    return next((end for end in RANGE_ENDS if largest <= end * (1 + 1e-6)), None)
