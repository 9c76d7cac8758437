"""The certificate of a review: how many errors may be left, from planted cells and a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from batchdigits.monitoring.binomial import most_trials, upper_bound
from batchdigits.review.document import DOUBTFUL, SAMPLE, Review
from batchdigits.review.merge import Merged

LEVEL = 0.99
"""The confidence of each of the two bounds, of errors left among cells shown and of accepted."""

_HALF = 1 - (1 - LEVEL) / 2
"""The confidence of each half of a bound: both halves fail together in at most 1 - LEVEL."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Bounds that hold with 99 % confidence; None where nothing bounds the figure.

    planted              planted cells that were confirmed; `caught` of them before that
    miss_rate_at_most    upper bound of the share of wrong cells that the reviewers miss
    settled              doubtful cells that were settled; `changed` of them were wrong as shown
    errors_left_at_most  upper bound of the wrong cells among the settled ones
    accepted             accepted rows of all files; `sampled` of them, chosen by chance, were
                         settled, and `sample_errors` of those were wrong
    accepted_error_at_most   upper bound of the share of accepted rows that predict read wrong
    accepted_errors_at_most  the same as a number of rows, without those that were corrected
    """

    level: float
    planted: int
    caught: int
    miss_rate_at_most: float | None
    settled: int
    changed: int
    errors_left_at_most: int | None
    accepted: int
    sampled: int
    sample_errors: int
    accepted_error_at_most: float | None
    accepted_errors_at_most: int | None

    def facts(self) -> dict[str, Any]:
        """Return the certificate as receipts hold it."""
        return asdict(self)


def is_certificate(facts: Mapping[str, Any]) -> bool:
    """Return whether a receipt can hold these figures; the journals tell whether they are right."""
    for name in (entry.name for entry in fields(Certificate)):
        figure = facts.get(name, "")
        is_unbounded = figure is None and name.endswith("_at_most")
        if type(figure) not in (int, float) and not is_unbounded:
            return False
    share, rows = facts["accepted_error_at_most"], facts["accepted_errors_at_most"]
    return (share is None) == (rows is None)


def certify(merged: Merged, review: Review) -> Certificate:
    """Return the certificate of what was settled.

    The sample bounds the accepted rows only if all of it was settled: screens are sorted by
    reading, and half of them would stand for half of the digits.
    """
    doubtful = merged.of_kind(DOUBTFUL, review)
    sampled = merged.of_kind(SAMPLE, review)
    is_whole = len(sampled) == sum(cell.kind == SAMPLE for cell in review.cells)
    return bound(
        planted=len(merged.planted),
        caught=len(merged.planted) - len(merged.slipped),
        settled=len(doubtful),
        changed=sum(merged.is_changed(cell, review) for cell in doubtful),
        accepted=sum(file.accepted for file in review.files),
        sampled=len(sampled) if is_whole else 0,
        sample_errors=sum(merged.is_changed(cell, review) for cell in sampled) if is_whole else 0,
    )


def bound(
    *,
    planted: int,
    caught: int,
    settled: int,
    changed: int,
    accepted: int,
    sampled: int,
    sample_errors: int,
) -> Certificate:
    """Return the certificate for these counts.

    A reviewer misses each wrong cell with one probability, planted or not: this is the assumption.
    The planted cells bound it (Clopper and Pearson at 99.5 %). Given that bound, the number of
    wrong cells is at most the largest that explains, at 99.5 %, why no more were found. Likewise
    the share of the sample that was found wrong is bounded at 99.5 %, and divided by the least
    share that is found.
    """
    miss_rate = upper_bound(planted - caught, planted, _HALF) if planted else None
    errors_left = share = rows = None
    if miss_rate is not None:
        most = most_trials(changed, 1 - miss_rate, _HALF)
        errors_left = settled - changed if most is None else min(most, settled) - changed
        if sampled and miss_rate < 1:
            share = min(1.0, upper_bound(sample_errors, sampled, _HALF) / (1 - miss_rate))
            rows = max(0, math.floor(share * accepted) - sample_errors)
    return Certificate(
        level=LEVEL,
        planted=planted,
        caught=caught,
        miss_rate_at_most=miss_rate,
        settled=settled,
        changed=changed,
        errors_left_at_most=errors_left,
        accepted=accepted,
        sampled=sampled,
        sample_errors=sample_errors,
        accepted_error_at_most=share,
        accepted_errors_at_most=rows,
    )
