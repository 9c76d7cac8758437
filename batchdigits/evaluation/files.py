"""Labelled files through a bundle, counted in constant memory, and every figure of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.classes import ClassValue
from batchdigits.archive.reference import read_reference
from batchdigits.engines.contract import Engine
from batchdigits.engines.open import open_checked
from batchdigits.errors import UsageError
from batchdigits.evaluation.confusion import ConfusionMatrix, pair_counts, share_interval
from batchdigits.evaluation.evaluator import (
    UNSCORED,
    Evaluator,
    Outcomes,
    Tally,
    refuse_useless,
    score_labelled,
)
from batchdigits.evaluation.groups import Group, Groups
from batchdigits.evaluation.labels import UNKNOWN, LabelledRows, named_column, open_labelled
from batchdigits.evaluation.options import DEFAULT_LABEL, LabelledOptions
from batchdigits.evaluation.reliability import ConfidenceCounts
from batchdigits.evaluation.review import DecisionCounts
from batchdigits.files.inputs import check_content
from batchdigits.files.names import InputFile
from batchdigits.monitoring.suspicion import Suspicion
from batchdigits.rows.contract import Rows
from batchdigits.scoring.watch import make_judge
from batchdigits.store.choice import BundleChoice
from batchdigits.text import count_of, listing

if TYPE_CHECKING:
    from batchdigits.scoring.one_input import OnProgress

SHOWN_CONFUSIONS = 10
SHOWN_WRONG = 36


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
class WrongRow:
    """A row whose prediction is not its label.

    pixels      64 ink counts 0..16
    label       its class, None if the bundle lacks it
    prediction  None without a probability
    """

    pixels: tuple[int, ...]
    label: ClassValue | None
    prediction: ClassValue | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of a bundle on the labelled rows of all input files.

    bundle      its name, version and digest
    label       the column of true labels
    inputs      the counts of each input file, in order; `total` adds them up
    matrix      (k + 2, k + 2): after the classes row k counts labels that are no class, column
                k + 1 rows without a prediction
    confidence  the labelled rows by confidence
    decisions   the labelled rows by decision; None if nothing sends a row to review
    by          the columns that rows are grouped by, if any; `groups` has the worst first
    wrong       the wrong rows with the highest confidence, at most 36, the surest first
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
    wrong: tuple[WrongRow, ...] = ()

    def __repr__(self) -> str:
        accuracy = "unknown" if self.total.accuracy is None else f"{self.total.accuracy:.4f}"
        return (
            f"<Evaluation of {self.bundle['name']}@{self.bundle['version']} on "
            f"{count_of(self.total.labelled, 'labelled row')}, accuracy {accuracy}>"
        )

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
            "by": list(self.by) or None,
            "group_count": len(self.groups) if self.by else None,
            "groups": [group.as_facts(self.by) for group in self.groups[:keep_groups]]
            if self.by
            else None,
        }


def evaluate_files(
    input_files: Sequence[InputFile],
    options: LabelledOptions,
    choice: BundleChoice,
    *,
    review_below: float | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Score every row of the input files with one bundle, and count how good the bundle is on them.

    options       how rows are read; `keep` names the columns to group them by, None for no groups
    review_below  decide by this confidence, 0..1, instead of the bundle's

    An input file that is refused refuses all: figures of a part would pass for those of the whole.
    Raises NoInputError, UnusableInputError, UsageError, TryAgainError or BundleError.
    """
    label = DEFAULT_LABEL if options.label is None else options.label
    options = replace(options, keep=options.keep or (), label=label).checked()
    _check_files(input_files)
    bundle = choice.load()
    engine, classes = open_checked(bundle, choice.engine), bundle.manifest.classes
    counts = _LabelledCounts(bundle, engine, options, review_below)
    total, inputs = Tally(), []
    for input_file in input_files:
        evaluator = Evaluator(engine, classes, timed=False)
        with open_labelled(input_file, options) as rows:
            inputs.append(_evaluate_input(rows, evaluator, counts, on_progress))
        total.merge(evaluator.tally)
    refuse_useless(listing(tally.name for tally in inputs), label, [total])
    return counts.evaluation(label, tuple(inputs), total)


def _check_files(input_files: Sequence[InputFile]) -> None:
    """Refuse standard input, content that is not what its name says, and a file named twice.

    Rows that count twice would make every figure look more certain than it is.
    """
    seen: dict[tuple[int, int], str] = {}
    for input_file in input_files:
        if input_file.path is None:
            raise UsageError("-: standard input can't be evaluated; name a file")
        check_content(input_file)
        facts = input_file.path.stat()
        file = facts.st_dev, facts.st_ino
        if file in seen:
            raise UsageError(f"{input_file.name}: is the same file as {seen[file]}; name it once")
        seen[file] = input_file.name


