"""Pixels of a page at the places where the blank form has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.geometry import Matrix

Grey = NDArray[np.uint8]
"""Darkness, uint8 (height, width): 0 paper, 255 ink."""

Brightness = NDArray[np.uint8] | NDArray[np.bool_]
"""A page as it was scanned, uint8 or bool (height, width): 0 or False is black."""

Places = NDArray[np.float64]
"""Columns or rows of points on a page."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Points of the form in rows and columns.

    left, top      the outer corner of the first cell of the grid, in pixels of the form
    columns, rows  how many points there are
    step           the side of a cell, in the middle of which a point is
    """

    left: float
    top: float
    columns: int
    rows: int
    step: float = 1.0

    def on(self, matrix: Matrix) -> tuple[Places, Places]:
        """Return x and y of the points on a page, float64 (rows, columns) each."""
        xs: Places = self.left + (np.arange(self.columns, dtype=np.float64) + 0.5) * self.step
        ys: Places = self.top + (np.arange(self.rows, dtype=np.float64) + 0.5) * self.step
        return mapped(matrix, xs[None, :], ys[:, None])


def mapped(matrix: Matrix, xs: Places, ys: Places) -> tuple[Places, Places]:
    """Return x and y on a page of the points that `xs`, a row, and `ys`, a column, make."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    depth = g * xs + h * ys + i
    with np.errstate(divide="ignore", invalid="ignore"):  # a wild guess may see the horizon
        return (a * xs + b * ys + c) / depth, (d * xs + e * ys + f) / depth


def nearest(page: Grey, x: NDArray[np.floating], y: NDArray[np.floating]) -> Grey:
    """Return the pixels at points of the page; 0 outside of it. The shape is that of `x`."""
    height, width = page.shape
    columns, rows = _whole(np.floor(x)), _whole(np.floor(y))
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    places = np.where(inside, rows * width + columns, 0)
    return np.where(inside, page.reshape(-1)[places], np.uint8(0))


def _whole(places: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return places as whole numbers; -1, which is outside, for those at the horizon."""
    finite = np.where(np.abs(places) < 1e9, places, -1)
    return finite.astype(np.int32)


def bilinear(page: Grey, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the darkness between pixels, float32 of the shape of `x`; the edge goes on outside."""
    height, width = page.shape
    x = np.clip(np.nan_to_num(x) - 0.5, 0, width - 1.001).astype(np.float32)
    y = np.clip(np.nan_to_num(y) - 0.5, 0, height - 1.001).astype(np.float32)
    columns, rows = x.astype(np.int32), y.astype(np.int32)
    right, down = x - columns, y - rows
    flat, first = page.reshape(-1), rows * width + columns
    top = flat[first] * (1 - right) + flat[first + 1] * right
    bottom = flat[first + width] * (1 - right) + flat[first + width + 1] * right
    result: NDArray[np.float32] = top * (1 - down) + bottom * down
    return result


def reduced(page: Grey, factor: int) -> Grey:
    """Return the means of blocks of `factor` x `factor` pixels; what is left over is dropped."""
    height, width = page.shape[0] // factor, page.shape[1] // factor
    part = page[: height * factor, : width * factor]
    lines = part.reshape(height, factor, -1).sum(axis=1, dtype=np.uint16)
    sums = lines.reshape(height, width, factor).sum(axis=2, dtype=np.uint32)
    result: Grey = (sums // (factor * factor)).astype(np.uint8)
    return result
