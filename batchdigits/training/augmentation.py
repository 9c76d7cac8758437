"""Changed copies of images, as other hands, pens and scanners might have made them.

1,797 digits of 13 people show little of how people write. A copy that is turned, stretched,
slanted, moved, thickened and darkened a little is still the same digit. Training on such copies:
Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual
document analysis", 2003. Other copies are drawn once more from the middle lines of their strokes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.hands import Hands
from batchdigits.bitmaps.recipe import bitmaps_of, counts_of
from batchdigits.bitmaps.redraw import redrawn
from batchdigits.bitmaps.shapes import SHAPES, shapes_of
from batchdigits.bitmaps.strokes import Strokes
from batchdigits.images import DARKEST, PIXELS, SIDE

ROTATION = np.deg2rad(12)
LOG_SCALE = 0.12
SHEAR = 0.2
SHIFT = 0.75
LOG_GAMMA = 0.4
LOG_INTENSITY = 0.2
"""The largest changes in either direction: of the angle in radians, of the logarithm of each axis'
length, of the shear of a row, of the place in pixels, and of the logarithms of the ink's gamma and
amount."""

MOST_ROWS = 200_000
"""The most rows, originals and copies together: 51 MB of float32."""

# The side of the image in a frame of paper: one pixel before it, and two after it, for the
# neighbours of the last place that is read.
_FRAMED = SIDE + 3
_BLOCK_ROWS = 4096

Pixels = NDArray[np.float64]
Floats = NDArray[np.float32]
_Uniform = Callable[[float], Floats]


def copies_for(rows: int, copies: int) -> int:
    """The number of copies to make of each of `rows` rows, at most `copies`."""
    if rows * (copies + 1) <= MOST_ROWS:
        return copies
    return min(copies, max(1, MOST_ROWS // rows - 1))


def with_copies(
    pixels: Pixels, copies: int, generator: np.random.Generator, redrawn_share: float = 0.0
) -> NDArray[np.floating]:
    """Pixels (n, 64) in 0..16, followed by `copies` times a changed copy of all n.

    redrawn_share  at least this share of the copies is drawn by other hands and pens, as
                   `Strokes.drawn` does, and becomes rows by NIST's recipe; for rows that were
                   made by it too

    Returns float32 (n * (copies + 1), 64) in 0..16, not rounded; without copies `pixels` itself.
    Each other copy has its own map about the centre, drawn uniformly: rotated by up to 12 degrees,
    each axis scaled by up to `exp(0.12)`, sheared by up to 0.2, shifted by up to 0.75 pixels;
    bilinear, with paper (0) outside. Then `16 (x / 16) ** exp(g)` with g up to 0.4, times `exp(i)`
    with i up to 0.2, cut off at 16.
    """
    if not copies:
        return pixels
    originals, rows = pixels.astype(np.float32), len(pixels)
    by_hand = math.ceil(round(copies * redrawn_share, 9))  # 0.07 of 100 copies are 7
    seen = np.empty((rows * (copies + 1), PIXELS), np.float32)
    seen[:rows] = originals
    for first in range(rows, rows * (copies + 1 - by_hand), rows):
        for begin in range(0, rows, _BLOCK_ROWS):
            block = originals[begin : begin + _BLOCK_ROWS]
            seen[first + begin :][: len(block)] = _changed(block, generator)
    first = rows * (copies + 1 - by_hand)
    for part in _redrawn(pixels, by_hand, generator):
        seen[first : first + len(part)] = part
        first += len(part)
    return seen


def drawn_shapes(copies: int, generator: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Rows (n, 64) of `copies` drawings of each shape that digits have, and their digits (n,).

    `bitmaps/shapes.py` has the shapes. Hands and pens differ as with redrawn copies.
    """
    shapes = len(SHAPES)
    hands = Hands.at_random(shapes * copies, generator)
    rows, digits = [], []
    for some in hands.blocks(_BLOCK_ROWS // shapes * shapes):
        strokes, its_digits = shapes_of(some.count // shapes)
        rows.append(counts_of(bitmaps_of(strokes.drawn(some))).astype(np.float32))
        digits.append(its_digits)
    return np.concatenate(rows), np.concatenate(digits)


def _redrawn(pixels: Pixels, copies: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Yield that number of redrawn copies of all rows, in blocks of rows."""
    if not copies:
        return
    counts = np.round(pixels).astype(np.int64)
    blocks = [counts[begin : begin + _BLOCK_ROWS] for begin in range(0, len(counts), _BLOCK_ROWS)]
    strokes = [Strokes.of(redrawn(block)) for block in blocks]
    for _ in range(copies):
        for block, its_strokes in zip(blocks, strokes, strict=True):
            hands = Hands.at_random(its_strokes.count, generator)
            rows = counts_of(bitmaps_of(its_strokes.drawn(hands)))
            # Of a speck or a wall of ink thinning leaves nothing: paper would be taught as a digit.
            lost = ~rows.any(axis=1)
            rows[lost] = block[lost]
            yield rows.astype(np.float32)


def _changed(pixels: Floats, generator: np.random.Generator) -> Floats:
    """One changed copy of each row."""
    rows = len(pixels)

    def uniform(largest: float) -> Floats:
        return generator.uniform(-largest, largest, (rows, 1)).astype(np.float32)

    x, y = _sources(uniform)
    moved = _read_between(pixels, x, y) / DARKEST
    inked = DARKEST * moved ** np.exp(uniform(LOG_GAMMA)) * np.exp(uniform(LOG_INTENSITY))
    return np.clip(inked, 0, DARKEST)


def _sources(uniform: _Uniform) -> tuple[Floats, Floats]:
    """The column and the row that each pixel of each copy is read from, (n, 64) each."""
    down, right = np.mgrid[:SIDE, :SIDE].reshape(2, PIXELS).astype(np.float32)
    middle = np.float32((SIDE - 1) / 2)
    right, down = right - middle, down - middle
    angle = uniform(float(ROTATION))
    cos, sin = np.cos(angle), np.sin(angle)
    wide, high, shear = np.exp(uniform(LOG_SCALE)), np.exp(uniform(LOG_SCALE)), uniform(SHEAR)
    x = cos * wide * right + (cos * shear - sin) * high * down + uniform(SHIFT) + middle
    y = sin * wide * right + (sin * shear + cos) * high * down + uniform(SHIFT) + middle
    return np.clip(x, -1, SIDE), np.clip(y, -1, SIDE)


def _read_between(pixels: Floats, x: Floats, y: Floats) -> Floats:
    """The images (n, 64) at places between pixels, interpolated from the four around each place."""
    framed = np.zeros((len(pixels), _FRAMED, _FRAMED), np.float32)
    framed[:, 1 : SIDE + 1, 1 : SIDE + 1] = pixels.reshape(-1, SIDE, SIDE)
    left, top = np.floor(x), np.floor(y)
    right, below = x - left, y - top
    corner = ((top + 1) * _FRAMED + left + 1).astype(np.intp)
    corner += np.arange(len(pixels))[:, np.newaxis] * _FRAMED**2

    def at(offset: int) -> Floats:
        return framed.ravel()[offset:].take(corner)

    upper = at(0) * (1 - right) + at(1) * right
    lower = at(_FRAMED) * (1 - right) + at(_FRAMED + 1) * right
    between: Floats = (upper * (1 - below) + lower * below).astype(np.float32)
    return between
