"""What a digit usually looks like: bounds of its ink, and how far it is from the nearest usual one.

A network gives letters, noise and blots a high probability too. What tells them apart best is the
distance in pixels to the nearest digit of the training data. 256 centroids do as well as all of
1,797 digits, in a seventh of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.packing.onnx_strangeness import distance

CENTRES = 256
ROWS_A_CENTRE = 3
"""At most so many centroids, and one for so many rows. Matrix products like sixteens."""

FOLDS = 3
FALSE_ALARM = 0.01
"""The largest part of digits that may be taken for none, by ink or by distance."""

TAIL = 0.001
MARGIN = 0.1
"""Bounds leave this part of the training rows out at either end, and are then this much wider."""

MOST_ROWS = 10_000
_STEPS = 10

Pixels = NDArray[Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Usual:
    """What digits of the training data look like.

    centres        float32 (c, 64): centroids of the training rows, pixels 0..16
    strange_above  a row further than this from every centroid is strange
    false_alarm    part of the training rows, 0..1, that bounds and distance, fitted on others,
                   would send to review
    """

    centres: Floats
    least_ink: float
    most_ink: float
    least_darkest: float
    strange_above: float
    false_alarm: float

    def as_facts(self) -> dict[str, Any]:
        """The figures as plain JSON values, for the manifest."""
        return {
            "least_ink": self.least_ink,
            "most_ink": self.most_ink,
            "least_darkest": self.least_darkest,
            "strange_above": self.strange_above,
            "strange_centres": len(self.centres),
            "false_alarm": self.false_alarm,
        }

    def bounds_hold(self, pixels: Pixels) -> NDArray[np.bool_]:
        """Which rows of pixels (n, 64) have the ink of a digit, (n,)."""
        return _hold((self.least_ink, self.most_ink, self.least_darkest), pixels)


def fit_usual(pixels: Pixels, seed: int) -> Usual:
    """What is usual among rows of digits, pixels (n, 64) in 0..16, two at least.

    Distance and bounds together are false alarms for at most 1 % of the rows, each judged by
    centroids and bounds of rows it is not among (3 folds); for more where the bounds alone are,
    as among a few rows. Of more than 10,000 rows that many are
    drawn. The same arguments give the same centroids on the same machine.
    """
    order = np.random.default_rng(seed).permutation(len(pixels))[:MOST_ROWS]
    rows = pixels[order].astype(np.float32)
    fold = np.arange(len(rows)) % FOLDS
    found = np.empty(len(rows))
    for one in np.unique(fold):
        held, others = fold == one, rows[fold != one]
        found[held] = distance(rows[held], _fit_centres(others, seed))
        found[held] = np.where(_hold(_fit_bounds(others), rows[held]), found[held], np.inf)
    allowed = math.floor(FALSE_ALARM * len(rows))
    furthest = np.sort(found)[len(rows) - 1 - allowed]
    if not np.isfinite(furthest):  # more rows than that are beyond the bounds alone
        furthest = found[np.isfinite(found)].max(initial=0.0)
    # Rounded up: a row that is just usual stays so.
    strange_above = math.ceil(furthest * 1000) / 1000
    return Usual(
        _fit_centres(rows, seed),
        *_fit_bounds(rows),
        strange_above,
        float((found > strange_above).mean()),
    )


def _fit_centres(rows: Floats, seed: int) -> Floats:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    count = min(CENTRES, max(1, len(np.unique(rows, axis=0)) // ROWS_A_CENTRE))
    means = KMeans(count, init="random", n_init=1, max_iter=_STEPS, random_state=seed)
    with threadpool_limits(1):  # threads add up in any order
        centres: Floats = means.fit(rows).cluster_centers_.astype(np.float32)
    return centres


def _fit_bounds(rows: Floats) -> tuple[float, float, float]:
    """Least and most ink, least darkest pixel."""
    ink, darkest = rows.sum(axis=1, dtype=np.float64), rows.max(axis=1)
    least, most = np.quantile(ink, [TAIL, 1 - TAIL])
    lightest = np.quantile(darkest, TAIL)
    return (
        round(float(least) * (1 - MARGIN), 3),
        round(float(most) * (1 + MARGIN), 3),
        round(float(lightest) * (1 - MARGIN), 3),
    )


def _hold(bounds: tuple[float, float, float], pixels: Pixels) -> NDArray[np.bool_]:
    ink, darkest = pixels.sum(axis=1, dtype=np.float64), pixels.max(axis=1)
    holds: NDArray[np.bool_] = (ink >= bounds[0]) & (ink <= bounds[1]) & (darkest >= bounds[2])
    return holds
