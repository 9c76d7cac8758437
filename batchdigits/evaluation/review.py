"""Decisions on labelled rows: how many rows are accepted, and how many of those are wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.thresholds import Thresholds
from batchdigits.evaluation.confusion import share_interval
from batchdigits.rows.contract import Pixels
from batchdigits.scoring.decision import Decider, count_causes
from batchdigits.scoring.ledger import CAUSES


class DecisionCounts:
    """Counts of accepted rows, of errors among them, and of rows to review by cause.

    thresholds  what decides: a confidence, bounds of ink, or both. Strangeness is not measured here
    max_error   the largest share of wrong rows among the accepted, 0..1, that the bundle promises;
                None if it promises nothing
    """

    def __init__(self, thresholds: Thresholds, max_error: float | None) -> None:
        self.review_below = thresholds.review_below
        self.max_error = max_error
        self.rows = self.accepted = self.errors = 0
        self._decider = Decider(thresholds)
        self._causes: Counter[str] = Counter()

    @classmethod
    def of(cls, thresholds: Thresholds, review_below: float | None) -> Self | None:
        """Count by a bundle's thresholds; None if they accept every row.

        `review_below` replaces the bundle's, which then promises nothing.
        """
        if review_below is not None:
            return cls(replace(thresholds, review_below=review_below), None)
        if not thresholds.decide:
            return None
        promised = thresholds.facts.get("max_error")
        return cls(thresholds, promised if type(promised) in (int, float) else None)

    def add(
        self, pixels: Pixels, confidence: NDArray[np.float32], is_right: NDArray[np.bool_]
    ) -> None:
        """Decide about rows (n, 64) with this confidence (n,), and count whether each is right."""
        codes = self._decider.decide(confidence, pixels)
        is_accepted = codes == 0
        self.rows += len(codes)
        self.accepted += int(is_accepted.sum())
        self.errors += int((is_accepted & ~is_right).sum())
        self._causes.update(count_causes(codes))

    @property
    def causes(self) -> dict[str, int]:
        """The rows to review by cause, in the order of CAUSES."""
        return {cause: self._causes[cause] for cause in CAUSES if self._causes[cause]}

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the share of wrong rows among the accepted; None without any."""
        return share_interval(self.errors, self.accepted)

    def as_facts(self) -> dict[str, Any]:
        """The counts as plain JSON values."""
        low, high = self.interval or (None, None)
        return {
            "review_below": self.review_below,
            "max_error": self.max_error,
            "rows": self.accepted,
            "coverage": self.accepted / self.rows if self.rows else None,
            "errors": self.errors,
            "error": self.errors / self.accepted if self.accepted else None,
            "error_low": low,
            "error_high": high,
            "causes": self.causes,
        }
