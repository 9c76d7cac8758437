"""Seams: the ways from top to bottom through a part of ink that cross the least of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.cutting.hand import Hand

ASIDE = 0.06
"""The cost of a step aside, in widths of a stroke."""

PER_CHARACTER = 5
"""The most seams for each width of a character that a part has."""

DEAREST = 3.5
"""The most ink that a seam crosses, in widths of a stroke."""

_LEAST_WIDTH = 0.55  # of a character's height: a narrower part is not cut
_LEAST_PIECE = 0.15  # of a character's height, on both sides of a seam
_APART = 0.1  # of a character's height, between two seams


@dataclass(frozen=True, slots=True)
class Seam:
    """A way down through a picture.

    columns  int64 (height,): the first column to its right, in each row
    cost     the ink that it crosses, in widths of a stroke, and a little for each step aside
    """

    columns: NDArray[np.int64]
    cost: float


def seams_of(picture: Ink, hand: Hand) -> list[Seam]:
    """Return the cheapest seams through a part, from left to right; they don't cross each other.

    picture  bool (height, width): the part, its slant taken out
    """
    height, width = picture.shape
    least = _LEAST_PIECE * hand.height
    if width < max(_LEAST_WIDTH * hand.height, 2.2 * least):
        return []
    price = picture / hand.stroke
    down, from_above = _walk(price)
    up, from_below = _walk(price[::-1])
    row = height // 2
    cost = (down + up[::-1] - price)[row]
    most = round(PER_CHARACTER * (1 + width / hand.width))
    columns: list[int] = []
    for column in np.argsort(cost, kind="stable").tolist():
        if cost[column] > DEAREST or len(columns) == most:
            break
        if not least <= column <= width - least:
            continue
        if all(abs(column - other) >= _APART * hand.height for other in columns):
            columns.append(column)
    seams = [
        Seam(_followed(row, column, from_above, from_below[::-1]), float(cost[column]))
        for column in sorted(columns)
    ]
    for before, after in itertools.pairwise(seams):
        np.maximum(before.columns, after.columns, out=after.columns)
    return seams


def _walk(price: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return the cost of the cheapest way down to each pixel, and where its last step came from.

    A step goes one row down, and at most one column aside: -1, 0 or 1.
    """
    height, width = price.shape
    total = np.empty_like(price)
    steps = np.zeros((height, width), np.int8)
    total[0] = price[0]
    above = np.full(width + 2, np.inf)
    for row in range(1, height):
        above[1:-1] = total[row - 1]
        left, right = above[:-2] + ASIDE, above[2:] + ASIDE
        best = above[1:-1].copy()
        steps[row][left < best] = -1
        np.minimum(best, left, out=best)
        steps[row][right < best] = 1
        np.minimum(best, right, out=best)
        total[row] = best + price[row]
    return total, steps


def _followed(
    row: int, column: int, from_above: NDArray[np.int8], from_below: NDArray[np.int8]
) -> NDArray[np.int64]:
    """Return the way through a pixel: up from it, and down from it."""
    height = len(from_above)
    result = np.zeros(height, np.int64)
    result[row] = column
    for y in range(row, 0, -1):
        result[y - 1] = result[y] + from_above[y, result[y]]
    for y in range(row, height - 1):
        result[y + 1] = result[y] + from_below[y, result[y]]
    return result
