"""What a bundle made of labelled rows: every figure of how good it is on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.evaluation.confusion import (
    KEPT_MATRIX_CLASSES,
    ClassScore,
    Confusion,
    balanced_accuracy,
    class_scores,
    cohen_kappa,
    macro_f1,
    matthews,
    most_confused,
    share_interval,
)
from batchdigits.evaluation.evaluator import Tally
from batchdigits.evaluation.groups import Group
from batchdigits.evaluation.reliability import ConfidenceCounts
from batchdigits.evaluation.review import DecisionCounts

SHOWN_CONFUSIONS = 10


@dataclass(frozen=True, slots=True)
class InputTally:
    """What was counted of one input.

    suspicion   what it looks like, if that is not digits
    trained_on  whether it is the very file that the bundle was trained on
    """

    name: str
    tally: Tally
    suspicion: str | None
    trained_on: bool

    def as_facts(self) -> dict[str, Any]:
        """The counts as plain JSON values."""
        tally = self.tally
        return {
            "input": self.name,
            "rows_in": tally.ledger.rows_in,
            "rows_rejected": tally.ledger.rows_rejected,
            "rows_labelled": tally.labelled,
            "rows_right": tally.right,
            "accuracy": tally.accuracy,
            "suspicion": self.suspicion,
            "trained_on": self.trained_on,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a bundle made of the labelled rows of all inputs.

    labels      the k classes of the bundle
    inputs      counts of each input, in order; `total` those of all
    matrix      int64 (k + 2, k + 2): row = true class, column = predicted class; behind the classes
                row k holds labels that are none of them, column k + 1 rows without a prediction
    confidence  how right the labelled rows are at which confidence
    decisions   what became of them by the bundle's thresholds, or a given one; None without any
    by          the columns that rows were grouped by, if any; `groups` the worst first
    """

    labels: tuple[Any, ...]
    inputs: tuple[InputTally, ...]
    total: Tally
    matrix: NDArray[np.int64]
    confidence: ConfidenceCounts
    decisions: DecisionCounts | None
    by: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def scores(self) -> tuple[ClassScore, ...]:
        """Precision, recall and F1 of each class."""
        return class_scores(self.matrix, self.labels)

    @property
    def confused(self) -> tuple[Confusion, ...]:
        """The pairs of classes that are most often confused."""
        return most_confused(self.matrix, self.labels, SHOWN_CONFUSIONS)

    def as_facts(self, keep_groups: int) -> dict[str, Any]:
        """The evaluation as plain JSON values, with so many groups; null where nothing is known."""
        total, scores = self.total, self.scores
        counted = total.as_facts()
        low, high = share_interval(total.right, total.labelled) or (None, None)
        is_small = len(self.labels) <= KEPT_MATRIX_CLASSES
        return {
            "inputs": [one.as_facts() for one in self.inputs],
            "rows_in": total.ledger.rows_in,
            "rows_predicted": total.ledger.rows_predicted,
            "rows_rejected": total.ledger.rows_rejected,
            "reasons": total.ledger.ordered_reasons(),
            "rows_labelled": total.labelled,
            "rows_unlabelled": total.unlabelled,
            "rows_of_unknown_class": total.unknown,
            "rows_right": total.right,
            "accuracy": total.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "balanced_accuracy": balanced_accuracy(scores),
            "macro_f1": macro_f1(self.matrix, scores),
            "cohen_kappa": cohen_kappa(self.matrix),
            "matthews": matthews(self.matrix),
            "log_loss": counted["log_loss"],
            "brier_score": counted["brier_score"],
            "calibration_error": self.confidence.calibration_error,
            "mean_confidence": counted["mean_confidence"],
            "mean_confidence_right": counted["mean_confidence_right"],
            "mean_confidence_wrong": counted["mean_confidence_wrong"],
            "classes": [asdict(score) for score in scores],
            "confusion_matrix": self._shown_matrix() if is_small else None,
            "confused": [asdict(pair) for pair in self.confused],
            "reliability": [asdict(one) for one in self.confidence.bins()],
            "coverage": [asdict(one) for one in self.confidence.curve()],
            "decision": None if self.decisions is None else self.decisions.as_facts(),
            **self._group_facts(keep_groups),
        }

    def _shown_matrix(self) -> list[list[int]]:
        classes = len(self.labels)
        shown: list[list[int]] = self.matrix[:classes, :classes].tolist()
        return shown

    def _group_facts(self, keep: int) -> dict[str, Any]:
        if not self.by:
            return {"by": None, "group_count": None, "groups": None}
        return {
            "by": list(self.by),
            "group_count": len(self.groups),
            "groups": [
                {
                    "group": dict(zip(self.by, one.values, strict=True)),
                    "rows": one.rows,
                    "errors": one.errors,
                    "accuracy": one.accuracy,
                    "accuracy_low": one.interval[0],
                    "accuracy_high": one.interval[1],
                    "mean_confidence": one.confidence,
                }
                for one in self.groups[:keep]
            ],
        }
