"""How far the rows of an input are from what the bundle was made of, and how right it can be.

Compared are pixels, predicted classes and confidence. What chance explains is taken off. Accuracy
without labels is told by the "difference of confidences" of Guillory and others, "Predicting with
confidence on unseen distributions", 2021. docs/drift.md says what the figures mean.
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
"""A drift above this is told where no limit was given."""

SHADES = (0, 1, 5, 9, 13)
"""Pixels are compared by paper and four shades of ink, each from this level on: what another
rounding or a slightly fainter pen does to the levels in between is no drift."""

_UNIT = 2**24
"""Confidences are added up in units of one over this, so that their order makes no difference."""

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class PredictionCounts:
    """What the predictions of one batch were.

    predicted   int64 (k,): rows by predicted class
    confidence  int64 (8,): rows by confidence, as `count_confidences` bins it
    total       sum of the confidences in units of 2**-24
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.int64]
    total: int


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of the comparison of one input.

    value               the largest distance beyond chance, 0..1; None if there were too few rows
    largest             whose it is: "pixels", "classes" or "confidence"
    estimated_accuracy  0..1; None if there were too few rows
    facts               all figures as plain JSON values; None if nothing was compared
    """

    value: float | None = None
    largest: str | None = None
    estimated_accuracy: float | None = None
    facts: Mapping[str, Any] | None = None


NOT_MEASURED = Drift()


def exceeds(drift: float | None, limit: float | None) -> bool:
    """Whether a drift is more than allowed; one that was not judged is not."""
    return drift is not None and limit is not None and drift > limit


def count_predictions(
    best: NDArray[np.int64], confidence: NDArray[np.float32], classes: int
) -> PredictionCounts:
    """Count the predictions (n,) of one batch; safe to call from any thread."""
    units = (confidence * np.float32(_UNIT)).astype(np.int64)
    return PredictionCounts(
        np.bincount(best, minlength=classes), count_confidences(confidence), int(units.sum())
    )


class DriftEvidence:
    """What was seen of one input, gathered while its batches pass in order, in constant memory.

    `labels` are the classes as text, in the order of the network's outputs.
    """

    def __init__(self, reference: Reference, labels: Sequence[str]) -> None:
        self._reference = reference
        self._labels = labels
        self._sample = RowSample()
        self._numbered = 0
        self._predicted = np.zeros(len(labels), np.int64)
        self._confidence = np.zeros(CONFIDENCE_BINS, np.int64)
        self._total = 0

    def add(self, rows: Rows, counts: PredictionCounts) -> None:
        """Take in the next batch and the counts of its predictions."""
        self._sample.add(rows.pixels, rows.offsets + self._numbered)
        self._numbered += rows.rows
        self._predicted += counts.predicted
        self._confidence += counts.confidence
        self._total += counts.total

    def measure(self) -> Drift:
        """Compare all rows so far with the reference; judged from 500 predictions on."""
        rows = int(self._predicted.sum())
        mean = self._total / _UNIT / rows if rows else None
        if mean is None or rows < ENOUGH_ROWS:
            return Drift(facts=self._facts(rows, mean, {}))
        found = self._compare()
        beyond = {name: one.beyond_chance for name, one in found.items()}
        largest = max(beyond, key=lambda name: beyond[name])
        facts = self._facts(rows, mean, found)
        told = {**facts, "value": beyond[largest], "largest": largest}
        accuracy = estimate_accuracy(mean, self._reference.unseen)
        return Drift(beyond[largest], largest, accuracy, told)

    def _compare(self) -> dict[str, Comparison]:
        """Each comparison that the reference has something to compare with."""
        reference, unseen = self._reference, self._reference.unseen
        classes = reference.class_counts if unseen is None else unseen.predicted_counts
        pixels = _shades(_level_counts(self._sample.levels)), _shades(reference.pixel_counts)
        found = {
            "pixels": compare_histograms(*pixels),
            "classes": compare_histograms(self._predicted[np.newaxis], classes[np.newaxis]),
        }
        if unseen is not None:
            expected = unseen.confidence_counts[np.newaxis]
            found["confidence"] = compare_histograms(self._confidence[np.newaxis], expected)
        return found

    def _facts(
        self, rows: int, mean: float | None, found: Mapping[str, Comparison]
    ) -> dict[str, Any]:
        pixels, unseen = found.get("pixels"), self._reference.unseen
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
                **_distance(found.get("classes")),
                "counts": dict(zip(self._labels, self._predicted.tolist(), strict=True)),
            },
            "confidence": {
                **_distance(found.get("confidence")),
                "mean": None if mean is None else round(mean, _DECIMALS),
                "expected": None if unseen is None else round(unseen.mean_confidence, _DECIMALS),
            },
        }


def estimate_accuracy(mean_confidence: float, unseen: Unseen | None) -> float:
    """The accuracy to expect, 0..1, where the network is this sure on average.

    It is less right by as much as it is less sure than on rows that it had not seen; where these
    are not known, it is as right as it is sure.
    """
    if unseen is None:
        return round(mean_confidence, _DECIMALS)
    expected = unseen.right / unseen.rows - unseen.mean_confidence + mean_confidence
    return round(min(max(expected, 0.0), 1.0), _DECIMALS)


def _distance(found: Comparison | None) -> dict[str, float | None]:
    return {
        "distance": None if found is None else found.distance,
        "by_chance": None if found is None else found.by_chance,
    }


def _level_counts(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each pixel has each level, int64 (64, 17), of rows as columns (64, n)."""
    return np.stack([np.bincount(column, minlength=DARKEST + 1) for column in levels])


def _shades(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """PredictionCounts (64, 17) of levels as counts (64, 5) of shades."""
    summed: NDArray[np.int64] = np.add.reduceat(counts, SHADES, axis=1)
    return summed
