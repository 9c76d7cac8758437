"""What a run is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from batchdigits.errors import UsageError

_LIMIT = re.compile(r"(?P<count>[0-9]{1,18})|(?P<percent>[0-9]{1,3}(\.[0-9]{1,18})?)%")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many rejects a run may have and still end with 0: a count, or a share of the rows in."""

    count: int = 0
    share: Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> Limit:
        """`5` or `0.5%`. Raises UsageError for anything else."""
        match = _LIMIT.fullmatch(text)
        if match is None or (match["percent"] and Fraction(match["percent"]) > 100):
            raise UsageError(f"{text!r} is no limit: expected a count such as 5, or 0.5%")
        if match["percent"]:
            return cls(share=Fraction(match["percent"]) / 100)
        return cls(count=int(match["count"]))

    def allows(self, rejected: int, rows: int) -> bool:
        """Whether `rejected` of `rows` rows are within the limit."""
        if self.share is not None:
            return rejected <= self.share * rows  # exact: a limit that is just met is met
        return rejected <= self.count
