"""Suspicion: evidence that an input as a whole is not upright digits, ink 0..16, row by row.

A model answers anything with confidence, so an input that is scaled, inverted or transposed must be
found before it is published. The evidence takes constant memory: a sample of rows, chosen by their
number in the file, is judged at the end, and once on the way. So the verdict depends on the rows
only, not on how they were cut into batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batchdigits.monitoring.evidence import Evidence
from batchdigits.monitoring.judge import Judge
from batchdigits.monitoring.ranges import RangeEvidence
from batchdigits.monitoring.sample import RowSample
from batchdigits.rows.contract import Pixels, Rows

JUDGED_ROWS = 65_536
"""The number of rows after which an input is judged for the first time."""


class Suspicion:
    """The evidence about one input, gathered from its batches in order.

    judge  judges the sample
    scale  the `--scale` of the pixels, None without one

    `sample` holds up to 8,192 of the rows.
    """

    def __init__(self, judge: Judge, scale: float | None) -> None:
        self.sample = RowSample()
        self.judge = judge
        self._range = RangeEvidence(judge.darkest, scale)
        self._rows = 0

    def add(self, rows: Rows) -> str | None:
        """Add the next batch. If it completes the first 65,536 rows, return the verdict on them."""
        end = JUDGED_ROWS - self._rows
        if not 0 < end <= rows.rows:
            self._take(rows, 0, rows.rows)
            return None
        self._take(rows, 0, end)
        first = self.verdict(self.evidence())
        self._take(rows, end, rows.rows)
        return first

    def evidence(self) -> Evidence:
        """Judge the sample of the rows so far."""
        return self.judge.judge(self.sample)

    def verdict(self, evidence: Evidence) -> str | None:
        """Say in one line what the rows look like, with evidence and fix; None for digits."""
        has_ink = evidence.inked > 0
        scaled = self._range.verdict(self._rows, has_ink=has_ink) or self._range.faint_verdict()
        if scaled is not None:
            return scaled
        finding = evidence.finding()
        return None if finding is None else finding.words

    def _take(self, rows: Rows, start: int, stop: int) -> None:
        """Add the rows of a batch from offset `start` to `stop`."""
        pixels, offsets = _scorable(rows, start, stop)
        self._range.add(pixels, [r for r in rows.rejects if start <= r.row < stop])
        self.sample.add(pixels, offsets + (self._rows - start))
        self._rows += stop - start


def _scorable(rows: Rows, start: int, stop: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Return the scorable rows from offset `start` to `stop`, and their offsets."""
    if rows.good is None:
        return rows.pixels[start:stop], np.arange(start, stop)
    first, last = np.searchsorted(rows.good, (start, stop))
    return rows.pixels[first:last], rows.good[first:last]
