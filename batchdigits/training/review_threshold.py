"""The review threshold: a confidence from which predictions are accepted, and its proof.

The promise is that of selective classification (Geifman and El-Yaniv, "Selective classification for
deep neural networks", 2017): with 95 % confidence, no more of the accepted rows of the same source
are wrong than asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.monitoring.binomial import tail, upper_bound

LEVEL = 0.95

ERRORS_TO_BEAR = 10
"""The first threshold accepts enough rows to bear this many errors, or half of all rows if that is
fewer. So one wrong label among the surest rows does not end the search."""

# Equal steps of the log-odds, from 0.999999 down to 0.0067, and then 0, which accepts all rows.
GRID = sorted(
    {0.0, *(round(1 / (1 + math.exp(-step / 20)), 6) for step in range(-100, 277))}, reverse=True
)


@dataclass(frozen=True, slots=True)
class ReviewThreshold:
    """A confidence, and the proof that rows with at least this confidence may be accepted.

    review_below  rows with less confidence go to review
    max_error     the promise: at most this share of the accepted rows is wrong, 0..1
    level         the confidence of the promise, 0..1
    rows          number of rows that prove it, each judged by a network that had not seen it
    accepted      number of these rows that are accepted; `errors` of them are wrong
    coverage      accepted / rows: the share to expect on rows of the same source
    error_bound   upper bound of the share of accepted rows that are wrong, at `level`
    """

    review_below: float
    max_error: float
    level: float
    rows: int
    accepted: int
    errors: int
    coverage: float
    error_bound: float


def find_review_threshold(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], max_error: float
) -> ReviewThreshold:
    """Find the lowest threshold at which, with 95 % confidence, the error is at most `max_error`.

    confidence  of rows (n,) that the networks had not seen, 0..1; NaN for a row that is never
                accepted
    is_right    whether each prediction is right

    Fixed-sequence testing (Bauer, "Multiple testing in clinical trials", 1991; Angelopoulos and
    others, "Learn then test", 2021): the thresholds of `GRID`, none of which was chosen by these
    rows, are tested from strict to lax, each by the exact binomial test at 5 %, and the search ends
    at the first that fails. So all tests together are wrong in at most 5 % of cases. The first
    threshold depends on how many rows are accepted, never on how many of them are wrong.

    Raises UnusableInputError if no threshold can be proven; it says how many more rows could help.
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
        if not _is_proven(errors, accepted, max_error):
            break
        proven = threshold, accepted, errors
    if proven is None:
        raise UnusableInputError(_unproven(max_error, len(confidence), accepted, errors))
    threshold, accepted, errors = proven
    coverage, bound = accepted / len(confidence), upper_bound(errors, accepted, LEVEL)
    return ReviewThreshold(
        *(threshold, max_error, LEVEL, len(confidence), accepted, errors, coverage, bound)
    )


def _is_proven(errors: int, rows: int, max_error: float) -> bool:
    """Whether the exact upper bound of the error rate, at LEVEL, is at most `max_error`."""
    return tail(errors, rows, max_error) <= 1 - LEVEL


def rows_to_prove(max_error: float, errors: int = 0) -> int:
    """The fewest accepted rows that prove `max_error` with `errors` among them."""
    if errors == 0:
        return math.ceil(math.log(1 - LEVEL) / math.log1p(-max_error))
    low, high = errors, 2 * (errors + 1)
    while not _is_proven(errors, high, max_error):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_proven(errors, middle, max_error) else (middle, high)
    return high


def _rounded_up(share: float) -> str:
    """A share above 0 with two digits, rounded up so that it is proven as printed."""
    digits = 1 - math.floor(math.log10(share))
    return f"{math.ceil(share * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def _unproven(max_error: float, rows: int, accepted: int, errors: int) -> str:
    """The message that nothing was proven; the last threshold had `errors` of `accepted` wrong."""
    asked = f"--max-error {max_error:.4g}"
    needed = rows_to_prove(max_error)
    if accepted < needed:
        return (
            f"{asked} can't be proven: that takes {needed} accepted rows without an error, and "
            f"{rows} rows were judged; label at least {needed - accepted} more, or ask for "
            f"{_rounded_up(upper_bound(0, max(accepted, 1), LEVEL))}; nothing was published"
        )
    could = _rounded_up(upper_bound(errors, accepted, LEVEL))
    if errors / accepted >= max_error:
        fix = "more rows of this kind would not help; train a better network, or correct labels"
    else:
        # Enough rows to prove it, with the same share of them wrong.
        times = 1.0
        while not _is_proven(math.ceil(errors * times), int(accepted * times), max_error):
            times *= 1.05
        fix = f"label about {math.ceil(rows * (times - 1))} more rows of this kind"
    return (
        f"{asked} can't be proven: {errors} of the {accepted} surest rows are wrong, which proves "
        f"at most {could}; {fix}; or ask for a larger error; nothing was published"
    )
