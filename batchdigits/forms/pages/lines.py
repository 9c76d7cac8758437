"""The printed lines of a field wiped off its picture, without the strokes that cross them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink

SLACK = 2
"""Pixels that an edge of a printed line is rough by."""

_COVERED = 0.35  # of a line's length: with less of it bare, it is no line
_REACH = 4  # pixels beside a line that are looked at
_STRETCH = 24  # pixels along a line whose middle is followed


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A straight line in the picture of a field.

    middle       its row, or its column if it is upright
    start, stop  its first pixel along itself, and the one after its last
    thickness    pixels
    """

    middle: float
    start: int
    stop: int
    thickness: float
    upright: bool


def wipe(ink: Ink, lines: Sequence[PrintedLine]) -> Ink:
    """Return the ink without the printed lines.

    ink  bool (height, width)

    Across a line, what is as thin as the line goes. Where strokes come to it from both sides, they
    are joined again across it.
    """
    result = ink.copy()
    for line in lines:
        _wipe(result.T if line.upright else result, line)
    return result


def _wipe(ink: Ink, line: PrintedLine) -> None:
    """Wipe a level line off the picture, in place."""
    height, width = ink.shape
    start, stop = max(line.start, 0), min(line.stop, width)
    reach = round(line.thickness) + _REACH
    first, last = max(0, int(line.middle) - reach), min(height, int(line.middle) + reach + 1)
    band = ink[first:last, start:stop]
    if band.size == 0:
        return
    top, bottom, hit = _runs_through(band, line.middle - first, line.thickness)
    thin = hit & (bottom - top <= line.thickness + 2 * SLACK)
    if thin.sum() < max(4, _COVERED * (stop - start)):
        return
    # Where strokes hide the line's edges, they are where they are nearby.
    centre = _followed((top + bottom) / 2, thin)
    size = float(np.median((bottom - top)[thin]))
    above = np.floor(centre - size / 2 - 0.5).astype(np.int64)
    below = np.ceil(centre + size / 2 + 0.5).astype(np.int64)
    above = np.where(thin, np.minimum(top, above), above)
    below = np.where(thin, np.maximum(bottom, below), below)
    rows = np.arange(last - first)[:, None]
    bridges = _bridges(band, above, below)
    band &= (rows < above) | (rows >= below) | bridges


def _runs_through(
    band: Ink, middle: float, thickness: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return where the run of ink through the line starts and stops in each column, and if any."""
    height = band.shape[0]
    places = np.arange(height)[:, None]
    around = middle + np.array([0.0, -0.25, 0.25]) * thickness
    core = np.clip(around.astype(np.int64), 0, height - 1)
    hits = band[core]
    seed = np.where(hits.max(axis=0), core[hits.argmax(0)], core[0])
    paper_before = np.where(~band & (places < seed), places, -1).max(0)
    paper_after = np.where(~band & (places > seed), places, height).min(0)
    hit: NDArray[np.bool_] = hits.max(axis=0)
    return paper_before + 1, paper_after, hit


def _followed(centre: NDArray[np.float64], thin: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the middle of the line in each column: a median of its thin parts nearby."""
    columns = np.flatnonzero(thin)
    known = centre[columns]
    result = np.empty(len(centre))
    for begin in range(0, len(centre), _STRETCH):
        near = known[(columns >= begin - _STRETCH) & (columns < begin + 2 * _STRETCH)]
        result[begin : begin + _STRETCH] = np.median(near if len(near) >= 6 else known)
    return result


def _bridges(band: Ink, above: NDArray[np.int64], below: NDArray[np.int64]) -> Ink:
    """Return what of the line joins a stroke above it with one below."""
    height, width = band.shape
    columns = np.arange(width)
    over = (above >= 2) & band[np.clip(above - 1, 0, height - 1), columns]
    over &= band[np.clip(above - 2, 0, height - 1), columns]
    under = (below <= height - 2) & band[np.clip(below, 0, height - 1), columns]
    under &= band[np.clip(below + 1, 0, height - 1), columns]
    result = np.zeros_like(band)
    for upper in intervals(over):
        for lower in intervals(under):
            _join(result, upper, lower, int(above[upper[0]]), int(below[lower[0]]))
    return result & band


def _join(area: Ink, upper: tuple[int, int], lower: tuple[int, int], top: int, bottom: int) -> None:
    """Mark the way of a stroke from columns `upper` above row `top` to `lower` at `bottom`."""
    gap = max(lower[0] - upper[1], upper[0] - lower[1])
    if gap > 1.5 * (bottom - top) or min(upper[1] - upper[0], lower[1] - lower[0]) < 2:
        return
    for row in range(max(0, top), bottom):
        part = (row - top + 0.5) / (bottom - top)
        left = round(upper[0] + (lower[0] - upper[0]) * part)
        right = round(upper[1] + (lower[1] - upper[1]) * part)
        area[row, left:right] = True


def intervals(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and stop of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.view(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
