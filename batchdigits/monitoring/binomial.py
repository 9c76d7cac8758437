"""Exact bounds on what was counted: one-sided, from the tail of the binomial distribution.

Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
binomial", 1934.
"""

from __future__ import annotations

import numpy as np

_HALVINGS = 60
"""Halvings of an interval inside 0..1, after which a float64 has no more bits to give."""


def upper_bound(errors: int, rows: int, level: float) -> float:
    """Return the upper bound of an error rate, 0..1, after `errors` among `rows`, at `level`.

    It is the rate at which so few errors would occur in a share 1 - level of all cases.
    """
    if errors >= rows:
        return 1.0
    if errors == 0:
        return float(-np.expm1(np.log(1 - level) / rows))
    low, high = errors / rows, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(errors, rows, middle) > 1 - level else (low, middle)
    return high


def most_trials(successes: int, chance: float, level: float) -> int | None:
    """Return the most trials that explain so few successes, each of `chance`, at `level`.

    With one trial more, so few successes would occur in at most a share 1 - level of all cases.
    None if no number is too large: at chance 0 nothing succeeds.
    """
    if chance <= 0:
        return None
    low, high = successes, successes + 1
    while tail(successes, high, chance) > 1 - level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        is_explained = tail(successes, middle, chance) > 1 - level
        low, high = (middle, high) if is_explained else (low, middle)
    return low


def tail(successes: int, trials: int, chance: float) -> float:
    """Return the probability of at most `successes` in `trials`, each of `chance`."""
    if successes >= trials or chance <= 0:
        return 1.0
    if chance >= 1:
        return 0.0
    k = np.arange(1, successes + 1)
    coefficients = np.concatenate([[0.0], np.cumsum(np.log((trials - k + 1) / k))])
    k = np.arange(successes + 1)
    logs = coefficients + k * np.log(chance) + (trials - k) * np.log1p(-chance)
    largest = logs.max()
    return float(min(1.0, np.exp(largest) * np.exp(logs - largest).sum()))
