"""Shifts of an image by one pixel, so that a network does not learn where the scanner cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PIXELS = 64
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def shifted(
    pixels: NDArray[np.float64], share: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Pixels (n, 64), about `share` of the rows shifted by one pixel up, down, left or right.

    What leaves the 8x8 image is lost, what comes in is paper (0). The other rows are as they were.
    Training on shifted images: Simard, Steinkraus and Platt, "Best practices for convolutional
    neural networks applied to visual document analysis", 2003.
    """
    if not share:
        return pixels
    rows = len(pixels)
    is_moved = generator.random(rows) < share
    direction = np.where(is_moved, generator.integers(1, len(_SOURCES), rows), 0)
    padded = np.concatenate([pixels, np.zeros((rows, 1))], axis=1)
    moved: NDArray[np.float64] = np.take_along_axis(padded, _SOURCES[direction], axis=1)
    return moved


def _source_pixels() -> NDArray[np.int64]:
    """For no shift and each direction, which pixel each pixel comes from; 64 is paper."""
    framed = np.full((10, 10), _PIXELS)
    framed[1:9, 1:9] = np.arange(_PIXELS).reshape(8, 8)
    views = [framed[1 - y : 9 - y, 1 - x : 9 - x] for y, x in ((0, 0), *_DIRECTIONS)]
    return np.stack([view.ravel() for view in views])


_SOURCES = _source_pixels()
