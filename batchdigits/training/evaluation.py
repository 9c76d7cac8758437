"""How good a model is on rows it has not seen, as facts and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.text import markdown, table


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was right and what was taken for what.

    measured_on  the rows it was measured on, in words
    """

    measured_on: str
    matrix: ConfusionMatrix

    @property
    def accuracy(self) -> float:
        """Part predicted right, 0..1."""
        return self.matrix.accuracy

    def as_facts(self) -> dict[str, Any]:
        """The evaluation as plain JSON values, for the manifest."""
        return {"measured_on": self.measured_on, **self.matrix.as_facts()}


def evaluate(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: list[Any], measured_on: str
) -> Evaluation:
    """Compare class numbers (n,) with class numbers; `labels` are the k classes."""
    return Evaluation(measured_on, ConfusionMatrix.of(labels, truth, predicted))


def format_evaluation(evaluation: Evaluation) -> str:
    """The evaluation as text with aligned columns."""
    scores = table(evaluation.matrix.score_lines(), right=True)
    matrix = evaluation.matrix.matrix_lines()
    text = [f"accuracy {evaluation.accuracy:.4f} on {evaluation.measured_on}", "", scores]
    if matrix:
        text += ["", "rows: true class, columns: predicted class", table(matrix, right=True)]
    return "\n".join(text)


def markdown_evaluation(evaluation: Evaluation) -> str:
    """The evaluation as Markdown tables."""
    text = markdown(evaluation.matrix.score_lines())
    matrix = evaluation.matrix.matrix_lines()
    if matrix:
        text += "\n\nConfusion matrix (rows: true class, columns: predicted class):\n\n"
        text += markdown(matrix)
    return text
