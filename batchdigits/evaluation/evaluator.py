"""Bundles judged by a file: how often each is right, how sure it is, how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.archive.classes import Classes
from batchdigits.engines.contract import Engine
from batchdigits.errors import UnusableInputError
from batchdigits.evaluation.labels import UNKNOWN, UNLABELLED, Examples, label_keys, label_places
from batchdigits.rows.contract import Rows
from batchdigits.rows.formats import open_source
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.scorer import Scored, Scorer
from batchdigits.text import listing

LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""What log loss takes a smaller probability for, as scikit-learn's does for float32."""

UNSCORED = -1


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one bundle made of the n scorable rows of a batch.

    places      int64 (n,): the predicted class's place among the bundle's; UNSCORED without a
                finite probability
    confidence  float32 (n,): 0 where unscored
    truth       int64 (n,): the true class's place, UNKNOWN to the bundle, or UNLABELLED
    of_truth    float64 (n,): the probability of the true class; 0 where it got none
    squares     float64 (n,): the squared probabilities of all classes, added up

    The last two are 0 where no column of labels is named.
    """

    places: NDArray[np.int64]
    confidence: NDArray[np.float32]
    truth: NDArray[np.int64]
    of_truth: NDArray[np.float64]
    squares: NDArray[np.float64]

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label, bool (n,)."""
        found: NDArray[np.bool_] = self.truth != UNLABELLED
        return found

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Which rows have a label, and were given it, bool (n,)."""
        found: NDArray[np.bool_] = (self.truth >= 0) & (self.places == self.truth)
        return found


@dataclass(slots=True)
class Tally:
    """Counts and sums of one bundle, kept while the batches pass in order.

    labelled  scorable rows with a label; `unknown` of them have one that is no class of the
              bundle, which it gets wrong like a row that it gives no probability
    seconds   of one processor, spent on scoring as predict scores
    """

    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    labelled: int = 0
    unknown: int = 0
    right: int = 0
    confidence: float = 0.0
    confidence_of_right: float = 0.0
    confidence_of_wrong: float = 0.0
    loss: float = 0.0
    brier: float = 0.0

    @property
    def accuracy(self) -> float | None:
        """Part of the labelled rows that were predicted right; None without labels."""
        return _mean(self.right, self.labelled)

    @property
    def unlabelled(self) -> int:
        """Scorable rows without a label."""
        counts = self.counts
        unscorable = counts.rows_rejected - counts.reasons.get("no-probability", 0)
        return counts.rows_in - unscorable - self.labelled

    def add(self, outcomes: Outcomes) -> None:
        """Count the outcomes of one batch."""
        is_labelled, is_right = outcomes.is_labelled, outcomes.is_right
        self.labelled += int(is_labelled.sum())
        self.unknown += int((outcomes.truth == UNKNOWN).sum())
        self.right += int(is_right.sum())
        self.confidence += _total(outcomes.confidence)
        self.confidence_of_right += _total(outcomes.confidence[is_right])
        self.confidence_of_wrong += _total(outcomes.confidence[is_labelled & ~is_right])
        of_truth = outcomes.of_truth[is_labelled]
        self.loss -= _total(np.log(np.clip(of_truth, LEAST_PROBABILITY, 1.0)))
        self.brier += _total(outcomes.squares[is_labelled] - 2 * of_truth + 1)

    def merge(self, other: Tally) -> None:
        """Count what another tally of the same bundle has counted."""
        self.counts += other.counts
        for one in fields(self):
            if one.name != "counts":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def as_facts(self) -> dict[str, Any]:
        """The tally as plain JSON values, null where there is nothing to measure.

        `log_loss` is the mean of -ln(p), p the probability of the true class, at least
        LEAST_PROBABILITY: https://scikit-learn.org/stable/modules/model_evaluation.html#log-loss
        `brier_score` is the mean of the squared distances, added up over the classes, between the
        probabilities and 1 for the true class, 0 for the others; 0..2, as in Brier, "Verification
        of forecasts expressed in terms of probability", 1950.
        """
        predicted, wrong = self.counts.rows_predicted, self.labelled - self.right
        return {
            "rows_predicted": predicted,
            "rows_rejected": self.counts.rows_rejected,
            "reasons": dict(self.counts.reasons),
            "rows_labelled": self.labelled,
            "rows_of_unknown_class": self.unknown,
            "rows_right": self.right if self.labelled else None,
            "accuracy": self.accuracy,
            "log_loss": _mean(self.loss, self.labelled),
            "brier_score": _mean(self.brier, self.labelled),
            "mean_confidence": _mean(self.confidence, predicted),
            "mean_confidence_right": _mean(self.confidence_of_right, self.right),
            "mean_confidence_wrong": _mean(self.confidence_of_wrong, wrong),
            "rows_per_second": _mean(predicted, self.seconds),
        }


class Evaluator:
    """One bundle's engine and classes, and the tally of what it made of the rows so far.

    `timed` scores as predict does, on the clock, and fetches the probabilities of the other classes
    off it. Without that all come from one run, in half the time.
    """

    def __init__(self, engine: Engine, classes: Classes, *, timed: bool = True) -> None:
        self.classes = classes
        self.tally = Tally()
        self._scorer = Scorer(engine, classes.array(), probabilities=not timed)
        self._keys = label_keys(classes.values)

    def warm_up(self, rows: Rows) -> None:
        """Score a batch off the clock: the first pays for what is loaded and allocated once."""
        if not self._scorer.probabilities:
            self._scorer.score(rows)

    def score(self, rows: Rows, labels: pa.Array | None) -> Outcomes:
        """Score a batch, on the clock, and count what came of it."""
        # The thread's own time: what else the machine does meanwhile is no fault of a bundle.
        started = time.thread_time()
        scored = self._scorer.score(rows)
        self.tally.seconds += time.thread_time() - started
        self.tally.counts += scored.counts
        outcomes = self._outcomes(rows, scored, labels)
        self.tally.add(outcomes)
        return outcomes

    def _outcomes(self, rows: Rows, scored: Scored, labels: pa.Array | None) -> Outcomes:
        count = len(rows.pixels)
        places, confidence = np.full(count, UNSCORED, np.int64), np.zeros(count, np.float32)
        at = _scored_rows(rows, scored)
        places[at], confidence[at] = scored.best, scored.confidence
        if labels is None:
            truth = np.full(count, UNLABELLED, np.int64)
            return Outcomes(places, confidence, truth, np.zeros(count), np.zeros(count))
        truth = label_places(labels, self._keys)
        probabilities = self._probabilities(rows, scored, at)
        of_truth = probabilities[np.arange(count), np.maximum(truth, 0)].astype(np.float64)
        of_truth[truth < 0] = 0.0
        squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
        return Outcomes(places, confidence, truth, of_truth, squares)

    def _probabilities(
        self, rows: Rows, scored: Scored, at: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Of every class, float32 (n, k); 0 where `at` does not say that the row got any."""
        found = np.zeros((len(rows.pixels), len(self.classes)), np.float32)
        if scored.probabilities is not None:
            found[at] = scored.probabilities
        else:
            found[at] = self._scorer.engine.probabilities(rows.pixels)[at]
        return found


