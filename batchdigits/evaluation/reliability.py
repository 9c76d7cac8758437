"""How far confidence can be trusted: counts by confidence, gathered batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15

CONFIDENCES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Where a threshold may be looked for."""

Confidence = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows with a confidence above `low` and up to `high`.

    `confidence` is their mean, 0..1, `accuracy` the part of them that is right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is left, and how wrong it is, if only rows of at least this confidence are accepted.

    `coverage` is the part of the rows that is accepted, `error` the part of those that is wrong
    (None of no rows).
    """

    confidence: float
    rows: int
    coverage: float
    errors: int
    error: float | None


class ConfidenceCounts:
    """Rows, right rows and confidence by bin, and rows and errors by threshold."""

    def __init__(self) -> None:
        self._rows = np.zeros(BINS, np.int64)
        self._right = np.zeros(BINS, np.int64)
        self._confidence = np.zeros(BINS)
        self._above = np.zeros(len(CONFIDENCES), np.int64)
        self._errors = np.zeros(len(CONFIDENCES), np.int64)

    def add(self, confidence: Confidence, is_right: NDArray[np.bool_]) -> None:
        """Count rows of a confidence (n,), 0..1, and whether each is right."""
        exact = confidence.astype(np.float64)
        bins = np.clip(np.ceil(exact * BINS).astype(np.int64) - 1, 0, BINS - 1)
        self._rows += np.bincount(bins, minlength=BINS)
        self._right += np.bincount(bins[is_right], minlength=BINS)
        self._confidence += np.bincount(bins, weights=exact, minlength=BINS)
        for place, least in enumerate(CONFIDENCES):
            is_accepted = confidence >= confidence.dtype.type(least)
            self._above[place] += is_accepted.sum()
            self._errors[place] += (is_accepted & ~is_right).sum()

    def bins(self) -> tuple[Bin, ...]:
        """The bins that hold rows, ascending."""
        return tuple(
            Bin(
                place / BINS,
                (place + 1) / BINS,
                int(rows),
                float(self._confidence[place] / rows),
                float(self._right[place] / rows),
            )
            for place, rows in enumerate(self._rows)
            if rows
        )

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error, 0..1; None without rows.

        How far each bin's accuracy is from its mean confidence, the mean over all rows. 15 bins of
        equal width: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks",
        2017.
        """
        bins = self.bins()
        rows = sum(one.rows for one in bins)
        gaps = sum(one.rows * abs(one.accuracy - one.confidence) for one in bins)
        return gaps / rows if rows else None

    def curve(self) -> tuple[Accepted, ...]:
        """What would be accepted at each of CONFIDENCES; empty without rows."""
        rows = int(self._rows.sum())
        counts = zip(CONFIDENCES, self._above.tolist(), self._errors.tolist(), strict=True)
        return tuple(
            Accepted(least, above, above / rows, errors, errors / above if above else None)
            for least, above, errors in counts
            if rows
        )
