"""The counts of rows that drift is measured by, gathered from batches and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import CONFIDENCE_BINS, count_confidences
from batchdigits.images import DARKEST, PIXELS
from batchdigits.monitoring.sample import RowSample

SHADES = (0, 1, 5, 9, 13)
"""The lowest levels of paper and of four shades of ink, by which pixels are compared: another
rounding or a slightly fainter pen must not count as drift."""

_UNIT = 2**24
"""Confidences are summed in whole units of one over this, so that their order does not matter."""

_SHADES_SHAPE = (len(SHADES), PIXELS)

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class PredictionCounts:
    """The counts of the predictions of one batch.

    predicted   int64 (k,): rows by predicted class
    confidence  int64 (8,): rows by confidence, in the bins of `count_confidences`
    total       the sum of the confidences in units of 2**-24
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.int64]
    total: int


def count_predictions(
    best: NDArray[np.int64], confidence: NDArray[np.float32], classes: int
) -> PredictionCounts:
    """Count the predictions (n,) of a batch; safe to call from any thread."""
    units = (confidence * np.float32(_UNIT)).astype(np.int64)
    return PredictionCounts(
        np.bincount(best, minlength=classes), count_confidences(confidence), int(units.sum())
    )


@dataclass(frozen=True, slots=True)
class DriftCounts:
    """The counts of rows that drift is measured by; those of several files add up.

    shades      int64 (64, 5): how often each pixel of the sampled rows has each shade
    predicted   int64 (k,): rows by predicted class
    confidence  int64 (8,): rows by confidence, in the bins of `count_confidences`
    total       the sum of the confidences
    """

    shades: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.int64]
    total: float

    @classmethod
    def none(cls, classes: int) -> Self:
        """Return the counts of no rows."""
        shades = np.zeros((PIXELS, len(SHADES)), np.int64)
        return cls(shades, np.zeros(classes, np.int64), np.zeros(CONFIDENCE_BINS, np.int64), 0.0)

    @property
    def rows(self) -> int:
        """The predicted rows."""
        return int(self.predicted.sum())

    def __add__(self, other: DriftCounts) -> DriftCounts:
        return DriftCounts(
            self.shades + other.shades,
            self.predicted + other.predicted,
            self.confidence + other.confidence,
            self.total + other.total,
        )

    def facts(self) -> dict[str, Any]:
        """Return the counts that the figures of a receipt lack: of shades and of confidences."""
        return {
            "shades": [" ".join(map(str, shade)) for shade in self.shades.T.tolist()],
            "confidence": self.confidence.tolist(),
        }

    @classmethod
    def of_figures(cls, figures: Mapping[str, Any]) -> Self:
        """Read the counts back from the figures of a drift. Raises ValueError if they are not."""
        match figures:
            case {
                "pixels": {"shades": [*shades]},
                "classes": {"counts": {**classes}},
                "confidence": {"counts": [*confidence], "mean": (float() | int() | None) as mean},
            } if classes:
                predicted = _whole_numbers(list(classes.values()), (len(classes),))
                return cls(
                    _whole_numbers([str(shade).split() for shade in shades], _SHADES_SHAPE).T,
                    predicted,
                    _whole_numbers(confidence, (CONFIDENCE_BINS,)),
                    (mean or 0.0) * float(predicted.sum()),
                )
        raise ValueError("the counts of its drift are missing")


class DriftEvidence:
    """The evidence of drift in one input, gathered from its batches in any order.

    classes  the number of the network's outputs
    """

    def __init__(self, classes: int) -> None:
        self._predicted = np.zeros(classes, np.int64)
        self._confidence = np.zeros(CONFIDENCE_BINS, np.int64)
        self._total = 0

    def add(self, counts: PredictionCounts) -> None:
        """Add the counts of the predictions of a batch."""
        self._predicted += counts.predicted
        self._confidence += counts.confidence
        self._total += counts.total

    def counts(self, sample: RowSample) -> DriftCounts:
        """Return the counts so far, with those of the sampled pixels."""
        shades = shades_of(_level_counts(sample.levels))
        rows = int(self._predicted.sum())
        # As receipts hold it, so that a run that finds them gets the same sums.
        mean = round(self._total / _UNIT / rows, _DECIMALS) if rows else 0.0
        return DriftCounts(shades, self._predicted, self._confidence, mean * rows)


def _whole_numbers(values: list[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return counts of that shape. Raises ValueError for anything else."""
    numbers = np.array(values, dtype=object)
    if numbers.shape != shape:
        raise ValueError("the counts of its drift are not as many as they should be")
    try:
        counts = numbers.astype(np.int64)
    except (TypeError, OverflowError) as error:
        raise ValueError("a count of its drift is no whole number") from error
    if counts.min(initial=0) < 0:
        raise ValueError("a count of its drift is negative")
    return counts


def _level_counts(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count how often each pixel has each level, int64 (64, 17), in rows as columns (64, n)."""
    width = DARKEST + 1
    places = levels + np.arange(0, PIXELS * width, width)[:, np.newaxis]
    return np.bincount(places.ravel(), minlength=PIXELS * width).reshape(PIXELS, width)


def shades_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum counts (64, 17) of levels to counts (64, 5) of shades."""
    summed: NDArray[np.int64] = np.add.reduceat(counts, SHADES, axis=1)
    return summed
