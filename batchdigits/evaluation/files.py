"""Labelled files through a bundle, one after another, counted in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.classes import Classes
from batchdigits.archive.reference import read_reference
from batchdigits.engines.contract import Engine
from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.evaluation.confusion import ConfusionMatrix, pair_counts
from batchdigits.evaluation.evaluator import (
    UNSCORED,
    Evaluator,
    Outcomes,
    Tally,
    refuse_useless,
    run_through,
)
from batchdigits.evaluation.groups import Groups, may_group
from batchdigits.evaluation.labels import UNKNOWN, Examples, examples_of, read_schema
from batchdigits.evaluation.reliability import ConfidenceCounts
from batchdigits.evaluation.review import DecisionCounts
from batchdigits.evaluation.summary import Evaluation, InputTally
from batchdigits.files.digest import digest_file
from batchdigits.files.inputs import check_content
from batchdigits.files.names import InputFile
from batchdigits.monitoring.suspicion import Suspicion
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import ReadOptions
from batchdigits.text import listing

OnProgress = Callable[[int, float | None, str], None]
"""Told the rows of an input done so far, the part of it done (0..1, None if unknown), its name."""


def evaluate_files(
    input_files: Sequence[InputFile],
    label: str,
    options: ReadOptions,
    *,
    engine: Engine,
    bundle: BundleFile,
    review_below: float | None,
    on_progress: OnProgress,
) -> Evaluation:
    """Every row of the inputs through one bundle, counted in constant memory.

    label         the column that holds the true labels
    options       how rows are read; `keep` names the columns to group them by, none for no groups
    engine        the bundle's
    review_below  decide by this confidence, 0..1, instead of the bundle's

    An input that is refused refuses the whole: figures of a part would pass for those of all.
    Raises NoInputError, UnusableInputError, UsageError or TryAgainError, and BundleError for a
    damaged reference.json.
    """
    by, classes, reference = options.keep or (), bundle.manifest.classes, read_reference(bundle)
    found = [_find(input_file, label, replace(options, keep=by)) for input_file in input_files]
    book = _Book(classes, by, _decisions(bundle, review_below))
    total, inputs = Tally(), []
    for examples in found:
        evaluator = Evaluator(engine, classes, timed=False)
        evidence = Suspicion(reference, options.scale)
        _pass(examples, evaluator, evidence, book, on_progress)
        if evaluator.tally.counts.rows_in:
            refuse_useless(examples.input_file.name, label, [evaluator.tally])
        inputs.append(
            InputTally(
                examples.input_file.name,
                evaluator.tally,
                evidence.verdict(),
                _digest(examples) == bundle.manifest.data.get("digest"),
            )
        )
        total.merge(evaluator.tally)
    refuse_useless(listing(one.name for one in inputs), label, [total])
    groups = tuple(book.groups.worst_first()) if book.groups else ()
    return Evaluation(
        inputs=tuple(inputs),
        total=total,
        matrix=ConfusionMatrix(classes.values, book.counts),
        confidence=book.confidence,
        decisions=book.decisions,
        by=by,
        groups=groups,
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
        on_progress(rows, part, examples.input_file.name)

    run_through(examples, [evaluator], on_batch, on_part)


def _decisions(bundle: BundleFile, review_below: float | None) -> DecisionCounts | None:
    """Counts by what decides, if anything does."""
    thresholds = bundle.manifest.thresholds
    if review_below is not None:
        return DecisionCounts(replace(thresholds, review_below=review_below), None)
    if thresholds.review_below is None:
        return None
    promised = thresholds.facts.get("max_error")
    return DecisionCounts(thresholds, promised if type(promised) in (int, float) else None)


def _digest(examples: Examples) -> str | None:
    return None if examples.input_file.path is None else digest_file(examples.input_file.path)


def _find(input_file: InputFile, label: str, options: ReadOptions) -> Examples:
    """The input's rows, with the columns that are needed of them."""
    if input_file.path is None:
        raise UsageError("-: standard input can be read only once; evaluate a file")
    check_content(input_file)
    schema = read_schema(input_file, options)
    for name in options.keep or ():
        if name not in schema.names:
            raise UnusableInputError(
                f"{input_file.name}: no column {name!r} to group by; the columns besides the "
                f"pixels are {listing(map(repr, schema.names)) or 'none'}; name one of them "
                "with --by"
            )
        if not may_group(schema.field(name).type):
            raise UsageError(
                f"--by {name}: {input_file.name} holds {schema.field(name).type} there; group by a "
                "column of numbers, text, dates or booleans"
            )
    return examples_of(input_file, label, options, schema)


class _Book:
    """What became of the labelled rows, written down batch by batch."""

    def __init__(
        self, classes: Classes, by: Sequence[str], decisions: DecisionCounts | None
    ) -> None:
        self.confidence = ConfidenceCounts()
        self.decisions = decisions
        self.groups = Groups(by) if by else None
        self._classes = len(classes)
        self.counts = np.zeros((self._classes + 2, self._classes + 2), np.int64)

    def add(self, rows: Rows, one: Outcomes) -> None:
        chosen = np.flatnonzero(one.is_labelled)
        is_right, confidence = one.is_right[chosen], one.confidence[chosen]
        self._count(one.truth[chosen], one.places[chosen])
        self.confidence.add(confidence, is_right)
        if self.decisions is not None:
            # A row without a probability is rejected by predict: no threshold accepts it here.
            known = np.where(one.places[chosen] == UNSCORED, np.float32(np.nan), confidence)
            self.decisions.add(rows.pixels[chosen], known, is_right)
        if self.groups is not None:
            names = rows.passthrough.schema.names
            columns = [rows.passthrough.column(names.index(name)) for name in self.groups.names]
            self.groups.add(columns, chosen, ~is_right, confidence)

    def _count(self, truth: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        true = np.where(truth == UNKNOWN, self._classes, truth)
        predicted = np.where(places == UNSCORED, self._classes + 1, places)
        self.counts += pair_counts(true, predicted, self._classes + 2)
