"""Labelled files through a bundle, one after another: every figure of how good it is on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.classes import Classes
from batchdigits.archive.reference import Reference
from batchdigits.engines.engine import Engine
from batchdigits.errors import UnusableInputError, UsageError, listing
from batchdigits.files.formats import Input
from batchdigits.files.inputs import check_content
from batchdigits.rows.batch import RowOptions, Rows
from batchdigits.scoring.class_scores import (
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
from batchdigits.scoring.evaluator import (
    UNSCORED,
    Evaluator,
    Outcomes,
    Tally,
    refuse_useless,
    run_through,
)
from batchdigits.scoring.examples import UNKNOWN, Examples, examples_of, read_schema
from batchdigits.scoring.groups import Group, Groups, may_group
from batchdigits.scoring.reliability import ConfidenceCounts
from batchdigits.scoring.suspicion import Suspicion

SHOWN_CONFUSIONS = 10

OnProgress = Callable[[int, float | None, str], None]
"""Told the rows of an input done so far, the part of it done (0..1, None if unknown), its name."""


@dataclass(frozen=True, slots=True)
class InputTally:
    """What was counted of one input, and what it looks like if that is not digits."""

    name: str
    tally: Tally
    suspicion: str | None

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
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a bundle made of the labelled rows of all inputs.

    labels      the k classes of the bundle
    inputs      counts of each input, in order; `total` those of all
    matrix      int64 (k + 2, k + 2): row = true class, column = predicted class; behind the classes
                row k holds labels that are none of them, column k + 1 rows without a prediction
    confidence  how right the labelled rows are at which confidence
    by          the columns that rows were grouped by, if any; `groups` the worst first
    """

    labels: tuple[Any, ...]
    inputs: tuple[InputTally, ...]
    total: Tally
    matrix: NDArray[np.int64]
    confidence: ConfidenceCounts
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


def evaluate_files(
    entries: Sequence[Input],
    label: str,
    options: RowOptions,
    *,
    engine: Engine,
    classes: Classes,
    reference: Reference,
    on_progress: OnProgress,
) -> Evaluation:
    """Every row of the inputs through one bundle, counted in constant memory.

    label      the column that holds the true labels
    options    how rows are read; `keep` names the columns to group them by, none for no groups
    engine, classes, reference  of the bundle

    An input that is refused refuses the whole: figures of a part would pass for those of all.
    Raises NoInputError, UnusableInputError, UsageError or TryAgainError.
    """
    by = options.keep or ()
    found = [_find(entry, label, replace(options, keep=by)) for entry in entries]
    book, total, inputs = _Book(classes, by), Tally(), []
    for examples in found:
        evaluator = Evaluator(engine, classes, timed=False)
        evidence = Suspicion(reference, options.scale)
        _pass(examples, evaluator, evidence, book, on_progress)
        inputs.append(InputTally(examples.entry.name, evaluator.tally, evidence.verdict()))
        total.merge(evaluator.tally)
    refuse_useless(listing(one.name for one in inputs), label, [total])
    groups = tuple(book.groups.worst_first()) if book.groups else ()
    return Evaluation(
        classes.values, tuple(inputs), total, book.matrix, book.confidence, by, groups
    )


def _pass(
    examples: Examples,
    evaluator: Evaluator,
    evidence: Suspicion,
    book: _Book,
    on_progress: OnProgress,
) -> None:
    def on_batch(_first_row: int, rows: Rows, outcomes: list[Outcomes]) -> None:
        evidence.add(rows)
        book.add(rows, outcomes[0])

    def on_part(rows: int, part: float | None) -> None:
        on_progress(rows, part, examples.entry.name)

    run_through(examples, [evaluator], on_batch, on_part)


def _find(entry: Input, label: str, options: RowOptions) -> Examples:
    """The input's rows, with the columns that are needed of them."""
    if entry.path is None:
        raise UsageError("-: standard input can be read only once; evaluate a file")
    check_content(entry)
    schema = read_schema(entry, options)
    for name in options.keep or ():
        if name not in schema.names:
            raise UnusableInputError(
                f"{entry.name}: no column {name!r} to group by; the columns besides the pixels are "
                f"{listing(map(repr, schema.names)) or 'none'}; name one of them with --by"
            )
        if not may_group(schema.field(name).type):
            raise UsageError(
                f"--by {name}: {entry.name} holds {schema.field(name).type} there; group by a "
                "column of numbers, text, dates or booleans"
            )
    return examples_of(entry, label, options, schema)


class _Book:
    """What became of the labelled rows, written down batch by batch."""

    def __init__(self, classes: Classes, by: Sequence[str]) -> None:
        self.confidence = ConfidenceCounts()
        self.groups = Groups(by) if by else None
        self._classes = len(classes)
        self.matrix = np.zeros((self._classes + 2, self._classes + 2), np.int64)

    def add(self, rows: Rows, one: Outcomes) -> None:
        chosen = np.flatnonzero(one.is_labelled)
        is_right, confidence = one.is_right[chosen], one.confidence[chosen]
        self._count(one.truth[chosen], one.places[chosen])
        self.confidence.add(confidence, is_right)
        if self.groups is not None:
            names = rows.passthrough.schema.names
            columns = [rows.passthrough.column(names.index(name)) for name in self.groups.names]
            self.groups.add(columns, chosen, ~is_right, confidence)

    def _count(self, truth: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        size = self._classes + 2
        true = np.where(truth == UNKNOWN, self._classes, truth)
        predicted = np.where(places == UNSCORED, self._classes + 1, places)
        counts = np.bincount(true * size + predicted, minlength=size * size)
        self.matrix += counts.reshape(size, size)
