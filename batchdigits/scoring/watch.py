"""The watch over one input file: it numbers, counts and judges the batches in their order."""

from __future__ import annotations

from dataclasses import dataclass

from batchdigits.archive.reference import Reference
from batchdigits.monitoring.drift import Drift, DriftEvidence, PredictionCounts
from batchdigits.monitoring.suspicion import Suspicion
from batchdigits.rows.contract import Rows
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.scorer import Scored, Scorer


@dataclass(frozen=True, slots=True)
class Position:
    """The rows and lines of an input file that come before a batch."""

    row: int
    line: int


class Watch:
    """The evidence about one input file, gathered from its batches in order.

    reference  the statistics of the bundle's training data
    scale      the `--scale` of the pixels, None without one

    `counts` and `lines` are those of the batches so far. `suspicion` is the latest verdict, in one
    line: what the rows look like instead of digits; None for digits.
    """

    def __init__(self, scorer: Scorer, reference: Reference, scale: float | None) -> None:
        self.counts = Counts(causes=None if scorer.decider is None else {})
        self.lines = 0
        self.suspicion: str | None = None
        self._looks = Suspicion(reference, scale)
        self._drift = DriftEvidence(reference, [str(label) for label in scorer.classes.to_pylist()])

    def add(self, rows: Rows, scored: Scored, predicted: PredictionCounts) -> Position:
        """Add the next batch, and return its position."""
        position = Position(self.counts.rows_in, self.lines)
        self.counts += scored.counts
        self.lines += scored.lines
        self.suspicion = self._looks.add(rows) or self.suspicion
        self._drift.add(rows, predicted)
        return position

    def finish(self) -> Drift:
        """Judge the whole file, and measure its drift."""
        self.suspicion = self._looks.verdict() or self.suspicion
        return self._drift.measure()
