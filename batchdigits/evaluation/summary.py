"""The result of an evaluation: every figure of how good a bundle is on labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from batchdigits.evaluation.confusion import ConfusionMatrix, share_interval
from batchdigits.evaluation.evaluator import Tally
from batchdigits.evaluation.groups import Group
from batchdigits.evaluation.reliability import ConfidenceCounts
from batchdigits.evaluation.review import DecisionCounts

SHOWN_CONFUSIONS = 10


@dataclass(frozen=True, slots=True)
class InputTally:
    """The counts of one input file.

    suspicion   what its rows look like, if not like digits
    trained_on  whether the bundle was trained on this very file
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
            "rows_in": tally.counts.rows_in,
            "rows_rejected": tally.counts.rows_rejected,
            "rows_labelled": tally.labelled,
            "rows_right": tally.right,
            "accuracy": tally.accuracy,
            "suspicion": self.suspicion,
            "trained_on": self.trained_on,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a bundle is on the labelled rows of all input files.

    bundle      its name, version and digest
    label       the column of true labels
    inputs      the counts of each input file, in order; `total` adds them up
    matrix      (k + 2, k + 2): after the classes row k counts labels that are no class, column
                k + 1 rows without a prediction
    confidence  the labelled rows by confidence
    decisions   the labelled rows by decision; None if the bundle has no threshold and none is given
    by          the columns that rows are grouped by, if any; `groups` has the worst first
    """

    bundle: Mapping[str, str]
    label: str
    inputs: tuple[InputTally, ...]
    total: Tally
    matrix: ConfusionMatrix
    confidence: ConfidenceCounts
    decisions: DecisionCounts | None
    by: tuple[str, ...]
    groups: tuple[Group, ...]

    def as_facts(self, keep_groups: int) -> dict[str, Any]:
        """The evaluation as plain JSON values, with the worst groups; null where nothing is known.

        keep_groups  the number of groups to list at most
        """
        total, matrix = self.total, self.matrix
        counted, confusion = total.as_facts(), matrix.as_facts()
        low, high = share_interval(total.right, total.labelled) or (None, None)
        return {
            "bundle": self.bundle,
            "label": self.label,
            "inputs": [tally.as_facts() for tally in self.inputs],
            "rows_in": total.counts.rows_in,
            "rows_predicted": total.counts.rows_predicted,
            "rows_rejected": total.counts.rows_rejected,
            "reasons": dict(total.counts.reasons),
            "rows_labelled": total.labelled,
            "rows_unlabelled": total.unlabelled,
            "rows_of_unknown_class": total.unknown,
            "rows_right": total.right,
            "accuracy": total.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "balanced_accuracy": matrix.balanced_accuracy,
            "macro_f1": matrix.macro_f1,
            "cohen_kappa": matrix.cohen_kappa,
            "matthews": matrix.matthews,
            "log_loss": counted["log_loss"],
            "brier_score": counted["brier_score"],
            "calibration_error": self.confidence.calibration_error,
            "mean_confidence": counted["mean_confidence"],
            "mean_confidence_right": counted["mean_confidence_right"],
            "mean_confidence_wrong": counted["mean_confidence_wrong"],
            "classes": confusion["per_class"],
            "confusion_matrix": confusion.get("confusion_matrix"),
            "confused": [asdict(pair) for pair in matrix.most_confused(SHOWN_CONFUSIONS)],
            "reliability": [asdict(each) for each in self.confidence.bins()],
            "coverage": [asdict(accepted) for accepted in self.confidence.curve()],
            "decision": None if self.decisions is None else self.decisions.as_facts(),
            **self._group_facts(keep_groups),
        }

    def _group_facts(self, keep: int) -> dict[str, Any]:
        if not self.by:
            return {"by": None, "group_count": None, "groups": None}
        return {
            "by": list(self.by),
            "group_count": len(self.groups),
            "groups": [group.as_facts(self.by) for group in self.groups[:keep]],
        }
