"""Which class is taken for which: figures from a confusion matrix, and their lines of a table.

Rows of the matrix are true classes, columns predicted ones. Behind the k classes it may have more
rows, for labels that are none of them, and more columns, for rows that got no prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATRIX_CLASSES = 20
"""A confusion matrix of more classes than these is too wide to print."""

KEPT_MATRIX_CLASSES = 100
"""One of more classes than these would be a million numbers, and is left out of JSON."""

_NORMAL_QUANTILE = 1.959963984540054

Matrix = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 (0..1) of one class, and how many rows it has.

    A precision or recall of nothing is 0.
    """

    label: Any
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """So many rows of one class that were taken for another."""

    label: Any
    prediction: Any
    rows: int


def class_scores(matrix: Matrix, labels: Sequence[Any]) -> tuple[ClassScore, ...]:
    """One score a class, in the order of the k `labels`."""
    classes = len(labels)
    right = np.diagonal(matrix)[:classes].tolist()
    predicted = matrix[:, :classes].sum(axis=0).tolist()
    support = matrix[:classes].sum(axis=1).tolist()
    return tuple(
        ClassScore(
            label,
            precision=_part(hits, of_prediction),
            recall=_part(hits, of_class),
            f1=_part(2 * hits, of_prediction + of_class),
            support=of_class,
        )
        for label, hits, of_prediction, of_class in zip(
            labels, right, predicted, support, strict=True
        )
    )


def most_confused(matrix: Matrix, labels: Sequence[Any], count: int) -> tuple[Confusion, ...]:
    """The `count` most frequent confusions of one of the k classes with another."""
    wrong = matrix[: len(labels), : len(labels)].copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(
        Confusion(labels[true], labels[predicted], int(wrong[true, predicted]))
        for true, predicted in pairs
        if wrong[true, predicted]
    )


def balanced_accuracy(scores: Sequence[ClassScore]) -> float | None:
    """The mean recall of the classes that have rows.

    Brodersen and others, "The balanced accuracy and its posterior distribution", 2010.
    """
    return _mean([one.recall for one in scores if one.support])


def macro_f1(matrix: Matrix, scores: Sequence[ClassScore]) -> float | None:
    """The mean F1 of the classes that have rows or were predicted."""
    is_predicted = matrix[:, : len(scores)].sum(axis=0).tolist()
    return _mean(
        [one.f1 for one, is_met in zip(scores, is_predicted, strict=True) if one.support or is_met]
    )


def cohen_kappa(matrix: Matrix) -> float | None:
    """Agreement beyond chance, 1 at best; None where one class is all there is.

    Cohen, "A coefficient of agreement for nominal scales", 1960.
    """
    rows = float(matrix.sum())
    if not rows:
        return None
    by_chance = float(matrix.sum(axis=1).astype(float) @ matrix.sum(axis=0)) / rows**2
    return (
        None if by_chance == 1 else (float(np.trace(matrix)) / rows - by_chance) / (1 - by_chance)
    )


def matthews(matrix: Matrix) -> float | None:
    """The correlation of true and predicted class, -1..1; None where either is one class.

    Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    rows, right = float(matrix.sum()), float(np.trace(matrix))
    true, predicted = matrix.sum(axis=1).astype(float), matrix.sum(axis=0).astype(float)
    spread = (rows**2 - float(true @ true)) * (rows**2 - float(predicted @ predicted))
    return (right * rows - float(true @ predicted)) / math.sqrt(spread) if spread > 0 else None


def share_interval(hits: int, rows: int) -> tuple[float, float] | None:
    """The 95 % interval of a share, 0..1; None of no rows.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not rows:
        return None
    share, square = hits / rows, _NORMAL_QUANTILE**2
    middle = share + square / (2 * rows)
    half = _NORMAL_QUANTILE * math.sqrt(share * (1 - share) / rows + square / (4 * rows**2))
    width = 1 + square / rows
    # At the ends the exact value is 0 or 1, and rounding misses it.
    low = 0.0 if hits == 0 else (middle - half) / width
    return low, 1.0 if hits == rows else (middle + half) / width


def score_lines(scores: Sequence[ClassScore]) -> list[list[str]]:
    """Label, precision, recall, F1 and rows of each class as text."""
    return [
        [
            str(one.label),
            f"{one.precision:.4f}",
            f"{one.recall:.4f}",
            f"{one.f1:.4f}",
            str(one.support),
        ]
        for one in scores
    ]


def matrix_lines(matrix: Matrix, labels: Sequence[Any]) -> list[list[str]]:
    """The k by k matrix as text, a header first."""
    names = [str(label) for label in labels]
    counts = matrix[: len(names), : len(names)].tolist()
    return [
        ["", *names],
        *([name, *map(str, row)] for name, row in zip(names, counts, strict=True)),
    ]


def _part(count: int, of: int) -> float:
    return count / of if of else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