OnBatch = Callable[[int, Rows, list[Outcomes]], None]
"""Told the 1-based number of a batch's first row, its rows, and each evaluator's outcomes."""

OnPart = Callable[[int, float | None], None]
"""Told the rows of the input done so far, and the part of it, 0..1, None if unknown."""


def evaluate_bundle(examples: Examples, engine: Engine, classes: Classes) -> Tally:
    """What one bundle makes of the examples, in one pass. Raises as `evaluate_all`."""
    evaluator = Evaluator(engine, classes)
    evaluate_all(examples, [evaluator], lambda _first_row, _rows, _outcomes: None)
    return evaluator.tally


def evaluate_all(examples: Examples, evaluators: Sequence[Evaluator], on_batch: OnBatch) -> None:
    """Every batch of the examples through every evaluator, and the outcomes to `on_batch`.

    Raises as `run_through` and `refuse_useless`.
    """
    run_through(examples, evaluators, on_batch)
    refuse_useless(examples.input_file.name, examples.label, [one.tally for one in evaluators])


def run_through(
    examples: Examples,
    evaluators: Sequence[Evaluator],
    on_batch: OnBatch,
    on_part: OnPart = lambda _rows, _part: None,
) -> None:
    """Every batch of the examples through every evaluator, which have seen none before.

    Who comes first on a batch takes turns, so that neither has the warmer cache. Raises
    UnusableInputError for a file that can't be read, TryAgainError if it changed meanwhile.
    """
    opened = open_source(examples.input_file, examples.rows, examples.machine)
    with closing(opened.source) as source:
        first_row, lines = 1, 0
        for turn, block in enumerate(source.blocks()):
            rows = source.check(block)
            labels = _labels(rows, examples.label)
            if not turn:
                for evaluator in evaluators:
                    evaluator.warm_up(rows)
            order = evaluators if turn % 2 == 0 else [*reversed(evaluators)]
            scored = {id(evaluator): evaluator.score(rows, labels) for evaluator in order}
            on_batch(first_row, rows, [scored[id(evaluator)] for evaluator in evaluators])
            first_row += rows.rows
            lines += rows.lines
            on_part(first_row - 1, source.progress())
        source.verify(first_row - 1, lines)
        for evaluator in evaluators:
            evaluator.tally.counts.check(examples.input_file.name)
    opened.verify_unchanged()


def _labels(rows: Rows, label: str | None) -> pa.Array | None:
    if label is None:
        return None
    return rows.passthrough.column(rows.passthrough.schema.names.index(label))


def _scored_rows(rows: Rows, scored: Scored) -> NDArray[np.int64]:
    """Which of the scorable rows, counted from 0, the bundle gave a finite probability."""
    count = len(rows.pixels)
    if len(scored.rejects) == len(rows.rejects):
        return np.arange(count)
    offsets = np.arange(count) if rows.good is None else rows.good
    return np.flatnonzero(~np.isin(offsets, [reject.row for reject in scored.rejects]))


def refuse_useless(name: str, label: str | None, tallies: Sequence[Tally]) -> None:
    """Raise UnusableInputError for an input, named `name`, that tells nothing of any bundle.

    None of its rows can be scored or, where `label` names a column, no label is a class.
    """
    counts = tallies[0].counts
    if not any(tally.counts.rows_predicted for tally in tallies):
        reasons = listing(f"{n} {why}" for why, n in counts.reasons.items())
        raise UnusableInputError(
            f"{name}: none of its {counts.rows_in} rows can be scored ({reasons or 'no rows'}): "
            "check the file and the flags it needs (--scale, --delimiter, --pixels)"
        )
    if label is not None and all(one.unknown == one.labelled for one in tallies):
        what = "is a class of the bundle" if tallies[0].labelled else "is there: all are empty"
        raise UnusableInputError(
            f"{name}: no label in column {label!r} {what}; name the labels' column with --label"
        )


def _total(values: NDArray[Any]) -> float:
    return float(values.sum(dtype=np.float64))


def _mean(total: float, count: float) -> float | None:
    return total / count if count else None
