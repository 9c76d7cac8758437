"""How good a model is on rows it has not seen: scikit-learn's metrics as facts and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATRIX_CLASSES = 20
"""A confusion matrix of more classes than these is too wide to print."""

KEPT_MATRIX_CLASSES = 100
"""One of more classes than these would fill the manifest, and is left out."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 (0..1) of one class, and how many rows it has."""

    label: Any
    precision: float
    recall: float
    f1: float
    support: int


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
            "per_class": [
                {
                    "label": one.label,
                    "precision": one.precision,
                    "recall": one.recall,
                    "f1": one.f1,
                    "support": one.support,
                }
                for one in self.scores
            ],
        }
        if len(self.scores) <= KEPT_MATRIX_CLASSES:
            facts["confusion_matrix"] = self.confusion.tolist()
        return facts


def evaluate(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: list[Any], measured_on: str
) -> Evaluation:
    """Compare class numbers (n,) with class numbers; `labels` are the k classes."""
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    numbers = range(len(labels))
    columns = precision_recall_fscore_support(truth, predicted, labels=numbers, zero_division=0)
    scores = tuple(
        ClassScore(label, float(precision), float(recall), float(f1), int(support))
        for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
    )
    return Evaluation(
        measured_on,
        len(truth),
        float(accuracy_score(truth, predicted)),
        scores,
        confusion_matrix(truth, predicted, labels=numbers),
    )


def format_evaluation(evaluation: Evaluation) -> str:
    """The evaluation as text with aligned columns."""
    header = ["class", "precision", "recall", "f1", "rows"]
    lines = [header, *([str(one.label), *_figures(one)] for one in evaluation.scores)]
    text = [f"accuracy {evaluation.accuracy:.4f} on {evaluation.measured_on}", "", *_aligned(lines)]
    if len(evaluation.scores) <= MATRIX_CLASSES:
        text += ["", "rows: true class, columns: predicted class", *_aligned(_matrix(evaluation))]
    return "\n".join(text)


def markdown_evaluation(evaluation: Evaluation) -> str:
    """The evaluation as Markdown tables."""
    scores = [[str(one.label), *_figures(one)] for one in evaluation.scores]
    text = _markdown(["class", "precision", "recall", "F1", "rows"], scores)
    if len(evaluation.scores) <= MATRIX_CLASSES:
        header, *rows = _matrix(evaluation)
        text += "\n\nConfusion matrix (rows: true class, columns: predicted class):\n\n"
        text += _markdown(header, rows)
    return text


def _figures(one: ClassScore) -> list[str]:
    return [f"{one.precision:.4f}", f"{one.recall:.4f}", f"{one.f1:.4f}", str(one.support)]


def _matrix(evaluation: Evaluation) -> list[list[str]]:
    labels = [str(one.label) for one in evaluation.scores]
    rows = zip(labels, evaluation.confusion.tolist(), strict=True)
    return [["", *labels], *([label, *map(str, counts)] for label, counts in rows)]


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in (header, *rows)]
    lines = [f"| {' | '.join(line)} |" for line in escaped]
    lines.insert(1, "|" + "---|" * len(header))
    return "\n".join(lines)