def _evaluate_input(
    rows: LabelledRows,
    evaluator: Evaluator,
    counts: _LabelledCounts,
    on_progress: OnProgress | None,
) -> InputTally:
    """Score and count all rows of one input file. Raises as `score_labelled`."""
    suspicion = Suspicion(counts.judge, counts.options.scale)
    tally = evaluator.tally
    for _, batch, (outcomes,) in score_labelled(rows, [evaluator]):
        suspicion.add(batch)
        counts.add(batch, outcomes)
        if on_progress is not None:
            on_progress(tally.counts.rows_in, rows.source.progress(), rows.name)
    if tally.counts.rows_in:
        refuse_useless(rows.name, rows.label, [tally])
    trained_on = rows.source.digest() in _digests(counts.bundle.manifest.data)
    return InputTally(rows.name, tally, suspicion.verdict(suspicion.evidence()), trained_on)


def _digests(data: Mapping[str, Any]) -> set[object]:
    """Return the digests of the files that a bundle learnt from."""
    files = data.get("files")
    parts = [part for part in files if isinstance(part, dict)] if isinstance(files, list) else []
    return {data.get("digest"), *(part.get("digest") for part in parts)} - {None}


class _LabelledCounts:
    """The labelled rows of all input files, counted batch by batch."""

    def __init__(
        self,
        bundle: BundleFile,
        engine: Engine,
        options: LabelledOptions,
        review_below: float | None,
    ) -> None:
        self.bundle = bundle
        self.options = options
        self.judge = make_judge(bundle, engine, read_reference(bundle))
        self._confidence = ConfidenceCounts()
        self._decisions = DecisionCounts.of(bundle.manifest.thresholds, review_below)
        self._groups = Groups(options.keep or ())
        self._size = len(bundle.manifest.classes) + 2
        self._matrix = np.zeros((self._size, self._size), np.int64)
        self._wrong: list[WrongRow] = []

    def add(self, batch: Rows, outcomes: Outcomes) -> None:
        """Count the labelled rows of a batch."""
        labelled = np.flatnonzero(outcomes.is_labelled)
        is_right, confidence = outcomes.is_right[labelled], outcomes.confidence[labelled]
        truth, places = outcomes.truth[labelled], outcomes.places[labelled]
        classes = self._size - 2
        self._matrix += pair_counts(
            np.where(truth == UNKNOWN, classes, truth),
            np.where(places == UNSCORED, classes + 1, places),
            self._size,
        )
        self._confidence.add(confidence, is_right)
        if self._decisions is not None:
            # predict rejects a row without a probability: no threshold may accept it here.
            known = np.where(places == UNSCORED, np.float32(np.nan), confidence)
            self._decisions.add(batch.pixels[labelled], known, is_right)
        self._keep_wrong(batch, outcomes, labelled[~is_right])
        if self._groups.names:
            columns = [named_column(batch, name) for name in self._groups.names]
            self._groups.add(columns, labelled, ~is_right, confidence)

    def _keep_wrong(self, batch: Rows, outcomes: Outcomes, wrong: NDArray[np.int64]) -> None:
        """Keep the surest of the wrong rows, whose places in the batch are given."""
        values = self.bundle.manifest.classes.values
        surest = wrong[np.argsort(-outcomes.confidence[wrong], kind="stable")[:SHOWN_WRONG]]
        for at in surest.tolist():
            truth, place = int(outcomes.truth[at]), int(outcomes.places[at])
            pixels = np.rint(batch.pixels[at]).astype(int).tolist()
            label = None if truth == UNKNOWN else values[truth]
            prediction = None if place == UNSCORED else values[place]
            confidence = float(outcomes.confidence[at])
            self._wrong.append(WrongRow(tuple(pixels), label, prediction, confidence))
        self._wrong.sort(key=lambda row: -row.confidence)
        del self._wrong[SHOWN_WRONG:]

    def evaluation(self, label: str, inputs: tuple[InputTally, ...], total: Tally) -> Evaluation:
        """Return the figures of everything that was counted."""
        return Evaluation(
            bundle=self.bundle.facts,
            label=label,
            inputs=inputs,
            total=total,
            matrix=ConfusionMatrix(self.bundle.manifest.classes.values, self._matrix),
            confidence=self._confidence,
            decisions=self._decisions,
            by=self._groups.names,
            groups=tuple(self._groups.worst_first()),
            wrong=tuple(self._wrong),
        )
