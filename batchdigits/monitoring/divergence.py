"""The distance between histograms, and the part of it that chance explains.

It is the Jensen-Shannon distance with logarithms to base 2: 0 for equal histograms, 1 for
histograms that share nothing (Lin, "Divergence measures based on the Shannon entropy", 1991; Endres
and Schindelin, "A new metric for probability distributions", 2003). Two samples of one source are
never equal: their squared distance is close to chi-squared / (8 ln 2), with chi-squared for two
samples (Grosse and others, "Analysis of symbolic sequences using the Jensen-Shannon divergence",
2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.monitoring.binomial import tail

_NORMAL_QUANTILE = 3.0902
"""The quantile of the normal distribution for 99.9 %."""

_LEVEL = 0.999

_DECIMALS = 6

Histograms = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing one or more histograms with the expected ones.

    distance   0..1: the root of the mean of the squared distances
    by_chance  the distance that 996 to 999 of 1,000 samples of the same source stay below;
               chi-squared is less exact for bins that are expected to hold few rows
    worst      the index of the histogram with the largest distance, `worst_distance`; 0 for a share
    """

    distance: float
    by_chance: float
    worst: int
    worst_distance: float

    @property
    def beyond_chance(self) -> float:
        """The root of the squared distance minus the squared distance that chance explains."""
        return _root(self.distance**2 - self.by_chance**2)


def compare_histograms(seen: Histograms, expected: Histograms) -> Comparison:
    """Compare h histograms with b bins each, shape (h, b). Each must count at least one row."""
    squares = _squared_distances(seen, expected)
    worst = int(squares.argmax())
    return Comparison(
        _root(squares.mean()), _root(_chance(seen, expected).mean()), worst, _root(squares[worst])
    )


def compare_share(count: int, rows: int, expected: float) -> Comparison:
    """Compare a share, as its own distance from 0, with the expected share.

    `by_chance` is the share that at most one of 1,000 samples of the same size is above.
    """
    if not rows:
        return Comparison(0.0, 0.0, 0, 0.0)
    by_chance = _quantile(rows, expected) / rows
    share = round(count / rows, _DECIMALS)
    return Comparison(share, round(by_chance, _DECIMALS), 0, share)


@lru_cache(maxsize=1024)  # small files are often of one length
def _quantile(rows: int, share: float) -> int:
    """Return the 99.9 % quantile of the binomial distribution."""
    low, high = -1, rows
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tail(middle, rows, share) >= _LEVEL else (middle, high)
    return high


def _squared_distances(seen: Histograms, expected: Histograms) -> NDArray[np.float64]:
    p, q = (counts / counts.sum(axis=1, keepdims=True) for counts in (seen, expected))
    middle = (p + q) / 2
    squares: NDArray[np.float64] = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return squares


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    ratios = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    entropy: NDArray[np.float64] = (p * np.log2(ratios)).sum(axis=1)
    return entropy


def _chance(seen: Histograms, expected: Histograms) -> NDArray[np.float64]:
    """Return the 99.9 % quantile of the squared distances between samples of one source.

    The quantile of chi-squared is by Wilson and Hilferty, "The distribution of chi-square", 1931;
    its degrees of freedom are one less than the bins that hold rows.
    """
    freedom = ((seen + expected) > 0).sum(axis=1) - 1
    ninth = 2 / (9 * np.maximum(freedom, 1))
    quantile = freedom * (1 - ninth + _NORMAL_QUANTILE * np.sqrt(ninth)) ** 3
    per_row = 1 / seen.sum(axis=1) + 1 / expected.sum(axis=1)
    chance: NDArray[np.float64] = quantile * per_row / (8 * math.log(2))
    return chance


def _root(square: Any) -> float:
    # Rounding can lower the square of a zero distance one bit below 0.
    return round(math.sqrt(max(0.0, float(square))), _DECIMALS)
