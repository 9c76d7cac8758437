"""Usual digits: the bounds of their ink, and centroids from which strange rows are far away.

A network gives letters, noise and blots a high probability too. They are best recognised by the
distance in pixels to the nearest digit of the training data. 256 centroids do as well as all 1,797
digits, in a seventh of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.packing.onnx.strangeness import distance

CENTRES = 256
ROWS_A_CENTRE = 3
"""The most centroids, a multiple of 16 for fast matrix products, and the rows that each is for."""

FOLDS = 3
FALSE_ALARM = 0.01
"""The largest share of digits that may be called strange, by ink or by distance."""

TAIL = 0.001
MARGIN = 0.1
"""Bounds leave this share of the training rows out at either end; MARGIN then widens them."""

MOST_ROWS = 10_000
_STEPS = 10

Pixels = NDArray[Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Usual:
    """The look of the digits in the training data.

    centres        float32 (c, 64): centroids of the training rows, pixels 0..16
    strange_above  a row further than this from every centroid is strange
    false_alarm    share of the training rows, 0..1, that bounds and distance would send to review
                   when fitted on other rows
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
        """Return whether each row of pixels (n, 64) has the ink of a digit, (n,)."""
        return _hold((self.least_ink, self.most_ink, self.least_darkest), pixels)


def fit_usual(pixels: Pixels, seed: int) -> Usual:
    """Fit centroids and bounds to rows of digits, pixels (n, 64) in 0..16, two rows at least.

    Distance and bounds together give a false alarm for at most 1 % of the rows, each judged by the
    centroids and bounds of other rows (3 folds). If the bounds alone give more, as with few rows,
    there are more. Of more than 10,000 rows, 10,000 are drawn. The same arguments give the same
    centroids on the same machine.
    """
    order = np.random.default_rng(seed).permutation(len(pixels))[:MOST_ROWS]
    rows = pixels[order].astype(np.float32)
    fold = np.arange(len(rows)) % FOLDS
    distances = np.empty(len(rows))
    for number in np.unique(fold):
        held, others = fold == number, rows[fold != number]
        distances[held] = distance(rows[held], _fit_centres(others, seed))
        distances[held] = np.where(_hold(_fit_bounds(others), rows[held]), distances[held], np.inf)
    allowed = math.floor(FALSE_ALARM * len(rows))
    furthest = np.sort(distances)[len(rows) - 1 - allowed]
    if not np.isfinite(furthest):  # the bounds alone refuse more rows than allowed
        furthest = distances[np.isfinite(distances)].max(initial=0.0)
    # Rounded up, so that the furthest usual row stays usual.
    strange_above = math.ceil(furthest * 1000) / 1000
    return Usual(
        _fit_centres(rows, seed),
        *_fit_bounds(rows),
        strange_above,
        float((distances > strange_above).mean()),
    )


def _fit_centres(rows: Floats, seed: int) -> Floats:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    count = min(CENTRES, max(1, len(np.unique(rows, axis=0)) // ROWS_A_CENTRE))
    means = KMeans(count, init="random", n_init=1, max_iter=_STEPS, random_state=seed)
    with threadpool_limits(1):  # threads add up in any order, and give other last bits
        centres: Floats = means.fit(rows).cluster_centers_.astype(np.float32)
    return centres


def _fit_bounds(rows: Floats) -> tuple[float, float, float]:
    """The least and the most ink, and the least value of the darkest pixel."""
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
