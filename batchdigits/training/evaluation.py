"""How good a model is on rows it has not seen, as facts and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.evaluation.confusion import (
    KEPT_MATRIX_CLASSES,
    MATRIX_CLASSES,
    ClassScore,
    class_scores,
    matrix_lines,
    score_lines,
)
from batchdigits.text import aligned, markdown


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was right and what was taken for what.

    measured_on  the rows it was measured on, in words
    rows         how many
    accuracy     part predicted right, 0..1
    scores       one a class, in the order of the classes
    confusion    int64 (k, k): row = true class, column = predicted class
    """

    measured_on: str
    rows: int
    accuracy: float
    scores: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]

    def as_facts(self) -> dict[str, Any]:
        """The evaluation as plain JSON values, for the manifest."""
        facts: dict[str, Any] = {
            "measured_on": self.measured_on,
            "rows": self.rows,
            "accuracy": self.accuracy,
            "per_class": [asdict(one) for one in self.scores],
        }
        if len(self.scores) <= KEPT_MATRIX_CLASSES:
            facts["confusion_matrix"] = self.confusion.tolist()
        return facts


def evaluate(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: list[Any], measured_on: str
) -> Evaluation:
    """Compare class numbers (n,) with class numbers; `labels` are the k classes."""
    size = len(labels)
    counts = np.bincount(truth * size + predicted, minlength=size * size)
    matrix = counts.reshape(size, size)
    accuracy = float(np.mean(predicted == truth))
    return Evaluation(measured_on, len(truth), accuracy, class_scores(matrix, labels), matrix)


def format_evaluation(evaluation: Evaluation) -> str:
    """The evaluation as text with aligned columns."""
    header = ["class", "precision", "recall", "f1", "rows"]
    lines = aligned([header, *score_lines(evaluation.scores)])
    text = [f"accuracy {evaluation.accuracy:.4f} on {evaluation.measured_on}", "", *lines]
    if len(evaluation.scores) <= MATRIX_CLASSES:
        text += ["", "rows: true class, columns: predicted class", *aligned(_matrix(evaluation))]
    return "\n".join(text)


def markdown_evaluation(evaluation: Evaluation) -> str:
    """The evaluation as Markdown tables."""
    header = ["class", "precision", "recall", "F1", "rows"]
    text = markdown(header, score_lines(evaluation.scores))
    if len(evaluation.scores) <= MATRIX_CLASSES:
        header, *rows = _matrix(evaluation)
        text += "\n\nConfusion matrix (rows: true class, columns: predicted class):\n\n"
        text += markdown(header, rows)
    return text


def _matrix(evaluation: Evaluation) -> list[list[str]]:
    return matrix_lines(evaluation.confusion, [one.label for one in evaluation.scores])
