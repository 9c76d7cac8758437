"""The counts of rows, and the ledger: every row that came in is predicted or rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from batchdigits.errors import InternalError
from batchdigits.rows.rejects import REASONS

CAUSES: dict[str, str] = {
    "little-ink": "less ink than a digit has: blank, or scaled wrongly",
    "much-ink": "more ink than a digit has: inverted, blotted, crossed out",
    "pale": "the darkest pixel is lighter than a digit's: faint, or scaled wrongly",
    "strange": "further from every usual digit than digits are",
    "low-confidence": "the confidence is below the threshold",
}
"""The causes of a review with their meanings; a row gets the first that applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counts of rows: in, predicted, rejected by reason, to review by cause.

    reasons  rejects by reason, in the order of REASONS; reasons without rejects are left out
    causes   rows to review by cause, in the order of CAUSES; None without a decider
    """

    rows_in: int = 0
    rows_predicted: int = 0
    rows_rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] | None = None

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the counts in a receipt. Raises ValueError unless they are as `facts` writes them.

        Whether they add up is another question. Receipts of older versions have no causes.
        """
        written = {"causes": None, **facts}
        values: dict[str, Any] = {count.name: written.get(count.name) for count in fields(cls)}
        reasons, causes = values["reasons"], values["causes"]
        rows = {name: values[name] for name in ("rows_in", "rows_predicted", "rows_rejected")}
        if not (are_counts(rows) and are_counts(reasons)) or not (
            causes is None or are_counts(causes)
        ):
            raise ValueError("a count is missing or of another type")
        return cls(**values)

    @property
    def add_up(self) -> bool:
        """Whether rows in are predicted or rejected for a reason, and only predicted reviewed."""
        return (
            self.rows_in == self.rows_predicted + self.rows_rejected
            and self.rows_rejected == sum(self.reasons.values())
            and (self.rows_to_review or 0) <= self.rows_predicted
        )

    def __add__(self, other: Counts) -> Counts:
        causes = None
        if self.causes is not None or other.causes is not None:
            causes = _added(CAUSES, self.causes or {}, other.causes or {})
        return Counts(
            rows_in=self.rows_in + other.rows_in,
            rows_predicted=self.rows_predicted + other.rows_predicted,
            rows_rejected=self.rows_rejected + other.rows_rejected,
            reasons=_added(REASONS, self.reasons, other.reasons),
            causes=causes,
        )

    @property
    def rows_to_review(self) -> int | None:
        """The predicted rows that go to review; None without a decider."""
        return None if self.causes is None else sum(self.causes.values())

    def facts(self) -> dict[str, Any]:
        """Return the counts as receipts and summaries hold them."""
        return {
            "rows_in": self.rows_in,
            "rows_predicted": self.rows_predicted,
            "rows_rejected": self.rows_rejected,
            "rows_to_review": self.rows_to_review,
            "reasons": dict(self.reasons),
            "causes": None if self.causes is None else dict(self.causes),
        }

    def values(self) -> dict[str, Any]:
        """Return the fields by name, for a record that extends Counts."""
        return {count.name: getattr(self, count.name) for count in fields(Counts)}

    def check(self, where: str) -> None:
        """Raise InternalError unless every row that came in is predicted or rejected."""
        if self.rows_in != self.rows_predicted + self.rows_rejected:
            raise InternalError(
                f"{where}: the ledger does not balance: {self.rows_in} rows in, "
                f"{self.rows_predicted} predicted, {self.rows_rejected} rejected; nothing was "
                "published; please report this"
            )


def _added(
    order: Mapping[str, str], first: Mapping[str, int], second: Mapping[str, int]
) -> dict[str, int]:
    both = ((name, first.get(name, 0) + second.get(name, 0)) for name in order)
    return {name: count for name, count in both if count}


def are_counts(value: object) -> bool:
    """Return whether this is a table of counts, as a receipt holds it."""
    return isinstance(value, dict) and all(
        type(count) is int and 0 <= count < 2**63 for count in value.values()
    )
