"""The watch over one input file: it numbers, counts and judges the batches in their order."""

from __future__ import annotations

from dataclasses import dataclass

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.reference import Reference
from batchdigits.engines.contract import Engine, as_measuring
from batchdigits.monitoring.counts import DriftEvidence, PredictionCounts
from batchdigits.monitoring.drift import Drift, DriftMeter
from batchdigits.monitoring.judge import Judge
from batchdigits.monitoring.suspicion import Suspicion
from batchdigits.rows.contract import Rows
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.scorer import Scored, Scorer


@dataclass(frozen=True, slots=True)
class Position:
    """The rows and lines of an input file that come before a batch."""

    row: int
    line: int


def make_judge(bundle: BundleFile, engine: Engine, reference: Reference) -> Judge:
    """Make the judge of rows for a bundle, which measures strangeness if the engine can."""
    measuring = as_measuring(engine)
    measure = None if measuring is None else lambda pixels: measuring.measure(pixels)[2]
    return Judge(reference, bundle.manifest.thresholds, measure)


class Watch:
    """The evidence about one input file, gathered from its batches in order.

    meter  measures the drift
    scale  the `--scale` of the pixels, None without one

    `counts` and `lines` are those of the batches so far. `suspicion` is the latest verdict, in one
    line: what the rows look like instead of digits; None for digits.
    """

    def __init__(
        self, scorer: Scorer, judge: Judge, meter: DriftMeter, scale: float | None
    ) -> None:
        self.counts = Counts(causes=None if scorer.decider is None else {})
        self.lines = 0
        self.suspicion: str | None = None
        self._rows = Suspicion(judge, scale)
        self._drift = DriftEvidence(len(scorer.classes))
        self._meter = meter

    def add(self, rows: Rows, scored: Scored, predicted: PredictionCounts) -> Position:
        """Add the next batch, and return its position."""
        position = Position(self.counts.rows_in, self.lines)
        self.counts += scored.counts
        self.lines += scored.lines
        self.suspicion = self._rows.add(rows) or self.suspicion
        self._drift.add(predicted)
        return position

    def finish(self) -> Drift:
        """Judge the whole file, and measure its drift."""
        evidence = self._rows.evidence()
        self.suspicion = self._rows.verdict(evidence) or self.suspicion
        counts = self._drift.counts(self._rows.sample)
        return self._meter.measure(counts, evidence, is_usual=self.suspicion is None)
