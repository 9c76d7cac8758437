"""The skew of a page, by the sums of its rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.sampling import Grey

MOST = 12.0
"""Degrees to either side that are tried."""

_PIXELS = 30_000  # of ink, drawn at random, are enough


def skew_of(level: Grey) -> float:
    """Return the angle of a page's lines, radians, clockwise, within 12 degrees.

    level  darkness, uint8 (height, width), about 800 pixels along the longer side

    The lines are level where the sums along rows differ most from one to the next.
    """
    rows, columns = np.nonzero(level > 64)
    if len(rows) < 50:
        return 0.0
    if len(rows) > _PIXELS:
        chosen = np.random.default_rng(0).choice(len(rows), _PIXELS, replace=False)
        rows, columns = rows[chosen], columns[chosen]
    columns = columns - level.shape[1] // 2
    best = 0.0
    for width, step in ((MOST, 0.5), (0.5, 0.1), (0.1, 0.02)):
        angles = best + np.deg2rad(np.arange(-width, width + step / 2, step))
        best = float(angles[np.argmax([_sharpness(rows, columns, angle) for angle in angles])])
    return best


def _sharpness(rows: NDArray[np.int64], columns: NDArray[np.int64], angle: float) -> float:
    places = (rows - columns * np.tan(angle)).astype(np.int32)
    sums = np.bincount(places - places.min())
    return float((np.diff(sums).astype(np.float64) ** 2).sum())
