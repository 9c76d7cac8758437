"""Ink on uneven ground: how dark each pixel of a page is beside the paper around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.sampling import Brightness, Grey, reduced

BLOCK = 8
"""Side of the blocks of which the paper's brightness is taken, in pixels of the reduced page."""

_FAINT, _PEN = 180, 225  # mean darkness of ink that is made stronger, and that it gets
_FEWEST, _MOST = 0.0005, 0.4  # of a page's pixels that are ink


def darkness(page: Brightness) -> Grey:
    """Return how dark each pixel is beside its paper, uint8 (height, width): 0 paper, 255 black.

    The paper's brightness around a pixel is the upper fifth of the blocks near it, so that a shadow
    or a gradient costs nothing. A page of two values is only turned over.
    """
    if page.dtype == np.bool_:
        return np.where(page, np.uint8(0), np.uint8(255))
    grey = page.astype(np.uint8, copy=False)
    factor = max(1, round(max(grey.shape) / 800))
    small = reduced(grey, factor)
    if small.shape[0] < BLOCK or small.shape[1] < BLOCK:
        return np.uint8(255) - grey
    ground = _ground(small)
    if ground.min() > 250:
        return np.uint8(255) - grey
    return _against(grey, ground, factor * BLOCK)


def _ground(small: Grey) -> NDArray[np.float32]:
    """Return the brightness of the paper in each block, float32."""
    rows, columns = small.shape[0] // BLOCK, small.shape[1] // BLOCK
    parts = small[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    blocks = parts.transpose(0, 2, 1, 3).reshape(rows, columns, BLOCK * BLOCK)
    place = blocks.shape[2] * 4 // 5
    paper = np.partition(blocks, place, axis=2)[..., place].astype(np.float32)
    paper = _filtered(paper, np.max)
    # What is far darker than the paper elsewhere is no paper: a table, a black border.
    paper = np.maximum(paper, 0.4 * float(np.percentile(paper, 90)) + 1)
    return _filtered(paper, np.mean)


def _filtered(paper: NDArray[np.float32], function: Callable[..., Any]) -> NDArray[np.float32]:
    padded = np.pad(paper, 1, mode="edge")
    rows, columns = paper.shape
    around = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    result: NDArray[np.float32] = function(np.stack(around), axis=0)
    return result


def _against(page: Grey, ground: NDArray[np.float32], step: int) -> Grey:
    """Return the darkness beside `ground`, whose pixels stand for `step` x `step` of the page's."""
    height, width = page.shape
    result = np.empty_like(page)
    columns = _between(np.arange(width), ground.shape[1], step)
    wide = (
        ground[:, columns[0]] * (1 - columns[1]) + ground[:, columns[0] + columns[2]] * columns[1]
    )
    for top in range(0, height, 256):  # a band at a time stays in the cache
        rows = slice(top, min(top + 256, height))
        first, part, more = _between(np.arange(rows.start, rows.stop), ground.shape[0], step)
        paper = wide[first] + (wide[first + more] - wide[first]) * part[:, None]
        dark = 255.0 - page[rows] * (255.0 / paper)
        result[rows] = np.clip(dark, 0, 255)
    return result


def _between(
    places: NDArray[np.int64], size: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Return the block before each place, the weight of the next, and 1 where there is a next."""
    at = np.clip((places + 0.5) / step - 0.5, 0, size - 1)
    first = at.astype(np.int64)
    return first, (at - first).astype(np.float32), (first < size - 1).astype(np.int64)


def strengthened(dark: Grey) -> Grey:
    """Return the darkness with faint ink, such as a pencil's, as dark as a pen's."""
    some = dark[::4, ::4]
    ink = some >= threshold(some, least=12)
    if not _FEWEST < ink.mean() < _MOST:
        return dark
    strength, paper = float(some[ink].mean()), some[~ink]
    if strength >= _FAINT or strength - paper.mean() < max(25.0, 5 * float(paper.std())):
        return dark
    levels = np.clip(np.arange(256) * (_PEN / strength), 0, 255).astype(np.uint8)
    stronger: Grey = levels[dark]
    return stronger


def threshold(dark: Grey, least: int = 40) -> int:
    """Return Otsu's threshold of darkness, at least `least`: from it on a pixel is ink.

    Otsu, A threshold selection method from gray-level histograms, IEEE SMC 9 (1979).
    """
    counts = np.bincount(dark.reshape(-1), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = below * above * gap**2
    between[~np.isfinite(between)] = 0
    best = float(between.max())
    # Between two values that are far apart every threshold is as good: take the middle.
    places = np.flatnonzero(between >= best * (1 - 1e-9))
    return max(least, int(places.mean()) + 1)
