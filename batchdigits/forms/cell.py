"""One cell: its ink, as a 32x32 bitmap and as the 64 counts of that bitmap."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink, bitmaps_of, counts_of

Grey: TypeAlias = NDArray[np.uint8]

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
    """Make a bitmap of a character, bool (32, 32), as `bitmaps_of` makes many."""
    bitmap: Ink = bitmaps_of(ink[np.newaxis])[0]
    return bitmap


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
