"""The evidence of all input files of a run, which together may prove what none of them can."""

from __future__ import annotations

from batchdigits.monitoring.counts import DriftCounts
from batchdigits.monitoring.drift import NOT_MEASURED, Drift, DriftMeter
from batchdigits.monitoring.evidence import Evidence, Finding


class Pool:
    """The evidence and the counts of the input files of a run, in the order of the run.

    It takes a few bytes for each published file, so that it can name those that look suspicious.
    """

    def __init__(self, meter: DriftMeter) -> None:
        self._meter = meter
        self._judged = self._published = Evidence()
        self._files = 0
        self._counts: DriftCounts | None = None
        self._only: Drift | None = None
        self._suspects: list[tuple[str, Evidence]] = []

    def judge(self, drift: Drift) -> str | None:
        """Add the evidence of the next input file, and say what all files so far look like.

        Returns None if they look like digits, or if this file has no more of what was found than
        digits have.
        """
        if drift.evidence is None:
            return None
        self._judged += drift.evidence
        self._files += 1
        finding = self._judged.finding()
        if finding is None or not drift.evidence.has(finding):
            return None
        return f"{finding.words}; counted over {self._files:,} input files of this run"

    def publish(self, name: str, drift: Drift) -> None:
        """Add what was published of a file, in this run or before; it was judged already."""
        if drift.evidence is None or drift.counts is None:
            return
        if len(drift.counts.predicted) != self._meter.classes:  # of a damaged receipt
            return
        self._only = drift if self._counts is None else None
        self._published += drift.evidence
        self._counts = drift.counts if self._counts is None else self._counts + drift.counts
        if drift.evidence.is_odd:
            self._suspects.append((name, drift.evidence))

    @property
    def finding(self) -> Finding | None:
        """What the judged files look like together; None for digits."""
        return self._judged.finding()

    def suspects(self, finding: Finding) -> list[str]:
        """Return the names of the published files that have more of it than digits have."""
        return [name for name, evidence in self._suspects if evidence.has(finding)]

    def measure(self) -> Drift:
        """Measure the drift of all published files together."""
        if self._counts is None:
            return NOT_MEASURED
        if self._only is not None:
            return self._only
        is_usual = self.finding is None
        return self._meter.measure(self._counts, self._published, is_usual=is_usual)
