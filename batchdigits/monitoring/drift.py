"""Drift: the distance of an input's rows from the training data, and the accuracy to expect.

It compares pixels, predicted classes and confidences, beyond what chance explains. The accuracy is
estimated without labels by the "difference of confidences" of Guillory and others, "Predicting with
confidence on unseen distributions", 2021. docs/drift.md explains the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.manifest import FEATURES
from batchdigits.archive.reference import CONFIDENCE_BINS, Reference, Unseen, count_confidences
from batchdigits.images import DARKEST
from batchdigits.monitoring.divergence import Comparison, compare_histograms
from batchdigits.monitoring.sample import RowSample
from batchdigits.monitoring.suspicion import ENOUGH_ROWS
from batchdigits.rows.contract import Rows

LARGE = 0.25
"""A drift above this is a warning if no limit was given."""

SHADES = (0, 1, 5, 9, 13)
"""The lowest levels of paper and of four shades of ink, by which pixels are compared: another
rounding or a slightly fainter pen must not count as drift."""

_UNIT = 2**24
"""Confidences are summed in whole units of one over this, so that their order does not matter."""

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


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of one input.

    value               the largest distance beyond chance, 0..1; None for too few rows
    largest             the comparison that gave it: "pixels", "classes" or "confidence"
    estimated_accuracy  0..1; None for too few rows
    facts               all figures for the receipt; None if nothing was compared
    """

    value: float | None = None
    largest: str | None = None
    estimated_accuracy: float | None = None
    facts: Mapping[str, Any] | None = None


NOT_MEASURED = Drift()


def exceeds(drift: float | None, limit: float | None) -> bool:
    """Tell whether a drift is above the limit; without either, it is not."""
    return drift is not None and limit is not None and drift > limit


def count_predictions(
    best: NDArray[np.int64], confidence: NDArray[np.float32], classes: int
) -> PredictionCounts:
    """Count the predictions (n,) of a batch; safe to call from any thread."""
    units = (confidence * np.float32(_UNIT)).astype(np.int64)
    return PredictionCounts(
        np.bincount(best, minlength=classes), count_confidences(confidence), int(units.sum())
    )


class DriftEvidence:
    """The evidence of drift in one input, gathered from its batches in order, in constant memory.

    `labels` are the classes as text, in the order of the network's outputs.
    """

    def __init__(self, reference: Reference, labels: Sequence[str]) -> None:
        self._reference = reference
        self._labels = labels
        self._sample = RowSample()
        self._rows = 0
        self._predicted = np.zeros(len(labels), np.int64)
        self._confidence = np.zeros(CONFIDENCE_BINS, np.int64)
        self._total = 0

    def add(self, rows: Rows, counts: PredictionCounts) -> None:
        """Add the next batch and the counts of its predictions."""
        self._sample.add(rows.pixels, rows.offsets + self._rows)
        self._rows += rows.rows
        self._predicted += counts.predicted
        self._confidence += counts.confidence
        self._total += counts.total

    def measure(self) -> Drift:
        """Compare the rows so far with the reference, if there are at least 500 predictions."""
        rows = int(self._predicted.sum())
        mean = self._total / _UNIT / rows if rows else None
        if mean is None or rows < ENOUGH_ROWS:
            return Drift(facts=self._facts(rows, mean, {}))
        comparisons = self._compare()
        beyond = {name: comparison.beyond_chance for name, comparison in comparisons.items()}
        largest = max(beyond, key=lambda name: beyond[name])
        facts = self._facts(rows, mean, comparisons)
        facts |= {"value": beyond[largest], "largest": largest}
        accuracy = estimate_accuracy(mean, self._reference.unseen)
        return Drift(beyond[largest], largest, accuracy, facts)

    def _compare(self) -> dict[str, Comparison]:
        """Make every comparison for which the reference has counts."""
        reference, unseen = self._reference, self._reference.unseen
        classes = reference.class_counts if unseen is None else unseen.predicted_counts
        pixels = _shades(_level_counts(self._sample.levels)), _shades(reference.pixel_counts)
        comparisons = {
            "pixels": compare_histograms(*pixels),
            "classes": compare_histograms(self._predicted[np.newaxis], classes[np.newaxis]),
        }
        if unseen is not None:
            expected = unseen.confidence_counts[np.newaxis]
            comparisons["confidence"] = compare_histograms(self._confidence[np.newaxis], expected)
        return comparisons

    def _facts(
        self, rows: int, mean: float | None, comparisons: Mapping[str, Comparison]
    ) -> dict[str, Any]:
        pixels, unseen = comparisons.get("pixels"), self._reference.unseen
        return {
            "value": None,
            "largest": None,
            "rows": rows,
            "pixels": {
                "rows": self._sample.levels.shape[1],
                **_distance(pixels),
                "worst": None if pixels is None else FEATURES["names"][pixels.worst],
                "worst_distance": None if pixels is None else pixels.worst_distance,
            },
            "classes": {
                **_distance(comparisons.get("classes")),
                "counts": dict(zip(self._labels, self._predicted.tolist(), strict=True)),
            },
            "confidence": {
                **_distance(comparisons.get("confidence")),
                "mean": None if mean is None else round(mean, _DECIMALS),
                "expected": None if unseen is None else round(unseen.mean_confidence, _DECIMALS),
            },
        }


def estimate_accuracy(mean_confidence: float, unseen: Unseen | None) -> float:
    """Estimate the accuracy, 0..1, from the mean confidence.

    It is the accuracy on unseen rows, lowered by as much as the mean confidence is lower than on
    those rows. Without figures of unseen rows it is the mean confidence itself.
    """
    if unseen is None:
        return round(mean_confidence, _DECIMALS)
    expected = unseen.right / unseen.rows - unseen.mean_confidence + mean_confidence
    return round(min(max(expected, 0.0), 1.0), _DECIMALS)


def _distance(comparison: Comparison | None) -> dict[str, float | None]:
    return {
        "distance": None if comparison is None else comparison.distance,
        "by_chance": None if comparison is None else comparison.by_chance,
    }


def _level_counts(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count how often each pixel has each level, int64 (64, 17), in rows as columns (64, n)."""
    return np.stack([np.bincount(column, minlength=DARKEST + 1) for column in levels])


def _shades(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum counts (64, 17) of levels to counts (64, 5) of shades."""
    summed: NDArray[np.int64] = np.add.reduceat(counts, SHADES, axis=1)
    return summed
