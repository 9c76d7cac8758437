"""Drift: the distance of an input's rows from the training data, and the accuracy to expect.

It compares pixels, predicted classes, confidences and the share of odd rows, beyond what chance
explains. The accuracy is
estimated without labels by the "difference of confidences" of Guillory and others, "Predicting with
confidence on unseen distributions", 2021. docs/drift.md explains the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.manifest import FEATURES
from batchdigits.archive.reference import CONFIDENCE_BINS, Reference, Unseen, count_confidences
from batchdigits.images import DARKEST, PIXELS
from batchdigits.monitoring.divergence import Comparison, compare_histograms, compare_share
from batchdigits.monitoring.evidence import MANY_ODD, Evidence
from batchdigits.monitoring.sample import RowSample

LARGE = 0.25
"""A drift above this is a warning if no limit was given."""

ENOUGH_ROWS = 500
"""The least predictions whose distances are measured: few rows are far from anything."""

SHADES = (0, 1, 5, 9, 13)
"""The lowest levels of paper and of four shades of ink, by which pixels are compared: another
rounding or a slightly fainter pen must not count as drift."""

_UNIT = 2**24
"""Confidences are summed in whole units of one over this, so that their order does not matter."""

_DECIMALS = 6

_SHADES_SHAPE = (len(SHADES), PIXELS)


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
    largest             the comparison that gave it: "pixels", "classes", "confidence" or "odd"
    estimated_accuracy  0..1; None for too few rows, or for rows unlike those it was measured on
    facts               all figures for the receipt; None if nothing was compared

    Those of several files add up, None in receipts of older versions:

    counts              the counts that were compared
    evidence            the evidence in the sample
    """

    value: float | None = None
    largest: str | None = None
    estimated_accuracy: float | None = None
    facts: Mapping[str, Any] | None = None
    counts: DriftCounts | None = None
    evidence: Evidence | None = None

    @classmethod
    def of_facts(cls, facts: Any, accuracy: Any) -> Self:
        """Read the figures in a receipt. Raises ValueError unless they are as they were written."""
        match facts, accuracy:
            case (
                {"value": (float() | int() | None) as value, "largest": (str() | None) as largest},
                (float() | int() | None),
            ):
                if "odd" not in facts:  # an older version wrote it
                    return cls(value, largest, accuracy, facts)
                counts, evidence = DriftCounts.of_figures(facts), Evidence.of_facts(facts["odd"])
                return cls(value, largest, accuracy, facts, counts, evidence)
        raise ValueError("a field of its drift is missing or of another type")


NOT_MEASURED = Drift()


def exceeds(drift: float | None, limit: float | None) -> bool:
    """Tell whether a drift is above the limit; without either, it is not."""
    return drift is not None and limit is not None and drift > limit


def is_large(drift: Drift) -> bool:
    """Tell whether a drift is worth a warning where no limit was given."""
    return exceeds(drift.value, MANY_ODD if drift.largest == "odd" else LARGE)


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
                "classes": {"counts": dict(classes)},
                "confidence": {"counts": [*confidence], "mean": (float() | int() | None) as mean},
            }:
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
        shades = _shades(_level_counts(sample.levels))
        rows = int(self._predicted.sum())
        # As receipts hold it, so that a run that finds them gets the same sums.
        mean = round(self._total / _UNIT / rows, _DECIMALS) if rows else 0.0
        return DriftCounts(shades, self._predicted, self._confidence, mean * rows)


class DriftMeter:
    """Compares counts with a bundle's reference.

    labels     the classes as text, in the order of the network's outputs
    odd_share  the share of odd rows that is usual
    """

    def __init__(self, reference: Reference, labels: Sequence[str], odd_share: float) -> None:
        self._reference = reference
        self._shades = _shades(reference.pixel_counts)
        self._labels = labels
        self._odd_share = odd_share

    def measure(self, counts: DriftCounts, evidence: Evidence, *, is_usual: bool = True) -> Drift:
        """Compare the counts of rows, and how many of them are odd, with the reference.

        Fewer than 500 predictions are compared by their odd rows alone. The accuracy is estimated
        only if `is_usual`, which says that the rows are not suspicious, and few rows are odd.
        """
        rows = counts.rows
        mean = round(counts.total / rows, _DECIMALS) if rows else None
        comparisons = self._compare(counts) if rows >= ENOUGH_ROWS else {}
        odd = compare_share(evidence.odd, evidence.inked, self._odd_share)
        beyond = {name: comparison.beyond_chance for name, comparison in comparisons.items()}
        if comparisons or odd.beyond_chance:
            beyond["odd"] = odd.beyond_chance
        largest = max(beyond, key=lambda name: beyond[name], default=None)
        value = None if largest is None else beyond[largest]
        unlike = compare_share(evidence.odd + evidence.empty, evidence.rows, self._odd_share)
        accuracy = None
        if comparisons and mean is not None and is_usual and unlike.beyond_chance <= MANY_ODD:
            accuracy = estimate_accuracy(mean, self._reference.unseen)
        facts = {"value": value, "largest": largest, "rows": rows}
        facts |= self._facts(counts, mean, {**comparisons, "odd": odd}, evidence)
        return Drift(value, largest, accuracy, facts, counts, evidence)

    def _compare(self, counts: DriftCounts) -> dict[str, Comparison]:
        """Make every comparison of histograms for which the reference has counts."""
        reference, unseen = self._reference, self._reference.unseen
        classes = reference.class_counts if unseen is None else unseen.predicted_counts
        comparisons = {
            "pixels": compare_histograms(counts.shades, self._shades),
            "classes": compare_histograms(counts.predicted[np.newaxis], classes[np.newaxis]),
        }
        if unseen is not None:
            expected = unseen.confidence_counts[np.newaxis]
            comparisons["confidence"] = compare_histograms(counts.confidence[np.newaxis], expected)
        return comparisons

    def _facts(
        self,
        counts: DriftCounts,
        mean: float | None,
        comparisons: Mapping[str, Comparison],
        evidence: Evidence,
    ) -> dict[str, Any]:
        pixels, unseen = comparisons.get("pixels"), self._reference.unseen
        own = counts.facts()
        return {
            "pixels": {
                "rows": int(counts.shades[0].sum()),
                **_distance(pixels),
                "worst": None if pixels is None else FEATURES["names"][pixels.worst],
                "worst_distance": None if pixels is None else pixels.worst_distance,
                "shades": own["shades"],
            },
            "classes": {
                **_distance(comparisons.get("classes")),
                "counts": dict(zip(self._labels, counts.predicted.tolist(), strict=True)),
            },
            "confidence": {
                **_distance(comparisons.get("confidence")),
                "mean": mean,
                "expected": None if unseen is None else round(unseen.mean_confidence, _DECIMALS),
                "counts": own["confidence"],
            },
            "odd": {**_distance(comparisons["odd"]), **evidence.facts()},
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
    return np.stack([np.bincount(column, minlength=DARKEST + 1) for column in levels])


def _shades(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum counts (64, 17) of levels to counts (64, 5) of shades."""
    summed: NDArray[np.int64] = np.add.reduceat(counts, SHADES, axis=1)
    return summed
