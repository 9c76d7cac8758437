"""Two bundles on the same rows: how good each is, and the rows that they label differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from batchdigits.archive.classes import Classes, ClassValue
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.evaluation.confusion import KEPT_MATRIX_CLASSES, pair_counts
from batchdigits.evaluation.evaluator import (
    UNSCORED,
    Evaluator,
    Outcomes,
    refuse_useless,
    score_labelled,
)
from batchdigits.evaluation.groups import json_value
from batchdigits.evaluation.labels import UNLABELLED, LabelledRows, label_keys, label_places
from batchdigits.rows.contract import Rows

KEPT_FLIPS = 20


@dataclass(frozen=True, slots=True)
class Flip:
    """A row that the bundles label differently.

    row      1-based, counted over all rows of the file
    columns  the row's other columns
    label    its true label as the file has it; None without one
    pixels   64 ink counts 0..16
    """

    row: int
    columns: dict[str, Any]
    label: Any
    old: ClassValue
    new: ClassValue
    old_confidence: float
    new_confidence: float
    pixels: tuple[int, ...]

    def as_facts(self) -> dict[str, Any]:
        """The flip as plain JSON values, without its pixels."""
        facts = asdict(self)
        del facts["pixels"]
        return facts


class BundleComparison:
    """The figures of an old and a new bundle on the same rows, counted batch by batch.

    data        the file of rows
    label       its column of labels; None if it has none
    old, new    the tally of each bundle
    labels      the classes of both bundles, the old one's first
    only_old, only_new  the classes that the other bundle lacks
    improved    flips that were wrong and become right; `worsened` the reverse
    flips       the first `keep_flips` flips
    matrix      int64 (k, k) over `labels`: row = old class, column = new class; its diagonal counts
                the rows that both label alike
    """

    def __init__(self, rows: LabelledRows, old: Evaluator, new: Evaluator, keep_flips: int) -> None:
        self.data, self.label = rows.name, rows.label
        self.old, self.new = old.tally, new.tally
        self.only_old = _lacking(old.classes, new.classes)
        self.only_new = _lacking(new.classes, old.classes)
        self.labels: tuple[ClassValue, ...] = (*old.classes.values, *self.only_new)
        self.improved = self.worsened = 0
        self.flips: list[Flip] = []
        self.matrix = np.zeros((len(self.labels), len(self.labels)), np.int64)
        self._classes = old.classes, new.classes
        self._keep_flips = keep_flips
        self._of_new = label_places(new.classes.array(), label_keys(self.labels))

    def add(self, first_row: int, batch: Rows, outcomes: list[Outcomes]) -> None:
        """Count the flips of a batch whose first row has this 1-based number."""
        old, new = outcomes
        both = np.flatnonzero((old.places != UNSCORED) & (new.places != UNSCORED))
        before, after = old.places[both], self._of_new[new.places[both]]
        self.matrix += pair_counts(before, after, len(self.labels))
        flipped = both[before != after]
        was_right, is_right = old.is_right[flipped], new.is_right[flipped]
        self.improved += int((is_right & ~was_right).sum())
        self.worsened += int((was_right & ~is_right).sum())
        for at in flipped[: self._keep_flips - len(self.flips)].tolist():
            row = first_row + int(batch.offsets[at])
            self.flips.append(self._flip(row, at, batch, outcomes))

    def _flip(self, row: int, at: int, batch: Rows, outcomes: list[Outcomes]) -> Flip:
        old, new = outcomes
        names = batch.passthrough.schema.names
        cells = (column[at].as_py() for column in batch.passthrough.columns)
        columns = {name: json_value(cell) for name, cell in zip(names, cells, strict=True)}
        label = None if self.label is None else columns.pop(self.label)
        return Flip(
            row=row,
            columns=columns,
            label=None if old.truth[at] == UNLABELLED else label,
            old=self._classes[0].values[old.places[at]],
            new=self._classes[1].values[new.places[at]],
            old_confidence=float(old.confidence[at]),
            new_confidence=float(new.confidence[at]),
            pixels=tuple(np.rint(batch.pixels[at]).astype(int).tolist()),
        )

    @property
    def flip_count(self) -> int:
        """The number of rows that both bundles scored and label differently."""
        return int(self.matrix.sum() - np.trace(self.matrix))

    @property
    def regression(self) -> Fraction:
        """By how much the new bundle's accuracy is lower, exactly; negative if it is higher."""
        old, new = self.old, self.new
        return Fraction(old.right, old.labelled) - Fraction(new.right, new.labelled)

    def as_facts(self, old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Any]:
        """The comparison as plain JSON values; `old` and `new` are the facts of the bundles."""
        is_small = len(self.labels) <= KEPT_MATRIX_CLASSES
        return {
            "data": self.data,
            "label": self.label,
            "rows_in": self.old.counts.rows_in,
            "old": {"bundle": old, **self.old.as_facts()},
            "new": {"bundle": new, **self.new.as_facts()},
            "classes": list(self.labels),
            "classes_only_old": list(self.only_old),
            "classes_only_new": list(self.only_new),
            "flip_count": self.flip_count,
            "improved": self.improved if self.label else None,
            "worsened": self.worsened if self.label else None,
            "flip_matrix": self.matrix.tolist() if is_small else None,
            "flips": [flip.as_facts() for flip in self.flips],
        }


