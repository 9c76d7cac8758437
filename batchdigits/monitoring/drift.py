"""Drift: the distance of an input's rows from the training data, and the accuracy to expect.

It compares pixels, predicted classes, confidences and the share of odd rows, beyond what chance
explains. The accuracy is estimated without labels by the "difference of confidences" of Guillory
and others, "Predicting with confidence on unseen distributions", 2021. docs/drift.md explains the
figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from batchdigits.archive.manifest import FEATURES
from batchdigits.archive.reference import Reference, Unseen
from batchdigits.monitoring.counts import DriftCounts, shades_of
from batchdigits.monitoring.divergence import Comparison, compare_histograms, compare_share
from batchdigits.monitoring.evidence import MANY_ODD, Evidence

LARGE = 0.25
"""A drift above this is a warning if no limit was given."""

ENOUGH_ROWS = 500
"""The least predictions whose distances are measured: few rows are far from anything."""

_DECIMALS = 6


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


class DriftMeter:
    """Compares counts with a bundle's reference.

    labels     the classes as text, in the order of the network's outputs
    odd_share  the share of odd rows that is usual
    """

    def __init__(self, reference: Reference, labels: Sequence[str], odd_share: float) -> None:
        self._reference = reference
        self._shades = shades_of(reference.pixel_counts)
        self._labels = labels
        self._odd_share = odd_share

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self._labels)

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
