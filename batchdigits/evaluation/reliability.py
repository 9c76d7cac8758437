"""Reliability of the confidence: rows and right rows counted by confidence, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15

CONFIDENCES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Thresholds whose coverage and errors are counted."""

Confidence = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows with a confidence above `low` and up to `high`.

    confidence  their mean confidence, 0..1
    accuracy    the share of them that was predicted right, 0..1
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rows that are accepted if `confidence` is the threshold.

    coverage  the share of all rows that is accepted, 0..1
    error     the share of the accepted rows that is wrong, 0..1; None if none is accepted
    """

    confidence: float
    rows: int
    coverage: float
    errors: int
    error: float | None


class ConfidenceCounts:
    """Counts of rows and right rows by bin of confidence, and of rows and errors by threshold."""

    def __init__(self) -> None:
        self._rows = np.zeros(BINS, np.int64)
        self._right = np.zeros(BINS, np.int64)
        self._confidence = np.zeros(BINS)
        self._above = np.zeros(len(CONFIDENCES), np.int64)
        self._errors = np.zeros(len(CONFIDENCES), np.int64)

    def add(self, confidence: Confidence, is_right: NDArray[np.bool_]) -> None:
        """Count rows by their confidence (n,), 0..1, and whether each is right (n,)."""
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
        """Return the bins that have rows, ascending."""
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
        """The expected calibration error, 0..1; None without rows.

        The difference between accuracy and mean confidence of each of 15 bins of equal width,
        averaged over the rows: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural
        networks", 2017.
        """
        bins = self.bins()
        rows = sum(each.rows for each in bins)
        gaps = sum(each.rows * abs(each.accuracy - each.confidence) for each in bins)
        return gaps / rows if rows else None

    def curve(self) -> tuple[Accepted, ...]:
        """Return what is accepted at each of CONFIDENCES; nothing without rows."""
        rows = int(self._rows.sum())
        counts = zip(CONFIDENCES, self._above.tolist(), self._errors.tolist(), strict=True)
        return tuple(
            Accepted(least, above, above / rows, errors, errors / above if above else None)
            for least, above, errors in counts
            if rows
        )
