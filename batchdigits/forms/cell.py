"""One cell: its ink as a 32x32 bitmap, and the 64 counts of that bitmap.

The recipe is the second-generation normalisation of NIST's form-based recognition system (Garris
and others, NISTIR 5469, 1994; its programs `norm_2nd_gen2`, `zoom` and `shear_char`), with which
the digits of UCI's "Optical Recognition of Handwritten Digits", scikit-learn's `load_digits`, were
made.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS, SIDE

Ink: TypeAlias = NDArray[np.bool_]
Grey: TypeAlias = NDArray[np.uint8]

BITMAP = 32
"""Pixels along each side of a bitmap."""

BODY = 20
"""The columns of a bitmap that a character is stretched to; the others are margins to shear in."""

BLOCK = BITMAP // SIDE
"""Pixels along each side of the blocks whose ink is counted."""

_MARGIN = (BITMAP - BODY) // 2
_ERODE_ABOVE = (412, 560)
_DILATE_BELOW = (256, 108)
_NOISY_ROWS = 2  # at the top and the bottom of a character, where no edge is trusted
_LEAST_HEIGHT = 6  # rows of ink with which a character is sheared

_LEAST_CONTRAST = 0.12  # of the paper's brightness, between ink and paper
_LEAST_STEPS = 3.0  # of the paper's own deviation; noise that is cut in two reaches 2.7
_FIT_SIDE = 64  # about as many pixels along each side decide the brightness of the paper


def normalise(ink: Ink) -> NDArray[np.uint8]:
    """Make a row of a character: uint8 (64,), the ink counts 0..16 of `bitmap_of(ink)`.

    ink  bool (height, width), true where there is ink; paper around the character does not matter

    Without ink all counts are 0. Judge blank cells and dust before: any speck is stretched here
    until it looks like a character.
    """
    return counts_of(bitmap_of(ink))


def bitmap_of(ink: Ink) -> Ink:
    """Make a bitmap of a character, bool (32, 32): stretch it, even out its strokes, straighten it.

    The tight bounding box is stretched to 20x32 without keeping its aspect and placed in columns
    6 to 25. Strokes are then made thinner or thicker until about a third of it is ink, and rows
    are shifted until the character's left edge is upright.
    """
    body = _stretched(_cropped(ink))
    bitmap = np.zeros((BITMAP, BITMAP), np.bool_)
    bitmap[:, _MARGIN : _MARGIN + BODY] = body
    return _sheared(_with_even_strokes(bitmap))


def counts_of(bitmap: Ink) -> NDArray[np.uint8]:
    """Count the ink of a bitmap (32, 32) in its 64 blocks of 4x4: uint8 (64,), 0..16."""
    blocks = bitmap.reshape(SIDE, BLOCK, SIDE, BLOCK)
    counts: NDArray[np.uint8] = blocks.sum(axis=(1, 3), dtype=np.uint8)
    return counts.reshape(PIXELS)


def binarise(grey: Grey) -> Ink:
    """Tell ink from paper in a crop that is dark on light: bool, of the shape of `grey`.

    grey  uint8 (height, width), 0 black to 255 white

    The brightness of the paper is a plane, so that a shadow over the crop is no ink; what is much
    darker than the paper beneath it, by the threshold of Otsu ("A threshold selection method from
    gray-level histograms", 1979), is ink. Nothing is ink in a crop without contrast.
    """
    brightness = np.minimum(grey / np.maximum(_paper(grey), 1), 1)
    level = _otsu(brightness)
    ink = brightness < level
    if not ink.any() or ink.all():
        return np.zeros(grey.shape, np.bool_)
    paper = brightness[~ink]
    contrast = paper.mean() - brightness[ink].mean()
    if contrast < max(_LEAST_CONTRAST, _LEAST_STEPS * paper.std()):
        return np.zeros(grey.shape, np.bool_)
    return ink


def _paper(grey: Grey) -> NDArray[np.float32]:
    """Return the brightness of the paper under each pixel, a plane that ink does not pull down."""
    height, width = grey.shape
    down, right = np.linspace(-1, 1, height)[:, np.newaxis], np.linspace(-1, 1, width)
    some = np.s_[:: max(1, height // _FIT_SIDE), :: max(1, width // _FIT_SIDE)]
    seen = grey[some].ravel().astype(np.float64)
    middle = float(np.median(seen))
    if middle == seen.max():  # most of it is equally bright
        return np.full(grey.shape, middle, np.float32)
    ones = np.ones(grey.shape)
    places = np.stack([(plane * ones)[some].ravel() for plane in (ones, down, right)])
    kept = seen >= middle
    for _ in range(6):
        chosen = places * kept
        plane = np.linalg.pinv(chosen @ places.T) @ (chosen @ seen)
        above = seen - plane @ places
        before, kept = kept, above > -max(8.0, 2.5 * float(above[kept].std()))
        if (kept == before).all():
            break
    fitted: NDArray[np.float32] = (plane[0] + plane[1] * down + plane[2] * right).astype(np.float32)
    return fitted


def _otsu(brightness: NDArray[np.float32]) -> float:
    """Return the level 0..1 that parts two kinds of pixels with the most variance between them."""
    counts, edges = np.histogram(brightness, bins=256, range=(0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    parts = np.maximum(below * above, 1).astype(np.float64)
    between = (sums * below[-1] - sums[-1] * below) ** 2 / parts
    best = np.flatnonzero(between == between.max())
    return float(edges[1:][best].mean())


def _cropped(ink: Ink) -> Ink:
    """Return the tight bounding box of the ink, (1, 1) of paper without any."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return np.zeros((1, 1), np.bool_)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _stretched(ink: Ink) -> Ink:
    height, width = ink.shape
    return ink[np.ix_(_sources(height, BITMAP), _sources(width, BODY))]


def _sources(old: int, new: int) -> NDArray[np.int64]:
    """Return which of `old` pixels each of `new` shows: the nearest, as NIST's `zoom` rounds.

    Shrinking picks pixels from the first on, enlarging repeats each about its middle.
    """
    places = np.arange(new)
    if old > new:
        return (2 * places * old + new) // (2 * new)
    return ((2 * places + 1) * old - 1) // (2 * new)


def _with_even_strokes(bitmap: Ink) -> Ink:
    ink = int(np.count_nonzero(bitmap))
    for _ in range(sum(ink > limit for limit in _ERODE_ABOVE)):
        bitmap = ~_grown(~bitmap, outside=True)
    for _ in range(sum(ink < limit for limit in _DILATE_BELOW)):
        bitmap = _grown(bitmap, outside=False)
    return bitmap


def _grown(area: Ink, *, outside: bool) -> Ink:
    """Return the area with its four neighbours in each direction; `outside` is beyond the edge."""
    padded = np.pad(area, 1, constant_values=outside)
    beside = padded[1:-1, :-2] | padded[1:-1, 2:]
    return area | beside | padded[:-2, 1:-1] | padded[2:, 1:-1]


def _sheared(bitmap: Ink) -> Ink:
    """Shift rows until the leftmost ink near the top and near the bottom is in one column."""
    rows = np.flatnonzero(bitmap.any(axis=1))
    if not len(rows) or rows[-1] - rows[0] + 1 < _LEAST_HEIGHT:
        return bitmap
    top, bottom = rows[0] + _NOISY_ROWS, rows[-1] - _NOISY_ROWS
    if not (bitmap[top].any() and bitmap[bottom].any()):
        return bitmap
    slope = (int(bitmap[top].argmax()) - int(bitmap[bottom].argmax())) / (bottom - top)
    sources = np.arange(BITMAP) - _rounded((np.arange(BITMAP) - BITMAP // 2) * slope)[:, np.newaxis]
    inside = (sources >= 0) & (sources < BITMAP)
    return inside & np.take_along_axis(bitmap, sources.clip(0, BITMAP - 1), axis=1)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round halves away from zero, so that rows above and below the middle mirror each other."""
    return (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)
