"""Copies of images as other hands, pens and scanners might have left them.

1,797 digits of 13 people hold little of how people write. A copy that is turned, stretched,
slanted, moved, thickened and darkened a bit is still the same digit. Training on such copies:
Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual
document analysis", 2003.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ROTATION = np.deg2rad(12)
LOG_SCALE = 0.12
SHEAR = 0.2
SHIFT = 0.75
LOG_GAMMA = 0.4
LOG_INTENSITY = 0.2
"""The largest change either way: radians, of each axis, a row, pixels, and of what ink there is."""

MOST_ROWS = 200_000
"""Copies are fewer where originals and copies would be more than these: 102 MB of float64."""

_SIDE = 8
_PIXELS = _SIDE * _SIDE
_INK = 16
# The image with a frame of paper: one pixel before, two behind, where the neighbours of the last
# place that is read are.
_FRAMED = _SIDE + 3
_BLOCK_ROWS = 4096

Pixels = NDArray[np.float64]
Floats = NDArray[np.float32]
_Drawn = Callable[[float], Floats]


def copies_for(rows: int, copies: int) -> int:
    """How many copies of each of `rows` rows are made where `copies` are asked for."""
    if rows * (copies + 1) <= MOST_ROWS:
        return copies
    return min(copies, max(1, MOST_ROWS // rows - 1))


def with_copies(pixels: Pixels, copies: int, generator: np.random.Generator) -> Pixels:
    """Pixels (n, 64) in 0..16, and behind them `copies` changed copies of all n in turn.

    Float64 (n * (copies + 1), 64), in 0..16 and not rounded. Each copy has an affine map of its own
    about the centre, evenly drawn: rotation up to 12 degrees, each axis scaled by up to
    `exp(0.12)`, sheared by up to 0.2, shifted by up to 0.75 pixels; bilinear, paper (0) outside.
    Then `16 (x / 16) ** exp(g)` with g up to 0.4, times `exp(i)` with i up to 0.2, cut off at 16.
    """
    if not copies:
        return pixels
    originals = pixels.astype(np.float32)
    made = [
        _changed(originals[begin : begin + _BLOCK_ROWS], generator)
        for _ in range(copies)
        for begin in range(0, len(originals), _BLOCK_ROWS)
    ]
    return np.concatenate([pixels, *made])


def _changed(pixels: Floats, generator: np.random.Generator) -> Floats:
    """One changed copy of each row."""
    rows = len(pixels)

    def drawn(largest: float) -> Floats:
        return generator.uniform(-largest, largest, (rows, 1)).astype(np.float32)

    x, y = _sources(drawn)
    moved = _read_between(pixels, x, y) / _INK
    inked = _INK * moved ** np.exp(drawn(LOG_GAMMA)) * np.exp(drawn(LOG_INTENSITY))
    return np.clip(inked, 0, _INK)


def _sources(drawn: _Drawn) -> tuple[Floats, Floats]:
    """For each pixel of each copy the column and row it is read from, (n, 64) each."""
    down, right = np.mgrid[:_SIDE, :_SIDE].reshape(2, _PIXELS).astype(np.float32)
    middle = np.float32((_SIDE - 1) / 2)
    right, down = right - middle, down - middle
    angle = drawn(float(ROTATION))
    cos, sin = np.cos(angle), np.sin(angle)
    wide, high, shear = np.exp(drawn(LOG_SCALE)), np.exp(drawn(LOG_SCALE)), drawn(SHEAR)
    x = cos * wide * right + (cos * shear - sin) * high * down + drawn(SHIFT) + middle
    y = sin * wide * right + (sin * shear + cos) * high * down + drawn(SHIFT) + middle
    return np.clip(x, -1, _SIDE), np.clip(y, -1, _SIDE)


def _read_between(pixels: Floats, x: Floats, y: Floats) -> Floats:
    """Pixels (n, 64) at places between pixels, by the distance to the four around each."""
    framed = np.zeros((len(pixels), _FRAMED, _FRAMED), np.float32)
    framed[:, 1 : _SIDE + 1, 1 : _SIDE + 1] = pixels.reshape(-1, _SIDE, _SIDE)
    flat = framed.reshape(len(pixels), -1)
    left, top = np.floor(x), np.floor(y)
    right, below = x - left, y - top
    corner = ((top + 1) * _FRAMED + left + 1).astype(np.int64)

    def at(offset: int) -> Floats:
        found: Floats = np.take_along_axis(flat, corner + offset, axis=1)
        return found

    upper = at(0) * (1 - right) + at(1) * right
    lower = at(_FRAMED) * (1 - right) + at(_FRAMED + 1) * right
    between: Floats = (upper * (1 - below) + lower * below).astype(np.float32)
    return between
