"""The ledger: every row that came in is predicted or rejected, or the run is not published."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchdigits.errors import InternalError
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.decision import CAUSES

if TYPE_CHECKING:
    from batchdigits.scoring.scorer import Scored


@dataclass(slots=True)
class Ledger:
    """Counts of one input, kept while its batches pass in order.

    `reasons` are those of rejects, `causes` those of review; None where nothing decides.
    """

    rows_in: int = 0
    rows_predicted: int = 0
    rows_rejected: int = 0
    lines: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] | None = None

    def add(self, scored: Scored) -> None:
        """Count one batch."""
        self.rows_in += scored.rows
        self.rows_predicted += scored.predictions.num_rows
        self.rows_rejected += len(scored.rejects)
        self.lines += scored.lines
        self.reasons.update(reject.reason for reject in scored.rejects)
        if scored.causes is not None:
            self.causes = (self.causes or Counter()) + Counter(scored.causes)

    def merge(self, other: Ledger) -> None:
        """Count what the ledger of another input has counted."""
        self.rows_in += other.rows_in
        self.rows_predicted += other.rows_predicted
        self.rows_rejected += other.rows_rejected
        self.lines += other.lines
        self.reasons.update(other.reasons)

    def check(self, where: str, expected_rows: int | None) -> None:
        """Raise InternalError unless every row of the input is accounted for."""
        out = self.rows_predicted + self.rows_rejected
        stated = self.rows_in if expected_rows is None else expected_rows
        if not self.rows_in == out == stated:
            raise InternalError(
                f"{where}: the ledger does not balance: {stated} rows in the input, "
                f"{self.rows_in} read, {self.rows_predicted} predicted, {self.rows_rejected} "
                "rejected; nothing was published; please report this"
            )

    def check_lines(self, where: str, expected_lines: int, no_rows: int) -> None:
        """Raise InternalError unless each line is part of a row, or of the `no_rows` that are none.

        Those are the header's lines and the blank ones behind the last record.
        """
        if self.lines + no_rows != expected_lines:
            raise InternalError(
                f"{where}: the ledger does not balance: {expected_lines} lines in the input, "
                f"{self.lines} in rows, {no_rows} of header and end; nothing was published; please "
                "report this"
            )

    def ordered_causes(self) -> dict[str, int] | None:
        """Rows that go to review by cause, in the documented order; None where nothing decides."""
        if self.causes is None:
            return None
        return {cause: self.causes[cause] for cause in CAUSES if self.causes[cause]}

    def ordered_reasons(self) -> dict[str, int]:
        """Rejects by reason, in the documented order."""
        return {reason: self.reasons[reason] for reason in REASONS if self.reasons[reason]}
