"""The range of an input's pixels: 0..16, or another that `--scale` should name."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from batchdigits.images import DARKEST
from batchdigits.monitoring.evidence import FAR_SHARE, is_proof
from batchdigits.monitoring.judge import FAINT
from batchdigits.rows.contract import Pixels
from batchdigits.rows.rejects import Reject

ABOVE_SHARE = 0.5
"""The largest share of rows with a pixel above the range that are single bad rows."""

RANGE_ENDS = (1, DARKEST, 100, 255, 1023, 4095, 65535)
"""The largest values of usual pixel ranges: shares, ours, percent, 8 to 16 bits."""


class RangeEvidence:
    """The largest pixel of the scorable rows, and the rejected values above the range."""

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
                self._add_value(float(reject.value.replace(",", ".")))  # --decimal ,

    @property
    def above(self) -> int:
        """The rows that were rejected for a pixel above the range."""
        return sum(self._above)

    def verdict(self, rows: int, *, has_ink: bool = True) -> str | None:
        """Judge the rows that were rejected for a pixel above the range, of `rows` in all.

        has_ink  whether any other row has ink; if none has, fewer rows are proof
        """
        is_alone = not has_ink and self.above + self.scorable == rows
        count, share = (rows, FAR_SHARE) if is_alone else (self.above, ABOVE_SHARE)
        if not self.above or not is_proof(count, rows, share):
            return None
        end = self._common_end()
        return (
            f"looks scaled to 0..{self._largest if end is None else end:g}: {self.above:,} of "
            f"{rows:,} rows have a pixel above {self._limit:g}, the largest value seen is "
            f"{self._largest:g}; {self._advice(end)}"
        )

    def faint_verdict(self) -> str | None:
        """Judge the darkest pixel of the scorable rows, if there is any ink."""
        is_faint = 0 < self._top <= FAINT * self._darkest
        if not is_faint or not is_proof(self.scorable, self.scorable, FAR_SHARE):
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

    def _common_end(self) -> int | None:
        """Return the end of the smallest usual range that holds 99 % of the values above ours."""
        counts = np.cumsum(self._above)
        place = int(np.searchsorted(counts, 0.99 * counts[-1]))
        return RANGE_ENDS[place] if place < len(RANGE_ENDS) else None

    def _is_usable(self, end: int | None) -> bool:
        """Tell whether `--scale end` (for 16: no --scale) would read the input in another way."""
        return end is not None and end != self._limit

    def _advice(self, end: int | None) -> str:
        if not self._is_usable(end):
            return "give the largest value that a pixel can have with --scale MAX"
        if end == DARKEST:
            return "leave --scale out"
        exact = "" if end in (1, 255) else ", or the largest value that a pixel can have"
        return f"{'add' if self._scale is None else 'give'} --scale {end}{exact}"


def _range_end(largest: float) -> int | None:
    """Return the end of the smallest usual range with this value, up to float32 rounding."""
    return next((end for end in RANGE_ENDS if largest <= end * (1 + 1e-6)), None)
