"""The sheet of paper in a photo: its four corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.geometry import Points
from batchdigits.forms.registration.ink import threshold
from batchdigits.forms.registration.sampling import Brightness, reduced

LEAST_SHARE = 0.15
"""The least part of a photo that the sheet fills."""


def paper_corners(page: Brightness) -> Points | None:
    """Return the corners of a bright sheet on a darker ground, float64 (4, 2), else None.

    They go clockwise from the top left, in pixels of the page. None if the whole page is paper.
    """
    if page.dtype == np.bool_:
        return None  # a scan
    factor = max(1, round(max(page.shape) / 400))
    small = reduced(page.astype(np.uint8, copy=False), factor)
    bright = _closed(small >= 255 - threshold(255 - small, least=1))
    if not LEAST_SHARE < bright.mean() < 0.97:
        return None
    sides = _sides(bright)
    if sides is None:
        return None
    top, right, bottom, left = sides
    corners = [
        _crossing(a, b) for a, b in ((left, top), (top, right), (right, bottom), (bottom, left))
    ]
    result: Points = np.array(corners)
    area = _area(result)
    # Sides that miss the sheet enclose more or less than its pixels.
    if not 0.85 < bright.sum() / max(area, 1.0) < 1.15:
        return None
    scaled: Points = result * factor
    return scaled


def _closed(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the bright pixels with dark gaps of print filled, by the run from first to last."""
    core = _largest_block(bright)
    rows = np.maximum.accumulate(core, 1) & np.maximum.accumulate(core[:, ::-1], 1)[:, ::-1]
    columns = np.maximum.accumulate(core, 0) & np.maximum.accumulate(core[::-1], 0)[::-1]
    return rows & columns


def _largest_block(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what of the bright pixels hangs together with the brightest neighbourhood."""
    dense = bright.astype(np.float32)
    for axis in (0, 1):
        dense = sum(np.roll(dense, k, axis) for k in range(-4, 5)) / 9  # type: ignore[assignment]
    solid = dense > 0.6
    rows, columns = solid.sum(1), solid.sum(0)
    seed = np.zeros_like(solid)
    row = int(np.average(np.arange(len(rows)), weights=rows + 1e-9))
    column = int(np.average(np.arange(len(columns)), weights=columns + 1e-9))
    seed[max(0, row - 5) : row + 6, max(0, column - 5) : column + 6] = True
    seed &= solid
    while True:  # grow along runs: few rounds, since a sheet has no long ways round
        grown = _along(_along(seed, solid, 1), solid, 0)
        if (grown == seed).all():
            return bright & grown
        seed = grown


def _along(seed: NDArray[np.bool_], solid: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Return every run of `solid` along the axis that the seed touches."""
    if axis == 0:
        return _along(seed.T, solid.T, 1).T
    starts = solid & ~np.pad(solid, ((0, 0), (1, 0)))[:, :-1]
    labels = np.cumsum(starts.reshape(-1)).reshape(solid.shape) * solid
    touched = np.zeros(int(labels.max()) + 1, bool)
    touched[np.unique(labels[seed & solid])] = True
    touched[0] = False
    result: NDArray[np.bool_] = touched[labels]
    return result


def _sides(bright: NDArray[np.bool_]) -> list[NDArray[np.float64]] | None:
    """Return the lines a x + b y = c along the top, right, bottom and left, each (a, b, c)."""
    lines = []
    for turns in range(4):
        turned = np.rot90(bright, turns)  # top, right, bottom and left come to the top in turn
        columns = np.flatnonzero(turned.any(0))
        if len(columns) < 20:
            return None
        first = turned[:, columns].argmax(0).astype(np.float64)
        line = _fit((columns + 0.5).astype(np.float64), first)
        if line is None:
            return None
        slope, start = line
        a, b, c = slope, -1.0, -start  # slope x - y = -start
        height, width = bright.shape
        if turns == 1:  # turned (x', y') = (y, width - x)
            a, b, c = -b, a, c - b * width
        elif turns == 2:
            a, b, c = -a, -b, c - a * width - b * height
        elif turns == 3:  # (x', y') = (height - y, x)
            a, b, c = b, -a, c - a * height
        lines.append(np.array([a, b, c]))
    return lines


def _fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float] | None:
    """Fit a line to the flattest long part of an outline, which bends down at the corners."""
    best, chosen = 0, None
    generator = np.random.default_rng(0)
    for _ in range(200):
        i, j = generator.integers(0, len(x), 2)
        if abs(x[i] - x[j]) < len(x) / 5:
            continue
        slope = (y[j] - y[i]) / (x[j] - x[i])
        if abs(slope) > 0.6:
            continue
        near = np.abs(y - y[i] - slope * (x - x[i])) < 1.0
        if near.sum() > best:
            best, chosen = int(near.sum()), near
    if chosen is None or best < len(x) / 3:
        return None
    slope, start = np.polyfit(x[chosen], y[chosen], 1)
    return float(slope), float(start)


def _crossing(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.solve(np.array([one[:2], other[:2]]), np.array([one[2], other[2]]))


def _area(corners: Points) -> float:
    x, y = corners.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
