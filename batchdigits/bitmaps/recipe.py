"""The recipe: characters to bitmaps of 32x32 points of ink, and bitmaps to rows of 64 counts.

It is the second-generation normalisation of NIST's form-based recognition system (Garris
and others, NISTIR 5469, 1994; its programs `norm_2nd_gen2`, `zoom` and `shear_char`), with which
the digits of UCI's "Optical Recognition of Handwritten Digits", scikit-learn's `load_digits`, were
made. Many characters at once are arrays (n, height, width).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS, SIDE

Ink: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.int64]

BITMAP = 32
"""Points along each side of a bitmap."""

BODY = 20
"""The columns of a bitmap that a character is stretched to; the others are margins to shear in."""

BLOCK = BITMAP // SIDE
"""Points along each side of the blocks whose ink is counted."""

_MARGIN = (BITMAP - BODY) // 2
_ERODE_ABOVE = (412, 560)
_DILATE_BELOW = (256, 108)
_NOISY_ROWS = 2  # at the top and the bottom of a character, where no edge is trusted
_LEAST_HEIGHT = 6  # rows of ink with which a character is sheared


def counts_of(bitmaps: Ink) -> NDArray[np.uint8]:
    """Count the ink of bitmaps (…, 32, 32) in their 64 blocks of 4x4: uint8 (…, 64), 0..16."""
    before = bitmaps.shape[:-2]
    blocks = bitmaps.reshape(*before, SIDE, BLOCK, SIDE, BLOCK)
    counts: NDArray[np.uint8] = blocks.sum(axis=(-3, -1), dtype=np.uint8)
    return counts.reshape(*before, PIXELS)


def bitmaps_of(ink: Ink) -> Ink:
    """Make bitmaps (n, 32, 32) of characters (n, height, width): stretch, even out, straighten.

    The tight bounding box is stretched to 20x32 without keeping its aspect and placed in columns
    6 to 25. Strokes are then made thinner or thicker until about a third of the bitmap is ink, and
    rows are shifted until the character's left edge is upright. A character without ink gives a
    bitmap without ink.
    """
    bitmaps = np.zeros((len(ink), BITMAP, BITMAP), np.bool_)
    if ink.size:
        bitmaps[:, :, _MARGIN : _MARGIN + BODY] = _stretched(ink)
        _even_out(bitmaps)
    return _sheared(bitmaps)


def _stretched(ink: Ink) -> Ink:
    """Return the bounding boxes, stretched to (n, 32, 20)."""
    height, width = ink.shape[1:]
    rows = np.asarray(ink.any(axis=2))
    columns = np.asarray(ink.any(axis=1))
    top, bottom = rows.argmax(axis=1), height - rows[:, ::-1].argmax(axis=1)
    left, right = columns.argmax(axis=1), width - columns[:, ::-1].argmax(axis=1)
    down = top[:, np.newaxis] + _sources(bottom - top, BITMAP)
    across = left[:, np.newaxis] + _sources(right - left, BODY)
    each = np.arange(len(ink))[:, np.newaxis, np.newaxis]
    stretched: Ink = ink[each, down[:, :, np.newaxis], across[:, np.newaxis, :]]
    return stretched


def _sources(old: Places, new: int) -> Places:
    """Return which of `old` points, (n,), each of `new` shows: int64 (n, new).

    It is the nearest, as NIST's `zoom` rounds: shrinking picks points from the first on, enlarging
    repeats each about its middle.
    """
    places, old = np.arange(new), old[:, np.newaxis]
    shrunk = (2 * places * old + new) // (2 * new)
    return np.where(old > new, shrunk, ((2 * places + 1) * old - 1) // (2 * new))


def _even_out(bitmaps: Ink) -> None:
    """Erode bitmaps with much ink and dilate those with little, in place."""
    ink = np.count_nonzero(bitmaps, axis=(1, 2))
    for limit in _ERODE_ABOVE:
        if (many := ink > limit).any():
            bitmaps[many] = ~_grown(~bitmaps[many], outside=True)
    for limit in _DILATE_BELOW:
        if (few := ink < limit).any():
            bitmaps[few] = _grown(bitmaps[few], outside=False)


def _grown(area: Ink, *, outside: bool) -> Ink:
    """Return areas with their four neighbours in each direction; `outside` is beyond the edge."""
    padded = np.pad(area, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    beside = padded[:, 1:-1, :-2] | padded[:, 1:-1, 2:]
    return area | beside | padded[:, :-2, 1:-1] | padded[:, 2:, 1:-1]


def _sheared(bitmaps: Ink) -> Ink:
    """Shift rows until the leftmost ink near the top and near the bottom is in one column."""
    each = np.arange(len(bitmaps))
    rows = np.asarray(bitmaps.any(axis=2))
    first, last = rows.argmax(axis=1), BITMAP - 1 - rows[:, ::-1].argmax(axis=1)
    top = np.minimum(first + _NOISY_ROWS, BITMAP - 1)
    bottom = np.maximum(last - _NOISY_ROWS, 0)
    able = rows[each, top] & rows[each, bottom] & (last - first + 1 >= _LEAST_HEIGHT)
    off = bitmaps[each, top].argmax(axis=1) - bitmaps[each, bottom].argmax(axis=1)
    slope = np.where(able, off / np.maximum(bottom - top, 1), 0)
    shifts = _rounded((np.arange(BITMAP) - BITMAP // 2) * slope[:, np.newaxis])
    sources = np.arange(BITMAP) - shifts[:, :, np.newaxis]
    inside = (sources >= 0) & (sources < BITMAP)
    return inside & np.take_along_axis(bitmaps, sources.clip(0, BITMAP - 1), axis=2)


def _rounded(values: NDArray[Any]) -> Places:
    """Round halves away from zero, so that rows above and below the middle mirror each other."""
    rounded: Places = (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)
    return rounded