def compare_bundles(
    rows: LabelledRows, old: Evaluator, new: Evaluator, *, keep_flips: int = KEPT_FLIPS
) -> BundleComparison:
    """Score all rows with both bundles. Raises as `score_labelled` and `refuse_useless`."""
    comparison = BundleComparison(rows, old, new, keep_flips)
    for first_row, batch, outcomes in score_labelled(rows, [old, new]):
        comparison.add(first_row, batch, outcomes)
    refuse_useless(rows.name, rows.label, [old.tally, new.tally])
    return comparison


def check_candidate(
    rows: LabelledRows,
    candidate: Evaluator,
    incumbent: Evaluator | None,
    *,
    alias: str,
    max_regression: Fraction,
) -> str:
    """Measure the accuracy of the bundle that `alias` is to point at; return it in words.

    incumbent       the bundle that `alias` points at; None if the alias is new
    max_regression  by how much less accurate than the incumbent the candidate may be, 0..1

    Raises BundleError if the candidate is less accurate than that, UnusableInputError for rows
    without labels, and as `compare_bundles`.
    """
    if rows.label is None:
        raise UnusableInputError(
            f"{rows.name}: no column 'label' to judge by; name the column of true labels with "
            "--label"
        )
    if incumbent is None:
        for _ in score_labelled(rows, [candidate]):
            pass
        refuse_useless(rows.name, rows.label, [candidate.tally])
        return f"{_accuracy(candidate, rows)}; {alias} is new, there is nothing to compare with"
    comparison = compare_bundles(rows, incumbent, candidate, keep_flips=0)
    text = f"{_accuracy(candidate, rows)}, {incumbent.tally.accuracy:.4f} with {incumbent.name}"
    if comparison.regression > max_regression:
        raise BundleError(
            f"{candidate.name}: {text}: worse by more than --max-regression "
            f"{float(max_regression):g}; {alias} stays at {incumbent.name}: promote a better "
            "bundle, or allow more"
        )
    return text


def _accuracy(candidate: Evaluator, rows: LabelledRows) -> str:
    tally = candidate.tally
    return f"accuracy {tally.accuracy:.4f} on {tally.labelled} rows of {rows.name}"


def _lacking(classes: Classes, other: Classes) -> tuple[ClassValue, ...]:
    """The classes that the other bundle does not have, by whatever type."""
    places = label_places(classes.array(), label_keys(other.values))
    return tuple(value for value, at in zip(classes.values, places, strict=True) if at < 0)
