"""Which predictions can be accepted unseen: a confidence, proven on rows the networks had not seen.

The promise is that of selective classification (Geifman and El-Yaniv, "Selective classification for
deep neural networks", 2017): with 95 % confidence, accepted rows of the same source err no more
often than asked.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.text import parse_share

LEVEL = 0.95

ERRORS_TO_BEAR = 10
"""The first threshold accepts so many rows that they could hold this many errors, or half of all
rows where that is fewer: one wrong label among the surest rows must not end the search."""

# Even steps of the log-odds, from 0.999999 down to 0.0067 and then 0, which accepts all.
GRID = sorted(
    {0.0, *(round(1 / (1 + math.exp(-step / 20)), 6) for step in range(-100, 277))}, reverse=True
)


@dataclass(frozen=True, slots=True)
class ReviewThreshold:
    """A confidence, and the proof that rows with no less may be accepted.

    review_below  rows with less confidence go to review
    max_error     the promise: no larger a part of accepted rows is wrong, 0..1
    level         with this confidence, 0..1
    rows          how many rows proved it, each judged by a network that had not seen it
    accepted      how many of them it accepts, `errors` of which are wrong
    coverage      accepted / rows: the part to expect on rows of the same source
    error_bound   what the part of wrong ones among accepted rows is at most, at `level`
    """

    review_below: float
    max_error: float
    level: float
    rows: int
    accepted: int
    errors: int
    coverage: float
    error_bound: float

    def as_facts(self) -> dict[str, Any]:
        """The figures as plain JSON values, for the manifest."""
        return asdict(self)


def parse_max_error(text: str) -> float:
    """`0.5%` or `0.005` as 0.005. Raises UsageError for anything else."""
    try:
        share = float(parse_share(text))
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(
            f"--max-error {text!r}: expected the share of accepted rows that may be wrong, more "
            "than 0 and less than 1, such as 0.5% or 0.005"
        )
    return share


def find_review_threshold(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], max_error: float
) -> ReviewThreshold:
    """The lowest threshold at which accepted rows err no more than `max_error`, with 95 %.

    confidence  of rows (n,) that the networks had not seen, 0..1; NaN for a row that is not
                accepted whatever its confidence
    is_right    whether the prediction is

    Fixed-sequence testing (Bauer, "Multiple testing in clinical trials", 1991; Angelopoulos and
    others, "Learn then test", 2021): the thresholds of `GRID`, none of which was chosen by these
    rows, are tested from strict to lax, each by the exact binomial test at 5 %, and the search ends
    at the first that fails. So all tests together are wrong in at most 5 % of cases. Where it
    begins depends on how many rows are accepted, never on how many of them are wrong.

    Raises UnusableInputError if none can be proven, and says how many rows could.
    """
    proven = None
    begin = min(rows_to_prove(max_error, ERRORS_TO_BEAR), math.ceil(len(confidence) / 2))
    begin = max(begin, rows_to_prove(max_error))
    accepted = errors = 0
    for threshold in GRID:
        # As predict compares: in float32.
        taken = confidence.astype(np.float32) >= np.float32(threshold)
        accepted, errors = int(taken.sum()), int((taken & ~is_right).sum())
        if accepted < begin:
            continue
        bound = upper_bound(errors, accepted)
        if bound > max_error:
            break
        coverage = accepted / len(confidence)
        proven = ReviewThreshold(
            *(threshold, max_error, LEVEL, len(confidence), accepted, errors, coverage, bound)
        )
    if proven is None:
        raise UnusableInputError(_unproven(max_error, len(confidence), accepted, errors))
    return proven


def upper_bound(errors: int, rows: int) -> float:
    """What the error rate is at most, at 95 %, where `errors` of `rows` were seen.

    The one-sided bound of Clopper and Pearson, 1934: the rate at which so few errors would be seen
    in 5 % of cases.
    """
    from scipy.stats import beta

    return 1.0 if errors >= rows else float(beta.ppf(LEVEL, errors + 1, rows - errors))


def rows_to_prove(max_error: float, errors: int = 0) -> int:
    """The fewest accepted rows that prove `max_error` with so many errors among them."""
    if errors == 0:
        return math.ceil(math.log(1 - LEVEL) / math.log1p(-max_error))
    low, high = errors, 2 * (errors + 1)
    while upper_bound(errors, high) > max_error:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(errors, middle) > max_error else (low, middle)
    return high


def _rounded_up(share: float) -> str:
    """A share above 0 with two digits, so that what is proven is never less than what is told."""
    digits = 1 - math.floor(math.log10(share))
    return f"{math.ceil(share * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def _unproven(max_error: float, rows: int, accepted: int, errors: int) -> str:
    """Why nothing was proven, and what could: `errors` of `accepted` rows were seen at the end."""
    asked = f"--max-error {max_error:.4g}"
    needed = rows_to_prove(max_error)
    if accepted < needed:
        return (
            f"{asked} can't be proven: that takes {needed} accepted rows without an error, and "
            f"{rows} rows were judged: label at least {needed - accepted} more, or ask for "
            f"{_rounded_up(upper_bound(0, max(accepted, 1)))}; nothing was published"
        )
    could = _rounded_up(upper_bound(errors, accepted))
    seen = f"{errors} of the {accepted} surest rows are wrong, which proves {could} at most"
    if errors / accepted >= max_error:
        more = "no number of such rows can: train a better network, correct labels"
    else:
        # The same part of them wrong, as many rows as it takes.
        times = 1.0
        while upper_bound(math.ceil(errors * times), int(accepted * times)) > max_error:
            times *= 1.05
        more = f"about {math.ceil(rows * (times - 1))} more rows as good as these could"
    return f"{asked} can't be proven: {seen}; {more}; or ask for more; nothing was published"
