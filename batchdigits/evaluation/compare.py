"""Two bundles on the same rows: how good each is, and the rows that they see differently."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.classes import Classes, ClassValue
from batchdigits.evaluation.confusion import pair_counts
from batchdigits.evaluation.evaluator import UNSCORED, Evaluator, Outcomes, Tally, evaluate_all
from batchdigits.evaluation.labels import UNLABELLED, Examples, label_keys, label_places
from batchdigits.rows.contract import Rows

KEPT_FLIPS = 20


@dataclass(frozen=True, slots=True)
class Flip:
    """One row that the bundles label differently.

    row      1-based, counted on the file with every row
    columns  the row's other columns
    label    its true label as it stands there; None without one
    """

    row: int
    columns: dict[str, Any]
    label: Any
    old: ClassValue
    new: ClassValue
    old_confidence: float
    new_confidence: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the rows with the old and with the new bundle.

    labels         the classes of both, the old one's first
    only_old, only_new  the classes that the other lacks
    flip_count     rows that both scored and label differently
    improved       of those the ones that were wrong and become right; `worsened` the reverse
    flips          the first of them, as many as were asked for
    matrix         int64 (k, k) over `labels`: row = old class, column = new class; rows that both
                   label alike stand on its diagonal
    """

    old: Tally
    new: Tally
    labels: tuple[ClassValue, ...]
    only_old: tuple[ClassValue, ...]
    only_new: tuple[ClassValue, ...]
    flip_count: int
    improved: int
    worsened: int
    flips: tuple[Flip, ...]
    matrix: NDArray[np.int64]


def compare(
    examples: Examples, old: Evaluator, new: Evaluator, *, keep_flips: int = KEPT_FLIPS
) -> Comparison:
    """Both bundles on all rows of the examples, in one pass. Raises as `evaluate_all`."""
    book = _Book(old.classes, new.classes, examples.label, keep_flips)
    evaluate_all(examples, [old, new], book.add)
    return Comparison(
        old=old.tally,
        new=new.tally,
        labels=book.labels,
        only_old=_lacking(old.classes, new.classes),
        only_new=_lacking(new.classes, old.classes),
        flip_count=int(book.matrix.sum() - np.trace(book.matrix)),
        improved=book.improved,
        worsened=book.worsened,
        flips=tuple(book.flips),
        matrix=book.matrix,
    )


def regression(comparison: Comparison) -> Fraction:
    """By how much of the labelled rows the new bundle is less often right; negative if more."""
    old, new = comparison.old, comparison.new
    return Fraction(old.right, old.labelled) - Fraction(new.right, new.labelled)


class _Book:
    """The rows that flip, written down batch by batch."""

    def __init__(self, old: Classes, new: Classes, label: str | None, keep: int) -> None:
        added = _lacking(new, old)
        self.labels: tuple[ClassValue, ...] = (*old.values, *added)
        self.flips: list[Flip] = []
        self.improved = self.worsened = 0
        self.matrix = np.zeros((len(self.labels), len(self.labels)), np.int64)
        self._classes = old, new
        self._label = label
        self._keep = keep
        keys = label_keys(self.labels)
        self._of_new = label_places(new.array(), keys)

    def add(self, first_row: int, rows: Rows, outcomes: list[Outcomes]) -> None:
        old, new = outcomes
        both = np.flatnonzero((old.places != UNSCORED) & (new.places != UNSCORED))
        before, after = old.places[both], self._of_new[new.places[both]]
        self.matrix += pair_counts(before, after, len(self.labels))
        flipped = both[before != after]
        was_right = old.places[flipped] == old.truth[flipped]
        is_right = new.places[flipped] == new.truth[flipped]
        self.improved += int((is_right & ~was_right).sum())
        self.worsened += int((was_right & ~is_right).sum())
        for at in flipped[: self._keep - len(self.flips)].tolist():
            offset = at if rows.good is None else int(rows.good[at])
            self.flips.append(self._flip(first_row + offset, at, rows, outcomes))

    def _flip(self, row: int, at: int, rows: Rows, outcomes: list[Outcomes]) -> Flip:
        old, new = outcomes
        columns = {
            name: _plain(column[at].as_py())
            for name, column in zip(
                rows.passthrough.schema.names, rows.passthrough.columns, strict=True
            )
        }
        label = None if self._label is None else columns.pop(self._label)
        return Flip(
            row=row,
            columns=columns,
            label=None if old.truth[at] == UNLABELLED else label,
            old=self._classes[0].values[old.places[at]],
            new=self._classes[1].values[new.places[at]],
            old_confidence=float(old.confidence[at]),
            new_confidence=float(new.confidence[at]),
        )


def _lacking(classes: Classes, other: Classes) -> tuple[ClassValue, ...]:
    """The classes that the other does not have, by whatever type."""
    keys = label_keys(other.values)
    places = label_places(classes.array(), keys)
    return tuple(value for value, at in zip(classes.values, places, strict=True) if at < 0)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
