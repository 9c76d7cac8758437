"""The confusion matrix: which class is taken for which, and the scores that follow from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATRIX_CLASSES = 20
"""A matrix of more classes is too wide to print."""

KEPT_MATRIX_CLASSES = 100
"""A matrix of more classes is left out of JSON: a thousand classes make a million counts."""

_NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of one class, 0..1 and 0 without rows, and its number of rows."""

    label: Any
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """The number of rows of one class that were taken for another."""

    label: Any
    prediction: Any
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """The number of rows for each pair of true and predicted class.

    labels  the k classes
    counts  int64, (k, k) or larger: row = true class, column = predicted class. Rows of the matrix
            after the first k count labels that are no class, columns after the first k count rows
            without a prediction: both are wrong.
    """

    labels: tuple[Any, ...]
    counts: NDArray[np.int64]

    @classmethod
    def of(
        cls, labels: Sequence[Any], truth: NDArray[np.int64], predicted: NDArray[np.int64]
    ) -> ConfusionMatrix:
        """Count the rows whose true and predicted class are these places (n,) among the labels."""
        return cls(tuple(labels), pair_counts(truth, predicted, len(labels)))

    @property
    def rows(self) -> int:
        """The number of rows counted."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share of the rows that were predicted right, 0..1."""
        return _share(self._right, self.rows)

    @property
    def scores(self) -> tuple[ClassScore, ...]:
        """One score a class, in the order of the labels."""
        classes = len(self.labels)
        right = np.diagonal(self.counts)[:classes].tolist()
        predicted = self.counts[:, :classes].sum(axis=0).tolist()
        support = self.counts[:classes].sum(axis=1).tolist()
        return tuple(
            ClassScore(
                label,
                precision=_share(hits, of_prediction),
                recall=_share(hits, of_class),
                f1=_share(2 * hits, of_prediction + of_class),
                support=of_class,
            )
            for label, hits, of_prediction, of_class in zip(
                self.labels, right, predicted, support, strict=True
            )
        )

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean recall of the classes that have rows; None without rows.

        Brodersen and others, "The balanced accuracy and its posterior distribution", 2010.
        """
        return _mean([score.recall for score in self.scores if score.support])

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of the classes that have rows or were predicted; None without rows."""
        predicted = self.counts[:, : len(self.labels)].sum(axis=0).tolist()
        pairs = zip(self.scores, predicted, strict=True)
        return _mean([score.f1 for score, rows in pairs if score.support or rows])

    @property
    def cohen_kappa(self) -> float | None:
        """Agreement beyond chance, 1 at best; None where all rows are of one class.

        Cohen, "A coefficient of agreement for nominal scales", 1960.
        """
        rows = float(self.rows)
        if not rows:
            return None
        true, predicted = self._margins
        by_chance = float(true @ predicted) / rows**2
        return None if by_chance == 1 else (self._right / rows - by_chance) / (1 - by_chance)

    @property
    def matthews(self) -> float | None:
        """The correlation of true and predicted class, -1..1; None where either is a single class.

        Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
        2004.
        """
        rows, (true, predicted) = float(self.rows), self._margins
        spread = (rows**2 - float(true @ true)) * (rows**2 - float(predicted @ predicted))
        if spread <= 0:
            return None
        return (self._right * rows - float(true @ predicted)) / math.sqrt(spread)

    def most_confused(self, count: int) -> tuple[Confusion, ...]:
        """The `count` most frequent confusions of one of the k classes with another."""
        wrong = self._square().copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return tuple(
            Confusion(self.labels[true], self.labels[predicted], int(wrong[true, predicted]))
            for true, predicted in pairs
            if wrong[true, predicted]
        )

    def as_facts(self) -> dict[str, Any]:
        """The matrix as plain JSON values; `confusion_matrix` only up to 100 classes."""
        facts: dict[str, Any] = {
            "rows": self.rows,
            "accuracy": self.accuracy,
            "per_class": [asdict(score) for score in self.scores],
        }
        if len(self.labels) <= KEPT_MATRIX_CLASSES:
            facts["confusion_matrix"] = self._square().tolist()
        return facts

    def score_lines(self) -> list[list[str]]:
        """Label, precision, recall, F1 and rows of each class as text, after a header."""
        lines = [["class", "precision", "recall", "F1", "rows"]]
        for score in self.scores:
            values = (score.precision, score.recall, score.f1)
            lines.append([str(score.label), *(f"{v:.4f}" for v in values), str(score.support)])
        return lines

    def matrix_lines(self) -> list[list[str]]:
        """The k by k counts as text, after a header; no lines for more than 20 classes."""
        if len(self.labels) > MATRIX_CLASSES:
            return []
        names = [str(label) for label in self.labels]
        counts = zip(names, self._square().tolist(), strict=True)
        return [["", *names], *([name, *map(str, row)] for name, row in counts)]

    @property
    def _right(self) -> int:
        return int(np.trace(self.counts))

    @property
    def _margins(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rows of each true and of each predicted class, as floats: their products are large."""
        return self.counts.sum(axis=1).astype(float), self.counts.sum(axis=0).astype(float)

    def _square(self) -> NDArray[np.int64]:
        return self.counts[: len(self.labels), : len(self.labels)]


def pair_counts(
    rows: NDArray[np.int64], columns: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """The number of times that each pair of places (n,) below `size` occurs, (size, size)."""
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def share_interval(hits: int, rows: int) -> tuple[float, float] | None:
    """The 95 % interval of a share, 0..1; None without rows.

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


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
