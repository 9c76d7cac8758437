"""Bundles on labelled rows: how often each is right, how confident it is, how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.classes import Classes
from batchdigits.engines.contract import Engine
from batchdigits.engines.open import open_checked
from batchdigits.errors import UnusableInputError
from batchdigits.evaluation.labels import (
    UNKNOWN,
    UNLABELLED,
    LabelledRows,
    label_keys,
    label_places,
)
from batchdigits.rows.contract import Rows
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.scorer import Scored, Scorer
from batchdigits.text import listing

LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Log loss raises smaller probabilities to this, as scikit-learn's does for float32."""

UNSCORED = -1


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The predictions of one bundle and the true classes of the n scorable rows of a batch.

    places      int64 (n,): the predicted class's place among the bundle's; UNSCORED without a
                finite probability
    confidence  float32 (n,): 0 where unscored
    truth       int64 (n,): the true class's place; UNKNOWN if the bundle lacks that class,
                UNLABELLED if there is no label
    of_truth    float64 (n,): the probability of the true class; 0 if it has none
    squares     float64 (n,): the sum of the squared probabilities of all classes

    The last two are 0 if the file has no labels.
    """

    places: NDArray[np.int64]
    confidence: NDArray[np.float32]
    truth: NDArray[np.int64]
    of_truth: NDArray[np.float64]
    squares: NDArray[np.float64]

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """Mask of the rows with a label, bool (n,)."""
        is_labelled: NDArray[np.bool_] = self.truth != UNLABELLED
        return is_labelled

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Mask of the rows whose prediction is their label, bool (n,)."""
        is_right: NDArray[np.bool_] = (self.truth >= 0) & (self.places == self.truth)
        return is_right


@dataclass(slots=True)
class Tally:
    """Counts and sums of one bundle, added up batch by batch.

    seconds   processor time of one thread that scoring took, without reading
    labelled  scorable rows with a label
    unknown   labelled rows whose class the bundle lacks; they count as wrong, and so do
              labelled rows that get no probability
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
        """The share of the labelled rows that were predicted right, 0..1; None without labels."""
        return _mean(self.right, self.labelled)

    @property
    def unlabelled(self) -> int:
        """The number of scorable rows without a label."""
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
        """Add the counts and sums of another tally of the same bundle."""
        for figure in fields(self):
            mine, its = getattr(self, figure.name), getattr(other, figure.name)
            setattr(self, figure.name, mine + its)

    def as_facts(self) -> dict[str, Any]:
        """The tally as plain JSON values, null where there is nothing to measure.

        `log_loss` is the mean of -ln(p), where p is the probability of the true class, at least
        LEAST_PROBABILITY: https://scikit-learn.org/stable/modules/model_evaluation.html#log-loss
        `brier_score` is the mean of the squared differences, summed over the classes, between the
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
    """Scores labelled rows with one bundle and tallies the outcomes.

    name   the bundle in messages
    timed  scores as predict does, on the clock, and asks for the probabilities of the other classes
           off the clock; else all come from one run, in half the time
    """

    def __init__(
        self, engine: Engine, classes: Classes, *, name: str = "the bundle", timed: bool = True
    ) -> None:
        self.name = name
        self.classes = classes
        self.tally = Tally()
        self._scorer = Scorer(engine, classes.array(), probabilities=not timed)
        self._keys = label_keys(classes.values)

    @classmethod
    def of(cls, bundle: BundleFile) -> Self:
        """Open a bundle. Raises BundleError if its golden rows differ."""
        manifest = bundle.manifest
        name = f"{manifest.name}@{manifest.version}"
        return cls(open_checked(bundle), manifest.classes, name=name)

    def warm_up(self, rows: Rows) -> None:
        """Score a batch off the clock: the first batch pays for what is loaded only once."""
        if not self._scorer.probabilities:
            self._scorer.score(rows)

    def score(self, rows: Rows, labels: pa.Array | None) -> Outcomes:
        """Score a batch on the clock, and tally the outcomes."""
        # The thread's own time: other processes must not make a bundle look slow.
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
        given = scored.probabilities
        if given is None:
            given = self._scorer.engine.probabilities(rows.pixels)[at]
        probabilities = np.zeros((count, len(self.classes)), np.float32)
        probabilities[at] = given
        of_truth = probabilities[np.arange(count), np.maximum(truth, 0)].astype(np.float64)
        of_truth[truth < 0] = 0.0
        squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
        return Outcomes(places, confidence, truth, of_truth, squares)


def score_labelled(
    rows: LabelledRows, evaluators: Sequence[Evaluator]
) -> Iterator[tuple[int, Rows, list[Outcomes]]]:
    """Score every batch with every evaluator, each of which has scored no rows before.

    Yields the 1-based number of the batch's first row, the batch, and the outcomes of each
    evaluator. Raises UnusableInputError for a file that can't be read, TryAgainError at the end if
    it changed meanwhile.
    """
    first_row, lines = 1, 0
    for turn, block in enumerate(rows.source.blocks()):
        batch = rows.source.check(block)
        labels = rows.labels_of(batch)
        if not turn:
            for evaluator in evaluators:
                evaluator.warm_up(batch)
        # They take turns to be first on a batch, so that none always has the warmer cache.
        order = evaluators if turn % 2 == 0 else [*reversed(evaluators)]
        outcomes = {id(evaluator): evaluator.score(batch, labels) for evaluator in order}
        yield first_row, batch, [outcomes[id(evaluator)] for evaluator in evaluators]
        first_row += batch.rows
        lines += batch.lines
    rows.source.verify(first_row - 1, lines)
    for evaluator in evaluators:
        evaluator.tally.counts.check(rows.name)
    rows.source.verify_unchanged()


def _scored_rows(rows: Rows, scored: Scored) -> NDArray[np.int64]:
    """Return the places, among the scorable rows, of those with a finite probability."""
    count = len(rows.pixels)
    if len(scored.rejects) == len(rows.rejects):
        return np.arange(count)
    return np.flatnonzero(~np.isin(rows.offsets, [reject.row for reject in scored.rejects]))


def refuse_useless(name: str, label: str | None, tallies: Sequence[Tally]) -> None:
    """Raise UnusableInputError for an input, named `name`, that no bundle can be judged by.

    None of its rows can be scored or, where `label` names a column, no label is a class.
    """
    counts = tallies[0].counts
    if not any(tally.counts.rows_predicted for tally in tallies):
        reasons = listing(f"{n} {why}" for why, n in counts.reasons.items())
        raise UnusableInputError(
            f"{name}: none of its {counts.rows_in} rows can be scored ({reasons or 'no rows'}): "
            "check the file and the flags it needs (--scale, --delimiter, --pixels)"
        )
    if label is not None and all(tally.unknown == tally.labelled for tally in tallies):
        problem = f"no label in column {label!r} is a class of the bundle"
        if not tallies[0].labelled:
            problem = f"every label in column {label!r} is empty"
        raise UnusableInputError(f"{name}: {problem}; name the column of labels with --label")


def _total(values: NDArray[Any]) -> float:
    return float(values.sum(dtype=np.float64))


def _mean(total: float, count: float) -> float | None:
    return total / count if count else None
